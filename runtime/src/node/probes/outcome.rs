//! What came of a probe, and the words the kubelet has for it.

use super::prober::ProbeKind;

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// All is well.
    Success,
    /// All is well, but people should know of something.
    Warning(String),
    /// Something is wrong.
    Failure(String),
    /// It could not be told; nothing follows from it.
    Error {
        /// What it would have been.
        state: &'static str,
        /// Why it could not be told.
        message: String,
    },
}

impl Outcome {
    /// It could not even be asked.
    pub(super) fn unknown(message: impl Into<String>) -> Self {
        Self::Error { state: "unknown", message: message.into() }
    }

    /// Whether it succeeded; none if that could not be told.
    pub fn success(&self) -> Option<bool> {
        match self {
            Self::Success | Self::Warning(_) => Some(true),
            Self::Failure(_) => Some(false),
            Self::Error { .. } => None,
        }
    }

    /// What people are told of it: the reason and the words of a warning.
    pub fn note(&self, kind: ProbeKind) -> Option<(&'static str, String)> {
        let probe = kind.word();
        match self {
            Self::Success => None,
            Self::Warning(output) => Some(("ProbeWarning", format!("{probe} probe warning: {output}"))),
            Self::Failure(output) => Some(("Unhealthy", format!("{probe} probe failed: {output}"))),
            Self::Error { state, message } => {
                Some(("Unhealthy", format!("{probe} probe errored and resulted in {state} state: {message}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_the_words_of_the_kubelet() {
        let check = |outcome: Outcome, success, note: Option<(&str, &str)>| {
            let found = outcome.note(ProbeKind::Readiness);
            assert_eq!(found.as_ref().map(|(reason, message)| (*reason, message.as_str())), note);
            assert_eq!(outcome.success(), success);
        };
        check(Outcome::Success, Some(true), None);
        let warning = Outcome::Warning("Probe terminated redirects, Response body: x".into());
        let words = "Readiness probe warning: Probe terminated redirects, Response body: x";
        check(warning, Some(true), Some(("ProbeWarning", words)));
        let failure = Outcome::Failure("HTTP probe failed with statuscode: 500".into());
        let words = "Readiness probe failed: HTTP probe failed with statuscode: 500";
        check(failure, Some(false), Some(("Unhealthy", words)));
        let words = "Readiness probe errored and resulted in unknown state: no such command";
        check(Outcome::unknown("no such command"), None, Some(("Unhealthy", words)));
    }
}
