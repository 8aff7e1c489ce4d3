//! LimitRanges and ResourceQuotas.

use super::*;
use api::resource::{LIMIT_RANGES, RESOURCE_QUOTAS};

fn limits(item: Value) -> Value {
    json!({"metadata": {"name": "l"}, "spec": {"limits": [item]}})
}

fn quota() -> Value {
    json!({"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2", "limits.cpu": "1"}}})
}

#[tokio::test(start_paused = true)]
async fn a_limit_range_is_filled_in_from_its_bounds() {
    let world = start().await;
    let item = json!({"type": "Container", "max": {"cpu": "1"}, "min": {"memory": "1Mi"}});
    let wanted = json!({"spec": {"limits": [{"default": {"cpu": "1"},
        "defaultRequest": {"cpu": "1", "memory": "1Mi"}}]}});
    world.filled(&LIMIT_RANGES, limits(item), wanted).await;
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_limit_ranges_are_named() {
    let world = start().await;
    let row = async |item: Value, words: &str| {
        refuse(&world, &LIMIT_RANGES, &limits(item), json!({}), words).await;
    };
    row(
        json!({"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}),
        "[spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1, \
         spec.limits[0].defaultRequest[cpu]: Invalid value: \"1\": min value 2 is greater than default request value \
         1, spec.limits[0].default[cpu]: Invalid value: \"2\": min value 2 is greater than default value 1]",
    )
    .await;
    row(
        json!({"type": "Pod", "default": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "500m"}}),
        "[spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod', \
         spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"500m\": ratio 500m is less than 1]",
    )
    .await;
    row(
        json!({"type": "Pod", "min": {"cpu": "1"}, "max": {"cpu": "2"}, "maxLimitRequestRatio": {"cpu": "3"}}),
        "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater than max/min = 2.000000",
    )
    .await;
    row(
        json!({"type": "PersistentVolumeClaim"}),
        "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was \
         provided",
    )
    .await;
    row(
        json!({"type": "x", "max": {"y": "1"}}),
        "[spec.limits[0].type: Invalid value: \"x\": must be a standard limit type or fully qualified, \
         spec.limits[0].max[y]: Invalid value: \"y\": must be a standard resource type or fully qualified]",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_quotas_are_named() {
    let world = start().await;
    let row = async |patch: Value, words: &str| {
        refuse(&world, &RESOURCE_QUOTAS, &quota(), json!({"spec": patch}), words).await;
    };
    row(
        json!({"hard": {"x": "1", "pods": "500m", "limits.cpu": "-1"}}),
        "[spec.hard[x]: Invalid value: \"x\": must be a standard resource for quotas, spec.hard[limits.cpu]: Invalid \
         value: \"-1\": must be greater than or equal to 0, spec.hard[pods]: Invalid value: \"500m\": must be an \
         integer]",
    )
    .await;
    row(
        json!({"scopes": ["BestEffort", "NotBestEffort"]}),
        "[spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: unsupported scope applied to resource, \
         spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: conflicting scopes]",
    )
    .await;
    row(
        json!({"scopeSelector": {"matchExpressions": [
            {"scopeName": "PriorityClass", "operator": "In"}, {"scopeName": "PriorityClass", "operator": "x"}]}}),
        "[spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is \
         'In' or 'NotIn' for scope selector, spec.scopeSelector.matchExpressions.operator: Invalid value: \"x\": not \
         a valid selector operator]",
    )
    .await;
    world.create(&RESOURCE_QUOTAS, quota()).await.unwrap();
    let words = "spec.scopes: Invalid value: [\"NotBestEffort\"]: field is immutable";
    world.refused(&RESOURCE_QUOTAS, "q", "", json!({"spec": {"scopes": ["NotBestEffort"]}}), words).await;
    let words = "status.used[pods]: Invalid value: \"-1\": must be greater than or equal to 0";
    world.refused(&RESOURCE_QUOTAS, "q", "status", json!({"status": {"used": {"pods": "-1"}}}), words).await;
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_shown_by_what_is_used() {
    let world = start().await;
    world.create(&RESOURCE_QUOTAS, quota()).await.unwrap();
    let status = json!({"status": {"hard": {"pods": "2", "limits.cpu": "1"}, "used": {"pods": "1"}}});
    world.merge(&RESOURCE_QUOTAS, "q", "status", status).await.unwrap();
    let wanted = json!(["q", "pods: 1/2", "limits.cpu: 0/1", "0s"]);
    assert_eq!(Value::from(world.cells(&RESOURCE_QUOTAS, "q").await), wanted);
}
