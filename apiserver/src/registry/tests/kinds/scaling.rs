//! HorizontalPodAutoscalers and PodDisruptionBudgets.

use super::*;
use api::resource::{HORIZONTAL_POD_AUTOSCALERS, POD_DISRUPTION_BUDGETS};

fn autoscaler() -> Value {
    json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 3,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}}})
}

fn budget() -> Value {
    json!({"metadata": {"name": "b"}, "spec": {"minAvailable": "50%",
        "selector": {"matchLabels": {"app": "a"}}}})
}

#[tokio::test(start_paused = true)]
async fn scalers_and_budgets_are_filled_in() {
    let world = start().await;
    let mut fast = autoscaler();
    fast["spec"]["behavior"] = json!({"scaleUp": {"selectPolicy": "Min"}});
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    let pods = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
    let wanted = json!({"spec": {"minReplicas": 1, "metrics": [{"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 80}}}],
        "behavior": {"scaleUp": {"selectPolicy": "Min", "stabilizationWindowSeconds": 0,
                "policies": [pods, percent]},
            "scaleDown": {"selectPolicy": "Max", "stabilizationWindowSeconds": null, "policies": [percent]}}}});
    world.filled(&HORIZONTAL_POD_AUTOSCALERS, fast, wanted).await;
    let wanted =
        json!({"metadata": {"generation": 1}, "status": {"disruptionsAllowed": 0, "expectedPods": 0}});
    world.filled(&POD_DISRUPTION_BUDGETS, budget(), wanted).await;
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_scalers_are_named() {
    let world = start().await;
    let row = async |patch: Value, words: &str| {
        refuse(&world, &HORIZONTAL_POD_AUTOSCALERS, &autoscaler(), json!({"spec": patch}), words).await;
    };
    row(
        json!({"minReplicas": 0, "maxReplicas": 0, "scaleTargetRef": {"kind": "", "name": "a/b"}}),
        "[spec.minReplicas: Invalid value: 0: must be greater than or equal to 1, spec.maxReplicas: Invalid value: 0: \
         must be greater than 0, spec.scaleTargetRef.kind: Required value, spec.scaleTargetRef.name: Invalid value: \
         \"a/b\": may not contain '/']",
    )
    .await;
    row(
        json!({"minReplicas": 4}),
        "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`",
    )
    .await;
    let metric = |metric: Value| json!({"metrics": [metric]});
    let cpu = json!({"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}});
    row(
        metric(json!({"type": "Pods", "resource": cpu})),
        "spec.metrics[0].pods: Required value: must populate information for the given metric source",
    )
    .await;
    row(
        metric(json!({"type": "x", "resource": cpu})),
        "[spec.metrics[0].type: Unsupported value: \"x\": supported values: \"ContainerResource\", \"External\", \
         \"Object\", \"Pods\", \"Resource\", spec.metrics[0].x: Required value: must populate information for the \
         given metric source]",
    )
    .await;
    row(
        metric(json!({"type": "Resource", "resource": {"name": "", "target": {"type": "x", "value": "0"}}})),
        "[spec.metrics[0].resource.name: Required value: must specify a resource name, \
         spec.metrics[0].resource.target.type: Invalid value: \"x\": must be either Utilization, Value, or \
         AverageValue, spec.metrics[0].resource.target.value: Invalid value: \"0\": must be positive, \
         spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a \
         target utilization]",
    )
    .await;
    row(
        json!({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 3601, "selectPolicy": "x",
            "policies": [{"type": "Pods", "value": 0, "periodSeconds": 1801}]}}}),
        "[spec.behavior.scaleDown.stabilizationWindowSeconds: Invalid value: 3601: must be less than or equal to \
         3600, spec.behavior.scaleDown.selectPolicy: Unsupported value: \"x\": supported values: \"Disabled\", \
         \"Max\", \"Min\", spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero, \
         spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800]",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_budgets_are_named() {
    let world = start().await;
    let row = async |patch: Value, words: &str| {
        refuse(&world, &POD_DISRUPTION_BUDGETS, &budget(), json!({"spec": patch}), words).await;
    };
    row(
        json!({"minAvailable": -1}),
        "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0",
    )
    .await;
    row(
        json!({"minAvailable": "101%"}),
        "spec.minAvailable: Invalid value: \"101%\": must not be greater than 100%",
    )
    .await;
    row(
        json!({"maxUnavailable": 1, "selector": null}),
        "spec: Invalid value: {\"maxUnavailable\":1,\"minAvailable\":\"50%\"}: minAvailable and maxUnavailable cannot \
         be both set",
    )
    .await;
    row(
        json!({"unhealthyPodEvictionPolicy": "x"}),
        "spec.unhealthyPodEvictionPolicy: Unsupported value: \"x\": supported values: \"AlwaysAllow\", \
         \"IfHealthyBudget\"",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn scalers_and_budgets_are_shown_in_columns() {
    let world = start().await;
    let target = |value: Value| json!({"metric": {"name": "m"}, "target": value});
    let mut measured = autoscaler();
    measured["spec"]["metrics"] = json!([
        {"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 50}}},
        {"type": "External", "external": target(json!({"type": "AverageValue", "averageValue": "10"}))},
        {"type": "Pods", "pods": target(json!({"type": "AverageValue", "averageValue": "5"}))},
    ]);
    world.create(&HORIZONTAL_POD_AUTOSCALERS, measured).await.unwrap();
    let shown =
        json!(["h", "Deployment/web", "cpu: <unknown>/50%, <unknown>/10 (avg) + 1 more...", "1", 3, 0, "0s"]);
    assert_eq!(Value::from(world.cells(&HORIZONTAL_POD_AUTOSCALERS, "h").await), shown);
    let status = json!({"status": {"currentReplicas": 2, "desiredReplicas": 2, "currentMetrics": [
        {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 7}}}]}});
    world.merge(&HORIZONTAL_POD_AUTOSCALERS, "h", "status", status).await.unwrap();
    let shown =
        json!(["h", "Deployment/web", "cpu: 7%/50%, <unknown>/10 (avg) + 1 more...", "1", 3, 2, "0s"]);
    assert_eq!(Value::from(world.cells(&HORIZONTAL_POD_AUTOSCALERS, "h").await), shown);
    world.create(&POD_DISRUPTION_BUDGETS, budget()).await.unwrap();
    let shown = json!(["b", "50%", "N/A", 0, "0s"]);
    assert_eq!(Value::from(world.cells(&POD_DISRUPTION_BUDGETS, "b").await), shown);
}
