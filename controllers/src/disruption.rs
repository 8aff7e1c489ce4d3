//! Counts the pods of each PodDisruptionBudget, and says how many of them may be evicted now.

mod scale;
mod stale;
mod status;
#[cfg(test)]
mod tests;

use std::time::Duration;

use api::cache::Change;
use api::clock::add;
use api::event::Severity;
use api::object::DecodeError;
use api::resource::{
    DEPLOYMENTS, POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS, REPLICATION_CONTROLLERS, STATEFUL_SETS,
};
use api::selector::LabelSelector;
use api::{Cache, Object, Resource};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::framework::{Action, Controller, Target, View, Watch};
use crate::kinds::Kinds;
use crate::typed::Typed;
pub use scale::{NotScaled, Scale};

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "disruption-controller",
    watches: &[
        Watch::Of(POD_DISRUPTION_BUDGETS, |_, change, add| {
            add(Target::of(&POD_DISRUPTION_BUDGETS, change.object()));
        }),
        Watch::Of(PODS, of_pod),
        Watch::Of(DEPLOYMENTS, of_scale),
        Watch::Of(REPLICA_SETS, of_scale),
        Watch::Of(REPLICATION_CONTROLLERS, of_scale),
        Watch::Of(STATEFUL_SETS, of_scale),
    ],
    reads: &[(scale::DEFINITIONS, None)],
    decide,
    workers: 8,
    // Each look counts all pods anew.
    pace: Duration::from_millis(20),
};

/// A budget is looked at again so much later, as long as those who control its pods are not known.
const UNTIL_READ: Duration = Duration::from_secs(1);

/// The kinds whose scale is read where they all have it.
const SCALED: [Resource; 3] = [REPLICA_SETS, REPLICATION_CONTROLLERS, STATEFUL_SETS];

/// A budget, and the pods it is about.
pub struct State {
    /// The budget.
    pub budget: Typed<PodDisruptionBudget>,
    /// The pods it selects.
    pub pods: Vec<Typed<Pod>>,
    /// How many those who control the pods ask for, or why that cannot be said.
    pub scale: Result<Scale, NotScaled>,
}

/// Whom a change of a pod concerns: the budgets that select it, and itself if it was to be evicted.
fn of_pod(cache: &Cache, change: &Change, add: &mut dyn FnMut(Target)) {
    let pod = change.object();
    let budgets = cache.snapshot(&POD_DISRUPTION_BUDGETS);
    for budget in budgets.in_namespace(pod.namespace()) {
        let selector = selector(budget);
        if change.objects().any(|pod| selector.matches(pod.metadata().labels.as_ref())) {
            add(Target::of(&POD_DISRUPTION_BUDGETS, budget));
        }
    }
    if change.new.as_ref().is_some_and(stale::may_be) {
        add(Target::of(&PODS, pod));
    }
}

/// Whom a change of something with a scale concerns: the budgets of its namespace, if the scale changes.
fn of_scale(cache: &Cache, change: &Change, add: &mut dyn FnMut(Target)) {
    let budgets = cache.snapshot(&POD_DISRUPTION_BUDGETS);
    let mut budgets = budgets.in_namespace(change.object().namespace()).peekable();
    let replicas = |object: &Option<Object>| object.as_ref().map(scale::replicas);
    if budgets.peek().is_some() && replicas(&change.old) != replicas(&change.new) {
        budgets.for_each(|budget| add(Target::of(&POD_DISRUPTION_BUDGETS, budget)));
    }
}

fn selector(budget: &Object) -> LabelSelector {
    let typed = budget.typed::<PodDisruptionBudget>().ok();
    let selector = typed.and_then(|budget| budget.spec.as_ref()?.selector.as_ref());
    // The selector was checked when the budget was written.
    LabelSelector::from_api(selector).unwrap_or_else(|_| LabelSelector::nothing())
}

fn decide(view: &View<'_>, target: &Target) -> Result<Vec<Action>, DecodeError> {
    if target.resource == PODS {
        let pod = view.cache.get(&PODS, &target.key).map(Typed::new).transpose()?;
        return Ok(pod.map_or(vec![], |pod| stale::reconcile(&pod, view.now)));
    }
    let state = observe(view.cache, view.kinds, target)?;
    Ok(state.map_or(vec![], |state| reconcile(&state, view.now)))
}

