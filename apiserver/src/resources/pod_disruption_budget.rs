//! PodDisruptionBudgets: how many pods of a kind may be away by intent at the same time.

use api::Resource;
use api::field::FieldError;
use api::resource::POD_DISRUPTION_BUDGETS;
use jiff::Timestamp;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use serde_json::{Value, json};

use super::{label_selector, share, template};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, number, text};
use crate::path::Path;
use crate::tree;

const UNHEALTHY_POLICIES: [&str; 2] = ["AlwaysAllow", "IfHealthyBudget"];

/// The kind PodDisruptionBudget.
pub struct PodDisruptionBudgets;

impl Builtin for PodDisruptionBudgets {
    type Typed = PodDisruptionBudget;

    const RESOURCE: Resource = POD_DISRUPTION_BUDGETS;

    const DEFINITION: Definition = Definition {
        short_names: &["pdb"],
        subresources: &["status"],
        generation: &["spec"],
        ..Definition::new("poddisruptionbudget")
    };

    fn prepare_create(budget: &mut Value) {
        // Until somebody has counted, nothing may be disrupted.
        let status = json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0,
            "expectedPods": 0});
        tree::set(budget, "status", Some(status));
    }

    fn check(budget: &PodDisruptionBudget, errors: &mut Vec<FieldError>) {
        if let Some(spec) = &budget.spec {
            check_spec(spec, &Path::new("spec"), errors);
        }
    }

    fn check_status(budget: &PodDisruptionBudget, errors: &mut Vec<FieldError>) {
        let Some(status) = &budget.status else { return };
        let counts = [
            ("disruptionsAllowed", Some(status.disruptions_allowed)),
            ("currentHealthy", Some(status.current_healthy)),
            ("desiredHealthy", Some(status.desired_healthy)),
            ("expectedPods", Some(status.expected_pods)),
        ];
        template::check_counts(&Path::new("status"), &counts, errors);
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Min Available", "How many pods must stay."),
        text("Max Unavailable", "How many pods may be away."),
        number("Allowed Disruptions", "How many pods may go now."),
        cells::AGE,
    ];

    fn row(budget: &PodDisruptionBudget, now: Timestamp) -> Vec<Value> {
        let spec = budget.spec.as_ref();
        vec![
            cells::name(&budget.metadata),
            shown(spec.and_then(|spec| spec.min_available.as_ref())).into(),
            shown(spec.and_then(|spec| spec.max_unavailable.as_ref())).into(),
            budget.status.as_ref().map_or(0, |status| status.disruptions_allowed).into(),
            cells::age(&budget.metadata, now),
        ]
    }
}

fn shown(share: Option<&IntOrString>) -> String {
    match share {
        None => "N/A".to_owned(),
        Some(IntOrString::Int(count)) => count.to_string(),
        Some(IntOrString::String(percent)) => percent.clone(),
    }
}

fn check_spec(spec: &PodDisruptionBudgetSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if spec.min_available.is_some() && spec.max_unavailable.is_some() {
        let given = serde_json::to_value(spec).unwrap_or_default();
        let words = "minAvailable and maxUnavailable cannot be both set";
        errors.push(FieldError::invalid(*path, given, words));
    }
    for (field, share) in [("minAvailable", &spec.min_available), ("maxUnavailable", &spec.max_unavailable)] {
        if let Some(share) = share {
            share::check(share, &path.child(field), errors);
            share::check_at_most_all(share, &path.child(field), errors);
        }
    }
    if let Some(policy) = spec.unhealthy_pod_eviction_policy.as_deref()
        && !UNHEALTHY_POLICIES.contains(&policy)
    {
        let path = path.child("unhealthyPodEvictionPolicy");
        errors.push(FieldError::unsupported(path, policy, &UNHEALTHY_POLICIES));
    }
    label_selector::check(spec.selector.as_ref(), &path.child("selector"), errors);
}
