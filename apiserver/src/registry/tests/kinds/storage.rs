//! Volumes and claims.

use super::*;
use api::resource::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES};

fn volume() -> Value {
    json!({"metadata": {"name": "v"}, "spec": {"capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "hostPath": {"path": "/data"}}})
}

fn claim() -> Value {
    json!({"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}}})
}

#[tokio::test(start_paused = true)]
async fn volumes_and_claims_are_filled_in() {
    let world = start().await;
    let wanted = json!({"spec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem",
        "hostPath": {"type": ""}}, "status": {"phase": "Pending"}});
    world.filled(&PERSISTENT_VOLUMES, volume(), wanted).await;
    let mut copy = claim();
    copy["spec"]["dataSource"] = json!({"kind": "PersistentVolumeClaim", "name": "old"});
    let wanted = json!({"spec": {"volumeMode": "Filesystem", "dataSourceRef": {"name": "old"}},
        "status": {"phase": "Pending"}});
    world.filled(&PERSISTENT_VOLUME_CLAIMS, copy, wanted).await;
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_volumes_are_named() {
    let world = start().await;
    let row = async |patch: Value, words: &str| {
        refuse(&world, &PERSISTENT_VOLUMES, &volume(), json!({"spec": patch}), words).await;
    };
    row(
        json!({"accessModes": null, "capacity": null, "hostPath": null}),
        "[spec.accessModes: Required value, spec.capacity: Required value, spec.capacity: Unsupported value: null: \
         supported values: \"storage\", spec: Required value: must specify a volume type]",
    )
    .await;
    row(
        json!({"accessModes": ["ReadWriteOncePod", "ReadOnlyMany", "x"], "capacity": {"storage": "0"}}),
        "[spec.accessModes: Unsupported value: \"x\": supported values: \"ReadOnlyMany\", \"ReadWriteMany\", \
         \"ReadWriteOnce\", \"ReadWriteOncePod\", spec.accessModes: Forbidden: may not use ReadWriteOncePod with \
         other access modes, spec.capacity[storage]: Invalid value: \"0\": must be greater than zero]",
    )
    .await;
    row(
        json!({"local": {"path": "/x"}}),
        "[spec.local: Forbidden: may not specify more than 1 volume type, spec.nodeAffinity: Required value: Local \
         volume requires node affinity]",
    )
    .await;
    row(
        json!({"persistentVolumeReclaimPolicy": "Recycle", "hostPath": {"path": "/"}, "volumeMode": "x"}),
        "[spec.persistentVolumeReclaimPolicy: Forbidden: may not be 'recycle' for a hostPath mount of '/', \
         spec.volumeMode: Unsupported value: \"x\": supported values: \"Block\", \"Filesystem\"]",
    )
    .await;
    world.create(&PERSISTENT_VOLUMES, volume()).await.unwrap();
    let words =
        "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation";
    let moved = json!({"spec": {"hostPath": {"path": "/other"}}});
    world.refused(&PERSISTENT_VOLUMES, "v", "", moved, words).await;
    world
        .merge(&PERSISTENT_VOLUMES, "v", "", json!({"spec": {"capacity": {"storage": "2Gi"}}}))
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_claims_are_named() {
    let world = start().await;
    let row = async |patch: Value, words: &str| {
        refuse(&world, &PERSISTENT_VOLUME_CLAIMS, &claim(), json!({"spec": patch}), words).await;
    };
    row(
        json!({"accessModes": [], "resources": null}),
        "[spec.accessModes: Required value: at least 1 access mode is required, spec.resources[storage]: Required \
         value]",
    )
    .await;
    row(
        json!({"resources": {"requests": {"storage": "-1"}}, "storageClassName": "A"}),
        &format!(
            "[spec.resources[storage]: Invalid value: \"-1\": must be greater than zero, spec.storageClassName: \
             Invalid value: \"A\": {}]",
            crate::names::Form::Subdomain.mistakes("A")[0]
        ),
    )
    .await;
    row(
        json!({"dataSource": {"kind": "Pod", "name": ""}}),
        "[spec.dataSource.name: Required value, spec.dataSource: Invalid value: \"Pod\": must be \
         'PersistentVolumeClaim' when referencing the default apiGroup, spec.dataSourceRef.name: Required value, \
         spec.dataSourceRef: Invalid value: \"Pod\": must be 'PersistentVolumeClaim' when referencing the default \
         apiGroup]",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_bound_once_and_then_grows() {
    let world = start().await;
    world.create(&PERSISTENT_VOLUME_CLAIMS, claim()).await.unwrap();
    let fixed = "spec: Forbidden: spec is immutable after creation except resources.requests and \
                 volumeAttributesClassName for bound claims";
    let size = |size: &str| json!({"spec": {"resources": {"requests": {"storage": size}}}});
    let refused = async |patch: Value, words: &str| {
        world.refused(&PERSISTENT_VOLUME_CLAIMS, "c", "", patch, words).await;
    };
    refused(size("2Gi"), fixed).await;
    refused(json!({"spec": {"accessModes": ["ReadWriteMany"]}}), fixed).await;
    let bound = json!({"spec": {"volumeName": "v"}});
    world.merge(&PERSISTENT_VOLUME_CLAIMS, "c", "", bound).await.unwrap();
    refused(json!({"spec": {"volumeName": "w"}}), fixed).await;
    let status = json!({"status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"}}});
    world.merge(&PERSISTENT_VOLUME_CLAIMS, "c", "status", status).await.unwrap();
    let smaller = "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity";
    refused(size("512Mi"), smaller).await;
}

#[tokio::test(start_paused = true)]
async fn volumes_and_claims_are_shown_in_columns() {
    let world = start().await;
    let mut bound = volume();
    bound["spec"]["claimRef"] = json!({"namespace": "default", "name": "c"});
    bound["spec"]["storageClassName"] = "fast".into();
    world.create(&PERSISTENT_VOLUMES, bound).await.unwrap();
    let wanted = json!([
        "v",
        "1Gi",
        "RWO,ROX",
        "Retain",
        "Pending",
        "default/c",
        "fast",
        "<unset>",
        "",
        "0s",
        "Filesystem"
    ]);
    assert_eq!(Value::from(world.cells(&PERSISTENT_VOLUMES, "v").await), wanted);
    world.create(&PERSISTENT_VOLUME_CLAIMS, claim()).await.unwrap();
    let wanted = json!(["c", "Pending", "", "", "", "standard", "<unset>", "0s", "Filesystem"]);
    assert_eq!(Value::from(world.cells(&PERSISTENT_VOLUME_CLAIMS, "c").await), wanted);
    let bound = json!({"spec": {"volumeName": "v"}});
    world.merge(&PERSISTENT_VOLUME_CLAIMS, "c", "", bound).await.unwrap();
    let status = json!({"status": {"phase": "Bound", "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"}}});
    world.merge(&PERSISTENT_VOLUME_CLAIMS, "c", "status", status).await.unwrap();
    let wanted = json!(["c", "Bound", "v", "1Gi", "RWO", "standard", "<unset>", "0s", "Filesystem"]);
    assert_eq!(Value::from(world.cells(&PERSISTENT_VOLUME_CLAIMS, "c").await), wanted);
}
