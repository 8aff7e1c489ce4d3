//! Runs pods until as many have succeeded as each Job asks for, or too many have failed.
//!
//! A pod's result is counted exactly once, whatever is deleted and whenever this process dies ([`ledger`]):
//!
//! ```text
//!   runs, with our finalizer ──ended──▶ its uid stands in the status ──finalizer taken off──▶ counted, its uid is gone
//! ```

mod backoff;
mod crew;
mod indexes;
mod ledger;
mod spec;
mod status;
mod template;
#[cfg(test)]
mod tests;
mod tracking;
mod verdict;

use std::time::Duration;

use api::cache::Change;
use api::object::DecodeError;
use api::resource::{JOBS, PODS};
use api::selector::LabelSelector;
use api::{Cache, Object};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;

use crate::framework::{Action, Controller, Report, Target, Watch};
use crate::owner::{self, Claim, ORPHANS};
use crate::pod;
use crate::typed::Typed;
use ledger::Ledger;
use spec::Spec;
use tracking::TRACKED;
use verdict::Verdict;
pub(crate) use verdict::finished_at;

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "job-controller",
    watches: &[
        Watch::Of(JOBS, |_, change, add| add(Target::of(&JOBS, change.object()))),
        Watch::Of(PODS, concerned),
    ],
    reads: &[(PODS, Some(ORPHANS)), (PODS, Some(TRACKED))],
    decide: |view, target| Ok(reconcile(&observe(view.cache, target)?, view.now)),
    workers: 16,
    // Pods end one by one, and what ends in this time is counted, and replaced, together.
    pace: Duration::from_millis(10),
};

/// A Job and the pods that are its own or could be.
pub struct State {
    /// The Job; none if it is gone.
    pub job: Option<Typed<Job>>,
    /// What it selects; nothing if its selector is wrong.
    pub selector: LabelSelector,
    /// Its pods, and those it selects that nobody controls.
    pub pods: Vec<Typed<Pod>>,
    /// Where the Job is, or was.
    pub target: Target,
    /// Pods with the finalizer of Jobs that no Job will count: theirs is gone, or gave them away.
    pub strays: Vec<Object>,
}

/// Whom a changed pod concerns: its Jobs before and after, those that could adopt it, and the one that is to let it go.
fn concerned(cache: &Cache, change: &Change, add: &mut dyn FnMut(Target)) {
    owner::controllers(change, &JOBS, add);
    let Some(pod) = change.new.as_ref().filter(|pod| pod.controller_uid().is_none()) else {
        return;
    };
    if let Some(key) = tracking::job_of(pod) {
        add(Target::new(&JOBS, key));
    }
    for job in cache.snapshot(&JOBS).in_namespace(pod.namespace()) {
        if selector_of(job).matches(pod.metadata().labels.as_ref()) {
            add(Target::of(&JOBS, job));
        }
    }
}

fn selector_of(job: &Object) -> LabelSelector {
    let spec = job.typed::<Job>().ok().and_then(|job| job.spec.as_ref());
    let selector = spec.and_then(|spec| spec.selector.as_ref());
    let selector = selector.and_then(|selector| LabelSelector::from_api(Some(selector)).ok());
    // One that selects everything would take every pod of the namespace.
    selector.filter(|selector| !selector.is_everything()).unwrap_or_else(LabelSelector::nothing)
}

/// Looks up the Job and its pods.
pub fn observe(cache: &Cache, target: &Target) -> Result<State, DecodeError> {
    let job = cache.get(&JOBS, &target.key).map(Typed::<Job>::new).transpose()?;
    let selector = job.as_ref().map_or_else(LabelSelector::nothing, |job| selector_of(job.object()));
    let snapshot = cache.snapshot(&PODS);
    let pods = job.iter().flat_map(|job| {
        let pods = owner::candidates(&snapshot, job.object(), &selector);
        pods.filter_map(Typed::one_of_many)
    });
    let pods: Vec<Typed<Pod>> = pods.collect();
    let key = target.key.to_string();
    let tracked = snapshot.by_index(TRACKED.name, &key);
    let job_object = job.as_ref().map(Typed::object);
    let strays = tracked.filter(|pod| tracking::is_stray(job_object, &selector, pod)).cloned().collect();
    Ok(State { job, selector, pods, target: target.clone(), strays })
}

