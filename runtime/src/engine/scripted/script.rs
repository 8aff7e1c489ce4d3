//! The language of scripts.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a scripted container does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// How it is pulled; none if it is there.
    pub(super) pull: Option<Outcome>,
    pub(super) prepare: Outcome,
    pub(super) start: Outcome,
    pub(super) serve: Vec<u16>,
    pub(super) outages: Vec<Outage>,
    pub(super) print: Vec<String>,
    pub(super) write: Vec<(String, String)>,
    pub(super) repeat: bool,
    pub(super) exit: Option<PlannedExit>,
    pub(super) stop: Stop,
}

/// How a step turns out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Takes(Duration),
    Fails(String),
}

impl Default for Outcome {
    fn default() -> Self {
        Self::Takes(Duration::ZERO)
    }
}

impl Outcome {
    pub(super) fn span(&self) -> Duration {
        match self {
            Self::Takes(span) => *span,
            Self::Fails(_) => Duration::ZERO,
        }
    }
}

/// An end of its own accord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PlannedExit {
    /// None if it is refused memory.
    pub(super) code: Option<i32>,
    pub(super) after: Duration,
}

/// A time in which a port answers no request well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) port: u16,
    /// How long after the start it begins.
    pub(super) from: Duration,
    /// How long it lasts, if it ends.
    pub(super) length: Option<Duration>,
}

impl Outage {
    /// Whether it lasts `passed` after the start.
    pub(super) fn lasts(&self, passed: Duration) -> bool {
        let since = passed.checked_sub(self.from);
        since.is_some_and(|since| self.length.is_none_or(|length| since < length))
    }
}

/// How long it takes to end when asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    After(Duration),
    Never,
}

impl Default for Stop {
    fn default() -> Self {
        Self::After(Duration::ZERO)
    }
}

/// The text is no script, or names no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("script part `{part}`: {problem}")]
pub struct ScriptError {
    part: String,
    problem: String,
}

impl ScriptError {
    pub(super) fn new(part: &str, problem: impl fmt::Display) -> Self {
        Self { part: part.to_owned(), problem: problem.to_string() }
    }
}

const FORMS: &str = "expected pull SPAN, pull fails WHY, prepare SPAN, prepare fails WHY, start SPAN, start fails WHY, serve PORT, fail PORT from SPAN, fail PORT from SPAN for SPAN, print WORDS, \
    write PATH WORDS, repeat, exit CODE, exit CODE after SPAN, exit oom after SPAN, stop SPAN or stop never";

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Self, ScriptError> {
        let mut script = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            script.add(part).ok_or_else(|| ScriptError::new(part, FORMS))?;
        }
        Ok(script)
    }
}

impl Script {
    fn add(&mut self, part: &str) -> Option<()> {
        let (verb, rest) = part.split_once(' ').unwrap_or((part, ""));
        match verb {
            "pull" => self.pull = Some(outcome(rest)?),
            "prepare" => self.prepare = outcome(rest)?,
            "start" => self.start = outcome(rest)?,
            "serve" => self.serve.push(rest.parse().ok()?),
            "fail" => self.outages.push(outage(rest)?),
            "print" => self.print.push(rest.to_owned()),
            "write" => {
                let (path, words) = rest.split_once(' ')?;
                self.write.push((path.to_owned(), words.to_owned()));
            }
            "repeat" if rest.is_empty() => self.repeat = true,
            "exit" => self.exit = Some(exit(rest)?),
            "stop" if rest == "never" => self.stop = Stop::Never,
            "stop" => self.stop = Stop::After(span(rest)?),
            _ => return None,
        }
        Some(())
    }
}

fn outcome(text: &str) -> Option<Outcome> {
    match text.strip_prefix("fails") {
        Some(why) => Some(Outcome::Fails(why.trim().to_owned())),
        None => span(text).map(Outcome::Takes),
    }
}

fn exit(text: &str) -> Option<PlannedExit> {
    let (code, after) = match text.split_once(" after ") {
        Some((code, after)) => (code, span(after)?),
        None => (text, Duration::ZERO),
    };
    let code = match code {
        "oom" => None,
        code => Some(code.parse().ok()?),
    };
    Some(PlannedExit { code, after })
}

fn outage(text: &str) -> Option<Outage> {
    let (port, times) = text.split_once(" from ")?;
    let (from, length) = match times.split_once(" for ") {
        Some((from, length)) => (from, Some(span(length)?)),
        None => (times, None),
    };
    Some(Outage { port: port.parse().ok()?, from: span(from)?, length })
}

pub(super) fn span(text: &str) -> Option<Duration> {
    let letters = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(letters);
    let number: u64 = number.parse().ok()?;
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Duration::from_millis(number.checked_mul(millis)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_in_any_order() {
        let script: Script =
            "stop 2s; serve 8080; fail 8080 from 1s for 2s; start 1s; exit 3 after 5m; print hello there"
                .parse()
                .expect("a script");
        let expected = Script {
            start: Outcome::Takes(Duration::from_secs(1)),
            serve: vec![8080],
            outages: vec![Outage {
                port: 8080,
                from: Duration::from_secs(1),
                length: Some(Duration::from_secs(2)),
            }],
            print: vec!["hello there".into()],
            exit: Some(PlannedExit { code: Some(3), after: Duration::from_secs(300) }),
            stop: Stop::After(Duration::from_secs(2)),
            ..Script::default()
        };
        assert_eq!(script, expected);
        assert_eq!("".parse(), Ok(Script::default()));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for text in [
            "dance",
            "start",
            "start soon",
            "serve x",
            "exit",
            "exit 1 after",
            "stop 5",
            "start 5d",
            "fail 80",
        ] {
            let error = text.parse::<Script>().expect_err(text);
            assert!(error.to_string().starts_with(&format!("script part `{text}`: expected ")), "{error}");
        }
    }
}
