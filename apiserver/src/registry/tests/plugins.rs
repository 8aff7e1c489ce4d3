//! What the cluster adds to new objects and forbids: limits, quotas, priorities, classes.

use super::*;
use crate::builtin::Builtin;
use crate::resources::priority_class::PriorityClasses;
use crate::resources::runtime_class::RuntimeClasses;
use crate::resources::storage_class::StorageClasses;
use api::resource::{LIMIT_RANGES, PERSISTENT_VOLUME_CLAIMS, RESOURCE_QUOTAS};
use api::storage::{CLAIM_PROTECTION, STANDARD_CLASS};

fn limits(item: Value) -> Value {
    json!({"metadata": {"name": "l"}, "spec": {"limits": [item]}})
}

fn quota(name: &str, spec: Value) -> Value {
    json!({"metadata": {"name": name}, "spec": spec})
}

fn asking(name: &str, resources: Value) -> Value {
    let mut pod = pod(name);
    pod["spec"]["containers"][0]["resources"] = resources;
    pod
}

fn claim(name: &str, size: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": size}}}})
}

impl World {
    async fn forbidden(&self, resource: &Resource, value: Value, why: &str) {
        let name = value["metadata"]["name"].as_str().unwrap().to_owned();
        let error = self.create(resource, value).await.unwrap_err();
        assert_eq!(error, format!("{resource} {name:?} is forbidden: {why}"));
    }
}

#[tokio::test(start_paused = true)]
async fn containers_get_what_their_namespace_has_for_them() {
    let world = start().await;
    let item = json!({"type": "Container", "default": {"cpu": "1", "memory": "1Gi"},
        "defaultRequest": {"cpu": "100m"}});
    world.create(&LIMIT_RANGES, limits(item)).await.unwrap();
    let created = world.create(&PODS, asking("p", json!({"requests": {"memory": "1Mi"}}))).await.unwrap();
    let wanted =
        json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Mi"}});
    assert_eq!(created["spec"]["containers"][0]["resources"], wanted);
    assert_eq!(created["status"]["qosClass"], "Burstable");
    let note = "LimitRanger plugin set: cpu request for container c; cpu, memory limit for container c";
    assert_eq!(created["metadata"]["annotations"]["kubernetes.io/limit-ranger"], note);
    let full = json!({"limits": {"cpu": "1", "memory": "1"}, "requests": {"cpu": "1", "memory": "1"}});
    let created = world.create(&PODS, asking("q", full)).await.unwrap();
    assert!(created["metadata"].get("annotations").is_none(), "nothing was added");
}

