//! Tests of when probes ask and what their answers mean.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Container;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn probes(mut parts: Value) -> Probes {
    parts["name"] = "a".into();
    let container: Container = serde_json::from_value(parts).expect("a container");
    Probes::of(&container)
}

fn after(seconds: u64) -> Timestamp {
    add(START, Duration::from_secs(seconds))
}

/// Lets time pass from one question to the next, answers each at once as `answers` say, until they say no more, and
/// tells what was asked when and what came of it. Answers: `+` yes, `-` no, `?` not to be told.
fn history(parts: Value, answers: &[(ProbeKind, &str)]) -> String {
    let mut prober = Prober::begin(&probes(parts), 0, START, START);
    let mut answers: BTreeMap<ProbeKind, _> =
        answers.iter().map(|(kind, marks)| (*kind, marks.chars())).collect();
    let mut told = Vec::new();
    while let Some(now) = prober.wake_at() {
        for kind in prober.due(now) {
            let Some(mark) = answers.get_mut(&kind).and_then(Iterator::next) else {
                return told.join(" ");
            };
            let success = match mark {
                '+' => Some(true),
                '-' => Some(false),
                _ => None,
            };
            let turn = match prober.answered(kind, success, now) {
                None => "",
                Some(Turn::Started) => "started",
                Some(Turn::Ready(true)) => "ready",
                Some(Turn::Ready(false)) => "unready",
                Some(Turn::Failed) => "failed",
            };
            let letter = kind.word()[..1].to_lowercase();
            told.push(format!("{}{letter}{mark}{turn}", now.as_second()));
        }
    }
    told.join(" ") + " end"
}

fn check(parts: Value, answers: &[(ProbeKind, &str)], expected: &str) {
    assert_eq!(history(parts.clone(), answers), expected, "{parts} {answers:?}");
}

use ProbeKind::{Liveness, Readiness, Startup};

#[test]
fn readiness_turns_when_enough_answers_in_a_row_agree() {
    let probe = |more: Value| {
        let mut probe = json!({"tcpSocket": {"port": 80}, "periodSeconds": 5});
        probe.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        json!({"readinessProbe": probe})
    };
    check(
        probe(json!({})),
        &[(Readiness, "-++--+---+")],
        "0r- 5r+ready 10r+ 15r- 20r- 25r+ 30r- 35r- 40r-unready 45r+ready",
    );
    check(
        probe(json!({"failureThreshold": 1, "successThreshold": 2})),
        &[(Readiness, "+-++-")],
        "0r+ 5r- 10r+ 15r+ready 20r-unready",
    );
    check(probe(json!({"initialDelaySeconds": 7})), &[(Readiness, "+")], "7r+ready");
}

#[test]
fn an_answer_that_could_not_be_told_counts_neither_way() {
    let readiness = json!({"readinessProbe": {"failureThreshold": 2}});
    check(readiness, &[(Readiness, "?+-?-")], "0r? 10r+ready 20r- 30r? 40r-unready");
    let liveness = json!({"livenessProbe": {"failureThreshold": 2}});
    check(liveness, &[(Liveness, "????-?-")], "0l? 10l? 20l? 30l? 40l- 50l? 60l-failed end");
}

#[test]
fn a_container_that_fails_liveness_is_asked_no_more() {
    let parts = json!({"livenessProbe": {"periodSeconds": 1}});
    check(parts, &[(Liveness, "+--+---")], "0l+ 1l- 2l- 3l+ 4l- 5l- 6l-failed end");
    let parts = json!({"livenessProbe": {"periodSeconds": 1, "failureThreshold": 1}, "readinessProbe": {}});
    let answers = [(Liveness, "-"), (Readiness, "++")];
    check(parts, &answers, "0l-failed 0r+ready 10r+");
}

#[test]
fn others_wait_until_the_startup_probe_succeeds() {
    let parts = json!({
        "startupProbe": {"periodSeconds": 3, "failureThreshold": 4},
        "livenessProbe": {"initialDelaySeconds": 8},
        "readinessProbe": {"initialDelaySeconds": 5},
    });
    let answers = [(Startup, "--+"), (Readiness, "-+"), (Liveness, "+")];
    check(parts.clone(), &answers, "0s- 3s- 6s+started 6r- 8l+ 16r+ready");
    check(parts, &[(Startup, "-----")], "0s- 3s- 6s- 9s- 12s-failed end");
}

