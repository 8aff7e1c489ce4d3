//! Finds what a command's name stands for, and runs it.

use crate::applets::{self, Applet};
use crate::files;
use crate::host;
use crate::process::{Failure, Outcome, Process};
use crate::shell;
use crate::task::Boxed;

/// As much is handed to a program of the container.
const MOST_INPUT_BYTES: usize = 16 << 20;
/// Where applets seem to lie.
const FOLDERS: [&str; 6] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];
const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// What a name stands for.
pub enum Found {
    /// A program of the toolbox.
    Applet(Applet),
    /// A file, by its whole path.
    File(String),
}

/// Finds a command by its name.
pub fn find(process: &Process, name: &str) -> Option<Found> {
    if name.contains('/') {
        let path = process.path(name);
        if files::facts(&path).is_ok() {
            return Some(Found::File(path));
        }
        return FOLDERS
            .contains(&files::parent(&path))
            .then(|| applets::find(files::base(&path)))
            .flatten()
            .map(Found::Applet);
    }
    if let Some(applet) = applets::find(name) {
        return Some(Found::Applet(applet));
    }
    let folders = process.env.get("PATH").cloned().unwrap_or_default();
    let mut paths = folders
        .split(':')
        .filter(|folder| folder.starts_with('/'))
        .flat_map(|folder| [files::within(folder, name), files::within(folder, &format!("{name}.wasm"))]);
    paths.find(|path| files::facts(path).is_ok_and(|facts| !facts.is_folder())).map(Found::File)
}

/// Runs a command to its end and says what went wrong; gives its exit code.
pub fn run<'a>(mut process: Process) -> Boxed<'a, i32> {
    Box::pin(async move {
        let name = process.args.first().cloned().unwrap_or_default();
        let outcome = match find(&process, &name) {
            Some(Found::Applet(applet)) => applet(&mut process).await,
            Some(Found::File(path)) => run_file(&mut process, &path).await,
            None => {
                let words = format!("{name}: not found\n");
                let _ = process.stderr.write(words.as_bytes()).await;
                return NOT_FOUND;
            }
        };
        let outcome = match outcome {
            Ok(code) => process.flush().await.map(|()| code).map_err(Failure::from),
            Err(failure) => Err(failure),
        };
        match outcome {
            Ok(code) => code,
            Err(failure) => process.report(failure).await,
        }
    })
}

/// A script, or a program that the engine runs.
async fn run_file(process: &mut Process, path: &str) -> Outcome {
    let cannot = |words: &str| Failure { code: NOT_EXECUTABLE, words: words.to_owned() };
    if files::is_folder(path) {
        return Err(cannot("Permission denied"));
    }
    let start = process.open(path)?.read_exactly(4).await?;
    if start == b"\0asm" {
        return run_program(process, path).await;
    }
    let is_text = start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
    if start.is_empty() || !is_text {
        return Err(cannot("Exec format error"));
    }
    let mut args = vec!["sh".to_owned(), path.to_owned()];
    args.extend(process.args.iter().skip(1).cloned());
    shell::main(&mut process.call(args)).await
}

async fn run_program(process: &mut Process, path: &str) -> Outcome {
    let input = if process.stdin.is_terminal() {
        Vec::new()
    } else {
        process.stdin.read_all(MOST_INPUT_BYTES).await?
    };
    let mut args = process.args.clone();
    args[0] = path.to_owned();
    let env: Vec<(String, String)> = process.env.clone().into_iter().collect();
    let outcome = host::run(&args, &env, &process.folder, &input)
        .map_err(|words| Failure { code: NOT_EXECUTABLE, words })?;
    process.stdout.write(&outcome.output).await?;
    process.stderr.write(&outcome.errors).await?;
    Ok(outcome.code)
}
