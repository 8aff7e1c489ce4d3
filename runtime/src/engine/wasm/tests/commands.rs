//! Commands: what they see, and how they end.

use std::sync::Arc;

use super::bench::Bench;
use crate::engine::ExitReason;

/// Prints a text and leaves with a code.
fn greeter(text: &str, code: i32) -> String {
    let length = text.len();
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\08\00\00\00\{length:02x}\00\00\00{text}")
            (func (export "_start")
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 1024)))
                (call $exit (i32.const {code}))))"#
    )
}

#[tokio::test]
async fn a_command_ends_with_its_own_code() {
    let bench = Bench::new();
    let check = async |text: &str, code: i32, reason: ExitReason| {
        let (exit, output) = bench.run(text).await;
        assert_eq!((exit.code, exit.reason, exit.message.as_str()), (code, reason, ""), "{output}");
        output
    };
    assert_eq!(check(&greeter("hello", 0), 0, ExitReason::Completed).await, "hello\n");
    assert_eq!(check(&greeter("oh no", 3), 3, ExitReason::Error).await, "oh no\n");
    check(r#"(module (func (export "_start")))"#, 0, ExitReason::Completed).await;
}

#[tokio::test]
async fn under_virtual_time_a_command_runs_the_same() {
    tokio::time::pause();
    let start = "2026-01-01T00:00:00Z".parse().unwrap();
    let bench = Bench::at(api::Clock::virtual_from(start));
    let (exit, output) = bench.run(&greeter("hello", 0)).await;
    assert_eq!((exit.code, output.as_str()), (0, "hello\n"));
}

/// A component whose `run` gives this result.
fn component(result: i32) -> String {
    format!(
        r#"(component
            (core module $program (func (export "run") (result i32) (i32.const {result})))
            (core instance $program (instantiate $program))
            (func $run (result (result)) (canon lift (core func $program "run")))
            (instance $interface (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $interface)))"#
    )
}

#[tokio::test]
async fn a_component_whose_run_fails_ends_with_1() {
    let bench = Bench::new();
    assert_eq!(bench.run(&component(0)).await.0.code, 0);
    let (exit, _) = bench.run(&component(1)).await;
    assert_eq!((exit.code, exit.reason), (1, ExitReason::Error));
}

#[tokio::test]
async fn what_cannot_run_is_told_before_it_starts() {
    let bench = Bench::new();
    let check = async |text: &str, expected: &str| {
        let refusal = bench.refusal(text).await;
        assert!(refusal.contains(expected), "{refusal}");
        assert!(refusal.contains("image `localhost/test:latest`"), "{refusal}");
    };
    check("(module)", "it has no function `_start`; build it as a command").await;
    check(r#"(module (import "env" "magic" (func)) (func (export "_start")))"#, "env::magic").await;
    check(
        "(component)",
        "it exports neither wasi:http/incoming-handler@0.2 nor wasi:cli/run@0.2, but nothing",
    )
    .await;
    check(
        r#"(component (import "peers" (func)) (core module $m (func (export "run") (result i32) i32.const 0))
            (core instance $i (instantiate $m)) (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $r (export "run" (func $run))) (export "wasi:cli/run@0.2.3" (instance $r)))"#,
        "peers",
    )
    .await;
}

#[tokio::test]
async fn an_image_wanted_by_many_is_compiled_once() {
    let bench = Bench::new();
    let wasm = wat::parse_str(greeter("hello", 0)).unwrap();
    let image = bench.image("test", &wasm);
    let programs = futures::future::join_all((0..8).map(|_| bench.linked(&image))).await;
    assert!(programs.iter().all(|program| Arc::ptr_eq(program, &programs[0])));
}

#[tokio::test]
async fn a_program_stays_loaded_while_it_runs() {
    let bench = Bench::new();
    let image =
        bench.image("runs", &wat::parse_str(r#"(module (func (export "_start") (loop (br 0))))"#).unwrap());
    let mut running = bench.given("runs").start(&*bench.prepare(&image).await);
    running.started().await.unwrap();
    for number in 0..20 {
        bench.text(&format!(r#"(module (func (export "_start") (drop (i32.const {number}))))"#)).await;
    }
    // Neither its code nor its image can be read again.
    std::fs::remove_dir_all(bench.folder.path().join("code")).unwrap();
    std::fs::remove_file(&image.path).unwrap();
    bench.prepare(&image).await;
}
