//! Writes the schema table of the API server from the sources of two crates, or checks that it is up to date.

mod join;
mod openapi;
mod protobuf;
mod sources;
mod table;
mod zeros;

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../src/schema/table.txt");

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let outcome = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => generate().and_then(|text| write(&text)),
        ["--check"] => generate().and_then(|text| check(&text)),
        _ => Err("usage: generator [--check]".to_owned()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<String, String> {
    let crates = sources::locate()?;
    let definitions = openapi::read(&crates.openapi.join("src").join(sources::API))?;
    let messages = protobuf::read(&crates.protobuf.join("src"))?;
    Ok(table::render(&crates.names, &join::join(&definitions, &messages)?))
}

fn write(text: &str) -> Result<(), String> {
    fs::write(TABLE, text).map_err(|error| format!("write {TABLE}: {error}"))
}

/// Says the first line that differs; the remedy is to run without `--check` and to read the difference.
fn check(text: &str) -> Result<(), String> {
    let kept = fs::read_to_string(TABLE).map_err(|error| format!("read {TABLE}: {error}"))?;
    if kept == text {
        return Ok(());
    }
    let same = kept.lines().zip(text.lines()).take_while(|(kept, new)| kept == new).count();
    let line = |of: &str| of.lines().nth(same).unwrap_or("end of file").to_owned();
    Err(format!(
        "{}:{}: out of date\n  kept:      {}\n  generated: {}\nrun the generator without --check",
        Path::new(TABLE).display(),
        same + 1,
        line(&kept),
        line(text),
    ))
}
