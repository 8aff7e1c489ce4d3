//! The place of a value in an object; it becomes text only when there is something to say.

use std::fmt;

/// A place, as seen from the one above it.
#[derive(Clone, Copy, Debug)]
pub enum At<'a> {
    /// The object.
    Root,
    /// A field.
    Field(&'a At<'a>, &'a str),
    /// An item.
    Index(&'a At<'a>, usize),
}

impl fmt::Display for At<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field(Self::Root, name) => formatter.write_str(name),
            Self::Field(above, name) => write!(formatter, "{above}.{name}"),
            Self::Index(above, index) => write!(formatter, "{above}[{index}]"),
        }
    }
}

impl From<At<'_>> for String {
    fn from(at: At<'_>) -> Self {
        Self::from(&at)
    }
}

impl From<&At<'_>> for String {
    fn from(at: &At<'_>) -> Self {
        match at {
            // As Kubernetes prints a path it has not got.
            At::Root => "<nil>".to_owned(),
            at => at.to_string(),
        }
    }
}
