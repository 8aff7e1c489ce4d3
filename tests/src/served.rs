//! `peapod serve` as its users have it: the release binary, a process of its own, reached through its kubeconfig.

use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{env, thread};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::transcript::Transcript;

/// When a test gives up on something that should have happened long before.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// The release binary: `PEAPOD_BIN`, or what `cargo build --release` makes of this source.
pub fn binary() -> Result<&'static Path> {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = BINARY.get() {
        return Ok(path);
    }
    let path = match env::var_os("PEAPOD_BIN") {
        Some(path) => PathBuf::from(path),
        None => build()?,
    };
    ensure!(path.is_file(), "{} is not there", path.display());
    Ok(BINARY.get_or_init(|| path))
}

fn build() -> Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace")?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--quiet", "--package", "cli"]).current_dir(root);
    ensure!(command.status()?.success(), "the release binary cannot be built");
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join("release/peapod"))
}

/// A server with folders of its own. Dropping it kills it.
pub struct Served {
    /// Its home: data, images, kubeconfig, and whatever a test puts there.
    pub home: Arc<TempDir>,
    /// Where it serves, as `https://127.0.0.1:41233`.
    pub server: String,
    process: Child,
    printed: Transcript,
}

impl Served {
    /// Starts a server on a free port with new folders.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("peapod-test-").tempdir()?;
        Self::start_in(Arc::new(home), "127.0.0.1:0", arguments)
    }

    /// Starts a server on folders that another left.
    pub fn start_in(home: Arc<TempDir>, listen: &str, arguments: &[&str]) -> Result<Self> {
        let mut command = command(home.path())?;
        command.args(["serve", "--listen", listen, "--data-dir"]).arg(home.path().join("data"));
        // Whatever is left on the disk of the machine that tests.
        command.args(["--eviction-hard", "memory.available<100Mi"]);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().context("start peapod serve")?;
        let printed = Transcript::default();
        let (mut errors, mut copy) = (process.stderr.take().context("its standard error")?, printed.clone());
        thread::spawn(move || io::copy(&mut errors, &mut copy));
        let mut lines = BufReader::new(process.stdout.take().context("its standard output")?).lines();
        let mut server = None;
        for line in lines.by_ref() {
            let line = line?;
            server = server.or_else(|| address(&line));
            if line.starts_with("ready") {
                break;
            }
        }
        let Some(server) = server else {
            let status = process.wait()?;
            bail!("peapod serve ended with {status}: {}", printed.text());
        };
        // What is not read would stop the server once the pipe is full.
        thread::spawn(move || lines.for_each(drop));
        Ok(Self { home, server, process, printed })
    }

    /// The kubeconfig that the server wrote.
    pub fn kubeconfig(&self) -> PathBuf {
        self.home.path().join("kubeconfig")
    }

    /// The number of its process.
    pub fn process(&self) -> u32 {
        self.process.id()
    }

    /// What it printed as errors and logs so far.
    pub fn printed(&self) -> String {
        self.printed.text()
    }

    /// Waits for a line of that which has these words.
    pub async fn printed_line(&self, words: &str) -> Result<String> {
        Ok(self.printed.line(0, words).await?.1)
    }

    /// Ends it as a power cut would.
    pub fn kill(mut self) -> Result<Arc<TempDir>> {
        self.process.kill()?;
        self.process.wait()?;
        Ok(Arc::clone(&self.home))
    }

    /// Asks it to end, and waits until it has.
    pub fn stop(mut self) -> Result<(ExitStatus, Arc<TempDir>)> {
        let process = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        kill_process(process.context("a process")?, Signal::TERM)?;
        Ok((self.process.wait()?, Arc::clone(&self.home)))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The binary with the folders of `home` instead of the user's.
pub fn command(home: &Path) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command
        .env("HOME", home)
        .env("XDG_DATA_HOME", home.join("share"))
        .env("KUBECONFIG", home.join("kubeconfig"));
    command.env("RUST_LOG", "warn");
    command.current_dir(home).process_group(0);
    Ok(command)
}

/// The address in a line of its output.
fn address(line: &str) -> Option<String> {
    line.split_whitespace().find(|word| word.starts_with("https://")).map(str::to_owned)
}
