//! Evictions within budgets.

use api::backend::{Body, Verb, WriteOptions};
use api::resource::POD_DISRUPTION_BUDGETS;

use super::*;

impl Whole {
    async fn evict(&self, pod: &str) -> Result<(), Status> {
        let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}});
        let verb = Verb::Create(Body::Value(eviction), WriteOptions::default());
        self.client.call(&PODS, self.key(&PODS, pod), "eviction", verb).await.map(drop)
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_pods_are_evicted_as_their_budget_allows() {
    let whole = Whole::start().await;
    for pod in ["a", "b", "c"] {
        whole.ready_pod(pod, None).await;
    }
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}});
    whole.create(&POD_DISRUPTION_BUDGETS, budget).await;
    whole.settle().await;
    let status = whole.status(&POD_DISRUPTION_BUDGETS, "b").await;
    let number = |status: &Value, field: &str| status[field].as_i64();
    assert_eq!(number(&status, "disruptionsAllowed"), Some(1), "{status}");
    assert_eq!(status["conditions"][0]["reason"], "SufficientPods");
    whole.evict("a").await.expect("evicted");
    let refused = whole.evict("b").await.expect_err("refused").to_string();
    assert_eq!(refused, "Cannot evict pod as it would violate the pod's disruption budget.");
    whole.settle().await;
    let status = whole.status(&POD_DISRUPTION_BUDGETS, "b").await;
    assert_eq!(
        (number(&status, "currentHealthy"), number(&status, "disruptionsAllowed")),
        (Some(2), Some(0))
    );
    assert!(status.get("disruptedPods").is_none(), "{status}");
    whole.ready_pod("d", None).await;
    whole.settle().await;
    whole.evict("b").await.expect("evicted");
}

#[tokio::test(start_paused = true)]
async fn a_budget_counts_by_the_scale_of_custom_objects() {
    let whole = Whole::start().await;
    whole.define_widgets().await;
    let widget = json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"},
        "spec": {"size": 4}});
    let widget = whole.create(&WIDGETS, widget).await;
    for pod in ["a", "b", "c"] {
        whole.ready_pod(pod, Some(&widget)).await;
    }
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b"},
        "spec": {"maxUnavailable": "50%", "selector": {"matchLabels": {"app": "web"}}}});
    whole.create(&POD_DISRUPTION_BUDGETS, budget).await;
    whole.settle().await;
    let status = whole.status(&POD_DISRUPTION_BUDGETS, "b").await;
    let numbers = ["expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed"];
    assert_eq!(numbers.map(|field| status[field].as_i64()), [Some(4), Some(2), Some(3), Some(1)]);
}
