//! What pods get from their service accounts, and when they are refused.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use api::resource::PODS;

use super::*;
use crate::admission::Configured;
use crate::registry::Identity;
use crate::served::Served;
use crate::store::Store;

/// The specification after admission on a server that issues tokens and knows no accounts.
fn admitted(spec: Value) -> Value {
    let (store, identity) = (Store::in_memory().unwrap(), Identity::new(1));
    let quotas = crate::admission::Ledger::default();
    let authorizer: Arc<dyn crate::auth::Authorizer> = Arc::new(crate::auth::AlwaysAllow);
    let around = Surroundings {
        quotas: &quotas,
        store: &store,
        identity: &identity,
        served: &Arc::new(Served::default()),
        authorizer: &authorizer,
        configured: &Configured::default(),
        outgoing: None,
        issues_tokens: true,
    };
    let mut pod = json!({"metadata": {"name": "p", "namespace": "default"}, "spec": spec});
    admit(&around, &PODS, &Key::new("default", "p"), &mut pod).unwrap();
    pod["spec"].take()
}

#[tokio::test(start_paused = true)]
async fn a_token_is_mounted_where_nothing_else_is() {
    let own = json!({"name": "own", "mountPath": MOUNT_PATH});
    let spec = json!({"initContainers": [{"name": "i"}], "volumes": [{"name": "own"}],
        "containers": [{"name": "a", "volumeMounts": [{"name": "own", "mountPath": "/x"}]},
            {"name": "b", "volumeMounts": [own]}]});
    let found = admitted(spec.clone());
    let name = found["volumes"][1]["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("kube-api-access-") && name.len() == 21, "{name}");
    let mount = json!({"name": name, "readOnly": true, "mountPath": MOUNT_PATH});
    assert_eq!(found["initContainers"][0]["volumeMounts"], json!([mount]));
    assert_eq!(found["containers"][0]["volumeMounts"][1], mount);
    assert_eq!(found["containers"][1]["volumeMounts"], json!([own]));
    assert_eq!(
        found["volumes"][1]["projected"],
        json!({"defaultMode": 420, "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace",
                "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ]})
    );
    assert_eq!(admitted(spec), found, "the same seed makes the same names");
    assert_eq!(admitted(found.clone()), found, "what is there is not added again");
}

#[tokio::test(start_paused = true)]
async fn no_token_is_mounted_where_none_is_wanted() {
    let row = |spec: Value| {
        let found = admitted(spec.clone());
        assert_eq!(found["volumes"], Value::Null, "{spec}");
        assert_eq!(found["serviceAccountName"], "default");
    };
    row(json!({"automountServiceAccountToken": false, "containers": [{"name": "a"}]}));
    row(json!({"containers": [{"name": "a", "volumeMounts": [{"name": "own", "mountPath": MOUNT_PATH}]}]}));
    row(json!({"containers": []}));
}

#[tokio::test(start_paused = true)]
async fn pods_of_nodes_themselves_have_no_account() {
    let (store, identity) = (Store::in_memory().unwrap(), Identity::new(1));
    let quotas = crate::admission::Ledger::default();
    let authorizer: Arc<dyn crate::auth::Authorizer> = Arc::new(crate::auth::AlwaysAllow);
    let around = Surroundings {
        quotas: &quotas,
        store: &store,
        identity: &identity,
        served: &Arc::new(Served::default()),
        authorizer: &authorizer,
        configured: &Configured::default(),
        outgoing: None,
        issues_tokens: true,
    };
    let mirror = json!({"metadata": {"annotations": {MIRROR: "x"}}, "spec": {"containers": [{"name": "a"}]}});
    let mut pod = mirror.clone();
    admit(&around, &PODS, &Key::new("default", "p"), &mut pod).unwrap();
    assert_eq!(pod, mirror);
}
