//! What of a running pod can be resized, and what of it stays.

use super::*;

/// A pod with a container, a sidecar and a container that runs before.
fn sized() -> Value {
    let mut pod = pod("p");
    pod["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "100m"}, "limits": {"cpu": "1"}});
    pod["spec"]["containers"][0]["resizePolicy"] =
        json!([{"resourceName": "cpu", "restartPolicy": "NotRequired"}]);
    let requests = json!({"requests": {"cpu": "50m"}});
    pod["spec"]["initContainers"] = json!([
        {"name": "side", "image": "app:1", "restartPolicy": "Always", "resources": requests},
        {"name": "first", "image": "app:1", "resources": requests}]);
    pod
}

impl World {
    /// The pod with this merged into its part, or the refusal.
    async fn resize(&self, spec: Value) -> Result<Value, String> {
        let patch = Patch::Strategic(Body::Value(json!({ "spec": spec })));
        let verb = Verb::Patch(patch, WriteOptions::default());
        self.call(&PODS, "p", "resize", verb).await.map(tree).map_err(|status| status.message)
    }
}

fn container(more: Value) -> Value {
    let mut container = json!({"name": "c"});
    container.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"containers": [container]})
}

fn resources(resources: Value) -> Value {
    container(json!({ "resources": resources }))
}

#[tokio::test(start_paused = true)]
async fn a_resize_changes_amounts_alone() {
    let world = start().await;
    world.create(&PODS, sized()).await.unwrap();
    let given = container(json!({"image": "other", "resources": {"requests": {"cpu": "200m"}}}));
    let resized = world.resize(given).await.unwrap();
    let found = &resized["spec"]["containers"][0];
    assert_eq!((&found["resources"]["requests"]["cpu"], &found["image"]), (&json!("200m"), &json!("app:1")));
    assert_eq!(resized["metadata"]["generation"], 2);
    let resized = world.resize(resources(json!({"limits": {"memory": "1Gi"}}))).await.unwrap();
    assert_eq!(resized["spec"]["containers"][0]["resources"]["limits"], json!({"cpu": "1", "memory": "1Gi"}));
    let half = json!({"requests": {"memory": "512Mi"}, "limits": {"memory": "512Mi"}});
    let less = world.resize(resources(half)).await.unwrap();
    assert_eq!(less["spec"]["containers"][0]["resources"]["limits"]["memory"], "512Mi");
    let side = json!({"initContainers": [{"name": "side", "resources": {"requests": {"cpu": "60m"}}}]});
    let resized = world.resize(side).await.unwrap();
    assert_eq!(resized["spec"]["initContainers"][0]["resources"]["requests"]["cpu"], "60m");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_resized_is_refused_in_kubernetes_words() {
    let world = start().await;
    world.create(&PODS, sized()).await.unwrap();
    let row = async |spec: Value, words: &str| {
        let refused = world.resize(spec.clone()).await.unwrap_err();
        assert_eq!(refused, format!("Pod \"p\" is invalid: {words}"), "{spec}");
    };
    let init = |name: &str, more: Value| json!({"initContainers": [{"name": name, "resources": more}]});
    let removed = "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed";
    row(resources(json!({"limits": {"cpu": null}})), removed).await;
    let only = "spec: Forbidden: only cpu and memory resources are mutable";
    let card = json!({"requests": {"example.com/gpu": "1"}, "limits": {"example.com/gpu": "1"}});
    row(resources(card), only).await;
    let policy = json!([{"resourceName": "memory", "restartPolicy": "RestartContainer"}]);
    row(container(json!({ "resizePolicy": policy })), only).await;
    row(
        init("side", json!({"requests": {"ephemeral-storage": "1Gi"}})),
        "spec: Forbidden: only cpu and memory resources for sidecar containers are mutable",
    )
    .await;
    row(
        init("first", json!({"requests": {"cpu": "60m"}})),
        "spec: Forbidden: resources for non-sidecar init containers are immutable",
    )
    .await;
    row(
        json!({"containers": [{"name": "d", "image": "app:1"}]}),
        "spec.containers: Forbidden: containers may not be added or removed on resize",
    )
    .await;
    let renamed = json!({"containers": [{"$patch": "replace"}, {"name": "d", "image": "app:1"}]});
    let words = "spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize";
    row(renamed, words).await;
    row(
        json!({"containers": [{"$patch": "replace"}, {"name": "c", "image": "app:1"}],
            "initContainers": [{"$patch": "replace"}, {"name": "side", "image": "app:1", "restartPolicy": "Always"}, {"name": "first", "image": "app:1"}]}),
        "[spec: Invalid value: \"Burstable\": Pod QOS Class may not change as a result of resizing, \
         spec.initContainers[0].resources.requests: Forbidden: resource requests cannot be removed, \
         spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed, \
         spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed, \
         spec: Forbidden: only cpu and memory resources are mutable, \
         spec: Forbidden: resources for non-sidecar init containers are immutable]",
    )
    .await;
    let running = json!({"status": {"phase": "Running", "containerStatuses": [{"name": "c", "ready": true,
        "restartCount": 0, "image": "app:1", "imageID": "", "state": {"running": {}}}]}});
    world.merge(&PODS, "p", "status", running).await.unwrap();
    let words = "spec: Forbidden: Pod running on node without support for resize";
    row(resources(json!({"requests": {"cpu": "300m"}})), words).await;
}

#[tokio::test(start_paused = true)]
async fn some_pods_cannot_be_resized_at_all() {
    let row = async |more: (&str, Value), words: &str| {
        let world = start().await;
        let mut pod = sized();
        *pod.pointer_mut(more.0.rsplit_once('/').unwrap().0)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .entry(more.0.rsplit_once('/').unwrap().1)
            .or_insert(Value::Null) = more.1;
        world.create(&PODS, pod).await.unwrap();
        let refused = world.resize(resources(json!({"requests": {"cpu": "200m"}}))).await.unwrap_err();
        assert_eq!(refused, format!("Pod \"p\" is invalid: : Forbidden: {words}"));
    };
    let mirror = json!({"kubernetes.io/config.mirror": "x"});
    row(("/metadata/annotations", mirror), "static pods cannot be resized").await;
    row(("/spec/os", json!({"name": "windows"})), "windows pods cannot be resized").await;
    let own = json!({"requests": {"cpu": "1"}, "limits": {"cpu": "2"}});
    row(("/spec/resources", own), "pods with pod-level resources cannot be resized").await;
}
