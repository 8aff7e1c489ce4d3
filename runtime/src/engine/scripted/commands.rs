//! The few programs a scripted container has, on files of its own that are lost with it.
//!
//! `echo`, `cat`, `sleep`, `test -d`, `tar`, `stty size`, `exit` and a shell that knows `;` and `>&2`: enough for `kubectl
//! exec`, `cp` and their errors.

mod tar;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::Clock;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::AsyncReadExt;

use super::script;
use crate::engine::{Commands, ExecError, Terminal};

/// As much as all files of a container may hold: tests copy small ones.
const MOST_BYTES: usize = 64 << 20;

/// The programs and files of one container. A clone is a reference.
#[derive(Clone)]
pub(super) struct Programs {
    clock: Clock,
    files: Arc<Mutex<BTreeMap<String, File>>>,
}

/// A file, by its whole path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum File {
    Folder,
    Plain(Vec<u8>),
}

impl Programs {
    pub(super) fn new(clock: Clock) -> Self {
        let folders = ["/", "/tmp"].map(|path| (path.to_owned(), File::Folder));
        Self { clock, files: Arc::new(Mutex::new(BTreeMap::from(folders))) }
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn execute(&self, words: &[&str], terminal: &mut Terminal) -> Result<i32, ExecError> {
        match words {
            ["sh", "-c", script] => Ok(self.shell(script, terminal).await),
            words => self.program(words, terminal).await,
        }
    }

    async fn program(&self, words: &[&str], terminal: &mut Terminal) -> Result<i32, ExecError> {
        match words {
            ["echo", said @ .., ">&2"] => terminal.complain(&format!("{}\n", said.join(" "))).await,
            ["echo", said @ ..] => terminal.print(format!("{}\n", said.join(" ")).as_bytes()).await,
            ["cat"] => terminal.echo().await,
            ["cat", path] => return Ok(self.show(path, terminal).await),
            ["test", "-d", path] => {
                return Ok(i32::from(self.files().get(&whole(path)) != Some(&File::Folder)));
            }
            ["sleep", span] => {
                let span =
                    script::span(span).ok_or_else(|| failure(format!("sleep: invalid span {span:?}")))?;
                self.clock.sleep(span).await;
            }
            ["stty", "size"] => return Ok(size(terminal).await),
            ["exit", code] => {
                return code.parse().map_err(|_| failure(format!("exit: Illegal number: {code}")));
            }
            ["tar", options @ ..] => return self.tar(options, terminal).await,
            [program, ..] => return Err(not_found(program)),
            [] => return Err(not_found("")),
        }
        Ok(0)
    }

    /// Runs one command after the other; the last one's code is the shell's.
    async fn shell(&self, script: &str, terminal: &mut Terminal) -> i32 {
        let mut code = 0;
        for command in script.split(';') {
            let words: Vec<&str> = command.split_whitespace().collect();
            if words.is_empty() {
                continue;
            }
            let ran = self.program(&words, terminal).await;
            code = match (ran, words.first()) {
                (Ok(code), Some(&"exit")) => return code,
                (Ok(code), _) => code,
                (Err(_), program) => {
                    let program = program.copied().unwrap_or_default();
                    terminal.complain(&format!("sh: 1: {program}: not found\n")).await;
                    127
                }
            };
        }
        code
    }

    async fn show(&self, path: &str, terminal: &mut Terminal) -> i32 {
        let file = self.files().get(&whole(path)).cloned();
        let problem = match file {
            Some(File::Plain(bytes)) => {
                terminal.print(&bytes).await;
                return 0;
            }
            Some(File::Folder) => "Is a directory",
            None => "No such file or directory",
        };
        terminal.complain(&format!("cat: {path}: {problem}\n")).await;
        1
    }

    async fn tar(&self, options: &[&str], terminal: &mut Terminal) -> Result<i32, ExecError> {
        match options {
            ["cf", "-", path] => {
                let archive = tar::pack(&self.files(), path);
                let Some(archive) = archive else {
                    let missing = format!("tar: {path}: Cannot stat: No such file or directory\n");
                    terminal.complain(&missing).await;
                    return Ok(2);
                };
                terminal.print(&archive).await;
                Ok(0)
            }
            ["-xmf" | "xmf" | "-xf" | "xf", "-", rest @ ..] => {
                let folder = match rest {
                    ["-C", folder] => folder,
                    _ => "/",
                };
                let mut archive = Vec::new();
                if let Some(stdin) = &mut terminal.stdin {
                    let mut bounded = stdin.take(MOST_BYTES as u64);
                    // What came before it broke is checked below.
                    let _ = bounded.read_to_end(&mut archive).await;
                }
                let unpacked = tar::unpack(&archive, folder);
                match unpacked {
                    Ok(files) => self.files().extend(files),
                    Err(problem) => {
                        terminal.complain(&format!("tar: {problem}\n")).await;
                        return Ok(2);
                    }
                }
                Ok(0)
            }
            _ => Err(failure(format!("tar: unknown options {options:?}"))),
        }
    }
}

impl Commands for Programs {
    fn run(
        &self,
        command: Vec<String>,
        mut terminal: Terminal,
    ) -> BoxFuture<'static, Result<i32, ExecError>> {
        let programs = self.clone();
        async move {
            let words: Vec<&str> = command.iter().map(String::as_str).collect();
            programs.execute(&words, &mut terminal).await
        }
        .boxed()
    }
}

