//! Mistakes in manifests, each one line that names the file, the line, the object and the field.

use std::fmt;

use api::Status;
use api::manifest::Document;

/// One mistake in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    source: String,
    line: usize,
    sentence: String,
}

/// At least one mistake.
#[derive(Debug)]
pub struct Mistakes(Vec<Mistake>);

impl Mistake {
    /// A mistake at a field, or at the nearest part of its path that stands in the file.
    pub fn at_field(document: &Document, object: &str, field: &str, sentence: &str) -> Self {
        let words = [object, field, sentence];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        Self { source: document.source.clone(), line: line_of(document, field), sentence: words.join(": ") }
    }

    /// The mistakes an answer of the server names: one for each field, or one for the whole.
    pub fn from_status(document: &Document, object: &str, status: &Status) -> Vec<Self> {
        let causes = status.details.iter().flat_map(|details| &details.causes);
        let at_fields = causes
            .filter(|cause| !cause.field.is_empty())
            .map(|cause| Self::at_field(document, object, &cause.field, &cause.message));
        let at_fields: Vec<Self> = at_fields.collect();
        if at_fields.is_empty() {
            vec![Self::at_field(document, object, "", &status.message)]
        } else {
            at_fields
        }
    }
}

impl Mistakes {
    /// What one answer named.
    pub fn of(mistakes: Vec<Mistake>) -> Self {
        Self(mistakes)
    }

    /// Succeeds if there are no mistakes.
    pub fn none_or(mistakes: Vec<Mistake>) -> Result<(), Self> {
        if mistakes.is_empty() { Ok(()) } else { Err(Self(mistakes)) }
    }
}

fn line_of(document: &Document, field: &str) -> usize {
    let mut path = field;
    while !path.is_empty() {
        if let Some(line) = document.line_of(path) {
            return line;
        }
        path = path.rfind(['.', '[']).map_or("", |end| &path[..end]);
    }
    document.line
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.source, self.line, self.sentence)
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Mistake::to_string).collect();
        formatter.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Mistakes {}
