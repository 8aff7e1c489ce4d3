//! Guests and clients that mean harm: each costs its own pod only, and an innocent one beside it answers every request.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use api::resource::PODS;
use api::{Key, Object};
use runtime::node::usage::ContainerUsage;
use tests::hostile::{ALL, Hostile, MEMORY_LIMIT, Neighbourhood};

/// How often the innocent pod is asked beside each.
const REQUESTS: usize = 100;

fn named(name: &str) -> &'static Hostile {
    ALL.iter().find(|hostile| hostile.name == name).unwrap()
}

/// Every request to the innocent pod is answered, and the hostile pod never holds more than it may.
async fn innocent_answers(neighbourhood: &Neighbourhood, hostile: &Hostile) -> Result<()> {
    for _ in 0..REQUESTS {
        neighbourhood.ask().await.with_context(|| format!("beside {}", hostile.name))?;
        let held = neighbourhood.memory_of(hostile);
        assert!(held <= MEMORY_LIMIT, "{} holds {held} bytes", hostile.name);
    }
    Ok(())
}

/// Lets each of them in, one after the other.
async fn cost_only_themselves(names: &[&str]) -> Result<()> {
    let neighbourhood = Neighbourhood::start().await?;
    for hostile in names.iter().map(|name| named(name)) {
        let attackers = neighbourhood.let_in(hostile, Some("500m")).await?;
        innocent_answers(&neighbourhood, hostile).await?;
        match hostile.ends {
            Some((code, reason)) => {
                let end = neighbourhood.end_of(hostile).await?;
                assert_eq!(end, (code, reason.to_owned()), "{}", hostile.name);
            }
            None => assert_eq!(neighbourhood.has_ended(hostile), None, "{}", hostile.name),
        }
        drop(attackers);
        neighbourhood.throw_out(hostile).await?;
        neighbourhood.ask().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_that_fail_end_with_the_right_reason() -> Result<()> {
    cost_only_themselves(&["trap", "recursion", "memory", "memories", "tables"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_that_compute_without_end_leave_the_threads_to_others() -> Result<()> {
    cost_only_themselves(&["spin", "fill", "random"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guests_that_wear_out_the_host_are_bounded() -> Result<()> {
    cost_only_themselves(&["print", "handles", "readdir"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_change_places_with_folders_lead_nowhere() -> Result<()> {
    cost_only_themselves(&["links"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_flood_a_pod_reach_only_that_pod() -> Result<()> {
    cost_only_themselves(&["flood", "unread-bodies", "unread-answers"]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_dawdle_hold_up_only_one_pod() -> Result<()> {
    cost_only_themselves(&["slow-bodies", "slow-heads", "large-headers"]).await
}

#[test]
fn every_kind_of_harm_is_tried() {
    let source = include_str!("hostile.rs");
    for hostile in &ALL {
        assert!(source.contains(&format!("\"{}\"", hostile.name)), "{} is not tried", hostile.name);
    }
}

/// Runs a guest that never ends until `is_held_back` says that it is; meanwhile the innocent pod answers. Deleted, it ends
/// as SIGTERM ends a program by default.
async fn is_held_back_until_deleted(
    name: &str,
    is_held_back: impl Fn(&ContainerUsage, &Path) -> bool,
) -> Result<()> {
    let (neighbourhood, hostile) = (Neighbourhood::start().await?, named(name));
    let mut states = neighbourhood.cluster.states(&PODS, name);
    let _attackers = neighbourhood.let_in(hostile, Some("100m")).await?;
    let log = neighbourhood.cluster.log(name).await.context("a log")?;
    let node = &neighbourhood.cluster.cluster.node;
    while !node.usage(&Key::new("default", name)).iter().any(|usage| is_held_back(usage, log.path())) {
        innocent_answers(&neighbourhood, hostile).await?;
    }
    neighbourhood.throw_out(hostile).await?;
    let code = |pod: &Object| {
        pod.value()["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"].as_i64()
    };
    let has_ended = |pod: &Option<Object>| pod.as_ref().and_then(code).is_some();
    let ended = tokio::time::timeout(Duration::from_secs(60), states.wait_for(has_ended)).await;
    let last = ended.context("a state with the end")??.clone().context("a last state")?;
    assert_eq!(code(&last), Some(143));
    innocent_answers(&neighbourhood, hostile).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_loops_is_held_to_its_cpu_limit() -> Result<()> {
    is_held_back_until_deleted("spin", |usage, _| usage.throttled > Duration::ZERO).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_prints_without_end_is_slowed_down_and_its_log_rotated_at_a_bound() -> Result<()> {
    let bounds = tests::real::LOGS;
    let is_held_back = move |usage: &ContainerUsage, log: &Path| {
        // A file may be put aside, or not be there yet, while we look.
        let files = fs::read_dir(log.parent().unwrap()).into_iter().flatten().flatten();
        let sizes: Vec<u64> = files.filter_map(|file| Some(file.metadata().ok()?.len())).collect();
        assert!(sizes.len() <= bounds.max_files, "{sizes:?}");
        // A file is put aside once it has reached the bound, so the entries of one write may lie beyond it.
        assert!(sizes.iter().all(|size| *size < bounds.max_bytes + (64 << 10)), "{sizes:?}");
        sizes.len() == bounds.max_files && usage.log_throttled > Duration::ZERO
    };
    is_held_back_until_deleted("print", is_held_back).await
}
