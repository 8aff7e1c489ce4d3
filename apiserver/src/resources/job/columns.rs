//! How kubectl shows jobs.

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;

use crate::builtin::Column;
use crate::cells;

pub(super) const COLUMNS: &[Column] = &[
    cells::NAME,
    cells::text("Status", "What has become of the job."),
    cells::text("Completions", "Pods that succeeded, of those that must."),
    cells::text("Duration", "Time from the start of the job to its completion, or until now."),
    cells::AGE,
    cells::CONTAINERS,
    cells::IMAGES,
    cells::SELECTOR,
];

pub(super) fn row(job: &Job, now: Timestamp) -> Vec<Value> {
    let spec = job.spec.as_ref();
    let [containers, images] = cells::template(spec.map(|spec| &spec.template));
    vec![
        cells::name(&job.metadata),
        status(job).into(),
        completions(job).into(),
        duration(job, now).into(),
        cells::age(&job.metadata, now),
        containers,
        images,
        cells::selector(spec.and_then(|spec| spec.selector.as_ref())),
    ]
}

fn status(job: &Job) -> &'static str {
    let is = |wanted: &str| {
        let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.into_iter().any(|condition| condition.type_ == wanted && condition.status == "True")
    };
    let terminating = job.metadata.deletion_timestamp.is_some();
    let known = [
        ("Complete", is("Complete")),
        ("Failed", is("Failed")),
        ("Terminating", terminating),
        ("Suspended", is("Suspended")),
        ("FailureTarget", is("FailureTarget")),
        ("SuccessCriteriaMet", is("SuccessCriteriaMet")),
    ];
    known.into_iter().find_map(|(status, holds)| holds.then_some(status)).unwrap_or("Running")
}

/// A job without a number of completions is complete with the first pod that knows it is done.
fn completions(job: &Job) -> String {
    let succeeded = job.status.as_ref().and_then(|status| status.succeeded).unwrap_or(0);
    let spec = job.spec.as_ref();
    let wanted = spec.and_then(|spec| spec.completions);
    let parallelism = spec.and_then(|spec| spec.parallelism).unwrap_or(0);
    match wanted {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        None => format!("{succeeded}/1"),
    }
}

fn duration(job: &Job, now: Timestamp) -> String {
    let Some(status) = &job.status else {
        return String::new();
    };
    let end = status.completion_time.as_ref().map_or(now, |time| time.0);
    status.start_time.as_ref().map_or_else(String::new, |start| cells::since(Some(start.0), end))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn jobs_are_shown_as_by_kubectl() {
        let now: Timestamp = "2026-01-01T00:10:00Z".parse().unwrap();
        let check = |spec: Value, status: Value, wanted: [&str; 3]| {
            let template = json!({"spec": {"containers": [{"name": "c", "image": "app:1"}]}});
            let selector = json!({"matchLabels": {"a": "b"}});
            let mut job = json!({"metadata": {"name": "j", "creationTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"template": template, "selector": selector}, "status": status});
            crate::patch::merge(&mut job["spec"], spec);
            let cells = row(&serde_json::from_value(job).unwrap(), now);
            assert_eq!(cells.len(), COLUMNS.len());
            assert_eq!(cells[1..4], wanted.map(Value::from));
            assert_eq!((&cells[0], &cells[4]), (&json!("j"), &json!("10m")));
            assert_eq!(cells[5..], ["c", "app:1", "a=b"].map(Value::from));
        };
        let condition = |kind: &str| json!([{"type": kind, "status": "True"}]);
        check(json!({"completions": 3}), json!({}), ["Running", "0/3", ""]);
        let done = json!({"succeeded": 1, "conditions": condition("Complete"),
            "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:07Z"});
        check(json!({"completions": 1}), done, ["Complete", "1/1", "7s"]);
        let failed = json!({"conditions": condition("Failed"), "startTime": "2026-01-01T00:05:00Z"});
        check(json!({"parallelism": 2}), failed, ["Failed", "0/1 of 2", "5m"]);
        check(
            json!({"parallelism": 1}),
            json!({"conditions": condition("Suspended")}),
            ["Suspended", "0/1", ""],
        );
        let not = json!([{"type": "Complete", "status": "False"}]);
        check(json!({"completions": 2}), json!({"conditions": not}), ["Running", "0/2", ""]);
    }
}
