//! What a Job's status says.

use api::event::{Severity, seconds};
use api::resource::JOBS;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobStatus};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Map, Value, json};

use super::crew::is_leaving;
use super::ledger::{Ledger, Uncounted};
use super::spec::Spec;
use super::tracking;
use super::verdict::{COMPLETE, SUSPENDED, Verdict};
use crate::framework::Action;
use crate::pod;
use crate::typed::Typed;

/// What a look saw and decided.
pub(super) struct Look<'a> {
    pub(super) job: &'a Typed<Job>,
    pub(super) spec: &'a Spec,
    /// With all entries that are to be written.
    pub(super) ledger: &'a Ledger,
    pub(super) pods: &'a [&'a Typed<Pod>],
    pub(super) verdict: Option<&'a Verdict>,
    /// Whether the Job goes on: it has no verdict and is not being deleted.
    pub(super) goes_on: bool,
}

/// The status in the making: its conditions, and what else changes.
struct Draft {
    conditions: Vec<Value>,
    is_changed: bool,
    fields: Map<String, Value>,
    events: Vec<Action>,
}

/// The change of the status, if it says something else by now, and the events that go with it.
pub(super) fn change(look: &Look<'_>, now: Timestamp) -> Vec<Action> {
    let default = JobStatus::default();
    let old = look.job.status.as_ref().unwrap_or(&default);
    let mut draft = Draft {
        conditions: old.conditions.iter().flatten().map(|condition| json!(condition)).collect(),
        is_changed: false,
        fields: Map::new(),
        events: Vec::new(),
    };
    if old.start_time.is_none() && !look.spec.is_suspended {
        draft.put("startTime", seconds(now).into());
    }
    if look.goes_on {
        draft.suspend_or_resume(look, now);
    }
    draft.numbers(look, old);
    if let Some(verdict) = look.verdict {
        draft.judge(look, verdict, now);
    }
    draft.actions(look)
}

impl Draft {
    fn put(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    fn has(&self, kind: &str, status: &str) -> bool {
        self.conditions.iter().any(|condition| condition["type"] == kind && condition["status"] == status)
    }

    /// Says a condition, if it is not said yet.
    fn say(&mut self, kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> bool {
        if self.has(kind, status) {
            return false;
        }
        self.is_changed = true;
        self.conditions.retain(|condition| condition["type"] != kind);
        self.conditions.push(json!({
            "type": kind, "status": status, "reason": reason, "message": message,
            "lastProbeTime": seconds(now), "lastTransitionTime": seconds(now),
        }));
        true
    }

    /// A Job that is resumed starts anew: the time it was suspended does not count towards its deadline.
    fn suspend_or_resume(&mut self, look: &Look<'_>, now: Timestamp) {
        let tell = |reason, message| Action::event(look.job.object(), Severity::Normal, reason, message);
        if look.spec.is_suspended {
            if self.say(SUSPENDED, "True", "JobSuspended", "Job suspended", now) {
                self.events.push(tell("Suspended", "Job suspended"));
            }
        } else if self.has(SUSPENDED, "True") {
            self.say(SUSPENDED, "False", "JobResumed", "Job resumed", now);
            self.put("startTime", seconds(now).into());
            self.events.push(tell("Resumed", "Job resumed"));
        }
    }

    fn numbers(&mut self, look: &Look<'_>, old: &JobStatus) {
        let pods = look.pods;
        let count = |counts: &dyn Fn(&Pod) -> bool| pods.iter().filter(|pod| counts(pod)).count();
        let (succeeded, failed) = look.ledger.counts();
        // Absent and nought are the same, and absent is how these are written.
        for (name, old, new) in [
            ("active", old.active, count(&pod::is_active)),
            ("succeeded", old.succeeded, succeeded),
            ("failed", old.failed, failed),
        ] {
            if number(old) != new {
                self.put(name, if new == 0 { Value::Null } else { new.into() });
            }
        }
        // These say nought when it is known.
        for (name, old, new) in [
            ("ready", old.ready, count(&|pod| pod::is_active(pod) && pod::is_ready(pod))),
            ("terminating", old.terminating, count(&is_leaving)),
        ] {
            if old.is_none() || number(old) != new {
                self.put(name, new.into());
            }
        }
        let uncounted = Uncounted::of(look.job);
        if old.uncounted_terminated_pods.is_none() || uncounted != look.ledger.uncounted {
            let list = |uids: &std::collections::BTreeSet<String>| match uids.is_empty() {
                true => Value::Null,
                false => json!(uids),
            };
            let Uncounted { succeeded, failed } = &look.ledger.uncounted;
            let value = json!({"succeeded": list(succeeded), "failed": list(failed)});
            self.put("uncountedTerminatedPods", value);
        }
        if look.spec.is_indexed {
            let indexes = look.ledger.completed.to_string();
            if old.completed_indexes.as_deref().unwrap_or_default() != indexes {
                self.put("completedIndexes", indexes.into());
            }
        }
    }

    /// Says how the Job ends, and when nothing is left to be done or counted, that it did.
    fn judge(&mut self, look: &Look<'_>, verdict: &Verdict, now: Timestamp) {
        let Verdict { kind, reason, message } = verdict;
        self.say(kind, "True", reason, message, now);
        let busy =
            |pod: &&Typed<Pod>| pod::is_active(pod) || is_leaving(pod) || tracking::is_tracked(pod.object());
        if !look.ledger.uncounted.is_empty() || look.pods.iter().any(busy) {
            return;
        }
        self.say(verdict.last_condition(), "True", reason, message, now);
        let tell = |severity, reason: &str, message: &str| {
            Action::event(look.job.object(), severity, reason, message)
        };
        if verdict.last_condition() != COMPLETE {
            return self.events.push(tell(Severity::Warning, reason, message));
        }
        self.put("completionTime", seconds(now).into());
        if look.spec.completions.is_some_and(|completions| look.ledger.succeeded() > completions) {
            let message = "Too many succeeded pods running after completion count reached";
            self.events.push(tell(Severity::Warning, "TooManySucceededPods", message));
        }
        self.events.push(tell(Severity::Normal, "Completed", "Job completed"));
    }

    fn actions(mut self, look: &Look<'_>) -> Vec<Action> {
        if self.is_changed {
            self.fields.insert("conditions".to_owned(), self.conditions.into());
        }
        if self.fields.is_empty() {
            return self.events;
        }
        // Over no other status than the one it was made from: counts are added up.
        let merge = json!({"status": self.fields});
        let patch = Action::patch_unchanged(&JOBS, look.job.object(), "status", merge);
        std::iter::once(patch).chain(self.events).collect()
    }
}

fn number(count: Option<i32>) -> usize {
    usize::try_from(count.unwrap_or(0)).unwrap_or(0)
}
