//! What a budget says of its pods: how many are healthy, how many must be, and how many may go.

use std::collections::BTreeMap;
use std::time::Duration;

use api::Object;
use api::clock::add;
use api::event::seconds;
use api::resource::POD_DISRUPTION_BUDGETS;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudgetStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use serde_json::{Map, Value, json};

use super::State;
use crate::framework::Action;
use crate::pod;
use crate::typed::Typed;

/// A pod whose eviction was agreed to has so long to begin to terminate, as in Kubernetes.
const DELETION_TIMEOUT: Duration = Duration::from_secs(120);

/// The type of the condition.
const ALLOWED: &str = "DisruptionAllowed";

/// The pods of which an eviction was agreed to and that do not terminate yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Disrupted {
    /// When it was agreed to.
    pub(super) since: BTreeMap<String, Timestamp>,
    /// Those whose time is over.
    pub(super) late: Vec<Object>,
    /// When the next of them has had its time.
    pub(super) recheck: Option<Timestamp>,
}

impl Disrupted {
    pub(super) fn of(state: &State, now: Timestamp) -> Self {
        let status = state.budget.status.as_ref();
        let said = status.and_then(|status| status.disrupted_pods.as_ref());
        let mut disrupted = Self::default();
        for pod in state.pods.iter().filter(|pod| !pod::is_terminating(pod)) {
            let name = pod.object().name();
            let Some(since) = said.and_then(|said| said.get(name)).map(|since| since.0) else {
                continue;
            };
            let end = add(since, DELETION_TIMEOUT);
            if end <= now {
                disrupted.late.push(pod.object().clone());
            } else {
                disrupted.since.insert(name.to_owned(), since);
                disrupted.recheck = Some(disrupted.recheck.map_or(end, |other| other.min(end)));
            }
        }
        disrupted
    }
}

/// What is counted.
pub(super) struct Counts {
    expected: i32,
    desired: i32,
    healthy: i32,
    allowed: i32,
    pub(super) disrupted: Disrupted,
}

impl Counts {
    pub(super) fn of(state: &State, expected: i32, desired: i32, now: Timestamp) -> Self {
        let disrupted = Disrupted::of(state, now);
        let is_healthy = |pod: &&Typed<Pod>| {
            !pod::is_terminating(pod)
                && !disrupted.since.contains_key(pod.object().name())
                && pod::is_ready(pod)
        };
        let healthy = state.pods.iter().filter(is_healthy).count();
        let healthy = i32::try_from(healthy).unwrap_or(i32::MAX);
        // Without pods nothing may go: the first might come before this is said anew.
        let allowed = if expected <= 0 { 0 } else { healthy.saturating_sub(desired).max(0) };
        Self { expected, desired, healthy, allowed, disrupted }
    }

    fn are_said(&self, said: &PodDisruptionBudgetStatus) -> bool {
        let none = BTreeMap::new();
        let disrupted = said.disrupted_pods.as_ref().unwrap_or(&none);
        said.expected_pods == self.expected
            && said.desired_healthy == self.desired
            && said.current_healthy == self.healthy
            && said.disruptions_allowed == self.allowed
            && disrupted.iter().map(|(pod, since)| (pod, &since.0)).eq(self.disrupted.since.iter())
    }
}

/// The change of the status after the pods were counted; none if it says all that.
pub(super) fn change(state: &State, counts: &Counts, now: Timestamp) -> Option<Action> {
    let budget = state.budget.object();
    let generation = budget.metadata().generation.unwrap_or(0);
    let (status, reason) =
        if counts.allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let said = state.budget.status.as_ref();
    let is_said = said.is_some_and(|said| {
        let condition = allowed(said);
        let is_so = |condition: &Condition| condition.status == status && condition.reason == reason;
        counts.are_said(said)
            && said.observed_generation.unwrap_or(0) == generation
            && condition.is_some_and(is_so)
    });
    if is_said {
        return None;
    }
    let condition = Said { status, reason, message: "", generation };
    Some(patch(
        budget,
        json!({
            "expectedPods": counts.expected,
            "desiredHealthy": counts.desired,
            "currentHealthy": counts.healthy,
            "disruptionsAllowed": counts.allowed,
            "disruptedPods": disrupted(said, &counts.disrupted.since),
            "observedGeneration": generation,
            "conditions": conditions(said, &condition, now),
        }),
    ))
}

