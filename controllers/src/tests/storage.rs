//! Claims, volumes, and the pods that wait for them.

use api::resource::{PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, STORAGE_CLASSES};
use api::storage::FOLDER_FINALIZER;

use super::*;
use crate::testing::merge;

impl Cluster {
    fn class(&self, more: Value) {
        let mut value = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": "standard", "uid": "standard"}, "provisioner": "local.peapod.dev",
            "reclaimPolicy": "Delete", "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true});
        merge(&mut value, more);
        self.server.put(&STORAGE_CLASSES, value);
    }

    fn claim(&self, name: &str, more: Value) {
        let mut value = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name, "namespace": "n", "uid": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
                "resources": {"requests": {"storage": "1Gi"}}},
            "status": {"phase": "Pending"}});
        merge(&mut value, more);
        self.server.put(&PERSISTENT_VOLUME_CLAIMS, value);
    }

    fn volume(&self, name: &str, more: Value) {
        let mut value = json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name, "uid": name},
            "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "local": {"path": "/x"},
                "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "standard"}});
        merge(&mut value, more);
        self.server.put(&PERSISTENT_VOLUMES, value);
    }

    fn pod(&self, name: &str, source: Value) {
        let mut volume = json!({"name": "data"});
        merge(&mut volume, source);
        self.server.put(
            &PODS,
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "n", "uid": name},
                "spec": {"containers": [{"name": "c"}], "volumes": [volume]}}),
        );
    }

    fn user(&self, name: &str, claim: &str) {
        self.pod(name, json!({"persistentVolumeClaim": {"claimName": claim}}));
    }

    fn find(&self, resource: &Resource, name: &str) -> Option<Object> {
        self.server.all(resource).into_iter().find(|object| object.name() == name)
    }

    fn node_of(&self, pod: &str) -> Value {
        self.find(&PODS, pod).expect("a pod").value()["spec"]["nodeName"].clone()
    }

    fn phase(&self, resource: &Resource, name: &str) -> Value {
        self.find(resource, name).map_or(Value::Null, |object| object.value()["status"]["phase"].clone())
    }

    /// Why a pod has no node.
    fn refusal(&self, pod: &str) -> Value {
        let pod = self.find(&PODS, pod).expect("a pod");
        pod.value()["status"]["conditions"][0]["message"].clone()
    }
}

