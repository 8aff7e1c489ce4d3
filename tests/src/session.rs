//! Shell sessions as text: commands, and what they print, with stars where it does not matter.
//!
//! ```text
//! # a comment
//! $ kubectl create configmap a --from-literal=k=v
//! configmap/a created
//! $ cat > b.yaml <<'EOF'
//! > kind: ConfigMap
//! > EOF
//! $ kubectl get configmap missing
//! Error from server (NotFound): configmaps "missing" not found
//! ! 1
//! ```
//!
//! `$` begins a command and `>` goes on with it. What follows is its output, both streams as they come: runs of blanks
//! count as one, `*` stands for any text in a line, and a line `...` for any lines. `! N` is the exit code if not 0.
//! Commands run in bash, in one folder, one after the other; `await FILE TEXT` waits until a file holds a text, and
//! `shows TEXT COMMAND...` runs a command until it has printed a text.

use std::fmt::Write;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A command and what it must print.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Where it stands, from 1.
    pub line: usize,
    /// The command, of one line or more.
    pub command: String,
    /// The patterns of the lines it prints.
    pub wanted: Vec<String>,
    /// Its exit code.
    pub code: i32,
}

/// Helps every command: waits for a text without looking again and again.
const PRELUDE: &str = r#"
await() {
    timeout 60 bash -c 'grep -q -m1 -e "$2" <(exec tail --pid=$$ -n +1 -F "$1" 2>/dev/null)' - "$1" "$2" && return
    echo "never came: $2"; tail -n 20 "$1"; return 1
}
shows() {
    local text="$1" shown=0; shift
    : > .shown
    "$@" >> .shown 2>&1 &
    await .shown "$text" || shown=1
    { kill $! && wait $!; } 2>/dev/null
    return $shown
}
"#;

/// A step that takes this many seconds will never end.
const GIVE_UP_AFTER_SECONDS: u64 = 300;

/// Reads a session.
pub fn parse(text: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { line: number, command: command.to_owned(), ..Step::default() });
            continue;
        }
        if line.starts_with("# ") || line.trim().is_empty() {
            continue;
        }
        let step =
            steps.last_mut().with_context(|| format!("line {number} comes before the first command"))?;
        if let Some(more) = line.strip_prefix("> ").or_else(|| (line == ">").then_some("")) {
            write!(step.command, "\n{more}")?;
        } else if let Some(code) = line.strip_prefix("! ") {
            step.code = code.parse().with_context(|| format!("line {number} has no exit code"))?;
        } else {
            step.wanted.push(line.to_owned());
        }
    }
    ensure!(!steps.is_empty(), "there are no commands");
    Ok(steps)
}

/// Runs the commands of a session in `folder`, all of them, and tells of each that did not print what it should;
/// `shell` is bash with the environment they need.
pub fn play(name: &str, text: &str, folder: &Path, shell: impl Fn() -> Command) -> Result<()> {
    let mut failures = Vec::new();
    for step in parse(text)? {
        let script = format!("{PRELUDE}\nexec 2>&1\n{}\n", step.command);
        fs::write(folder.join(".step"), script)?;
        // Not a pipe: what goes on in the background would keep it open.
        let printed = File::create(folder.join(".printed"))?;
        let mut command = shell();
        let run = format!("exec timeout {GIVE_UP_AFTER_SECONDS} bash --norc .step");
        let status = command.args(["--norc", "-c", &run]).current_dir(folder).stdout(printed).status()?;
        let printed = String::from_utf8_lossy(&fs::read(folder.join(".printed"))?).into_owned();
        let lines: Vec<&str> = printed.lines().filter(|line| !line.trim().is_empty()).collect();
        let code = status.code().unwrap_or(-1);
        if code != step.code || !agree(&step.wanted, &lines) {
            let wanted = step.wanted.join("\n");
            failures.push(format!(
                "{name}:{}: $ {}\n--- wanted, exit code {}\n{wanted}\n--- printed, exit code {code}\n{printed}",
                step.line, step.command, step.code
            ));
        }
    }
    ensure!(failures.is_empty(), failures.join("\n"));
    Ok(())
}

/// Whether the lines are as the patterns say.
fn agree(patterns: &[String], lines: &[&str]) -> bool {
    match (patterns.split_first(), lines.split_first()) {
        (None, first) => first.is_none(),
        (Some((pattern, rest)), _) if pattern.trim() == "..." => {
            (0..=lines.len()).any(|skipped| agree(rest, &lines[skipped..]))
        }
        (Some((pattern, rest)), Some((line, more))) => {
            matches(&one_space(pattern), &one_space(line)) && agree(rest, more)
        }
        (Some(_), None) => false,
    }
}

fn one_space(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether the line is as the pattern says; the parts between stars are found in their order.
fn matches(pattern: &str, line: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == line;
    };
    let Some(mut line) = line.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        match line.split_once(part) {
            Some((_, after)) => line = after,
            None => return false,
        }
    }
    line.ends_with(end)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        let row = |pattern: &str, line: &str, wanted: bool| {
            assert_eq!(matches(pattern, line), wanted, "{pattern:?} {line:?}");
        };
        row("a b", "a b", true);
        row("a*", "abc", true);
        row("a*c*e", "abcde", true);
        row("a*c*e", "abde", false);
        row("*", "", true);
        row("web-* 1/1 *", "web-x 0/1 y", false);
    }

    #[test]
    fn dots_stand_for_any_lines() {
        let patterns: Vec<String> = ["a", "...", "c*"].map(str::to_owned).to_vec();
        assert!(agree(&patterns, &["a", "c"]));
        assert!(agree(&patterns, &["a", "b", "b", "cc"]));
        assert!(!agree(&patterns, &["a", "b"]));
        assert!(!agree(&patterns, &["c"]));
    }

    #[test]
    fn a_session_says_where_it_failed() {
        let folder = tempfile::tempdir().unwrap();
        let shell = || Command::new("bash");
        let text =
            "$ echo one; echo two >&2\none\ntwo\n$ cat > f <<'E'\n> x   y\n> E\n$ cat f; false\nx y\n! 1\n";
        play("good", text, folder.path(), shell).unwrap();
        let error = play("bad", "# words\n$ echo one\ntwo\n", folder.path(), shell).unwrap_err().to_string();
        assert!(error.starts_with("bad:2: $ echo one"), "{error}");
        play("waits", "$ (exec >g; echo it came) & await g came\n", folder.path(), shell).unwrap();
        play("shows", "$ shows end bash -c 'echo the end; exec tail -f /dev/null'\n", folder.path(), shell)
            .unwrap();
    }
}
