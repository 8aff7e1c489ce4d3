//! What decoding notices without refusing it: fields the API does not know, and fields given twice.

use std::fmt;

use api::manifest::SetAgain;

use super::types::Type;

/// More findings than this are not kept: nobody reads on.
pub const LARGEST_FINDINGS: usize = 100;

/// Something the API overlooks unless it is asked to be strict. Displayed in Kubernetes' words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong with the field.
    pub what: Overlooked,
    /// `spec.template.spec.containers[0].imagee`.
    pub path: String,
    /// The name that was probably meant.
    pub suggestion: Option<&'static str>,
}

/// What is wrong with a field that is overlooked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlooked {
    /// The API has no such field.
    UnknownField,
    /// The field is given more than once; the last one counts.
    DuplicateField,
    /// An operation of a JSON patch has no such field.
    UnknownInOperation,
    /// An operation of a JSON patch has the field more than once; the last one counts.
    DuplicateInOperation,
    /// A key of YAML is set again on this line; the last one counts. The path is the key alone.
    SetAgain(usize),
}

impl Finding {
    /// The sentence without the path, with the name that was probably meant.
    pub fn sentence(&self) -> String {
        match self.suggestion {
            Some(name) => format!("{} field; did you mean {name:?}?", self.what),
            None => format!("{} field", self.what),
        }
    }
}

impl From<SetAgain> for Finding {
    fn from(SetAgain { line, key }: SetAgain) -> Self {
        Self { what: Overlooked::SetAgain(line), path: key, suggestion: None }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Overlooked::SetAgain(line) => SetAgain { line, key: self.path.clone() }.fmt(formatter),
            what => write!(formatter, "{what} field {:?}", self.path),
        }
    }
}

impl fmt::Display for Overlooked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnknownField => "unknown",
            Self::DuplicateField => "duplicate",
            Self::UnknownInOperation => "json patch unknown",
            Self::DuplicateInOperation => "json patch duplicate",
            Self::SetAgain(_) => "repeated",
        })
    }
}

/// A strict client was not understood completely. Displayed in Kubernetes' words; [`Finding::sentence`] says more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrictError {
    /// At least one.
    pub findings: Vec<Finding>,
}

impl fmt::Display for StrictError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_again = |finding: &&Finding| matches!(finding.what, Overlooked::SetAgain(_));
        let (again, fields): (Vec<&Finding>, Vec<&Finding>) = self.findings.iter().partition(is_again);
        let again = (!again.is_empty()).then(|| yaml_errors(&again));
        let words: Vec<String> = again.into_iter().chain(fields.iter().map(ToString::to_string)).collect();
        write!(formatter, "strict decoding error: {}", words.join(", "))
    }
}

/// What the reader of YAML behind Kubernetes says of several mistakes.
pub fn yaml_errors(mistakes: &[impl fmt::Display]) -> String {
    mistakes.iter().fold("yaml: unmarshal errors:".to_owned(), |text, mistake| format!("{text}\n  {mistake}"))
}

impl std::error::Error for StrictError {}

/// The field of the type whose name is nearest to `name`, if it is near at all.
pub fn nearest(of: &Type, name: &str) -> Option<&'static str> {
    nearest_of(of.fields().iter().map(|field| field.name), name)
}

/// The one of `names` that is nearest to `name`, if it is near at all.
pub fn nearest_of<'a>(names: impl Iterator<Item = &'a str>, name: &str) -> Option<&'a str> {
    // The longest name of a field has 64 letters.
    if name.len() > 64 {
        return None;
    }
    let name = bare(name);
    let bound = 1 + name.len() / 5;
    names
        .map(|known| (distance(&name, &bare(known)), known))
        .filter(|(distance, _)| *distance <= bound && *distance < name.len())
        .min()
        .map(|(_, name)| name)
}

/// Without case and the signs between words: `host_ip` and `hostIp` are `hostIP`.
fn bare(name: &str) -> Vec<char> {
    name.chars().filter(|letter| !matches!(letter, '_' | '-')).flat_map(char::to_lowercase).collect()
}

/// How many letters to insert, delete, replace or swap with their neighbour.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (row, letter) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let replaced = last[column] + usize::from(letter != other);
            let mut best = replaced.min(last[column + 1] + 1).min(current[column] + 1);
            let swapped = row > 0 && column > 0 && *letter == right[column - 1] && left[row - 1] == *other;
            if swapped {
                best = best.min(before_last[column - 1] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::nearest;
    use crate::schema::builtin;

    #[test]
    fn nearest_name_is_suggested() {
        let rows = [
            ("core.v1.Container", "imagee", Some("image")),
            ("core.v1.Container", "iamge", Some("image")),
            ("core.v1.Container", "volumeMount", Some("volumeMounts")),
            ("core.v1.Container", "env_from", Some("envFrom")),
            ("core.v1.Container", "replicas", None),
            ("core.v1.ContainerPort", "containerport", Some("containerPort")),
            ("core.v1.ContainerPort", "hostIp", Some("hostIP")),
            ("apps.v1.DeploymentSpec", "replica", Some("replicas")),
            ("apps.v1.DeploymentSpec", "", None),
            ("apps.v1.DeploymentSpec", "x", None),
            ("apps.v1.DeploymentSpec", "ſtrategy", Some("strategy")),
        ];
        for (of, name, expected) in rows {
            assert_eq!(nearest(builtin().named(of).unwrap(), name), expected, "{name}");
        }
    }
}