/// Looks up a budget, its pods, and those who control them.
pub fn observe(cache: &Cache, kinds: &Kinds, target: &Target) -> Result<Option<State>, DecodeError> {
    let Some(object) = cache.get(&target.resource, &target.key) else { return Ok(None) };
    let selector = selector(&object);
    let budget = Typed::<PodDisruptionBudget>::new(object)?;
    let pods = cache.snapshot(&PODS);
    let pods = pods.in_namespace(&target.key.namespace);
    let pods = pods.filter(|pod| selector.matches(pod.metadata().labels.as_ref()));
    let pods: Vec<Typed<Pod>> = pods.filter_map(Typed::one_of_many).collect();
    let scale = scale::of(cache, kinds, &pods);
    Ok(Some(State { budget, pods, scale }))
}

/// How many pods there should be, and how many of them must be healthy.
fn expected(state: &State) -> Result<(i32, i32), NotScaled> {
    let Some(spec) = &state.budget.spec else { return Ok((0, 0)) };
    let scale = || state.scale.as_ref().map(|scale| scale.replicas).map_err(Clone::clone);
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(most), _) => {
            let expected = scale()?;
            Ok((expected, expected.saturating_sub(share(most, expected)?).max(0)))
        }
        (None, Some(IntOrString::Int(least))) => {
            Ok((i32::try_from(state.pods.len()).unwrap_or(i32::MAX), *least))
        }
        (None, Some(least)) => {
            let expected = scale()?;
            Ok((expected, share(least, expected)?))
        }
        (None, None) => Ok((0, 0)),
    }
}

/// A number, or a percentage of all, rounded up.
fn share(share: &IntOrString, all: i32) -> Result<i32, NotScaled> {
    let text = match share {
        IntOrString::Int(number) => return Ok(*number),
        IntOrString::String(text) => text,
    };
    let percentage = text.strip_suffix('%').and_then(|number| number.parse::<i64>().ok());
    let percentage = percentage.ok_or_else(|| {
        let words = "invalid value for IntOrString: invalid type: string is not a percentage";
        NotScaled::Never(words.to_owned())
    })?;
    let part = i64::from(all).saturating_mul(percentage).saturating_add(99).div_euclid(100);
    Ok(i32::try_from(part).unwrap_or(i32::MAX))
}

/// Decides what the budget is to say, what people are told about it, and when to look again.
pub fn reconcile(state: &State, now: Timestamp) -> Vec<Action> {
    let (said, mut events) = match expected(state) {
        Ok((expected, desired)) => {
            let counts = status::Counts::of(state, expected, desired, now);
            (status::change(state, &counts, now), counted(state, &counts))
        }
        Err(NotScaled::NotYet) => return vec![Action::WakeAt(add(now, UNTIL_READ))],
        Err(NotScaled::Never(error)) => {
            let message = format!("Failed to calculate the number of expected pods: {error}");
            let event = warning(state, "CalculateExpectedPodCountFailed", &message);
            (status::failure(state, &error, now), vec![event])
        }
    };
    let wake = status::Disrupted::of(state, now).recheck.map(Action::WakeAt);
    // What was told already is not told again.
    let Some(said) = said else { return wake.into_iter().collect() };
    if state.pods.is_empty() {
        let words = "No matching pods found";
        events.insert(0, Action::event(state.budget.object(), Severity::Normal, "NoPods", words));
    }
    events.into_iter().chain([said]).chain(wake).collect()
}

fn warning(state: &State, reason: &str, message: &str) -> Action {
    Action::event(state.budget.object(), Severity::Warning, reason, message)
}

/// What people are told when the pods could be counted.
fn counted(state: &State, counts: &status::Counts) -> Vec<Action> {
    let needs_scale = state.budget.spec.as_ref().is_some_and(|spec| {
        spec.max_unavailable.is_some() || matches!(spec.min_available, Some(IntOrString::String(_)))
    });
    let unmanaged = state.scale.as_ref().is_ok_and(|scale| scale.has_unmanaged);
    let unmanaged = (needs_scale && unmanaged).then(|| {
        let selector = state.budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
        let message = format!(
            "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status \
             of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods \
             please set \".spec.minAvailable\" field of the PDB to an integer value.",
            status::shown(selector)
        );
        warning(state, "UnmanagedPods", &message)
    });
    let budget = state.budget.object();
    let late = counts.disrupted.late.iter().map(|pod| {
        // Kubernetes writes the namespace twice here.
        let message =
            format!("Pod was expected by PDB {0}/{0} to be deleted but it wasn't", budget.namespace());
        Action::event(pod, Severity::Warning, "NotDeleted", message)
    });
    unmanaged.into_iter().chain(late).collect()
}
