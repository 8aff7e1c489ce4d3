//! What pods are called, and the names they know by themselves.

use serde_json::json;

use super::cluster::Trial;

#[tokio::test(start_paused = true)]
async fn added_names_are_known_and_stand_in_the_hosts_file() {
    let trial = Trial::new("localhost/web:v1", "serve 80").await;
    trial.create(trial.pod("db", json!({}))).await;
    trial.settle().await;
    let address = trial.status("db")["podIP"].as_str().unwrap().to_owned();
    let aliases = json!([{"ip": address, "hostnames": ["store", "store.example"]}]);
    trial.create(trial.pod("web", json!({"hostAliases": aliases, "subdomain": "s"}))).await;
    trial.settle().await;
    let own = trial.status("web")["podIP"].as_str().unwrap().to_owned();
    let file = trial.read("pods/uid-web/etc-hosts");
    let end = format!(
        "{own}\tweb.s.default.svc.cluster.local\tweb\n\n# Entries added by HostAliases.\n{address}\tstore\tstore.example\n"
    );
    assert!(file.ends_with(&end), "{file}");
    let interface = trial.node.0.presence.pod("uid-web").unwrap();
    for (name, expected) in [("store", &address), ("STORE.example", &address), ("web", &own)] {
        let found = interface.resolve(name).await.unwrap();
        assert_eq!(found[0].to_string(), *expected, "{name}");
    }
    assert!(
        !trial.files().iter().any(|path| path.starts_with("pods/uid-db/etc-hosts")),
        "only if it is needed"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_cannot_be_called_so_or_is_for_another_system_does_not_run() {
    let trial = Trial::new("localhost/web:v1", "").await;
    let spec = json!({"subdomain": "s".repeat(60), "setHostnameAsFQDN": true});
    trial.create(trial.pod("long", spec)).await;
    trial.create(trial.pod("windows", json!({"os": {"name": "windows"}}))).await;
    trial.create(trial.pod("root", json!({"hostPID": true}))).await;
    trial.settle().await;
    assert_eq!(trial.events("long"), ["FailedCreatePodSandBox"]);
    let status = trial.status("windows");
    let expected = "Pod was rejected: Failed to admit pod as the OS field doesn't match node OS";
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Failed"), &json!("PodOSNotSupported")));
    assert_eq!(status["message"], expected);
    assert_eq!(trial.status("root")["phase"], "Running");
    assert_eq!(trial.events("root")[0], "Unsupported");
}
