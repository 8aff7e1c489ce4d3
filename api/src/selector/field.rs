//! Selectors over fields: `metadata.name=web,status.phase!=Running`.

use std::fmt;
use std::str::FromStr;

/// The selector cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldSelectorError {
    /// A term without an operator.
    #[error("invalid selector: '{selector}'; can't understand '{term}'")]
    Term {
        /// The whole text.
        selector: String,
        /// The term.
        term: String,
    },
    /// A backslash before something other than a comma, an equals sign or a backslash.
    #[error("invalid field selector: invalid escape sequence: {0}")]
    Escape(String),
    /// An equals sign in a value without a backslash before it.
    #[error("invalid field selector: unescaped character in value: {0}")]
    Unescaped(char),
}

/// A condition on one field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldRequirement {
    /// The path of the field, such as `metadata.name`.
    pub field: String,
    /// The value it is compared with; an absent field is empty.
    pub value: String,
    /// Whether they must be equal, or must differ.
    pub equal: bool,
}

/// A choice of objects by their fields: all requirements must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldSelector(Vec<FieldRequirement>);

impl FieldSelector {
    /// Chooses every object.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Chooses the objects for which all requirements hold.
    pub fn new(requirements: impl IntoIterator<Item = FieldRequirement>) -> Self {
        let mut requirements: Vec<FieldRequirement> = requirements.into_iter().collect();
        requirements.sort();
        Self(requirements)
    }

    /// Chooses the objects whose field has this value.
    pub fn equals(field: impl Into<String>, value: impl Into<String>) -> Self {
        Self(vec![FieldRequirement { field: field.into(), value: value.into(), equal: true }])
    }

    /// Does it choose an object with these fields?
    pub fn matches<V: AsRef<str>>(&self, field: impl Fn(&str) -> Option<V>) -> bool {
        self.0.iter().all(|requirement| {
            let value = field(&requirement.field);
            let value = value.as_ref().map_or("", V::as_ref);
            (value == requirement.value) == requirement.equal
        })
    }

    /// The requirements, in the order of their fields.
    pub fn requirements(&self) -> &[FieldRequirement] {
        &self.0
    }

    /// The value the field must have, if one is required.
    pub fn required_value(&self, field: &str) -> Option<&str> {
        let mut equalities = self.0.iter().filter(|requirement| requirement.equal);
        Some(&equalities.find(|requirement| requirement.field == field)?.value)
    }

    /// Does it choose every object?
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }
}

/// Reads the syntax of `kubectl get --field-selector`; the empty text chooses everything.
impl FromStr for FieldSelector {
    type Err = FieldSelectorError;

    fn from_str(selector: &str) -> Result<Self, FieldSelectorError> {
        let terms = split_terms(selector).into_iter().filter(|term| !term.is_empty());
        let requirements = terms.map(|term| {
            let (field, equal, value) = split_term(term).ok_or_else(|| FieldSelectorError::Term {
                selector: selector.to_owned(),
                term: term.to_owned(),
            })?;
            Ok(FieldRequirement { field: field.to_owned(), value: unescape(value)?, equal })
        });
        Ok(Self::new(requirements.collect::<Result<Vec<_>, _>>()?))
    }
}

/// Splits at the commas that have no backslash before them.
fn split_terms(selector: &str) -> Vec<&str> {
    let mut terms = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (position, byte) in selector.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => {
                terms.push(&selector[start..position]);
                start = position + 1;
            }
            _ => {}
        }
    }
    terms.push(&selector[start..]);
    terms
}

fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let position = term.bytes().enumerate().position(|(position, byte)| {
        byte == b'=' || byte == b'!' && term.as_bytes().get(position + 1) == Some(&b'=')
    })?;
    let (field, rest) = term.split_at(position);
    let operators = [("!=", false), ("==", true), ("=", true)];
    operators
        .iter()
        .find_map(|(operator, equal)| rest.strip_prefix(operator).map(|value| (field, *equal, value)))
}

fn unescape(value: &str) -> Result<String, FieldSelectorError> {
    let mut unescaped = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => unescaped.push(c),
                Some(c) => return Err(FieldSelectorError::Escape(format!("\\{c}"))),
                None => return Err(FieldSelectorError::Escape("\\".to_owned())),
            },
            ',' | '=' => return Err(FieldSelectorError::Unescaped(c)),
            c => unescaped.push(c),
        }
    }
    Ok(unescaped)
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, requirement) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(formatter, "{separator}{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for FieldRequirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operator = if self.equal { "=" } else { "!=" };
        write!(formatter, "{}{operator}", self.field)?;
        for c in self.value.chars() {
            if matches!(c, '\\' | ',' | '=') {
                formatter.write_str("\\")?;
            }
            write!(formatter, "{c}")?;
        }
        Ok(())
    }
}
