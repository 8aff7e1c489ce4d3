//! What a running command has: its arguments, environment, folder and streams.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use crate::files;
use crate::stream::{Input, Output};

/// Output is gathered up to this size.
const GATHERED_BYTES: usize = 16 << 10;
/// As a shell reports what ended because nobody reads its output.
const BROKEN_PIPE: i32 = 141;

/// A command that runs.
pub struct Process {
    /// The words it was called with, its name first.
    pub args: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// Where it works.
    pub folder: String,
    /// What it reads.
    pub stdin: Input,
    /// Where its output goes.
    pub stdout: Output,
    /// Where its errors go.
    pub stderr: Output,
    /// Output not passed on yet.
    gathered: Vec<u8>,
}

/// A command failed.
pub struct Failure {
    /// Its exit code.
    pub code: i32,
    /// What it says; nothing if it has said all.
    pub words: String,
}

/// How a command ends: with a code, or with an error that is said for it.
pub type Outcome = Result<i32, Failure>;

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == ErrorKind::BrokenPipe {
            return Self { code: BROKEN_PIPE, words: String::new() };
        }
        Self { code: 1, words: files::words(&error) }
    }
}

/// A failure with exit code 1.
pub fn failure(words: impl Into<String>) -> Failure {
    Failure { code: 1, words: words.into() }
}

/// What went wrong with a file.
pub fn about(path: &str, error: &io::Error) -> Failure {
    failure(format!("{path}: {}", files::words(error)))
}

impl Process {
    /// A command with these streams.
    pub fn new(
        args: Vec<String>,
        env: BTreeMap<String, String>,
        folder: String,
        (stdin, stdout, stderr): (Input, Output, Output),
    ) -> Self {
        Self { args, env, folder, stdin, stdout, stderr, gathered: Vec::new() }
    }

    /// Another command with the same surroundings.
    pub fn call(&self, args: Vec<String>) -> Self {
        let streams = (self.stdin.clone(), self.stdout.clone(), self.stderr.clone());
        Self::new(args, self.env.clone(), self.folder.clone(), streams)
    }

    /// The name it was called by, without folders.
    pub fn name(&self) -> &str {
        files::base(self.args.first().map_or("", String::as_str))
    }

    /// The whole path of a file.
    pub fn path(&self, name: &str) -> String {
        files::absolute(&self.folder, name)
    }

    /// Opens a file to read it; `-` is its own input.
    pub fn open(&self, name: &str) -> Result<Input, Failure> {
        match name {
            "-" | "/dev/stdin" | "/dev/tty" => return Ok(self.stdin.clone()),
            "/dev/null" => return Ok(Input::nothing()),
            _ => {}
        }
        files::open(&self.path(name)).map(Input::file).map_err(|error| about(name, &error))
    }

    /// Writes to its output, which may wait until there is more or it ends.
    pub async fn print(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.gathered.extend_from_slice(bytes.as_ref());
        if self.gathered.len() >= GATHERED_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Passes on what was written.
    pub async fn flush(&mut self) -> io::Result<()> {
        let gathered = std::mem::take(&mut self.gathered);
        if gathered.is_empty() { Ok(()) } else { self.stdout.write(&gathered).await }
    }

    /// Says what is wrong, in its name.
    pub async fn complain(&mut self, words: &str) {
        // Errors come after what was printed before. If nobody reads either, there is nothing left to do.
        let _ = self.flush().await;
        let line = format!("{}: {words}\n", self.name());
        let _ = self.stderr.write(line.as_bytes()).await;
    }

    /// Says what went wrong, if anything is to be said; gives the exit code.
    pub async fn report(&mut self, failure: Failure) -> i32 {
        if !failure.words.is_empty() {
            self.complain(&failure.words).await;
        }
        failure.code
    }
}
