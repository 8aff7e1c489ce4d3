//! Kinds of the cluster as a whole: classes, roles, drivers.

use super::*;

const STORAGE: &str = "storage.k8s.io";
const RBAC: &str = "rbac.authorization.k8s.io";

fn cluster(group: &'static str, plural: &'static str, kind: &'static str) -> Resource {
    Resource::new(group, "v1", plural, kind, false)
}

/// Creates an object, expects what is filled in and that it is not filled in again, then expects words for a change.
async fn keep(
    world: &World,
    resource: &Resource,
    mut object: Value,
    filled: Value,
    change: Value,
    words: &str,
) {
    object["metadata"]["name"] = "a".into();
    let created = world.create(resource, object).await.unwrap();
    assert_contains(&created, &filled, "");
    assert_eq!(world.update(resource, "a", "", created.clone()).await.unwrap(), created, "twice");
    let error = world.merge(resource, "a", "", change.clone()).await.expect_err(&change.to_string());
    assert_eq!(error.split_once(" is invalid: ").map_or(error.as_str(), |(_, said)| said), words);
}

#[tokio::test(start_paused = true)]
async fn classes_are_filled_in_and_keep_what_they_promise() {
    let world = start().await;
    keep(
        &world,
        &cluster(STORAGE, "storageclasses", "StorageClass"),
        json!({"provisioner": "example.com/disk"}),
        json!({"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
        json!({"provisioner": "example.com/tape", "volumeBindingMode": "WaitForFirstConsumer"}),
        "[provisioner: Forbidden: updates to provisioner are forbidden., volumeBindingMode: Invalid value: \
         \"WaitForFirstConsumer\": field is immutable]",
    )
    .await;
    keep(
        &world,
        &cluster("scheduling.k8s.io", "priorityclasses", "PriorityClass"),
        json!({"value": 1000}),
        json!({"preemptionPolicy": "PreemptLowerPriority", "metadata": {"generation": 1}}),
        json!({"value": 7, "preemptionPolicy": "Never"}),
        "[value: Forbidden: may not be changed in an update., preemptionPolicy: Invalid value: \"Never\": field is immutable]",
    )
    .await;
    keep(
        &world,
        &cluster("node.k8s.io", "runtimeclasses", "RuntimeClass"),
        json!({"handler": "fuel"}),
        json!({}),
        json!({"handler": "time"}),
        "handler: Invalid value: \"time\": field is immutable",
    )
    .await;
    keep(
        &world,
        &cluster(STORAGE, "csidrivers", "CSIDriver"),
        json!({"spec": {}}),
        json!({"spec": {"attachRequired": true, "fsGroupPolicy": "ReadWriteOnceWithFSType",
            "volumeLifecycleModes": ["Persistent"], "storageCapacity": false}}),
        json!({"spec": {"attachRequired": false}}),
        "spec.attachedRequired: Invalid value: false: field is immutable",
    )
    .await;
    keep(
        &world,
        &cluster(STORAGE, "volumeattributesclasses", "VolumeAttributesClass"),
        json!({"driverName": "d", "parameters": {"a": "1"}}),
        json!({}),
        json!({"parameters": {"a": "2"}}),
        "parameters: Forbidden: updates to parameters are forbidden.",
    )
    .await;
    keep(
        &world,
        &cluster(STORAGE, "volumeattachments", "VolumeAttachment"),
        json!({"spec": {"attacher": "d", "nodeName": "n", "source": {"persistentVolumeName": "v"}}}),
        json!({"status": {"attached": false}}),
        json!({"spec": {"nodeName": "m"}}),
        "spec: Invalid value: {\"attacher\":\"d\",\"nodeName\":\"m\",\"source\":{\"persistentVolumeName\":\"v\"}}: \
         field is immutable",
    )
    .await;
    keep(
        &world,
        &cluster(STORAGE, "csinodes", "CSINode"),
        json!({"spec": {"drivers": [{"name": "d", "nodeID": "n", "allocatable": {"count": 3}}]}}),
        json!({}),
        json!({"spec": {"drivers": [{"name": "d", "nodeID": "m"}]}}),
        "spec.drivers: Invalid value: {\"name\":\"d\",\"nodeID\":\"m\"}: field is immutable",
    )
    .await;
    let more = json!({"spec": {"drivers": [{"name": "d", "nodeID": "n", "allocatable": {"count": 4}}]}});
    assert!(world.merge(&cluster(STORAGE, "csinodes", "CSINode"), "a", "", more).await.is_ok());
    keep(
        &world,
        &cluster(RBAC, "clusterrolebindings", "ClusterRoleBinding"),
        json!({"roleRef": {"kind": "ClusterRole", "name": "system:a"}, "subjects": [{"kind": "User", "name": "jane"}]}),
        json!({"roleRef": {"apiGroup": RBAC}, "subjects": [{"apiGroup": RBAC}]}),
        json!({"roleRef": {"name": "b"}}),
        "roleRef: Invalid value: {\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"b\"}: \
         cannot change roleRef",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_kinds_of_the_cluster_are_named() {
    let world = start().await;
    let row = async |resource: Resource, mut object: Value, words: &str| {
        if object["metadata"].is_null() {
            object["metadata"] = json!({"name": "a"});
        }
        refuse(&world, &resource, &json!({}), object, words).await;
    };
    let priority = || cluster("scheduling.k8s.io", "priorityclasses", "PriorityClass");
    row(
        priority(),
        json!({"value": 1_000_000_001}),
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
    )
    .await;
    row(
        priority(),
        json!({"metadata": {"name": "system-mine"}, "value": 1}),
        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. \
         error: system-mine is not a known system priority class",
    )
    .await;
    row(
        cluster(STORAGE, "storageclasses", "StorageClass"),
        json!({"reclaimPolicy": "Recycle"}),
        r#"[provisioner: Required value, reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"]"#,
    )
    .await;
    row(
        cluster(STORAGE, "csidrivers", "CSIDriver"),
        json!({"spec": {"tokenRequests": [{"audience": "a"}, {"audience": "a"}, {"audience": "b", "expirationSeconds": 1}]}}),
        "[spec.tokenRequests[1].audience: Duplicate value: \"a\", spec.tokenRequests[2].expirationSeconds: Invalid \
         value: 1: may not specify a duration less than 10 minutes]",
    )
    .await;
    row(
        cluster(STORAGE, "volumeattachments", "VolumeAttachment"),
        json!({"spec": {"attacher": "d", "nodeName": "n", "source": {}}}),
        "spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName",
    )
    .await;
    row(
        Resource::new(STORAGE, "v1", "csistoragecapacities", "CSIStorageCapacity", true),
        json!({"storageClassName": "fast", "capacity": "-1"}),
        "capacity: Invalid value: \"-1\": must be greater than or equal to 0",
    )
    .await;
    let role = || Resource::new(RBAC, "v1", "roles", "Role", true);
    row(
        role(),
        json!({"rules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}]}),
        r#"rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs"#,
    )
    .await;
    row(
        role(),
        json!({"rules": [{"verbs": [], "resources": ["pods"]}]}),
        "[rules[0].verbs: Required value: verbs must contain at least one value, rules[0].apiGroups: Required value: \
         resource rules must supply at least one api group]",
    )
    .await;
    row(
        cluster(RBAC, "clusterrolebindings", "ClusterRoleBinding"),
        json!({"roleRef": {"kind": "Role", "name": "a/b"}, "subjects": [{"kind": "ServiceAccount", "name": "s"}]}),
        "[roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\", roleRef.name: Invalid value: \
         \"a/b\": may not contain '/', subjects[0].namespace: Required value]",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn roles_have_names_with_colons() {
    let world = start().await;
    let roles = cluster(RBAC, "clusterroles", "ClusterRole");
    let role =
        json!({"metadata": {"name": "system:node"}, "rules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]});
    world.create(&roles, role).await.unwrap();
    assert_eq!(world.get(&roles, "system:node").await.unwrap()["metadata"]["name"], "system:node");
    let error = world.create(&roles, json!({"metadata": {"name": "a\u{0}b"}})).await.unwrap_err();
    assert!(error.contains("may not contain control characters"), "{error}");
}
