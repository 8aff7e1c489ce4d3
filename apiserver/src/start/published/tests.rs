//! What is published of the server, and that it stays so.

#![allow(clippy::unwrap_used)]

use tokio::task::JoinSet;

use super::*;
use crate::auth::authority::{Authority, ServerNames};
use crate::{Apiserver, Config};

const ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 6443);

/// A server in virtual time that says it is at [`ADDRESS`].
async fn start(tasks: &mut JoinSet<()>) -> (Client, Clock) {
    let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
    let config = Config { advertise: Some(ADDRESS), ..Config::in_memory(clock.clone(), 1) };
    (client(Apiserver::start(config, tasks).await.unwrap()), clock)
}

async fn get(client: &Client, resource: &Resource) -> Value {
    client.get(resource, &Key::new(NAMESPACE, NAME)).await.unwrap().value().clone()
}

#[tokio::test(start_paused = true)]
async fn a_server_says_where_it_is() {
    let mut tasks = JoinSet::new();
    let (client, _) = start(&mut tasks).await;
    let service = get(&client, &SERVICES).await;
    let spec = &service["spec"];
    assert_eq!((&spec["clusterIP"], &spec["type"]), (&json!("10.96.0.1"), &json!("ClusterIP")));
    assert_eq!((spec.get("selector"), &spec["sessionAffinity"]), (None, &json!("None")));
    let port = json!({"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443});
    assert_eq!(spec["ports"], json!([port]));
    assert_eq!(service["metadata"]["labels"], json!({"component": "apiserver", "provider": "kubernetes"}));
    let ports = json!([{"name": "https", "port": 6443, "protocol": "TCP"}]);
    let endpoints = get(&client, &ENDPOINTS).await;
    assert_eq!(endpoints["subsets"], json!([{"addresses": [{"ip": "127.0.0.1"}], "ports": ports}]));
    let slice = get(&client, &ENDPOINT_SLICES).await;
    assert_eq!(slice["metadata"]["labels"]["kubernetes.io/service-name"], "kubernetes");
    assert_eq!((&slice["addressType"], &slice["ports"]), (&json!("IPv4"), &ports));
    assert_eq!(slice["endpoints"], json!([{"addresses": ["127.0.0.1"], "conditions": {"ready": true}}]));
}

#[tokio::test(start_paused = true)]
async fn what_others_change_is_corrected_and_nothing_else_is_written() {
    let mut tasks = JoinSet::new();
    let (client, clock) = start(&mut tasks).await;
    let first = async || (get(&client, &SERVICES).await, get(&client, &ENDPOINTS).await);
    let (service, endpoints) = first().await;
    clock.sleep(Duration::from_secs(60)).await;
    assert_eq!(first().await, (service.clone(), endpoints.clone()), "nothing happens, nothing is written");
    let key = Key::new(NAMESPACE, NAME);
    let other = json!({"metadata": {"labels": {"mine": "too"}}, "spec": {"type": "NodePort", "selector": {"a": "b"}}});
    client.patch(&SERVICES, &key, "", other).await.unwrap();
    client.delete(&ENDPOINTS, &key, DeleteOptions::default()).await.unwrap();
    clock.sleep(3 * PAUSE).await;
    let (again, restored) = first().await;
    assert_eq!(again["spec"], service["spec"]);
    assert_eq!(again["metadata"]["labels"]["mine"], "too", "labels are nobody's alone");
    assert_eq!(restored["subsets"], endpoints["subsets"]);
}

#[tokio::test(start_paused = true)]
async fn servers_of_other_groups_find_out_whom_to_believe() {
    let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
    let names = ServerNames::new(Ipv4Addr::new(10, 96, 0, 1));
    let authority = Authority::ephemeral(&names, &clock).unwrap();
    let config = Config { front_proxy: Some(authority.front_proxy()), ..Config::in_memory(clock.clone(), 1) };
    let mut tasks = JoinSet::new();
    let client = client(Apiserver::start(config, &mut tasks).await.unwrap());
    let key = Key::new("kube-system", "extension-apiserver-authentication");
    let map = client.get(&CONFIG_MAPS, &key).await.unwrap();
    let data = &map.value()["data"];
    assert_eq!(data["client-ca-file"], authority.ca_pem());
    assert_eq!(data["requestheader-client-ca-file"], authority.front_proxy().ca_pem());
    assert_eq!(data["requestheader-allowed-names"], r#"["front-proxy-client"]"#);
    assert_eq!(data["requestheader-username-headers"], r#"["X-Remote-User"]"#);
    client.delete(&CONFIG_MAPS, &key, DeleteOptions::default()).await.unwrap();
    clock.sleep(3 * PAUSE).await;
    assert_eq!(client.get(&CONFIG_MAPS, &key).await.unwrap().value()["data"], *data);
}

#[tokio::test(start_paused = true)]
async fn the_address_of_the_server_is_given_to_nobody_else() {
    let mut tasks = JoinSet::new();
    let (client, clock) = start(&mut tasks).await;
    let service = get(&client, &SERVICES).await;
    client.delete(&SERVICES, &Key::new(NAMESPACE, NAME), DeleteOptions::default()).await.unwrap();
    let thief =
        json!({"metadata": {"name": "thief"}, "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 80}]}});
    let error = client.create(&SERVICES, NAMESPACE, &thief).await.unwrap_err();
    assert!(error.message.ends_with("provided IP is already allocated"), "{error}");
    clock.sleep(3 * PAUSE).await;
    assert_eq!(get(&client, &SERVICES).await["spec"], service["spec"]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_has_moved_says_so() {
    let mut tasks = JoinSet::new();
    let (client, _) = start(&mut tasks).await;
    tasks.shutdown().await;
    let moved = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 7), 7443);
    let published = server(moved, Ipv4Addr::new(10, 96, 0, 1));
    published.write(&client).await.unwrap();
    assert_eq!(get(&client, &SERVICES).await["spec"]["ports"][0]["targetPort"], 7443);
    assert_eq!(get(&client, &ENDPOINTS).await["subsets"][0]["addresses"], json!([{"ip": "192.0.2.7"}]));
    assert_eq!(get(&client, &ENDPOINT_SLICES).await["endpoints"][0]["addresses"], json!(["192.0.2.7"]));
}
