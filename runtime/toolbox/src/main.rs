//! The programs people expect in a container, in one: which of them it is, its name says, or its first word.

mod applets;
mod commands;
mod expression;
mod files;
mod host;
mod options;
mod pattern;
mod process;
mod shell;
mod stdin;
mod stream;
mod task;

use std::collections::BTreeMap;

use process::Process;
use stream::{Input, Output};

/// As a shell reports what SIGINT ended.
const INTERRUPTED: i32 = 130;

/// What the whole of it is called.
const OWN_NAMES: [&str; 3] = ["toolbox", "toolbox.wasm", "busybox"];

fn main() {
    let env: BTreeMap<String, String> = std::env::vars().collect();
    let folder = env.get("PWD").filter(|folder| files::is_folder(folder)).cloned();
    let streams = (Input::stdin(), Output::Stdout, Output::Stderr);
    let process = Process::new(words(), env, folder.unwrap_or_else(|| "/".to_owned()), streams);
    let code = task::block_on(task::interruptible(commands::run(process)));
    host::exit(code.unwrap_or(INTERRUPTED));
}

/// The words of the command, its name first. Called by a name of its own, it takes the next word; alone, it is a shell.
fn words() -> Vec<String> {
    let mut args: Vec<String> = std::env::args().collect();
    if args.first().is_some_and(|name| OWN_NAMES.contains(&files::base(name))) {
        args.remove(0);
    }
    if args.is_empty() {
        args.push("sh".to_owned());
    }
    args
}
