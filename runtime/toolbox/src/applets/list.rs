//! `ls`.

use super::system::{Time, seconds_since_epoch};
use crate::files::{self, Facts, Kind};
use crate::options::Options;
use crate::process::{Failure, Outcome, Process, about};

/// How wide a terminal is taken to be.
const COLUMNS: usize = 80;

struct Entry {
    name: String,
    path: String,
    facts: Facts,
}

pub async fn ls(process: &mut Process) -> Outcome {
    let options = Options::read(process, "alAdhR1rtSFCni", "", &[("color", '\0'), ("all", 'a')])?;
    let names = if options.rest.is_empty() { vec![".".to_owned()] } else { options.rest.clone() };
    let (mut code, mut single, mut folders) = (0, Vec::new(), Vec::new());
    for name in names {
        let path = process.path(&name);
        // A link named by itself is followed, unless it is to be shown.
        let found =
            if options.has('l') || options.has('d') { files::own_facts(&path) } else { files::facts(&path) };
        match found {
            Err(error) => {
                process.complain(&about(&name, &error).words).await;
                code = 1;
            }
            Ok(facts) if facts.is_folder() && !options.has('d') => folders.push(name),
            Ok(facts) => single.push(Entry { name, path, facts }),
        }
    }
    let titled = folders.len() + single.len() > 1 || options.has('R');
    let mut before = !single.is_empty();
    show(process, &options, single).await?;
    let mut waiting = folders;
    waiting.reverse();
    while let Some(folder) = waiting.pop() {
        if titled {
            let gap = if before { "\n" } else { "" };
            process.print(format!("{gap}{folder}:\n")).await?;
        }
        before = true;
        let entries = match entries(process, &options, &folder) {
            Ok(entries) => entries,
            Err(problem) => {
                process.complain(&problem.words).await;
                code = 1;
                continue;
            }
        };
        if options.has('R') {
            let deeper = entries
                .iter()
                .filter(|entry| entry.facts.is_folder() && ![".", ".."].contains(&&*entry.name));
            let mut deeper: Vec<String> = deeper.map(|entry| files::within(&folder, &entry.name)).collect();
            deeper.reverse();
            waiting.extend(deeper);
        }
        show(process, &options, entries).await?;
    }
    Ok(code)
}

fn entries(process: &Process, options: &Options, folder: &str) -> Result<Vec<Entry>, Failure> {
    let path = process.path(folder);
    let mut names = files::list(&path).map_err(|error| about(folder, &error))?;
    if options.has('a') {
        names.splice(..0, [".".to_owned(), "..".to_owned()]);
    }
    let shown = |name: &String| !name.starts_with('.') || options.has('a') || options.has('A');
    let entry = |name: String| {
        let path = files::absolute(&path, &name);
        // One that has gone meanwhile is not shown.
        files::own_facts(&path).ok().map(|facts| Entry { name, path, facts })
    };
    Ok(names.into_iter().filter(shown).filter_map(entry).collect())
}

async fn show(process: &mut Process, options: &Options, mut entries: Vec<Entry>) -> Result<(), Failure> {
    if options.has('t') {
        entries.sort_by(|left, right| right.facts.modified.cmp(&left.facts.modified));
    }
    if options.has('S') {
        entries.sort_by(|left, right| right.facts.bytes.cmp(&left.facts.bytes));
    }
    if options.has('r') {
        entries.reverse();
    }
    let marked = |entry: &Entry| {
        let mark = if options.has('F') && entry.facts.is_folder() { "/" } else { "" };
        format!("{}{mark}", entry.name)
    };
    if options.has('l') || options.has('n') {
        let width = entries.iter().map(|entry| bytes(options, entry).len()).max().unwrap_or(0);
        for entry in &entries {
            process.print(long(options, entry, width, &marked(entry))).await?;
        }
        return Ok(());
    }
    let names: Vec<String> = entries.iter().map(marked).collect();
    let in_columns = (process.stdout.is_terminal() && !options.has('1')) || options.has('C');
    let text =
        if in_columns { columns(&names) } else { names.iter().map(|name| format!("{name}\n")).collect() };
    Ok(process.print(text).await?)
}

fn bytes(options: &Options, entry: &Entry) -> String {
    if options.has('h') { human(entry.facts.bytes) } else { entry.facts.bytes.to_string() }
}

/// A size as people read it.
pub fn human(bytes: u64) -> String {
    let units = ["", "K", "M", "G", "T"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { bytes.to_string() } else { format!("{value:.1}{}", units[unit]) }
}

/// There are no owners and no permissions here but those of the mount.
fn long(options: &Options, entry: &Entry, width: usize, name: &str) -> String {
    let rights = match entry.facts.kind {
        Kind::Folder => "rwxr-xr-x",
        Kind::Link => "rwxrwxrwx",
        _ => "rw-r--r--",
    };
    let target = match entry.facts.kind {
        Kind::Link => std::fs::read_link(&entry.path).map(|target| format!(" -> {}", target.display())),
        _ => Ok(String::new()),
    };
    let time = Time::at(seconds_since_epoch(entry.facts.modified)).format("%b %e %H:%M %Y");
    let (letter, size, target) = (entry.facts.letter(), bytes(options, entry), target.unwrap_or_default());
    format!("{letter}{rights}    1 root     root     {size:>width$} {time} {name}{target}\n")
}

fn columns(names: &[String]) -> String {
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0) + 2;
    let across = (COLUMNS / width).max(1);
    let rows = names.len().div_ceil(across);
    let mut text = String::new();
    for row in 0..rows {
        let line: String =
            (row..names.len()).step_by(rows).map(|place| format!("{:<width$}", names[place])).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
