//! What every namespace has comes with it, and comes back.

use super::*;
use api::Key;

async fn delete(cluster: &Cluster, resource: &Resource, name: &str) {
    let client = Client::new(Arc::new(cluster.server.clone()), User::component("test"));
    let key = Key::new("n", name);
    client.delete(resource, &key, Default::default()).await.expect("deleted");
}

#[tokio::test(start_paused = true)]
async fn a_namespace_has_its_account_and_the_certificate() {
    let cluster = Cluster::start();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "uid": "n"}});
    cluster.server.put(&NAMESPACES, namespace);
    cluster.settle().await;
    let uid = cluster.one(&SERVICE_ACCOUNTS).uid().to_owned();
    assert_eq!(cluster.one(&SERVICE_ACCOUNTS).key().to_string(), "n/default");
    assert_eq!(cluster.one(&CONFIG_MAPS).key().to_string(), "n/kube-root-ca.crt");
    assert_eq!(cluster.one(&CONFIG_MAPS).value()["data"], json!({"ca.crt": "CA"}));

    delete(&cluster, &SERVICE_ACCOUNTS, "default").await;
    let map = cluster.one(&CONFIG_MAPS);
    cluster.server.change(&CONFIG_MAPS, &map, json!({"data": {"ca.crt": "mine", "more": "x"}}));
    cluster.settle().await;
    assert_ne!(cluster.one(&SERVICE_ACCOUNTS).uid(), uid);
    assert_eq!(cluster.one(&CONFIG_MAPS).value()["data"], json!({"ca.crt": "CA"}));
    delete(&cluster, &CONFIG_MAPS, "kube-root-ca.crt").await;
    cluster.settle().await;
    assert_eq!(cluster.server.all(&CONFIG_MAPS).len(), 1);
    cluster.server.take_log();
    cluster.pass(Duration::from_secs(60)).await;
    assert!(cluster.server.take_log().is_empty());
}
