//! Clients that nobody here wrote, other than kubectl, against the release binary: Helm and python-kubernetes.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use tests::require::{program, require};
use tests::served::Served;
use tests::session;

use crate::kubectl::{import_programs, kubectls, sessions, shell};

#[test]
fn every_helm_is_understood() -> Result<()> {
    let named = env::var_os("PEAPOD_HELMS").filter(|paths| !paths.is_empty());
    let named = named.map(|paths| env::split_paths(&paths).collect::<Vec<_>>());
    let Some(helms) = named.or_else(|| program("helm").map(|found| vec![found])) else {
        return Ok(());
    };
    helms.iter().try_for_each(|helm| play("helm", helm))
}

#[test]
fn python_kubernetes_is_understood() -> Result<()> {
    let python = env::var_os("PEAPOD_PYTHON").map(PathBuf::from).filter(|path| path.is_file());
    let how = "set PEAPOD_PYTHON to a Python that has the package kubernetes";
    let Some(python) = require("python", python, how) else {
        return Ok(());
    };
    play("python", &python)
}

/// Plays the sessions of a folder with a program, and a kubectl beside it.
fn play(folder: &str, program: &Path) -> Result<()> {
    let Some(kubectl) = kubectls().and_then(|mut found| found.pop()) else {
        return Ok(());
    };
    let served = Served::start(&[])?;
    import_programs(&served)?;
    let shell = || {
        let mut shell = shell(&served, &kubectl);
        // Not a link to it: a Python finds its packages by where it is.
        let first = program.parent().into_iter().map(Path::to_path_buf);
        let rest = shell.get_envs().find(|(name, _)| *name == "PATH").and_then(|(_, value)| value);
        let paths = first.chain(env::split_paths(rest.unwrap_or_default()));
        let path = env::join_paths(paths).expect("paths that were split can be joined");
        shell.env("PATH", path);
        shell
    };
    let mut failures = Vec::new();
    for (name, text) in sessions(folder)? {
        failures.extend(
            session::play(&name, &text, served.home.path(), shell).err().map(|error| error.to_string()),
        );
    }
    ensure!(failures.is_empty(), "with {}: {}\n{}", program.display(), failures.join("\n"), served.printed());
    Ok(())
}
