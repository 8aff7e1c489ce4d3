//! Real kubectl against the release binary: every session in `sessions/`, with every kubectl there is.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use tests::require;
use tests::served::{self, Served};
use tests::session;

/// The guest of the example that asks the API.
const INSIDE: &[u8] = include_bytes!("../../examples/inside/inside.wasm");

/// Prints a line every 50 ms.
const TICK: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\05\00\00\00")
    (data (i32.const 16) "tick\n")
    (func (export "_start")
        (i32.store (i32.const 80) (i32.const 1))
        (i64.store (i32.const 88) (i64.const 50000000))
        (loop $again
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (drop (call $poll_oneoff (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 12)))
            (br $again))))"#;

/// Prints a line and ends with a code.
fn ends(text: &str, code: u32) -> String {
    let length = text.len() + 1;
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\{length:02x}\00\00\00")
        (data (i32.const 16) "{text}\n")
        (func (export "_start")
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (call $proc_exit (i32.const {code}))))"#
    )
}

#[test]
fn every_kubectl_is_understood() -> Result<()> {
    let Some(kubectls) = kubectls() else {
        return Ok(());
    };
    for kubectl in kubectls {
        let served = Served::start(&[])?;
        import_programs(&served)?;
        let mut failures = Vec::new();
        for (name, text) in sessions("")? {
            let played = session::play(&name, &text, served.home.path(), || shell(&served, &kubectl));
            failures.extend(played.err().map(|error| error.to_string()));
        }
        let said = || format!("with {}: {}\n{}", kubectl.display(), failures.join("\n"), served.printed());
        ensure!(failures.is_empty(), said());
        let (status, _) = served.stop()?;
        assert!(status.success(), "{status}");
    }
    Ok(())
}

/// Those in `PEAPOD_KUBECTLS`, or the one on the PATH.
pub fn kubectls() -> Option<Vec<PathBuf>> {
    let named = env::var_os("PEAPOD_KUBECTLS").unwrap_or_default();
    let named: Vec<PathBuf> = env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect();
    if named.is_empty() { require::program("kubectl").map(|found| vec![found]) } else { Some(named) }
}

/// The sessions of a folder in `sessions`, each with its name.
pub fn sessions(folder: &str) -> Result<Vec<(String, String)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sessions").join(folder);
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<PathBuf>>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let read = |file: &PathBuf| Ok((file.display().to_string(), fs::read_to_string(file)?));
    files.iter().map(read).collect()
}

/// Brings in the programs with the command that users have, while the server runs.
pub fn import_programs(served: &Served) -> Result<()> {
    let programs = [("tick", TICK.to_owned()), ("greet", ends("hello", 0)), ("fail", ends("oops", 3))];
    let assembled = programs.iter().map(|(name, text)| Ok((*name, wat::parse_str(text)?)));
    let built = [("hello", crate::HELLO), ("inside", INSIDE)];
    let built = built.into_iter().map(|(name, program)| Ok((name, program.to_owned())));
    for (name, program) in assembled.chain(built).collect::<Result<Vec<_>>>()? {
        let file = served.home.path().join(format!("{name}.wasm"));
        fs::write(&file, program)?;
        let mut import = served::command(served.home.path())?;
        import
            .args(["image", "import", "--as", name, "--image-dir"])
            .arg(served.home.path().join("data/images"));
        assert!(import.arg(file).status()?.success());
    }
    Ok(())
}

/// A shell whose `kubectl` is the given one and speaks to the server.
pub fn shell(served: &Served, kubectl: &Path) -> Command {
    let home = served.home.path();
    let programs = home.join("bin");
    let link = programs.join("kubectl");
    let linked = fs::create_dir_all(&programs)
        .and_then(|()| if link.exists() { Ok(()) } else { std::os::unix::fs::symlink(kubectl, &link) });
    linked.expect("a folder of its own takes a link");
    let path = env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("bash");
    shell.env("PATH", format!("{}:{path}", programs.display())).env("HOME", home);
    shell.env("KUBECONFIG", served.kubeconfig()).env("PEAPOD_SERVER", &served.server);
    let source = Path::new(env!("CARGO_MANIFEST_DIR"));
    shell.env("PEAPOD_EXAMPLES", source.join("../examples")).env("PEAPOD_SESSIONS", source.join("sessions"));
    shell
}
