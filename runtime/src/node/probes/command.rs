//! Probes and hooks that run a command in the container.

use api::channels::{Pipe, pipe};
use jiff::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use super::ask::Target;
use super::outcome::Outcome;
use crate::engine::{ExecError, Terminal};

/// As much of the output as is kept.
const OUTPUT_BYTES: usize = 10 << 10;

/// How a command ended.
pub(super) struct Ran {
    pub(super) code: i32,
    /// Its output, then its errors.
    pub(super) output: String,
    pub(super) errors: String,
}

/// Whether a command succeeds.
pub(super) async fn probe(words: &[String], target: &Target, deadline: Timestamp) -> Outcome {
    match target.within(deadline, run(words, target)).await {
        None => Outcome::Failure(format!("command {:?} timed out", words.join(" "))),
        Some(Ok(Ran { code: 0, .. })) => Outcome::Success,
        Some(Ok(ran)) => Outcome::Failure(ran.output),
        Some(Err(error)) => Outcome::unknown(error.message),
    }
}

/// Runs a command until it ends.
pub(super) async fn run(words: &[String], target: &Target) -> Result<Ran, ExecError> {
    let Some(commands) = &target.commands else {
        let message = "failed to exec in container: it runs its own program and no other".to_owned();
        return Err(ExecError { message });
    };
    let ((stdout, output), (stderr, errors)) = (pipe(), pipe());
    let (_sizes, size) = watch::channel(None);
    let terminal = Terminal { stdin: None, stdout: Some(stdout), stderr: Some(stderr), tty: false, size };
    let running = commands.run(words.to_vec(), terminal);
    let (code, output, errors) = tokio::join!(running, collect(output), collect(errors));
    let both = [output, errors.clone()].concat();
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(OUTPUT_BYTES)]).into_owned();
    Ok(Ran { code: code?, output: text(&both), errors: text(&errors) })
}

/// The first bytes of what comes; the others are read too, so that nobody waits to write them.
async fn collect(mut from: Pipe) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let room = OUTPUT_BYTES - kept.len();
        kept.extend_from_slice(&buffer[..read.min(room)]);
    }
    kept
}
