//! Commands that people run in a container, beside its own program.

use api::channels::Pipe;
use futures::future::BoxFuture;
use tokio::io::{AsyncWriteExt, copy};
use tokio::sync::watch;

/// Runs commands in one container.
pub trait Commands: Send + Sync + 'static {
    /// Runs a command until it has ended; the answer is its exit code. Dropping the future ends it.
    fn run(&self, command: Vec<String>, terminal: Terminal) -> BoxFuture<'static, Result<i32, ExecError>>;
}

/// What a command reads and writes. What is not there was not asked for.
pub struct Terminal {
    /// What it reads.
    pub stdin: Option<Pipe>,
    /// Where its output goes.
    pub stdout: Option<Pipe>,
    /// Where its errors go. A terminal proper has none: they are part of the output.
    pub stderr: Option<Pipe>,
    /// Whether it is a terminal proper.
    pub tty: bool,
    /// How large that is, once it is known.
    pub size: watch::Receiver<Option<Size>>,
}

/// How large a terminal is, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Columns.
    pub width: u16,
    /// Lines.
    pub height: u16,
}

/// A command did not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExecError {
    /// Why.
    pub message: String,
}

impl Terminal {
    /// Writes to the output. What nobody reads is lost.
    pub async fn print(&mut self, bytes: &[u8]) {
        if let Some(stdout) = &mut self.stdout {
            let _ = stdout.write_all(bytes).await;
        }
    }

    /// Writes an error to where errors go.
    pub async fn complain(&mut self, words: &str) {
        match &mut self.stderr {
            Some(stderr) => drop(stderr.write_all(words.as_bytes()).await),
            None if self.tty => self.print(words.as_bytes()).await,
            None => {}
        }
    }

    /// Writes what is read to the output, until the input ends.
    pub async fn echo(&mut self) {
        if let (Some(stdin), Some(stdout)) = (&mut self.stdin, &mut self.stdout) {
            // Whoever wrote or read has gone: there is nothing more to do.
            let _ = copy(stdin, stdout).await;
        }
    }
}
