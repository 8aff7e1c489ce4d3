//! Jobs.

use super::*;
use api::resource::JOBS;

fn job(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "app:1"}]}}}})
}

fn with(spec: Value) -> Value {
    let mut job = job("j");
    crate::patch::merge(&mut job, json!({"spec": spec}));
    job
}

#[tokio::test(start_paused = true)]
async fn a_job_is_filled_in_and_selects_its_own_pods() {
    let world = start().await;
    let created = world.create(&JOBS, job("j")).await.unwrap();
    let uid = created["metadata"]["uid"].as_str().unwrap();
    let labels = json!({"batch.kubernetes.io/controller-uid": uid, "controller-uid": uid,
        "batch.kubernetes.io/job-name": "j", "job-name": "j"});
    let spec = json!({"parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed",
        "suspend": false, "manualSelector": false, "podReplacementPolicy": "TerminatingOrFailed",
        "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}},
        "template": {"metadata": {"labels": labels}, "spec": {"restartPolicy": "Never"}}});
    let wanted = json!({"metadata": {"generation": 1, "labels": labels}, "spec": spec, "status": {}});
    assert_contains(&created, &wanted, "");
    assert_eq!(created["spec"]["selector"]["matchLabels"].as_object().unwrap().len(), 1);
    assert_eq!(world.update(&JOBS, "j", "", created.clone()).await.unwrap(), created, "twice");
    let row = async |name: &str, spec: Value, wanted: Value| {
        let mut job = with(spec);
        job["metadata"]["name"] = name.into();
        assert_contains(&world.create(&JOBS, job).await.unwrap()["spec"], &wanted, name);
    };
    row("queue", json!({"parallelism": 3}), json!({"parallelism": 3, "completions": null})).await;
    row("fixed", json!({"completions": 3}), json!({"parallelism": 1, "completions": 3})).await;
    let own = json!({"manualSelector": true, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}}});
    let kept = json!({"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {
        "a": "b", "job-name": null}}}});
    row("manual", own, kept).await;
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_jobs_are_named() {
    let world = start().await;
    let row = async |spec: Value, words: &str| {
        let error = world.create(&JOBS, with(spec.clone())).await.expect_err(&spec.to_string());
        let said = error.split_once(" is invalid: ").map_or(error.as_str(), |(_, said)| said);
        assert_eq!(said, words, "{spec}");
    };
    let restart = |policy: Value| json!({"template": {"spec": {"restartPolicy": policy}}});
    let endless = r#"spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never""#;
    row(restart(Value::Null), endless).await;
    row(restart("Always".into()), endless).await;
    row(
        json!({"parallelism": -1, "completions": -1, "backoffLimit": -1, "activeDeadlineSeconds": -1,
            "ttlSecondsAfterFinished": -1}),
        "[spec.parallelism: Invalid value: -1: must be greater than or equal to 0, spec.completions: Invalid value: \
         -1: must be greater than or equal to 0, spec.backoffLimit: Invalid value: -1: must be greater than or equal \
         to 0, spec.ttlSecondsAfterFinished: Invalid value: -1: must be greater than or equal to 0, \
         spec.activeDeadlineSeconds: Invalid value: -1: must be greater than or equal to 0]",
    )
    .await;
    row(
        json!({"completionMode": "Indexed", "parallelism": 100_001}),
        "[spec.completions: Required value: when completion mode is Indexed, spec.parallelism: Invalid value: 100001: \
         must be less than or equal to 100000 when completion mode is Indexed]",
    )
    .await;
    row(
        json!({"completionMode": "x", "podReplacementPolicy": "y", "managedBy": "me"}),
        "[spec.completionMode: Unsupported value: \"x\": supported values: \"Indexed\", \"NonIndexed\", \
         spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path (such as \"acme.io/foo\"), \
         spec.podReplacementPolicy: Unsupported value: \"y\": supported values: \"Failed\", \"TerminatingOrFailed\"]",
    )
    .await;
    row(json!({"manualSelector": true}), "spec.selector: Required value").await;
    let error =
        world.create(&JOBS, with(json!({"selector": {"matchLabels": {"a": "b"}}}))).await.unwrap_err();
    assert!(
        error.contains("spec.template.metadata.labels: Invalid value: ") && error.contains("spec.selector: ")
    );
    assert!(error.ends_with("`selector` not auto-generated]"), "{error}");
    let foreign = json!({"template": {"metadata": {"labels": {"job-name": "other"}}}});
    let error = world.create(&JOBS, with(foreign)).await.unwrap_err();
    assert!(error.contains("spec.template.metadata.labels[job-name]: Invalid value: "), "{error}");
    assert!(error.ends_with("must be 'j'"), "{error}");
    let mut long = with(json!({"completionMode": "Indexed", "completions": 11}));
    long["metadata"]["name"] = "n".repeat(61).into();
    let error = world.create(&JOBS, long).await.unwrap_err();
    assert!(error.contains("metadata.name: Invalid value: "), "{error}");
    assert!(error.contains(": will not able to create pod with invalid DNS label: nnn"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_a_job_cannot_have_yet_is_refused_by_name() {
    let world = start().await;
    let rule = json!({"action": "Ignore", "onExitCodes": {"operator": "In", "values": [1]}});
    let given = json!({"completionMode": "Indexed", "completions": 2, "maxFailedIndexes": 1,
        "backoffLimitPerIndex": 1, "podFailurePolicy": {"rules": [rule]},
        "successPolicy": {"rules": [{"succeededCount": 1}]}});
    let error = world.create(&JOBS, with(given)).await.unwrap_err();
    let fields = ["podFailurePolicy", "successPolicy", "backoffLimitPerIndex", "maxFailedIndexes"];
    let words = fields.map(|field| format!("spec.{field}: Forbidden: is not supported yet")).join(", ");
    assert_eq!(error, format!(r#"Job.batch "j" is invalid: [{words}]"#));
}

#[tokio::test(start_paused = true)]
async fn of_a_job_only_its_pace_can_change() {
    let world = start().await;
    let base =
        json!({"completions": 3, "template": {"spec": {"containers": [{"name": "c", "image": "app:1"}]}}});
    world.create(&JOBS, with(base)).await.unwrap();
    let row = async |patch: Value, words: Option<&str>| {
        let result = world.merge(&JOBS, "j", "", json!({"spec": patch})).await;
        match words {
            None => assert!(result.is_ok(), "{patch}: {result:?}"),
            Some(words) => assert!(result.as_ref().unwrap_err().ends_with(words), "{patch}: {result:?}"),
        }
    };
    row(json!({"parallelism": 2, "backoffLimit": 1, "activeDeadlineSeconds": 9}), None).await;
    row(json!({"ttlSecondsAfterFinished": 9, "suspend": true}), None).await;
    row(json!({"completions": 4}), Some("spec.completions: Invalid value: 4: field is immutable")).await;
    let indexed = Some("spec.completionMode: Invalid value: \"Indexed\": field is immutable");
    row(json!({"completionMode": "Indexed"}), indexed).await;
    row(
        json!({"managedBy": "a.io/b"}),
        Some("spec.managedBy: Invalid value: \"a.io/b\": field is immutable"),
    )
    .await;
    let fixed = Some(": field is immutable");
    row(json!({"template": {"spec": {"containers": [{"name": "c", "image": "app:2"}]}}}), fixed).await;
    // It waits and has not started: whoever admits it from a queue says where it goes.
    let node = json!({"template": {"metadata": {"annotations": {"a": "b"}}, "spec": {
        "nodeSelector": {"disk": "ssd"}, "affinity": {"nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": [
                {"key": "zone", "operator": "In", "values": ["a"]}]}]}}}}}});
    row(node, None).await;
    let started = json!({"status": {"startTime": "2026-01-01T00:00:00Z"}});
    world.merge(&JOBS, "j", "status", started).await.unwrap();
    row(json!({"template": {"spec": {"nodeSelector": {"disk": "hdd"}}}}), fixed).await;
    let elastic = json!({"completionMode": "Indexed", "completions": 2, "parallelism": 2});
    let mut elastic = with(elastic);
    elastic["metadata"]["name"] = "elastic".into();
    world.create(&JOBS, elastic).await.unwrap();
    let grow = async |spec: Value| world.merge(&JOBS, "elastic", "", json!({"spec": spec})).await;
    grow(json!({"completions": 3, "parallelism": 3})).await.unwrap();
    let error = grow(json!({"completions": 5})).await.unwrap_err();
    let words = "spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism";
    assert!(error.ends_with(words), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_job_adds_up() {
    let world = start().await;
    world.create(&JOBS, job("j")).await.unwrap();
    let row = async |status: Value, words: &str| {
        let error = world.merge(&JOBS, "j", "status", json!({"status": status})).await.unwrap_err();
        assert!(error.ends_with(words), "{error}");
    };
    row(json!({"failed": -1}), "status.failed: Invalid value: -1: must be greater than or equal to 0").await;
    row(
        json!({"uncountedTerminatedPods": {"succeeded": ["a"], "failed": ["a"]}}),
        r#"status.uncountedTerminatedPods.failed[0]: Duplicate value: "a""#,
    )
    .await;
    let both = json!([{"type": "Complete", "status": "True"}, {"type": "Failed", "status": "True"}]);
    row(json!({"conditions": both}), "cannot set Complete=True and Failed=true conditions").await;
    let fine = json!({"status": {"succeeded": 1}});
    let reported = world.merge(&JOBS, "j", "status", fine).await.unwrap();
    assert_eq!(
        (&reported["metadata"]["generation"], &reported["status"]["succeeded"]),
        (&json!(1), &json!(1))
    );
}
