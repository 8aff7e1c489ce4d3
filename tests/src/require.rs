//! What a test needs from outside: it is there, or the test says what is missing and is skipped, or CI fails.

use std::env;
use std::path::PathBuf;

/// Gives `found`, or says that `name` is missing so that the test can return early.
///
/// # Panics
/// If `PEAPOD_REQUIRE` names it: then a skip would hide something CI has.
pub fn require<T>(name: &str, found: Option<T>, how_to_get_it: &str) -> Option<T> {
    if found.is_none() {
        let sentence = format!("`{name}` is missing: {how_to_get_it}");
        assert!(!is_required(name), "{sentence}; PEAPOD_REQUIRE asks for it");
        eprintln!("skipped: {sentence}");
    }
    found
}

/// One of the real programs that tests run when they are there.
pub fn workload(file: &str) -> Option<PathBuf> {
    let folder = env::var_os("PEAPOD_WORKLOADS").map(PathBuf::from);
    let path = folder.map(|folder| folder.join(file)).filter(|path| path.is_file());
    require("workloads", path, &format!("set PEAPOD_WORKLOADS to the folder that holds {file}"))
}

/// The guest of an example, built from its source.
pub fn guest(example: &str) -> Option<Vec<u8>> {
    let folder = env::var_os("PEAPOD_GUESTS").map(PathBuf::from);
    let guest = folder.and_then(|folder| std::fs::read(folder.join(format!("{example}.wasm"))).ok());
    let how =
        format!("set PEAPOD_GUESTS to a folder and build it with examples/build --into FOLDER {example}");
    require(&format!("guest-{example}"), guest, &how)
}

/// A program on the PATH.
pub fn program(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let path = env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file());
    require(name, path, &format!("install {name} and put it on the PATH"))
}

fn is_required(name: &str) -> bool {
    env::var("PEAPOD_REQUIRE").is_ok_and(|names| names.split(',').any(|required| required.trim() == name))
}
