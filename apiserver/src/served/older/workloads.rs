//! Workloads as they were before `apps/v1`, where a selector could be left out, and budgets as they were in
//! `policy/v1beta1`, where an empty selector selected nothing.

use api::field::FieldError;
use serde_json::{Value, json};

use crate::tree;

/// Fields that have no place any more: nothing came of them for years.
const GONE: [&str; 2] = ["rollbackTo", "templateGeneration"];

/// A label that no pod has, as in Kubernetes.
const NO_POD: &str = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match";

pub(super) fn take_in(workload: &mut Value) -> Result<(), FieldError> {
    let Some(spec) = tree::field(workload, "spec").filter(|spec| spec.is_object()) else {
        return Ok(());
    };
    GONE.into_iter().for_each(|field| tree::set(spec, field, None));
    let labels = spec.pointer("/template/metadata/labels").cloned();
    if let Some(labels) = labels.filter(|_| spec.get("selector").is_none_or(Value::is_null)) {
        tree::set(spec, "selector", Some(json!({"matchLabels": labels})));
    }
    Ok(())
}

pub(super) fn bring_out(_workload: &mut Value) {}

pub(super) fn take_in_budget(budget: &mut Value) -> Result<(), FieldError> {
    if let Some(selector) = budget.pointer_mut("/spec/selector")
        && selector.as_object().is_some_and(serde_json::Map::is_empty)
    {
        *selector = selects_nothing();
    }
    Ok(())
}

pub(super) fn bring_out_budget(budget: &mut Value) {
    if let Some(selector) = budget.pointer_mut("/spec/selector")
        && *selector == selects_nothing()
    {
        *selector = json!({});
    }
}

fn selects_nothing() -> Value {
    json!({"matchExpressions": [{"key": NO_POD, "operator": "Exists"}]})
}
