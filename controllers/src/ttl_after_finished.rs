//! Deletes each finished Job that says how long it is to stay, when that time has passed.

use std::time::Duration;

use api::backend::{DeleteOptions, Propagation};
use api::clock::add;
use api::resource::JOBS;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

use crate::framework::{Action, Controller, Target, Watch};
use crate::job;
use crate::typed::Typed;

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "ttl-after-finished-controller",
    watches: &[Watch::Of(JOBS, |_, change, add| {
        let finished = |object: &api::Object| object.typed::<Job>().is_ok_and(|job| expires(job).is_some());
        if change.new.as_ref().is_some_and(finished) {
            add(Target::of(&JOBS, change.object()));
        }
    })],
    reads: &[],
    decide: |view, target| match view.cache.get(&JOBS, &target.key) {
        Some(object) => Ok(reconcile(&Typed::new(object)?, view.now)),
        None => Ok(vec![]),
    },
    workers: 4,
    pace: Duration::ZERO,
};

/// When a Job is to go, if it has finished and does not stay for good.
fn expires(job: &Job) -> Option<Timestamp> {
    let seconds = job.spec.as_ref()?.ttl_seconds_after_finished?;
    let stay = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Some(add(job::finished_at(job)?, stay))
}

/// Decides whether a Job's time has come.
pub fn reconcile(job: &Typed<Job>, now: Timestamp) -> Vec<Action> {
    let object = job.object();
    let Some(expires) = expires(job).filter(|_| !object.is_terminating()) else {
        return vec![];
    };
    if expires > now {
        return vec![Action::WakeAt(expires)];
    }
    // Refused if the Job is another one by now, or changed: it may have been asked to stay longer.
    let options = DeleteOptions {
        uid: Some(object.uid().to_owned()),
        revision: Some(object.revision()),
        propagation: Some(Propagation::Foreground),
        ..DeleteOptions::default()
    };
    vec![Action::Delete { target: Target::of(&JOBS, object), options, report: None }]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::framework::describe;
    use crate::testing::{NOW, ago, merge, now, object};

    fn look(more: Value) -> Vec<String> {
        let condition = json!({"type": "Complete", "status": "True", "lastTransitionTime": ago(60)});
        let mut value = json!({"apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "j", "namespace": "n", "uid": "j", "resourceVersion": "7"},
            "spec": {"template": {}, "ttlSecondsAfterFinished": 60}, "status": {"conditions": [condition]}});
        merge(&mut value, more);
        describe(&reconcile(&Typed::new(object(value)).expect("a Job"), now()))
    }

    #[test]
    fn a_finished_job_stays_as_long_as_it_says() {
        assert_eq!(look(json!({})), ["delete Job j Foreground"]);
        assert_eq!(look(json!({"spec": {"ttlSecondsAfterFinished": 0}})), ["delete Job j Foreground"]);
        assert_eq!(look(json!({"spec": {"ttlSecondsAfterFinished": 61}})), ["wake at 2026-01-01T12:00:01Z"]);
        assert!(look(json!({"spec": {"ttlSecondsAfterFinished": null}})).is_empty());
        assert!(look(json!({"status": {"conditions": []}})).is_empty());
        assert!(look(json!({"metadata": {"deletionTimestamp": NOW}})).is_empty());
        let failed = json!([{"type": "Failed", "status": "True", "lastTransitionTime": ago(61)}]);
        assert_eq!(look(json!({"status": {"conditions": failed}})), ["delete Job j Foreground"]);
        let failing = json!([{"type": "FailureTarget", "status": "True", "lastTransitionTime": ago(61)}]);
        assert!(look(json!({"status": {"conditions": failing}})).is_empty());
    }

    #[test]
    fn only_the_job_as_it_was_seen_is_deleted() {
        let value = json!({"metadata": {"name": "j", "uid": "j", "resourceVersion": "7"},
            "spec": {"template": {}, "ttlSecondsAfterFinished": 0},
            "status": {"conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": ago(1)}]}});
        let actions = reconcile(&Typed::new(object(value)).expect("a Job"), now());
        let [Action::Delete { options, .. }] = &actions[..] else {
            panic!("{actions:?}");
        };
        assert_eq!((options.uid.as_deref(), options.revision), (Some("j"), Some(api::Revision(7))));
    }
}
