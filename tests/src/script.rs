//! Scenarios as text: commands after `> `, their input after `| `, and what they printed below, compared line by line.
//!
//! `UPDATE=1` writes what was printed back into the file; read the difference as carefully as code.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// One command of a scenario with its input and what it is expected to print.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Comments and blank lines before the command, kept when the file is written again.
    pub before: String,
    /// The words of the command.
    pub command: String,
    /// The lines after `| `.
    pub input: String,
    /// What it printed when the file was written.
    pub expected: String,
}

/// Reads the steps of a scenario.
pub fn parse(text: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    let mut before = String::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(command) = line.strip_prefix("> ") {
            steps.push(Step {
                before: std::mem::take(&mut before),
                command: command.to_owned(),
                ..Step::default()
            });
        } else if line.starts_with('#') || line.trim().is_empty() {
            before.push_str(line);
            before.push('\n');
        } else if let Some(step) = steps.last_mut().filter(|_| before.is_empty()) {
            let into = if line.starts_with('|') { &mut step.input } else { &mut step.expected };
            into.push_str(line.strip_prefix("| ").or(line.strip_prefix('|')).unwrap_or(line));
            into.push('\n');
        } else {
            bail!("line {}: output belongs right below its command", number + 1);
        }
    }
    Ok(steps)
}

/// Writes steps as a scenario, with what they printed in place of what was expected.
pub fn format(steps: &[Step], printed: &[String]) -> String {
    let mut text = String::new();
    for (step, printed) in steps.iter().zip(printed) {
        let _ = writeln!(text, "{}> {}", step.before, step.command);
        for line in step.input.lines() {
            let bar = if line.is_empty() { "|" } else { "| " };
            let _ = writeln!(text, "{bar}{line}");
        }
        text.push_str(printed);
    }
    text
}

/// Compares what was printed with the file, or writes it there if `UPDATE` is set.
pub fn settle(file: &Path, steps: &[Step], printed: &[String]) -> Result<()> {
    if std::env::var_os("UPDATE").is_some() {
        return fs::write(file, format(steps, printed)).with_context(|| format!("write {}", file.display()));
    }
    let different = steps.iter().zip(printed).find(|(step, printed)| step.expected != **printed);
    if let Some((step, printed)) = different {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        bail!("{name}: > {}\nexpected:\n{}printed:\n{printed}", step.command, step.expected);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# One pod.\n\n> apply\n| kind: Pod\n|\n| a: b\ncreated Pod/a\n\n> get pods\nNAME\na\n";

    #[test]
    fn a_scenario_is_written_as_it_was_read() {
        let steps = parse(TEXT).expect("steps");
        assert_eq!(steps[0].input, "kind: Pod\n\na: b\n");
        let printed: Vec<String> = steps.iter().map(|step| step.expected.clone()).collect();
        assert_eq!(format(&steps, &printed), TEXT);
    }

    #[test]
    fn output_without_a_command_is_refused() {
        assert!(parse("created\n").is_err());
        assert!(parse("> a\n\nlate\n").is_err());
    }
}
