//! ReplicationControllers, DaemonSets, StatefulSets and what they leave behind.

use super::*;
use api::resource::{
    CONTROLLER_REVISIONS, DAEMON_SETS, POD_TEMPLATES, REPLICATION_CONTROLLERS, STATEFUL_SETS,
};

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "c", "image": "app:1"}]}})
}

fn controller() -> Value {
    json!({"metadata": {"name": "r"}, "spec": {"template": template()}})
}

fn daemon_set() -> Value {
    json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"app": "a"}},
        "template": template()}})
}

fn stateful_set() -> Value {
    let mut set = daemon_set();
    set["metadata"]["name"] = "s".into();
    set["spec"]["serviceName"] = "web".into();
    set["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]);
    let mounts = json!([{"name": "data", "mountPath": "/data"}]);
    set["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = mounts;
    set
}

#[tokio::test(start_paused = true)]
async fn workloads_are_filled_in() {
    let world = start().await;
    let always = json!({"spec": {"restartPolicy": "Always"}});
    let wanted = json!({"metadata": {"labels": {"app": "a"}, "generation": 1}, "status": {"replicas": 0},
        "spec": {"replicas": 1, "selector": {"app": "a"}, "template": always}});
    world.filled(&REPLICATION_CONTROLLERS, controller(), wanted).await;
    let wanted = json!({"template": always, "metadata": {"generation": 1}});
    let kept = json!({"metadata": {"name": "p"}, "template": template()});
    world.filled(&POD_TEMPLATES, kept, wanted).await;
    let wanted = json!({"metadata": {"annotations": {"deprecated.daemonset.template.generation": "1"}},
        "spec": {"revisionHistoryLimit": 10, "template": always, "updateStrategy": {"type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}},
        "status": {"desiredNumberScheduled": 0, "numberReady": 0}});
    world.filled(&DAEMON_SETS, daemon_set(), wanted).await;
    let wanted = json!({"spec": {"replicas": 1, "podManagementPolicy": "OrderedReady",
        "revisionHistoryLimit": 10, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "volumeClaimTemplates": [{"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "spec": {"volumeMode": "Filesystem"}, "status": {"phase": "Pending"}}],
        "template": always}, "status": {"replicas": 0}});
    world.filled(&STATEFUL_SETS, stateful_set(), wanted).await;
    let changed = json!({"spec": {"template": {"metadata": {"labels": {"b": "c"}}}}});
    let changed = world.merge(&DAEMON_SETS, "d", "", changed).await.unwrap();
    let counted = json!({"generation": 2, "annotations": {"deprecated.daemonset.template.generation": "2"}});
    assert_contains(&changed["metadata"], &counted, "");
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_workloads_are_named() {
    let world = start().await;
    let row = async |resource: &Resource, base: Value, patch: Value, words: &str| {
        refuse(&world, resource, &base, patch, words).await;
    };
    let unselected = "Invalid value: {\"app\":\"a\"}: `selector` does not match template `labels`";
    let other = json!({"spec": {"selector": {"app": "b"}}});
    let words = format!("spec.template.metadata.labels: {unselected}");
    row(&REPLICATION_CONTROLLERS, controller(), other, &words).await;
    let words = "[spec.selector: Required value, spec.replicas: Invalid value: -1: must be greater than or equal to \
                 0, spec.template: Required value]";
    let bare = json!({"spec": {"template": null, "replicas": -1}});
    row(&REPLICATION_CONTROLLERS, controller(), bare, words).await;
    let ends =
        json!({"spec": {"template": {"spec": {"restartPolicy": "Never", "activeDeadlineSeconds": 9}}}});
    let words = |kind: &str| {
        format!(
            "[spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\", \
             spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in {kind} is not Supported]"
        )
    };
    row(&REPLICATION_CONTROLLERS, controller(), ends.clone(), &words("ReplicationController")).await;
    row(&DAEMON_SETS, daemon_set(), ends.clone(), &words("DaemonSet")).await;
    row(&STATEFUL_SETS, stateful_set(), ends, &words("StatefulSet")).await;
    let strategy = |strategy: Value| json!({"spec": {"updateStrategy": strategy}});
    row(
        &DAEMON_SETS,
        daemon_set(),
        strategy(json!({"type": "x"})),
        r#"spec.updateStrategy.type: Unsupported value: "x": supported values: "RollingUpdate", "OnDelete""#,
    )
    .await;
    row(
        &DAEMON_SETS,
        daemon_set(),
        strategy(json!({"rollingUpdate": {"maxUnavailable": 0}})),
        "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
    )
    .await;
    row(
        &DAEMON_SETS,
        daemon_set(),
        strategy(json!({"rollingUpdate": {"maxSurge": "10%"}})),
        "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: \"10%\": may not be set when maxUnavailable is \
         non-zero",
    )
    .await;
    row(
        &DAEMON_SETS,
        daemon_set(),
        json!({"spec": {"selector": {"matchLabels": null}}}),
        "spec.selector: Invalid value: {}: empty selector is invalid for daemonset",
    )
    .await;
    row(
        &STATEFUL_SETS,
        stateful_set(),
        json!({"spec": {"podManagementPolicy": "x", "persistentVolumeClaimRetentionPolicy": {"whenScaled": "y"},
            "ordinals": {"start": -1}}}),
        "[spec.podManagementPolicy: Invalid value: \"x\": must be 'OrderedReady' or 'Parallel', \
         spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: \"y\": supported values: \
         \"Retain\", \"Delete\", spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0]",
    )
    .await;
    row(
        &STATEFUL_SETS,
        stateful_set(),
        strategy(json!({"type": "OnDelete", "rollingUpdate": {"partition": 1}})),
        "spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only allowed for updateStrategy \
         'RollingUpdate'",
    )
    .await;
    row(
        &STATEFUL_SETS,
        stateful_set(),
        json!({"spec": {"volumeClaimTemplates": null}}),
        "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"data\"",
    )
    .await;
    row(&CONTROLLER_REVISIONS, json!({"metadata": {"name": "v"}, "revision": -1}), json!({}),
        "[data: Required value: data is mandatory, revision: Invalid value: -1: must be greater than or equal to 0]")
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_workloads_some_things_stay() {
    let world = start().await;
    world.create(&STATEFUL_SETS, stateful_set()).await.unwrap();
    world.create(&DAEMON_SETS, daemon_set()).await.unwrap();
    let words = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', \
                 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                 'minReadySeconds' are forbidden";
    for patch in [json!({"serviceName": "x"}), json!({"podManagementPolicy": "Parallel"})] {
        world.refused(&STATEFUL_SETS, "s", "", json!({"spec": patch}), words).await;
    }
    let changes = json!({"replicas": 2, "minReadySeconds": 1, "ordinals": {"start": 1},
        "updateStrategy": {"type": "OnDelete", "rollingUpdate": null}, "revisionHistoryLimit": 3,
        "persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}});
    let changed = world.merge(&STATEFUL_SETS, "s", "", json!({"spec": changes})).await.unwrap();
    assert_eq!(changed["metadata"]["generation"], 2);
    let selector = json!({"spec": {"selector": {"matchLabels": {"b": "c"}},
        "template": {"metadata": {"labels": {"b": "c"}}}}});
    let words =
        "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"a\",\"b\":\"c\"}}: field is immutable";
    world.refused(&DAEMON_SETS, "d", "", selector, words).await;
    let status = json!({"status": {"replicas": 1, "readyReplicas": 2, "availableReplicas": 3}});
    let words = "[status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas, \
                 status.availableReplicas: Invalid value: 3: cannot be greater than status.replicas, \
                 status.availableReplicas: Invalid value: 3: cannot be greater than status.readyReplicas]";
    world.refused(&STATEFUL_SETS, "s", "status", status, words).await;
    let words = "status.numberReady: Invalid value: -1: must be greater than or equal to 0";
    world.refused(&DAEMON_SETS, "d", "status", json!({"status": {"numberReady": -1}}), words).await;
    let revision = json!({"metadata": {"name": "v"}, "revision": 1, "data": {"spec": 1}});
    world.create(&CONTROLLER_REVISIONS, revision).await.unwrap();
    world.merge(&CONTROLLER_REVISIONS, "v", "", json!({"revision": 2})).await.unwrap();
    let words = "data: Invalid value: {\"spec\":2}: field is immutable";
    world.refused(&CONTROLLER_REVISIONS, "v", "", json!({"data": {"spec": 2}}), words).await;
}

#[tokio::test(start_paused = true)]
async fn workloads_are_scaled_by_their_scale() {
    let world = start().await;
    world.create(&REPLICATION_CONTROLLERS, controller()).await.unwrap();
    world.create(&STATEFUL_SETS, stateful_set()).await.unwrap();
    for (resource, name) in [(&REPLICATION_CONTROLLERS, "r"), (&STATEFUL_SETS, "s")] {
        let scale = json!({"spec": {"replicas": 3}});
        let scaled = world.merge(resource, name, "scale", scale).await.unwrap();
        let wanted = json!({"kind": "Scale", "spec": {"replicas": 3}, "status": {"selector": "app=a"}});
        assert_contains(&scaled, &wanted, name);
        assert_eq!(world.get(resource, name).await.unwrap()["spec"]["replicas"], 3);
    }
}

#[tokio::test(start_paused = true)]
async fn workloads_are_shown_in_columns() {
    let world = start().await;
    world.create(&REPLICATION_CONTROLLERS, controller()).await.unwrap();
    world.create(&STATEFUL_SETS, stateful_set()).await.unwrap();
    world.create(&POD_TEMPLATES, json!({"metadata": {"name": "p"}, "template": template()})).await.unwrap();
    let mut daemons = daemon_set();
    daemons["spec"]["template"]["spec"]["nodeSelector"] = json!({"disk": "ssd"});
    world.create(&DAEMON_SETS, daemons).await.unwrap();
    let owner = |name: &str, api_version: &str, kind: &str| {
        json!({"metadata": {"name": name, "ownerReferences": [{"apiVersion": api_version, "kind": kind,
            "name": "s", "uid": "u", "controller": true}]}, "revision": 4, "data": {}})
    };
    world.create(&CONTROLLER_REVISIONS, owner("v", "apps/v1", "StatefulSet")).await.unwrap();
    let row = async |resource: &Resource, name: &str, wanted: Value| {
        assert_eq!(Value::from(world.cells(resource, name).await), wanted);
    };
    row(&REPLICATION_CONTROLLERS, "r", json!(["r", 1, 0, 0, "0s", "c", "app:1", "app=a"])).await;
    row(&STATEFUL_SETS, "s", json!(["s", "0/1", "0s", "c", "app:1"])).await;
    row(&POD_TEMPLATES, "p", json!(["p", "c", "app:1", "app=a"])).await;
    row(&DAEMON_SETS, "d", json!(["d", 0, 0, 0, 0, 0, "disk=ssd", "0s", "c", "app:1", "app=a"])).await;
    row(&CONTROLLER_REVISIONS, "v", json!(["v", "statefulset.apps/s", 4, "0s"])).await;
}
