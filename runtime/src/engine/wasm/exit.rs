//! How a guest's end becomes the exit of its container.

use wasmtime_wasi::I32Exit;

use super::super::{Exit, ExitReason};
use crate::wasi::{Sink, fuel};

/// What a command's call gave: `Err(())` in `Ok` is a `run` that failed.
pub(super) type Called = wasmtime::Result<Result<(), ()>>;

const FAILED_RUN: i32 = 1;
const NOT_STARTED: i32 = 128;
/// As a shell reports a program that aborted.
const TRAPPED: i32 = 134;
/// As a shell reports a program ended by SIGKILL, also by the kernel for its memory.
const KILLED: i32 = 137;
/// As a shell reports a program ended by SIGTERM.
const TERMINATED: i32 = 143;
/// As a shell reports a program ended by SIGINT.
const INTERRUPTED: i32 = 130;

/// The exit of a command. `denied_memory` says that it was refused memory: if it failed, it failed of that.
pub(super) fn of_command(called: Called, denied_memory: bool, stderr: &Sink) -> Exit {
    let error = match called {
        Ok(Ok(())) => return with_code(0),
        Ok(Err(())) if denied_memory => return out_of_memory(),
        Ok(Err(())) => return with_code(FAILED_RUN),
        Err(error) => error,
    };
    match error.downcast_ref::<I32Exit>() {
        Some(I32Exit(0)) => return with_code(0),
        Some(_) if denied_memory => return out_of_memory(),
        Some(I32Exit(code)) => return with_code(*code),
        None if fuel::is_exhausted(&error) => return out_of_fuel(),
        None => {}
    }
    // The error's own text has the wasm backtrace. Its debug form could add the host's.
    stderr.write(format!("{error:#}\n").as_bytes());
    if denied_memory {
        return out_of_memory();
    }
    Exit { code: TRAPPED, reason: ExitReason::Error, message: error.root_cause().to_string() }
}

fn with_code(code: i32) -> Exit {
    Exit {
        code,
        reason: if code == 0 { ExitReason::Completed } else { ExitReason::Error },
        message: String::new(),
    }
}

pub(super) fn out_of_memory() -> Exit {
    Exit { code: KILLED, reason: ExitReason::OomKilled, message: String::new() }
}

pub(super) fn out_of_fuel() -> Exit {
    let message = "all the fuel it was given is spent".to_owned();
    Exit { code: KILLED, reason: ExitReason::FuelExhausted, message }
}

pub(super) fn terminated() -> Exit {
    with_code(TERMINATED)
}

pub(super) fn interrupted() -> Exit {
    with_code(INTERRUPTED)
}

pub(super) fn killed() -> Exit {
    with_code(KILLED)
}

/// It never ran: container runtimes report that so.
pub(super) fn not_started(message: String) -> Exit {
    Exit { code: NOT_STARTED, reason: ExitReason::Error, message }
}

/// The task that ran the guest is gone without a word: the engine was shut down, or has a fault.
pub(super) fn lost() -> Exit {
    Exit { message: "the engine ended".into(), ..killed() }
}