fn unresolvable(why: &str) -> String {
    format!(
        "0/1 nodes are available: {why}. preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
}

#[tokio::test(start_paused = true)]
async fn a_claim_lives_with_its_pod() {
    let cluster = Cluster::start();
    cluster.class(json!({}));
    cluster.claim("data", json!({}));
    cluster.settle().await;
    let told = cluster.events("WaitForFirstConsumer");
    assert_eq!(told[0]["message"], "waiting for first consumer to be created before binding");
    assert_eq!(told[0]["source"]["component"], "persistentvolume-controller");
    cluster.user("p", "data");
    cluster.settle().await;
    assert_eq!(cluster.node_of("p"), "one");
    let volume = cluster.one(&PERSISTENT_VOLUMES);
    assert_eq!(volume.name(), "pvc-data");
    assert_eq!(volume.value()["status"]["phase"], "Bound");
    let claim = cluster.one(&PERSISTENT_VOLUME_CLAIMS);
    assert_eq!(claim.value()["status"]["phase"], "Bound");
    assert_eq!(claim.value()["status"]["capacity"]["storage"], "1Gi");
    assert_eq!(cluster.events("ProvisioningSucceeded").len(), 1);
    assert!(cluster.events("FailedScheduling").is_empty(), "a volume on its way is no failure");
    // It grows.
    let more = json!({"spec": {"resources": {"requests": {"storage": "3Gi"}}}});
    cluster.server.change(&PERSISTENT_VOLUME_CLAIMS, &claim, more);
    cluster.settle().await;
    let claim = cluster.one(&PERSISTENT_VOLUME_CLAIMS);
    assert_eq!(claim.value()["status"]["capacity"]["storage"], "3Gi");
    assert_eq!(cluster.events("VolumeResizeSuccessful").len(), 1);
    // It is deleted while it is used: it stays, and no other pod gets it.
    cluster.server.change(&PERSISTENT_VOLUME_CLAIMS, &claim, json!({"metadata": {"deletionTimestamp": NOW}}));
    cluster.user("late", "data");
    cluster.settle().await;
    assert_eq!(cluster.refusal("late"), unresolvable(r#"persistentvolumeclaim "data" is being deleted"#));
    assert!(cluster.one(&PERSISTENT_VOLUME_CLAIMS).is_terminating());
    cluster.server.remove(&PODS, &cluster.find(&PODS, "p").expect("a pod"));
    cluster.settle().await;
    assert!(cluster.server.all(&PERSISTENT_VOLUME_CLAIMS).is_empty());
    // The volume waits for its node to remove the folder.
    let volume = cluster.one(&PERSISTENT_VOLUMES);
    assert!(volume.is_terminating());
    assert_eq!(volume.metadata().finalizers.as_deref(), Some(&[FOLDER_FINALIZER.to_owned()][..]));
    // Its node is gone, and the folder with it.
    cluster.server.remove(&NODES, &cluster.one(&NODES));
    cluster.settle().await;
    assert!(cluster.server.all(&PERSISTENT_VOLUMES).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pod_waits_until_its_claims_are_bound() {
    let cluster = Cluster::start();
    let none = json!({"spec": {"storageClassName": ""}});
    cluster.claim("data", none.clone());
    cluster.user("p", "data");
    cluster.user("absent", "nothing");
    cluster.settle().await;
    let why = unresolvable("pod has unbound immediate PersistentVolumeClaims");
    assert_eq!(cluster.refusal("p"), why);
    assert_eq!(cluster.refusal("absent"), unresolvable(r#"persistentvolumeclaim "nothing" not found"#));
    cluster.volume("disk", none);
    cluster.settle().await;
    assert_eq!(cluster.node_of("p"), "one");
    assert_eq!(cluster.phase(&PERSISTENT_VOLUMES, "disk"), "Bound");
    // Kept when the claim is gone, as its policy says.
    let pod = cluster.find(&PODS, "p").expect("a pod");
    cluster.server.remove(&PODS, &pod);
    cluster.server.remove(&PERSISTENT_VOLUME_CLAIMS, &cluster.one(&PERSISTENT_VOLUME_CLAIMS));
    cluster.settle().await;
    assert_eq!(cluster.phase(&PERSISTENT_VOLUMES, "disk"), "Released");
}

#[tokio::test(start_paused = true)]
async fn a_pod_goes_where_its_volume_is() {
    let cluster = Cluster::start();
    cluster.class(json!({"provisioner": "kubernetes.io/no-provisioner"}));
    cluster.claim("data", json!({}));
    cluster.user("p", "data");
    cluster.settle().await;
    let none = "1 node(s) didn't find available persistent volumes to bind";
    assert_eq!(cluster.refusal("p"), unresolvable(none));
    let on = |host: &str| {
        let term = json!({"key": "kubernetes.io/hostname", "operator": "In", "values": [host]});
        json!({"spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [term]}]}}}})
    };
    let allocatable = json!({"cpu": "4", "memory": "4Gi", "pods": "10"});
    let labels = json!({"kubernetes.io/hostname": "two"});
    cluster.volume("elsewhere", on("three"));
    cluster.settle().await;
    assert_eq!(cluster.refusal("p"), unresolvable(none));
    cluster.volume("disk", on("two"));
    cluster.server.put(
        &NODES,
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "two", "uid": "two", "labels": labels},
            "status": {"allocatable": allocatable}}),
    );
    cluster.settle().await;
    cluster.pass(Duration::from_secs(10)).await;
    assert_eq!(cluster.node_of("p"), "two");
    assert_eq!(cluster.one(&PERSISTENT_VOLUME_CLAIMS).value()["spec"]["volumeName"], "disk");
    // Bound now: another pod can run there only.
    cluster.server.remove(&NODES, &cluster.find(&NODES, "two").expect("a node"));
    cluster.user("q", "data");
    cluster.settle().await;
    assert_eq!(cluster.refusal("q"), unresolvable("1 node(s) had volume node affinity conflict"));
}

#[tokio::test(start_paused = true)]
async fn a_claim_for_one_pod_is_for_one_pod() {
    let cluster = Cluster::start();
    cluster.class(json!({}));
    cluster.claim("data", json!({"spec": {"accessModes": ["ReadWriteOncePod"]}}));
    cluster.user("p", "data");
    cluster.settle().await;
    assert_eq!(cluster.node_of("p"), "one");
    cluster.user("q", "data");
    cluster.settle().await;
    let why = "0/1 nodes are available: 1 node has pod using PersistentVolumeClaim with the same name and \
               ReadWriteOncePod access mode. preemption: 0/1 nodes are available: 1 No preemption victims found for \
               incoming pod.";
    assert_eq!(cluster.refusal("q"), why);
    cluster.server.remove(&PODS, &cluster.find(&PODS, "p").expect("a pod"));
    cluster.settle().await;
    assert_eq!(cluster.node_of("q"), "one");
}

#[tokio::test(start_paused = true)]
async fn a_pod_has_volumes_of_its_own() {
    let cluster = Cluster::start();
    cluster.class(json!({}));
    let template = json!({"spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
        "resources": {"requests": {"storage": "1Gi"}}}});
    cluster.pod("p", json!({"ephemeral": {"volumeClaimTemplate": template}}));
    cluster.settle().await;
    assert_eq!(cluster.node_of("p"), "one");
    let claim = cluster.one(&PERSISTENT_VOLUME_CLAIMS);
    assert_eq!(claim.name(), "p-data");
    assert_eq!(claim.controller_uid(), Some("p"));
    cluster.server.remove(&PODS, &cluster.find(&PODS, "p").expect("a pod"));
    cluster.settle().await;
    assert!(cluster.server.all(&PERSISTENT_VOLUME_CLAIMS).is_empty());
    assert!(cluster.one(&PERSISTENT_VOLUMES).is_terminating());
    // A claim of that name that is another's is not taken.
    cluster.claim("q-data", json!({}));
    cluster.pod("q", json!({"ephemeral": {"volumeClaimTemplate": template}}));
    cluster.settle().await;
    assert_eq!(
        cluster.refusal("q"),
        unresolvable("PVC n/q-data was not created for pod n/q (pod is not owner)")
    );
}
