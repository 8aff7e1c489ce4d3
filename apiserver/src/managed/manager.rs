//! Who owns fields: a name, how it writes, and in which version.

use std::borrow::Cow;

use api::field::FieldError;

use super::set::{self, escaped};

/// The longest name, in bytes.
pub const LONGEST_NAME: usize = 128;

/// How a manager came to own its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// It applied them.
    Apply,
    /// It wrote them in another way.
    Update,
}

impl Operation {
    /// As entries name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// What tells managers apart. The texts are in the form in which JSON has them between quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// How it writes.
    pub operation: Operation,
    /// The version in which it last wrote.
    pub api_version: Cow<'a, str>,
    /// The subresource it writes to; empty for the object itself.
    pub subresource: Cow<'a, str>,
}

impl<'a> Manager<'a> {
    /// A manager, by texts as people read them.
    pub fn new(name: &'a str, operation: Operation, api_version: &'a str, subresource: &'a str) -> Self {
        let name = if name.is_empty() { "unknown" } else { name };
        Self {
            name: escaped(name),
            operation,
            api_version: escaped(api_version),
            subresource: escaped(subresource),
        }
    }

    /// Whether both are one manager: one that applies stays the same in every version.
    pub fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// What is the same for both if they are one manager, and else is not.
    pub fn identity(&self) -> (Cow<'a, str>, Operation, Cow<'a, str>, Cow<'a, str>) {
        let version = match self.operation {
            Operation::Apply => Cow::Borrowed(""),
            Operation::Update => self.api_version.clone(),
        };
        (self.name.clone(), self.operation, self.subresource.clone(), version)
    }

    /// Its name as it is meant.
    pub fn plain_name(&self) -> Cow<'_, str> {
        set::plain(&self.name)
    }

    /// As messages name it.
    pub fn shown(&self) -> String {
        let mut text = format!("\"{}\"", self.name);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource \"{}\"", self.subresource));
        }
        if self.operation == Operation::Update {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }
}

/// Checks the name of a manager.
pub fn check_name(name: &str, field: &str, errors: &mut Vec<FieldError>) {
    if name.len() > LONGEST_NAME {
        errors.push(FieldError::too_long(field, LONGEST_NAME));
    }
    for (position, wrong) in name.char_indices().filter(|(_, letter)| !is_printable(*letter)) {
        let words = format!("invalid character U+{:04X} (at position {position})", u32::from(wrong));
        errors.push(FieldError::invalid(field, name, words));
    }
}

/// Whether a letter may stand in the name of a manager.
pub fn is_printable(letter: char) -> bool {
    letter == ' ' || !letter.is_control() && !letter.is_whitespace()
}
