//! Guests that pay in fuel: what they need is the same in every run, and their budget and limit hold.

use std::time::Duration;

use super::bench::Bench;
use crate::engine::{Exit, ExitReason};

/// Counts to a number with a call in between, and ends.
const COUNT: &str = r#"(module
    (func $step (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "_start") (local $n i32)
        (loop $again
            (local.set $n (call $step (local.get $n)))
            (br_if $again (i32.lt_u (local.get $n) (i32.const 3000000))))))"#;

const LOOP: &str = r#"(module (func (export "_start") (loop (br 0))))"#;

const TURN: u64 = 1_000_000;

#[tokio::test]
async fn a_guest_needs_the_same_fuel_in_every_run() {
    let bench = Bench::new();
    let program = bench.counted(COUNT).await;
    let mut counts = Vec::new();
    for _ in 0..3 {
        let given = bench.given("count").fueled(None, None);
        assert_eq!(given.start(&*program).exited().await.code, 0);
        counts.push(given.limits.cpu().used_fuel());
    }
    // At least one for each turn of the loop.
    assert!(counts[0] > 3_000_000, "{counts:?}");
    assert_eq!(counts, [counts[0]; 3]);
}

#[tokio::test]
async fn a_budget_ends_a_guest_at_the_same_count_in_every_run() {
    let bench = Bench::new();
    let program = bench.counted(COUNT).await;
    let check = async |budget: u64| {
        let given = bench.given("budget").fueled(None, Some(budget));
        let exit = given.start(&*program).exited().await;
        (exit, given.limits.cpu().used_fuel())
    };
    let spent = Exit {
        code: 137,
        reason: ExitReason::FuelExhausted,
        message: "all the fuel it was given is spent".to_owned(),
    };
    for budget in [1, 999, TURN, 3 * TURN + 7] {
        assert_eq!(check(budget).await, (spent.clone(), budget));
        assert_eq!(check(budget).await, (spent.clone(), budget));
    }
    let (exit, used) = check(1000 * TURN).await;
    assert_eq!((exit.code, exit.reason), (0, ExitReason::Completed));
    // The end of a function is no place where a guest is stopped.
    assert_eq!(check(used - 100).await, (spent.clone(), used - 100));
}

#[tokio::test]
async fn a_limit_holds_in_fuel_whatever_time_that_takes() {
    let bench = Bench::new();
    let given = bench.given("limited").fueled(Some(50), None);
    assert_eq!(given.start(&*bench.counted(COUNT).await).exited().await.code, 0);
    let cpu = given.limits.cpu();
    // A twentieth of a core is 5,000,000 in each period; what one overran the next one lacked.
    let needed = cpu.used_fuel() / (5 * TURN);
    assert!(needed >= 4, "{needed}");
    assert!(cpu.periods().throttled >= needed - 1, "{:?}, {needed} needed", cpu.periods());
    assert!(cpu.held() > Duration::ZERO);
}

#[tokio::test]
async fn guests_in_fuel_and_in_time_run_beside_each_other() {
    let bench = Bench::new();
    let looping = bench.given("loop").fueled(None, None);
    let mut running: Vec<_> = Vec::new();
    let program = bench.counted(LOOP).await;
    for _ in 0..4 {
        let mut container = looping.start(&*program);
        container.started().await.unwrap();
        running.push(container);
    }
    assert_eq!(bench.run(r#"(module (func (export "_start")))"#).await.0.code, 0);
    for mut container in running {
        container.kill();
        assert_eq!(container.exited().await.code, 137);
    }
    assert!(looping.limits.cpu().used() > Duration::ZERO);
}