#[tokio::test(start_paused = true)]
async fn what_is_outside_of_the_limits_is_refused() {
    let world = start().await;
    let row = async |item: Value, resources: Value, why: &str| {
        world.create(&LIMIT_RANGES, limits(item)).await.unwrap();
        world.forbidden(&PODS, asking("p", resources), why).await;
        world.delete(&LIMIT_RANGES, "l", DeleteOptions::default()).await.unwrap();
    };
    row(
        json!({"type": "Container", "max": {"cpu": "1"}}),
        json!({"limits": {"cpu": "2"}}),
        "maximum cpu usage per Container is 1, but limit is 2",
    )
    .await;
    row(
        json!({"type": "Container", "min": {"cpu": "1"}, "max": {"memory": "1Gi"}}),
        json!({"requests": {"cpu": "500m"}, "limits": {"memory": "2Gi"}}),
        "[minimum cpu usage per Container is 1, but request is 500m, maximum memory usage per Container is 1Gi, but \
         limit is 2Gi]",
    )
    .await;
    row(
        json!({"type": "Pod", "min": {"cpu": "1"}, "max": {"cpu": "2"}}),
        json!({}),
        "[minimum cpu usage per Pod is 1.  No request is specified, maximum cpu usage per Pod is 2.  No limit is \
         specified]",
    )
    .await;
    row(
        json!({"type": "Container", "maxLimitRequestRatio": {"cpu": "2"}}),
        json!({"limits": {"cpu": "3"}, "requests": {"cpu": "1"}}),
        "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
    )
    .await;
    let storage =
        json!({"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}});
    world.create(&LIMIT_RANGES, limits(storage)).await.unwrap();
    let why = "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi";
    world.forbidden(&PERSISTENT_VOLUME_CLAIMS, claim("c", "1Mi"), why).await;
    let why = "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi";
    world.forbidden(&PERSISTENT_VOLUME_CLAIMS, claim("c", "3Gi"), why).await;
    world.create(&PERSISTENT_VOLUME_CLAIMS, claim("c", "1Gi")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_quota_bounds_what_there_is() {
    let world = start().await;
    let hard = json!({"hard": {"pods": "2", "requests.cpu": "1", "count/deployments.apps": "1",
        "services.nodeports": "1", "requests.storage": "1Gi"}});
    world.create(&RESOURCE_QUOTAS, quota("q", hard)).await.unwrap();
    let small = json!({"requests": {"cpu": "400m"}});
    world.forbidden(&PODS, pod("p"), "failed quota: q: must specify requests.cpu for: c").await;
    world.create(&PODS, asking("a", small.clone())).await.unwrap();
    let why =
        "exceeded quota: q, requested: requests.cpu=700m, used: requests.cpu=400m, limited: requests.cpu=1";
    world.forbidden(&PODS, asking("p", json!({"requests": {"cpu": "700m"}})), why).await;
    world.create(&PODS, asking("b", small.clone())).await.unwrap();
    let why = "exceeded quota: q, requested: pods=1,requests.cpu=400m, used: pods=2,requests.cpu=800m, limited: \
               pods=2,requests.cpu=1";
    world.forbidden(&PODS, asking("p", small.clone()), why).await;
    // What has ended or is gone makes room.
    world.merge(&PODS, "a", "status", json!({"status": {"phase": "Succeeded"}})).await.unwrap();
    world.create(&PODS, asking("c", small.clone())).await.unwrap();
    world.delete(&PODS, "b", DeleteOptions::default()).await.unwrap();
    world.create(&PODS, asking("d", small)).await.unwrap();
    world.create(&DEPLOYMENTS, deployment("d")).await.unwrap();
    let why = "exceeded quota: q, requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: \
               count/deployments.apps=1";
    world.forbidden(&DEPLOYMENTS, deployment("e"), why).await;
    let service = |name: &str, kind: &str| json!({"metadata": {"name": name}, "spec": {"type": kind, "ports": [{"port": 80}]}});
    world.create(&SERVICES, service("a", "NodePort")).await.unwrap();
    world.create(&SERVICES, service("b", "ClusterIP")).await.unwrap();
    let error = world.merge(&SERVICES, "b", "", json!({"spec": {"type": "NodePort"}})).await.unwrap_err();
    assert!(
        error.contains("exceeded quota: q, requested: services.nodeports=1, used: services.nodeports=1"),
        "{error}"
    );
    world.create(&PERSISTENT_VOLUME_CLAIMS, claim("c", "1Gi")).await.unwrap();
    let why = "exceeded quota: q, requested: requests.storage=1Mi, used: requests.storage=1Gi, limited: \
               requests.storage=1Gi";
    world.forbidden(&PERSISTENT_VOLUME_CLAIMS, claim("d", "1Mi"), why).await;
}

#[tokio::test(start_paused = true)]
async fn pods_that_come_at_once_do_not_exceed_a_quota() {
    let world = start().await;
    let two = json!({"hard": {"pods": "2", "count/pods": "3"}});
    world.create(&RESOURCE_QUOTAS, quota("q", two)).await.unwrap();
    let names: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
    let create = async |name: &str| world.create(&PODS, pod(name)).await;
    let created = futures::future::join_all(names.iter().map(|name| create(name))).await;
    assert_eq!(created.iter().filter(|created| created.is_ok()).count(), 2);
    let left = created.iter().filter_map(|created| created.as_ref().err());
    assert!(
        left.into_iter().all(|error| error.contains("exceeded quota: q, requested: pods=1, used: pods=2"))
    );
    // One that is refused for another reason, or only tried, takes no place.
    world.delete(&PODS, "p0", DeleteOptions::default()).await.unwrap();
    world.create(&PODS, pod("p1")).await.unwrap_err();
    let options = WriteOptions { dry_run: true, ..WriteOptions::default() };
    let tried = Verb::Create(Body::Value(pod("x")), options);
    world.call(&PODS, "x", "", tried).await.unwrap();
    world.create(&PODS, pod("y")).await.unwrap();
    world.create(&PODS, pod("z")).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_quota_counts_what_its_scopes_choose() {
    let world = start().await;
    let none = json!({"hard": {"pods": "0"}, "scopes": ["BestEffort"]});
    world.create(&RESOURCE_QUOTAS, quota("idle", none)).await.unwrap();
    let critical = json!({"hard": {"pods": "0"}, "scopeSelector": {"matchExpressions": [
        {"scopeName": "PriorityClass", "operator": "In", "values": ["system-node-critical"]}]}});
    world.create(&RESOURCE_QUOTAS, quota("critical", critical)).await.unwrap();
    let why =
        |name: &str| format!("exceeded quota: {name}, requested: pods=1, used: pods=0, limited: pods=0");
    world.forbidden(&PODS, pod("p"), &why("idle")).await;
    let mut important = asking("p", json!({"requests": {"cpu": "1"}}));
    important["spec"]["priorityClassName"] = "system-node-critical".into();
    world.forbidden(&PODS, important.clone(), &why("critical")).await;
    important["spec"]["priorityClassName"] = Value::Null;
    world.create(&PODS, important).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_pod_has_the_priority_of_its_class() {
    let world = start().await;
    let class = |name: &str, value: i32, more: Value| {
        let mut class = json!({"metadata": {"name": name}, "value": value});
        crate::patch::merge(&mut class, more);
        class
    };
    let resource = PriorityClasses::RESOURCE;
    let of = |class: &str| {
        let mut pod = pod("p");
        pod["spec"]["priorityClassName"] = class.into();
        pod
    };
    world.forbidden(&PODS, of("high"), "no PriorityClass with name high was found").await;
    let never = json!({"preemptionPolicy": "Never"});
    world.create(&resource, class("high", 7, never)).await.unwrap();
    let mut wrong = of("high");
    wrong["spec"]["priority"] = 8.into();
    let why = "the integer value of priority (8) must not be provided in pod spec; priority admission controller \
               computed 7 from the given PriorityClass name";
    world.forbidden(&PODS, wrong, why).await;
    let row = async |pod: Value, wanted: Value| {
        let created = world.create(&PODS, pod).await.unwrap();
        let spec = &created["spec"];
        assert_eq!(json!([spec["priorityClassName"], spec["priority"], spec["preemptionPolicy"]]), wanted);
        world.delete(&PODS, "p", DeleteOptions::default()).await.unwrap();
    };
    row(of("high"), json!(["high", 7, "Never"])).await;
    row(
        of("system-cluster-critical"),
        json!(["system-cluster-critical", 2_000_000_000, "PreemptLowerPriority"]),
    )
    .await;
    row(pod("p"), json!([null, 0, "PreemptLowerPriority"])).await;
    world.create(&resource, class("usual", 3, json!({"globalDefault": true}))).await.unwrap();
    row(pod("p"), json!(["usual", 3, "PreemptLowerPriority"])).await;
    let why = "PriorityClass usual is already marked as default. Only one default can exist";
    let error = world.create(&resource, class("other", 1, json!({"globalDefault": true}))).await.unwrap_err();
    assert!(error.ends_with(why), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_claim_gets_the_default_class_and_grows_where_it_may() {
    let world = start().await;
    let resource = StorageClasses::RESOURCE;
    let class = |name: &str, default: &str, grows: bool| {
        json!({"metadata": {"name": name,
            "annotations": {"storageclass.kubernetes.io/is-default-class": default}},
            "provisioner": "example.com/disk", "allowVolumeExpansion": grows})
    };
    world.delete(&resource, STANDARD_CLASS, DeleteOptions::default()).await.unwrap();
    let created = world.create(&PERSISTENT_VOLUME_CLAIMS, claim("none", "1Gi")).await.unwrap();
    assert!(created["spec"].get("storageClassName").is_none());
    assert_eq!(created["metadata"]["finalizers"], json!([CLAIM_PROTECTION]));
    world.create(&resource, class("fixed", "false", false)).await.unwrap();
    world.create(&resource, class("usual", "true", true)).await.unwrap();
    let created = world.create(&PERSISTENT_VOLUME_CLAIMS, claim("c", "1Gi")).await.unwrap();
    assert_eq!(created["spec"]["storageClassName"], "usual");
    let mut fixed = claim("d", "1Gi");
    fixed["spec"]["storageClassName"] = "fixed".into();
    let created = world.create(&PERSISTENT_VOLUME_CLAIMS, fixed).await.unwrap();
    assert_eq!(created["spec"]["storageClassName"], "fixed");
    let bound = json!({"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}});
    for name in ["c", "d"] {
        world.merge(&PERSISTENT_VOLUME_CLAIMS, name, "status", bound.clone()).await.unwrap();
    }
    let more = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
    world.merge(&PERSISTENT_VOLUME_CLAIMS, "c", "", more.clone()).await.unwrap();
    let error = world.merge(&PERSISTENT_VOLUME_CLAIMS, "d", "", more).await.unwrap_err();
    let why = "persistentvolumeclaims \"d\" is forbidden: only dynamically provisioned pvc can be resized and the \
               storageclass that provisions the pvc must support resize";
    assert_eq!(error, why);
}

#[tokio::test(start_paused = true)]
async fn a_pod_bears_the_costs_of_its_runtime_class() {
    let world = start().await;
    let class = json!({"metadata": {"name": "sandbox"}, "handler": "vm",
        "overhead": {"podFixed": {"cpu": "250m"}}, "scheduling": {"nodeSelector": {"vm": "yes"},
            "tolerations": [{"key": "vm", "operator": "Exists"}]}});
    world.create(&RuntimeClasses::RESOURCE, class).await.unwrap();
    let of = |class: &str, more: Value| {
        let mut pod = pod("p");
        pod["spec"]["runtimeClassName"] = class.into();
        crate::patch::merge(&mut pod["spec"], more);
        pod
    };
    let row = async |pod: Value, why: &str| world.forbidden(&PODS, pod, why).await;
    row(of("none", json!({})), "pod rejected: RuntimeClass \"none\" not found").await;
    row(
        of("sandbox", json!({"overhead": {"cpu": "1"}})),
        "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
    )
    .await;
    row(
        of("sandbox", json!({"nodeSelector": {"vm": "no"}})),
        "conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no",
    )
    .await;
    let mut bare = pod("p");
    bare["spec"]["overhead"] = json!({"cpu": "1"});
    row(bare, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead").await;
    let created = world.create(&PODS, of("sandbox", json!({}))).await.unwrap();
    assert_eq!(created["spec"]["overhead"], json!({"cpu": "250m"}));
    assert_eq!(created["spec"]["nodeSelector"], json!({"vm": "yes"}));
    let tolerations = created["spec"]["tolerations"].as_array().unwrap();
    assert!(tolerations.contains(&json!({"key": "vm", "operator": "Exists"})), "{tolerations:?}");
}
