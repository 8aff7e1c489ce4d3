//! What a Deployment says about itself in words: whether enough is available, and whether the rollout gets on.

use std::time::Duration;

use api::clock::add;
use api::event::seconds;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::DeploymentCondition;
use serde_json::{Value, json};

use super::status::Numbers;
use super::{Rollout, template};
use crate::replicaset::FAILURE;

/// How long a rollout may take for its next progress unless it is said.
const PROGRESS_DEADLINE_SECONDS: i32 = 600;

/// The reason of a rollout that has come to its end.
const COMPLETE: &str = "NewReplicaSetAvailable";

/// The reason of a rollout that got on for too long.
const TIMED_OUT: &str = "ProgressDeadlineExceeded";

/// A condition to be said.
struct Said {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
    /// Said again although it is the same, as something happened.
    again: bool,
}

/// All conditions, if one of them is other than before.
pub(super) fn change(
    rollout: &Rollout<'_>,
    numbers: &Numbers,
    creates: bool,
    now: Timestamp,
) -> Option<Vec<Value>> {
    let said = [Some(available(rollout, numbers)), progressing(rollout, numbers, creates, now)];
    let status = rollout.deployment.status.as_ref();
    let old = status.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let mut all: Vec<Value> = old.iter().map(|condition| json!(condition)).collect();
    let mut changed = false;
    for said in said.into_iter().flatten() {
        let before = old.iter().find(|condition| condition.type_ == said.kind);
        let same =
            before.is_some_and(|old| old.status == said.status && old.reason.as_deref() == Some(said.reason));
        if same && !said.again {
            continue;
        }
        changed = true;
        let transition = before
            .filter(|old| old.status == said.status)
            .and_then(|old| old.last_transition_time.as_ref())
            .map_or(now, |time| time.0);
        all.retain(|condition| condition["type"] != said.kind);
        all.push(json!({
            "type": said.kind, "status": said.status, "reason": said.reason, "message": said.message,
            "lastUpdateTime": seconds(now), "lastTransitionTime": seconds(transition),
        }));
    }
    changed |= take_over_failure(rollout, old, &mut all);
    changed.then_some(all)
}

/// Says what keeps the ReplicaSets from getting their pods, the new one first, as long as it does. Returns whether that
/// is other than before.
fn take_over_failure(rollout: &Rollout<'_>, old: &[DeploymentCondition], all: &mut Vec<Value>) -> bool {
    let failure = rollout.new.into_iter().chain(rollout.old.iter().copied()).find_map(|set| {
        let conditions = set.status.as_ref()?.conditions.as_deref()?;
        conditions.iter().find(|condition| condition.type_ == FAILURE)
    });
    let before = old.iter().find(|condition| condition.type_ == FAILURE);
    let same = match (failure, before) {
        (Some(failure), Some(before)) => {
            (&failure.status, &failure.reason, &failure.message)
                == (&before.status, &before.reason, &before.message)
        }
        (failure, before) => failure.is_none() && before.is_none(),
    };
    if same {
        return false;
    }
    all.retain(|condition| condition["type"] != FAILURE);
    all.extend(failure.map(|failure| {
        json!({
            "type": FAILURE, "status": failure.status, "reason": failure.reason, "message": failure.message,
            "lastUpdateTime": failure.last_transition_time, "lastTransitionTime": failure.last_transition_time,
        })
    }));
    true
}

fn available(rollout: &Rollout<'_>, numbers: &Numbers) -> Said {
    let fewest = rollout.bounds.desired - rollout.bounds.unavailable.min(rollout.bounds.desired);
    let enough = numbers.available >= fewest;
    let words = match enough {
        true => ("True", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        false => ("False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."),
    };
    let (status, reason, message) = (words.0, words.1, words.2.to_owned());
    Said { kind: "Available", status, reason, message, again: false }
}

fn current<'a>(rollout: &'a Rollout<'_>) -> Option<&'a DeploymentCondition> {
    let status = rollout.deployment.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_deref());
    conditions?.iter().find(|condition| condition.type_ == "Progressing")
}

fn progressing(rollout: &Rollout<'_>, numbers: &Numbers, creates: bool, now: Timestamp) -> Option<Said> {
    deadline_seconds(rollout)?;
    let condition = current(rollout);
    let reason = condition.and_then(|condition| condition.reason.as_deref());
    let say = |status, reason, message: String| {
        Some(Said { kind: "Progressing", status, reason, message, again: false })
    };
    let set = || match rollout.new {
        Some(new) => format!("ReplicaSet {:?}", new.object().name()),
        None => format!("Deployment {:?}", rollout.deployment.object().name()),
    };
    if rollout.is_paused() {
        let told = matches!(reason, Some(TIMED_OUT));
        return if told { None } else { say("Unknown", "DeploymentPaused", "Deployment is paused".into()) };
    }
    if reason == Some("DeploymentPaused") {
        return say("Unknown", "DeploymentResumed", "Deployment is resumed".into());
    }
    if creates {
        let name = template::set_name(rollout.deployment);
        return say("True", "NewReplicaSetCreated", format!("Created new replica set {name:?}"));
    }
    if reason == Some(COMPLETE) && numbers.replicas == numbers.updated {
        return None;
    }
    if super::status::is_complete(rollout) {
        return say("True", COMPLETE, format!("{} has successfully progressed.", set()));
    }
    let old = Numbers::said(rollout.deployment);
    let got_on = numbers.updated > old.updated
        || numbers.replicas - numbers.updated < old.replicas - old.updated
        || numbers.ready > old.ready
        || numbers.available > old.available;
    if got_on {
        let progress = say("True", "ReplicaSetUpdated", format!("{} is progressing.", set()));
        return progress.map(|said| Said { again: true, ..said });
    }
    if deadline_of(rollout).is_some_and(|deadline| deadline <= now) {
        return say("False", TIMED_OUT, format!("{} has timed out progressing.", set()));
    }
    match (condition, rollout.new) {
        (None, Some(new)) => {
            let message = format!("Found new replica set {:?}", new.object().name());
            say("True", "FoundNewReplicaSet", message)
        }
        _ => None,
    }
}

fn deadline_seconds(rollout: &Rollout<'_>) -> Option<i32> {
    let spec = rollout.deployment.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.progress_deadline_seconds);
    // The greatest number is how one says that there is none.
    Some(seconds.unwrap_or(PROGRESS_DEADLINE_SECONDS)).filter(|seconds| *seconds != i32::MAX)
}

/// When the rollout has taken too long, if it is under way.
fn deadline_of(rollout: &Rollout<'_>) -> Option<Timestamp> {
    let seconds = u64::try_from(deadline_seconds(rollout)?).unwrap_or(0);
    let condition = current(rollout)?;
    if matches!(condition.reason.as_deref(), Some(COMPLETE | TIMED_OUT)) {
        return None;
    }
    let since = condition.last_update_time.as_ref()?.0;
    Some(add(since, Duration::from_secs(seconds)))
}

/// When to look again whether it has taken too long.
pub(super) fn deadline(rollout: &Rollout<'_>, now: Timestamp) -> Option<Timestamp> {
    if rollout.is_paused() {
        return None;
    }
    deadline_of(rollout).filter(|deadline| *deadline > now)
}
