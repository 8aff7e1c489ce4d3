//! What may be decided about a request for a certificate, where, and when it was.

use api::event;
use api::field::FieldError;
use jiff::Timestamp;
use serde_json::Value;

use crate::tree;

/// What people decide, and nobody else.
const APPROVALS: [&str; 2] = ["Approved", "Denied"];
/// What is never taken back.
const FINAL: [&str; 3] = ["Approved", "Denied", "Failed"];
const CONDITIONS: &str = "status.conditions";

/// Says of each condition when it came and when it was last changed.
pub(super) fn date(new: &mut Value, old: &Value, now: Timestamp) {
    let Some(status) = tree::field(new, "status") else { return };
    let now = event::seconds(now);
    for condition in tree::items(status, "conditions").filter(|condition| condition.is_object()) {
        if tree::text(condition, "lastUpdateTime").is_none() {
            tree::set(condition, "lastUpdateTime", Some(now.as_str().into()));
        }
        if tree::text(condition, "lastTransitionTime").is_none() {
            let before = conditions(old, condition["type"].as_str().unwrap_or_default())
                .find(|before| before["status"] == condition["status"])
                .and_then(|before| before.get("lastTransitionTime"));
            let since = before.cloned().unwrap_or_else(|| now.as_str().into());
            tree::set(condition, "lastTransitionTime", Some(since));
        }
    }
}

/// Approvals are given in one place, certificates in another, and neither is taken back.
pub(super) fn check(part: &str, new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let count = |of: &Value, kind: &str| conditions(of, kind).count();
    for kind in FINAL {
        if count(new, kind) < count(old, kind) {
            let words = format!("updates may not remove a condition of type {kind:?}");
            errors.push(FieldError::forbidden(CONDITIONS, words));
        }
    }
    if part != "approval" {
        for kind in APPROVALS {
            let words = match count(new, kind).cmp(&count(old, kind)) {
                std::cmp::Ordering::Greater => "add",
                std::cmp::Ordering::Equal if !conditions(new, kind).eq(conditions(old, kind)) => "modify",
                _ => continue,
            };
            let words = format!("updates may not {words} a condition of type {kind:?}");
            errors.push(FieldError::forbidden(CONDITIONS, words));
        }
    }
    let certificate = |of: &Value| tree::text(&of["status"], "certificate").map(str::to_owned);
    if certificate(old).is_some() && certificate(new) != certificate(old) {
        let words = "updates may not modify existing certificate content";
        errors.push(FieldError::forbidden("status.certificate", words));
    }
}

fn conditions<'a>(of: &'a Value, kind: &str) -> impl Iterator<Item = &'a Value> {
    let conditions = of["status"]["conditions"].as_array().into_iter().flatten();
    conditions.filter(move |condition| condition["type"] == kind)
}