#[test]
fn a_container_has_as_long_to_start_as_its_spec_says() {
    let parts =
        json!({"startupProbe": {"periodSeconds": 20, "failureThreshold": 1, "initialDelaySeconds": 5}});
    check(parts.clone(), &[(Startup, "+")], "5s+started end");
    check(parts, &[(Startup, "--")], "5s- 25s-failed end");
}

#[test]
fn what_no_probe_asks_holds() {
    let check = |parts: Value, is_started, is_ready| {
        let prober = Prober::begin(&probes(parts.clone()), 0, START, START);
        assert_eq!((prober.is_started(), prober.is_ready()), (is_started, is_ready), "{parts}");
    };
    check(json!({}), true, true);
    check(json!({"livenessProbe": {}}), true, true);
    check(json!({"readinessProbe": {}}), true, false);
    check(json!({"startupProbe": {}}), false, false);
}

#[test]
fn liveness_is_asked_after_a_share_of_its_period() {
    let check = |seed, expected_millis| {
        let prober = Prober::begin(&probes(json!({"livenessProbe": {}})), seed, START, START);
        let first = prober.wake_at().expect("it asks");
        assert_eq!(first.as_millisecond(), expected_millis);
    };
    check(0, 0);
    check(1 << 15, 5000);
    check(u64::MAX, 9999);
}

#[test]
fn what_takes_long_is_asked_again_at_once_and_then_in_the_old_rhythm() {
    let check = |seconds, expected| {
        let next = next(START, Duration::from_secs(10), after(seconds));
        assert_eq!(next, after(expected), "answered after {seconds} s");
    };
    check(0, 10);
    check(9, 10);
    check(10, 10);
    check(11, 10);
    check(29, 20);
}

#[test]
fn a_pod_that_stops_is_asked_only_whether_it_is_ready() {
    let parts = json!({"livenessProbe": {}, "readinessProbe": {}});
    let mut prober = Prober::begin(&probes(parts), 0, START, START);
    prober.stop();
    assert_eq!(prober.due(START), [Readiness]);
    assert_eq!(prober.answered(Liveness, Some(false), START), None);
    assert_eq!(prober.answered(Readiness, Some(true), START), Some(Turn::Ready(true)));
    prober.end();
    assert_eq!((prober.wake_at(), prober.is_ready()), (None, true));
}

proptest! {
    /// Whatever is answered, and however late: questions come in order and never two at once, each turn is one, and a
    /// container is ready only after as many successes as its probe wants.
    #[test]
    fn probes_keep_their_promises(
        has_startup: bool,
        thresholds in (1..4i32, 1..4i32),
        period in 1..5u64,
        answers in prop::collection::vec((0..3u8, 0..12u64), 1..60),
    ) {
        let probe = json!({
            "periodSeconds": period, "successThreshold": thresholds.0, "failureThreshold": thresholds.1,
        });
        let mut parts = json!({"readinessProbe": probe, "livenessProbe": {"periodSeconds": period}});
        if has_startup {
            parts["startupProbe"] = json!({"periodSeconds": period});
        }
        let mut prober = Prober::begin(&probes(parts), 7, START, START);
        let (mut now, mut successes, mut failures) = (START, 0, 0);
        for (answer, late) in answers {
            let Some(time) = prober.wake_at() else { break };
            now = time.max(now);
            let due = prober.due(now);
            prop_assert!(!due.is_empty());
            prop_assert!(prober.due(now).is_empty(), "asked twice");
            now = add(now, Duration::from_secs(late));
            for kind in due {
                prop_assert!(prober.is_started() || kind == Startup, "{kind:?} before the start");
                let (was_ready, success) = (prober.is_ready(), (answer < 2).then_some(answer == 0));
                if kind == Readiness {
                    match success {
                        Some(true) => (successes, failures) = (successes + 1, 0),
                        Some(false) => (successes, failures) = (0, failures + 1),
                        None => {}
                    }
                }
                let turn = prober.answered(kind, success, now);
                match turn {
                    Some(Turn::Ready(ready)) => {
                        prop_assert_eq!((was_ready, prober.is_ready()), (!ready, ready));
                        let (run, wanted) =
                            if ready { (successes, thresholds.0) } else { (failures, thresholds.1) };
                        prop_assert_eq!(run, wanted);
                    }
                    Some(Turn::Started) => prop_assert!(kind == Startup && prober.is_started()),
                    Some(Turn::Failed) => prop_assert!(kind != Readiness && success == Some(false)),
                    None => prop_assert_eq!(prober.is_ready(), was_ready),
                }
                prop_assert_eq!(prober.answered(kind, Some(true), now), None, "answered twice");
            }
        }
    }
}
