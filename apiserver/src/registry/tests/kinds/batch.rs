//! CronJobs.

use super::*;
use api::resource::CRON_JOBS;

fn cron_job() -> Value {
    json!({"metadata": {"name": "c"}, "spec": {"schedule": "*/5 * * * *", "jobTemplate": {"spec": {
        "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "app:1"}]}}}}}})
}

#[tokio::test(start_paused = true)]
async fn a_cron_job_is_filled_in_and_shown() {
    let world = start().await;
    let wanted = json!({"spec": {"concurrencyPolicy": "Allow", "suspend": false, "failedJobsHistoryLimit": 1,
        "successfulJobsHistoryLimit": 3, "jobTemplate": {"spec": {"completions": null,
            "template": {"spec": {"dnsPolicy": "ClusterFirst"}}}}}, "status": {}});
    world.filled(&CRON_JOBS, cron_job(), wanted).await;
    let wanted = json!(["c", "*/5 * * * *", "<none>", "False", 0, "<none>", "0s", "c", "app:1", "<none>"]);
    assert_eq!(Value::from(world.cells(&CRON_JOBS, "c").await), wanted);
    let paused = json!({"spec": {"suspend": true, "timeZone": "Europe/Berlin"}});
    world.merge(&CRON_JOBS, "c", "", paused).await.unwrap();
    let status = json!({"status": {"lastScheduleTime": "2025-12-31T23:59:50Z", "active": [{"name": "c-1"}]}});
    world.merge(&CRON_JOBS, "c", "status", status).await.unwrap();
    let wanted = json!(["c", "*/5 * * * *", "Europe/Berlin", "True", 1, "10s", "0s", "c", "app:1", "<none>"]);
    assert_eq!(Value::from(world.cells(&CRON_JOBS, "c").await), wanted);
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_cron_jobs_are_named() {
    let world = start().await;
    let row = async |patch: Value, words: &str| {
        refuse(&world, &CRON_JOBS, &cron_job(), json!({"spec": patch}), words).await;
    };
    row(json!({"schedule": ""}), "spec.schedule: Required value").await;
    row(
        json!({"schedule": "* * *"}),
        "spec.schedule: Invalid value: \"* * *\": expected exactly 5 fields, found 3: [* * *]",
    )
    .await;
    row(
        json!({"schedule": "CRON_TZ=UTC * * * * *"}),
        "spec.schedule: Invalid value: \"CRON_TZ=UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone \
         field instead",
    )
    .await;
    row(
        json!({"timeZone": "Mars/Base"}),
        "spec.timeZone: Invalid value: \"Mars/Base\": unknown time zone Mars/Base",
    )
    .await;
    row(
        json!({"timeZone": "europe/berlin"}),
        "spec.timeZone: Invalid value: \"europe/berlin\": unknown time zone europe/berlin",
    )
    .await;
    row(
        json!({"timeZone": "Local"}),
        "spec.timeZone: Invalid value: \"Local\": timeZone must be an explicit time zone as defined in \
         https://www.iana.org/time-zones",
    )
    .await;
    row(
        json!({"concurrencyPolicy": "x", "startingDeadlineSeconds": -1, "failedJobsHistoryLimit": -1}),
        "[spec.startingDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0, \
         spec.concurrencyPolicy: Unsupported value: \"x\": supported values: \"Allow\", \"Forbid\", \"Replace\", \
         spec.failedJobsHistoryLimit: Invalid value: -1: must be greater than or equal to 0]",
    )
    .await;
    row(
        json!({"jobTemplate": {"spec": {"manualSelector": true, "selector": {"matchLabels": {"a": "b"}},
            "parallelism": -1, "template": {"spec": {"restartPolicy": "Always"}}}}}),
        "[spec.jobTemplate.spec.parallelism: Invalid value: -1: must be greater than or equal to 0, \
         spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\", \
         spec.jobTemplate.spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: `selector` will be \
         auto-generated, spec.jobTemplate.spec.manualSelector: Unsupported value: true: supported values: \"nil\", \
         \"false\"]",
    )
    .await;
    let mut long = cron_job();
    long["metadata"]["name"] = "n".repeat(53).into();
    let error = world.create(&CRON_JOBS, long).await.unwrap_err();
    assert!(error.ends_with(": must be no more than 52 characters"), "{error}");
}
