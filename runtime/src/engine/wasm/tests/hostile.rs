//! Guests that trap, loop, eat memory or print without end: each costs its own container only.

use api::Clock;

use super::bench::Bench;
use crate::engine::ExitReason;

const TRAP: &str = r#"(module (func $inner unreachable) (func (export "_start") (call $inner)))"#;

const LOOP: &str = r#"(module (func (export "_start") (loop (br 0))))"#;

/// Grows until it is refused, then does what `after` says.
fn eater(after: &str) -> String {
    format!(
        r#"(module
            (memory 1)
            (func (export "_start")
                (loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
                {after}))"#
    )
}

const PRINT: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\08\00\00\00\00\10\00\00")
    (func (export "_start")
        (memory.fill (i32.const 8) (i32.const 10) (i32.const 4096))
        (loop (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8192))) (br 0))))"#;

const MIB: u64 = 1 << 20;

#[tokio::test]
async fn a_trap_ends_with_134_and_its_backtrace_in_the_log() {
    let bench = Bench::new();
    let (exit, output) = bench.run(TRAP).await;
    assert_eq!((exit.code, exit.reason), (134, ExitReason::Error));
    assert_eq!(exit.message, "wasm trap: wasm `unreachable` instruction executed");
    for expected in ["!inner", "wasm backtrace", "instruction executed"] {
        assert!(output.contains(expected), "{output}");
    }
}

#[tokio::test]
async fn endless_recursion_is_a_trap() {
    let bench = Bench::new();
    let (exit, _) = bench.run(r#"(module (func $f (export "_start") (call $f) (call $f)))"#).await;
    assert_eq!((exit.code, exit.message.as_str()), (134, "wasm trap: call stack exhausted"));
}

#[tokio::test]
async fn a_loop_ends_when_asked_and_others_run_beside_it() {
    let bench = Bench::new();
    let program = bench.text(LOOP).await;
    // More than there are cores, with and without a limit.
    let given: Vec<_> = (0..6)
        .map(|index| {
            let millis = (index % 2 == 0).then_some(50);
            bench.given(&format!("loop-{index}")).limited(None, millis)
        })
        .collect();
    let mut loops: Vec<_> = given.iter().map(|given| given.start(&*program)).collect();
    for container in &mut loops {
        container.started().await.unwrap();
    }
    assert_eq!(bench.run(r#"(module (func (export "_start")))"#).await.0.code, 0);
    for (index, container) in loops.iter_mut().enumerate() {
        let code = if index < 3 { 143 } else { 137 };
        if index < 3 {
            container.terminate();
        } else {
            container.kill();
        }
        let exit = container.exited().await;
        assert_eq!((exit.code, exit.reason), (code, ExitReason::Error));
        assert_eq!(container.exited().await, exit);
    }
}

#[tokio::test]
async fn a_loop_ends_when_its_container_is_dropped() {
    let bench = Bench::new();
    let program = bench.text(LOOP).await;
    let given = bench.given("loop");
    let mut container = given.start(&*program);
    container.started().await.unwrap();
    drop(container);
    // Its log ends when the last that it held is gone.
    assert_eq!(given.output().await, "");
}

#[tokio::test]
async fn under_virtual_time_a_loop_lets_time_pass() {
    tokio::time::pause();
    let start = "2026-01-01T00:00:00Z".parse().unwrap();
    let clock = Clock::virtual_from(start);
    let bench = Bench::at(clock.clone());
    let given = bench.given("loop").limited(None, Some(100));
    let mut container = given.start(&*bench.text(LOOP).await);
    container.started().await.unwrap();
    clock.sleep(std::time::Duration::from_secs(1)).await;
    // A tenth of a core for a second, in turns of a millisecond.
    assert_eq!(given.limits.cpu_used().as_millis(), 100);
    container.terminate();
    assert_eq!(container.exited().await.code, 143);
}

#[tokio::test]
async fn an_eater_of_memory_is_out_of_memory_if_it_fails_of_it() {
    let bench = Bench::new();
    let check = async |after: &str, code: i32, reason: ExitReason| {
        let given = bench.given("eater").limited(Some(8 * MIB), None);
        let mut container = given.start(&*bench.text(&eater(after)).await);
        let exit = container.exited().await;
        assert_eq!((exit.code, exit.reason), (code, reason), "{after}");
        drop(container);
        given.output().await;
        assert_eq!(given.limits.memory_used(), 0);
    };
    check("unreachable", 137, ExitReason::OomKilled).await;
    check("", 0, ExitReason::Completed).await;
}

#[tokio::test]
async fn a_program_larger_than_its_limit_is_out_of_memory_at_once() {
    let bench = Bench::new();
    let given = bench.given("large").limited(Some(MIB), None);
    let program = bench.text(r#"(module (memory 17) (func (export "_start")))"#).await;
    let mut container = given.start(&*program);
    container.started().await.unwrap();
    let exit = container.exited().await;
    assert_eq!((exit.code, exit.reason), (137, ExitReason::OomKilled));
}

#[tokio::test]
async fn tables_count_as_memory() {
    let bench = Bench::new();
    let given = bench.given("tables").limited(Some(64 << 10), None);
    let grower = r#"(module
        (table 0 funcref)
        (func (export "_start")
            (if (i32.eq (table.grow (ref.null func) (i32.const 8193)) (i32.const -1)) (then unreachable))))"#;
    let mut container = given.start(&*bench.text(grower).await);
    assert_eq!(container.exited().await.reason, ExitReason::OomKilled);
}

#[tokio::test]
async fn memory_shared_between_threads_is_refused() {
    // It could not be counted.
    let bench = Bench::new();
    let refusal = bench.refusal(r#"(module (memory 1 2 shared) (func (export "_start")))"#).await;
    assert!(refusal.contains("memory is shared which is not supported"), "{refusal}");
}

#[tokio::test]
async fn endless_output_is_throttled_and_its_log_bounded() {
    let bench = Bench::new();
    let given = bench.given("print");
    let mut container = given.start(&*bench.text(PRINT).await);
    container.started().await.unwrap();
    // More than its log may hold.
    given.lines(10_000).await;
    assert_eq!(bench.run(r#"(module (func (export "_start")))"#).await.0.code, 0);
    container.terminate();
    assert_eq!(container.exited().await.code, 143);
    let bound = 2 * (64 << 10) + 4096;
    assert!(given.log_bytes() <= bound, "{} bytes", given.log_bytes());
}
