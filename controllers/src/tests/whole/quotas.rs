//! What quotas say of what there is.

use api::resource::RESOURCE_QUOTAS;

use super::*;

impl Whole {
    pub(super) async fn status(&self, resource: &Resource, name: &str) -> Value {
        self.get(resource, name).await.expect("is there").value()["status"].clone()
    }

    /// A pod that is ready, with a controller if one is given.
    pub(super) async fn ready_pod(&self, name: &str, controller: Option<&Object>) {
        let container = json!({"name": "c", "image": "i", "resources": {"requests": {"memory": "64Mi"}}});
        let controller = controller.map(|controller| {
            json!({"apiVersion": controller.api_version(), "kind": controller.kind(),
                "name": controller.name(), "uid": controller.uid(), "controller": true})
        });
        let owners: Vec<Value> = controller.into_iter().collect();
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [container]},
            "metadata": {"name": name, "labels": {"app": "web"}, "ownerReferences": owners}});
        self.create(&PODS, pod).await;
        let status = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        let merge = json!({"status": status});
        self.client.patch(&PODS, &self.key(&PODS, name), "status", merge).await.expect("patched");
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_says_what_is_used() {
    let whole = Whole::start().await;
    whole.define_widgets().await;
    let hard =
        json!({"pods": "3", "requests.memory": "1Gi", "count/widgets.example.com": "2", "configmaps": "9"});
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}});
    whole.create(&RESOURCE_QUOTAS, quota).await;
    whole.settle().await;
    let used = |pods: &str, memory: &str, widgets: &str| {
        json!({"hard": hard, "used": {"pods": pods, "requests.memory": memory,
            "count/widgets.example.com": widgets, "configmaps": "0"}})
    };
    assert_eq!(whole.status(&RESOURCE_QUOTAS, "q").await, used("0", "0", "0"));
    whole.ready_pod("a", None).await;
    whole.ready_pod("b", None).await;
    whole.owned(&WIDGETS, "w", None).await;
    whole.settle().await;
    assert_eq!(whole.status(&RESOURCE_QUOTAS, "q").await, used("2", "128Mi", "1"));
    let ended = json!({"status": {"phase": "Succeeded"}});
    whole.client.patch(&PODS, &Key::new("default", "a"), "status", ended).await.expect("patched");
    whole.delete(&WIDGETS, "w", Propagation::Background).await;
    assert_eq!(whole.status(&RESOURCE_QUOTAS, "q").await, used("1", "64Mi", "0"));
    let less = json!({"spec": {"hard": {"requests.memory": null, "pods": "1"}}});
    whole.client.patch(&RESOURCE_QUOTAS, &Key::new("default", "q"), "", less).await.expect("patched");
    whole.settle().await;
    let status = json!({"hard": {"pods": "1", "count/widgets.example.com": "2", "configmaps": "9"},
        "used": {"pods": "1", "count/widgets.example.com": "0", "configmaps": "0"}});
    assert_eq!(whole.status(&RESOURCE_QUOTAS, "q").await, status);
}
