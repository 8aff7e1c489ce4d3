//! Rules on the source itself: which crate may depend on which, who may read a clock, and how files look.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 6] = ["api", "apiserver", "cli", "controllers", "runtime", "tests"];

#[test]
fn crates_depend_only_on_those_below_them() {
    let rows: [(&str, &[&str]); 4] =
        [("api", &[]), ("apiserver", &["api"]), ("controllers", &["api"]), ("runtime", &["api"])];
    for (name, allowed) in rows {
        let ours: Vec<String> =
            dependencies(name).into_iter().filter(|used| CRATES.contains(&used.as_str())).collect();
        assert_eq!(ours, allowed, "the crates of ours that {name} depends on");
    }
}

#[test]
fn only_one_crate_knows_each_great_dependency() {
    let rows: [(&str, &[&str]); 4] = [
        ("redb", &["apiserver"]),
        ("wasmtime", &["runtime"]),
        ("hyper", &["runtime", "apiserver"]),
        ("clap", &["cli"]),
    ];
    for (dependency, allowed) in rows {
        for name in CRATES.into_iter().filter(|name| !allowed.contains(name)) {
            let found = dependencies(name).contains(dependency);
            assert!(!found, "{name} depends on {dependency}, which belongs to {allowed:?}");
        }
    }
}

#[test]
fn controllers_do_no_input_or_output() {
    forbid(
        "controllers/src",
        &["std::fs", "std::net", "std::process", "tokio::fs", "tokio::net", "tokio::process", "reqwest"],
        &[],
    );
}

#[test]
fn only_the_store_knows_redb() {
    forbid("apiserver/src", &["redb::"], &["apiserver/src/store"]);
}

#[test]
fn only_the_clock_reads_the_time() {
    let readers = ["Instant::now(", "SystemTime::now(", "Timestamp::now("];
    for name in ["api", "apiserver", "controllers", "runtime"] {
        forbid(&format!("{name}/src"), &readers, &["api/src/clock.rs"]);
    }
}

#[test]
fn nothing_waits_in_a_queue_without_a_bound() {
    for name in CRATES.into_iter().filter(|name| *name != "tests") {
        forbid(&format!("{name}/src"), &["unbounded_channel", "mpsc::unbounded", "tokio::spawn("], &[]);
    }
}

#[test]
fn a_module_of_the_runtime_uses_only_those_before_it() {
    let order = modules("runtime/src/lib.rs");
    assert!(order.len() > 5, "the modules of the runtime are {order:?}");
    for (place, module) in order.iter().enumerate() {
        let later: Vec<String> = order[place + 1..].iter().map(|later| format!("crate::{later}::")).collect();
        let later: Vec<&str> = later.iter().map(String::as_str).collect();
        forbid(&format!("runtime/src/{module}"), &later, &[]);
        forbid(&format!("runtime/src/{module}.rs"), &later, &[]);
    }
}

#[test]
fn the_lock_file_holds_one_tls_provider_at_most() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for unwanted in ["aws-lc-sys", "aws-lc-rs", "openssl-sys", "native-tls"] {
        assert!(!lock.contains(&format!("name = \"{unwanted}\"")), "Cargo.lock holds {unwanted}");
    }
}

#[test]
fn every_file_says_what_it_is_for() {
    for file in sources("") {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("//! "), "{} does not begin with what it is for", shown(&file));
        assert!(!file.ends_with("mod.rs"), "{} should be named after its module", shown(&file));
    }
}

#[test]
fn no_file_has_grown_past_its_subject() {
    let long: Vec<String> = sources("")
        .into_iter()
        .map(|file| (fs::read_to_string(&file).unwrap().lines().count(), file))
        .filter(|(lines, _)| *lines > 500)
        .map(|(lines, file)| format!("{lines} {}", shown(&file)))
        .collect();
    assert!(long.is_empty(), "files of more than 500 lines; what is their second subject? {long:#?}");
}

/// All who read the cache share its indexes, and find them by name: a second one of a name would never be asked.
#[test]
fn every_index_of_the_cache_has_a_name_of_its_own() {
    let mut names = BTreeSet::new();
    for file in sources("") {
        let text = fs::read_to_string(&file).unwrap();
        for declared in text.split(concat!(": Index", " =")).skip(1) {
            let name = declared.split('"').nth(1).unwrap().to_owned();
            assert!(!names.contains(&name), "{} declares another index {name:?}", shown(&file));
            names.insert(name);
        }
    }
    assert!(names.contains("owner"), "{names:?}");
}

#[test]
fn the_top_of_the_repository_holds_what_it_should() {
    let allowed = BTreeSet::from([
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "api",
        "apiserver",
        "cli",
        "controllers",
        "docs",
        "examples",
        "runtime",
        "target",
        "tests",
        "LICENSE",
    ]);
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
    let extra: Vec<&String> =
        names.iter().filter(|name| !name.starts_with('.') && !allowed.contains(name.as_str())).collect();
    assert!(extra.is_empty(), "the top folder also holds {extra:?}");
}

/// The names under `[dependencies]` of a crate.
fn dependencies(name: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The modules a file declares, in order.
fn modules(file: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let names = text.lines().filter_map(|line| line.strip_prefix("pub mod "));
    names.map(|name| name.trim_end_matches(';').to_owned()).collect()
}

/// Fails if code below `place` says one of `words`, outside of tests and of `except`.
fn forbid(place: &str, words: &[&str], except: &[&str]) {
    for file in sources(place) {
        let name = shown(&file);
        if is_test(&name) || except.iter().any(|except| name.starts_with(except)) {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (number, line) in
            code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
        {
            let word = words.iter().find(|word| line.contains(**word));
            assert!(word.is_none(), "{name}:{}: {} is not for this place", number + 1, word.unwrap());
        }
    }
}

/// Whether a file holds tests of a module, or what only they use.
fn is_test(name: &str) -> bool {
    name.split('/').any(|part| ["tests", "tests.rs", "testing", "testing.rs"].contains(&part))
}

/// All Rust sources of the workspace below `place`.
fn sources(place: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let start = root().join(place);
    if place.is_empty() {
        CRATES.iter().for_each(|name| collect(&start.join(name), &mut found));
    } else {
        collect(&start, &mut found);
    }
    found.sort();
    found
}

fn collect(path: &Path, found: &mut Vec<PathBuf>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if path.is_dir() && !["target", "generator", "fuzz"].contains(&name.as_ref()) {
        for entry in fs::read_dir(path).unwrap() {
            collect(&entry.unwrap().path(), found);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        found.push(path.to_owned());
    }
}

fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