/// Tells the size of the terminal, once it is known.
async fn size(terminal: &mut Terminal) -> i32 {
    let known = if terminal.tty { terminal.size.wait_for(Option::is_some).await.ok() } else { None };
    let size = known.and_then(|size| *size);
    match size {
        Some(size) => {
            terminal.print(format!("{} {}\n", size.height, size.width).as_bytes()).await;
            0
        }
        None => {
            terminal.complain("stty: 'standard input': Inappropriate ioctl for device\n").await;
            1
        }
    }
}

/// The whole path of a file, without a slash at its end.
fn whole(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !["", "."].contains(part)).collect();
    format!("/{}", parts.join("/"))
}

fn failure(message: String) -> ExecError {
    ExecError { message }
}

/// In the words of a container runtime.
fn not_found(program: &str) -> ExecError {
    failure(format!("failed to exec in container: exec: {program:?}: executable file not found in $PATH"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use api::channels::pipe;
    use tokio::io::AsyncWriteExt;
    use tokio::sync::watch;

    async fn run(
        programs: &Programs,
        command: &[&str],
        input: &[u8],
    ) -> (Result<i32, ExecError>, Vec<u8>, String) {
        let ((mut stdin, read), (stdout, mut output), (stderr, mut errors)) = (pipe(), pipe(), pipe());
        let (_, size) = watch::channel(None);
        let terminal =
            Terminal { stdin: Some(read), stdout: Some(stdout), stderr: Some(stderr), tty: false, size };
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        let (mut printed, mut complained) = (Vec::new(), String::new());
        let write = async {
            // A program that reads nothing may be gone already.
            let _ = stdin.write_all(input).await;
            drop(stdin);
        };
        let ran = programs.run(command, terminal);
        let (code, ..) = tokio::join!(
            ran,
            write,
            output.read_to_end(&mut printed),
            errors.read_to_string(&mut complained)
        );
        (code, printed, complained)
    }

    #[tokio::test]
    async fn programs_do_what_they_are_known_for() {
        let programs = Programs::new(Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap()));
        let row = async |command: &[&str], code: i32, printed: &str, complained: &str| {
            let expected = (Ok(code), printed.as_bytes().to_vec(), complained.to_owned());
            assert_eq!(run(&programs, command, b"input").await, expected, "{command:?}");
        };
        row(&["echo", "a", "b"], 0, "a b\n", "").await;
        row(&["cat"], 0, "input", "").await;
        row(&["cat", "/none"], 1, "", "cat: /none: No such file or directory\n").await;
        row(&["sh", "-c", "echo out; echo err >&2; exit 3; echo never"], 3, "out\n", "err\n").await;
        row(&["sh", "-c", "dance"], 127, "", "sh: 1: dance: not found\n").await;
        row(&["test", "-d", "/tmp/"], 0, "", "").await;
        row(&["test", "-d", "/none"], 1, "", "").await;
        row(&["stty", "size"], 1, "", "stty: 'standard input': Inappropriate ioctl for device\n").await;
        let (refused, ..) = run(&programs, &["dance"], b"").await;
        assert!(
            refused.unwrap_err().message.ends_with(r#"exec: "dance": executable file not found in $PATH"#)
        );
    }

    #[tokio::test]
    async fn what_was_packed_can_be_unpacked() {
        let programs = Programs::new(Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap()));
        let long = vec![b'x'; 100_000];
        let files = [
            ("/data", File::Folder),
            ("/data/a", File::Plain(b"hi".to_vec())),
            ("/data/b", File::Plain(long)),
        ];
        let files: BTreeMap<String, File> =
            files.into_iter().map(|(path, file)| (path.to_owned(), file)).collect();
        programs.files().extend(files.clone());
        let (code, archive, _) = run(&programs, &["tar", "cf", "-", "/data"], b"").await;
        assert_eq!((code, archive.len() % 512), (Ok(0), 0));
        let (code, ..) = run(&programs, &["tar", "-xmf", "-", "-C", "/copy"], &archive).await;
        assert_eq!(code, Ok(0));
        for (path, file) in files {
            assert_eq!(programs.files().get(&format!("/copy{path}")), Some(&file));
        }
        let (code, _, complained) = run(&programs, &["tar", "cf", "-", "/none"], b"").await;
        assert_eq!(
            (code, complained.as_str()),
            (Ok(2), "tar: /none: Cannot stat: No such file or directory\n")
        );
        let (code, _, complained) = run(&programs, &["tar", "xf", "-"], &[b'x'; 600]).await;
        assert_eq!((code, complained.as_str()), (Ok(2), "tar: This does not look like a tar archive\n"));
    }
}