/// The change of the status when the pods cannot be counted: nothing may go.
pub(super) fn failure(state: &State, error: &str, now: Timestamp) -> Option<Action> {
    let said = state.budget.status.as_ref();
    let is_so = |condition: &Condition| condition.reason == "SyncFailed" && condition.message == error;
    if said.is_some_and(|said| said.disruptions_allowed == 0 && allowed(said).is_some_and(is_so)) {
        return None;
    }
    let generation = said.and_then(|said| said.observed_generation).unwrap_or(0);
    let condition = Said { status: "False", reason: "SyncFailed", message: error, generation };
    let conditions = conditions(said, &condition, now);
    Some(patch(state.budget.object(), json!({"disruptionsAllowed": 0, "conditions": conditions})))
}

/// An eviction may have been agreed to meanwhile: then it is counted anew.
fn patch(budget: &Object, status: Value) -> Action {
    Action::patch_unchanged(&POD_DISRUPTION_BUDGETS, budget, "status", json!({"status": status}))
}

fn allowed(status: &PodDisruptionBudgetStatus) -> Option<&Condition> {
    status.conditions.iter().flatten().find(|condition| condition.type_ == ALLOWED)
}

/// The pods to be said, laid over those that were: others go.
fn disrupted(said: Option<&PodDisruptionBudgetStatus>, now: &BTreeMap<String, Timestamp>) -> Value {
    if now.is_empty() {
        return Value::Null;
    }
    let gone = said.iter().flat_map(|said| said.disrupted_pods.iter().flatten());
    let gone = gone.map(|(pod, _)| (pod.clone(), Value::Null));
    let now = now.iter().map(|(pod, since)| (pod.clone(), seconds(*since).into()));
    gone.chain(now).collect::<Map<String, Value>>().into()
}

/// The condition to be said.
struct Said<'a> {
    status: &'a str,
    reason: &'a str,
    message: &'a str,
    generation: i64,
}

/// All conditions with this one in its place; its time stays if it was so before.
fn conditions(status: Option<&PodDisruptionBudgetStatus>, said: &Said<'_>, now: Timestamp) -> Vec<Value> {
    let old: Vec<&Condition> = status.iter().flat_map(|status| status.conditions.iter().flatten()).collect();
    let before = old.iter().find(|condition| condition.type_ == ALLOWED);
    let since = before.filter(|old| old.status == said.status).map_or(now, |old| old.last_transition_time.0);
    let new = json!({"type": ALLOWED, "status": said.status, "reason": said.reason, "message": said.message,
        "observedGeneration": said.generation, "lastTransitionTime": seconds(since)});
    let mut all: Vec<Value> = old.iter().map(|condition| json!(condition)).collect();
    match old.iter().position(|condition| condition.type_ == ALLOWED) {
        Some(at) => all[at] = new,
        None => all.push(new),
    }
    all
}

/// A selector as Kubernetes' messages show it.
pub(super) fn shown(selector: Option<&LabelSelector>) -> String {
    let Some(selector) = selector else { return "nil".to_owned() };
    let labels = selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}: {value},"));
    let expressions = selector.match_expressions.iter().flatten().map(|requirement| {
        let values = requirement.values.as_deref().unwrap_or_default().join(" ");
        let (key, operator) = (&requirement.key, &requirement.operator);
        format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{values}],}},")
    });
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{}}},}}",
        labels.collect::<String>(),
        expressions.collect::<String>()
    )
}