/// Decides what to do about a Job, and about pods that no Job counts.
pub fn reconcile(state: &State, now: Timestamp) -> Vec<Action> {
    let job = state.job.iter().filter(|job| spec::is_ours(job));
    let mut actions: Vec<Action> = job.flat_map(|job| look(state, job, now)).collect();
    actions.extend(tracking::let_strays_go(&state.target, &state.strays));
    actions
}

fn look(state: &State, job: &Typed<Job>, now: Timestamp) -> Vec<Action> {
    let object = job.object();
    let (mut claims, mut own) = (Vec::new(), Vec::new());
    for pod in &state.pods {
        match owner::claim(object, &state.selector, pod.object()) {
            Claim::Owned => own.push(pod),
            // One that ended may have been counted before it became nobody's.
            Claim::Adopt if pod::is_active(pod) => claims.push(tracking::adopt(object, pod.object())),
            Claim::Release => claims.push(tracking::release(object, pod.object())),
            Claim::Adopt | Claim::None => {}
        }
    }
    if !claims.is_empty() {
        // What was adopted or released is looked at again before anything is counted.
        return claims;
    }
    if finished_at(job).is_some() {
        let tracked = own.into_iter().filter(|pod| tracking::is_tracked(pod.object()));
        return tracked.map(|pod| tracking::let_go(pod.object())).collect();
    }
    decide(job, &own, now)
}

/// Counts what ended, sees whether the Job is at its end, and if not, whether it has the pods it is to have.
///
/// The status comes first: the finalizer of a pod may only go once its uid stands there. What was done to pods shows in
/// the next look.
fn decide(job: &Typed<Job>, pods: &[&Typed<Pod>], now: Timestamp) -> Vec<Action> {
    let spec = Spec::of(job);
    let mut ledger = Ledger::open(&spec, job, pods);
    let verdict = verdict::reach(&spec, job, &ledger, pods, now);
    let goes_on = verdict.is_none() && !job.object().is_terminating();
    let crew = if goes_on { crew::change(&spec, &ledger, pods, now) } else { crew::Change::default() };
    let dismissed = match &verdict {
        Some(_) => pods.iter().copied().filter(|pod| pod::is_active(pod)).collect(),
        None => crew.surplus,
    };
    let entered = ledger.enter(pods, verdict.as_ref().is_some_and(Verdict::is_failure));
    let ends = verdict.is_some() || job.object().is_terminating();
    let tracked = pods.iter().filter(|pod| tracking::is_tracked(pod.object()));
    let let_go = tracked.filter(|pod| {
        let uid = pod.object().uid();
        // Of a Job that fails all are counted, and stay until they are.
        let dismissed = dismissed.iter().any(|dismissed| dismissed.object().uid() == uid);
        let counts = verdict.as_ref().is_some_and(Verdict::is_failure);
        entered.contains(uid) || (dismissed || ends) && !counts
    });
    let let_go: Vec<Action> = let_go.map(|pod| tracking::let_go(pod.object())).collect();
    let mut actions = status::change(
        &status::Look { job, spec: &spec, ledger: &ledger, pods, verdict: verdict.as_ref(), goes_on },
        now,
    );
    actions.extend(let_go);
    let report = || Some(Report::of(job.object(), "pod"));
    actions.extend(dismissed.iter().map(|pod| Action::delete(&PODS, pod.object(), report())));
    actions.extend(crew.places.iter().map(|place| template::create(job, &spec, *place)));
    let wake = [crew.wake, spec.deadline(job).filter(|deadline| goes_on && *deadline > now)];
    actions.extend(wake.into_iter().flatten().map(Action::WakeAt));
    actions
}
