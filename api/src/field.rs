//! What is wrong with one field of an object: its path, its value, and what is allowed.

use std::fmt;

use serde_json::Value;

/// A mistake in one field, worded as Kubernetes words it.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// The path of the field, such as `spec.containers[0].image`.
    pub field: String,
    /// What kind of mistake it is.
    pub mistake: Mistake,
    /// What is allowed, or more about the mistake; may be empty.
    pub detail: String,
}

/// The kinds of mistakes a field can have.
#[derive(Clone, Debug, PartialEq)]
pub enum Mistake {
    /// The field must be given.
    Required,
    /// The value is not allowed.
    Invalid(Value),
    /// The value is none of the allowed ones.
    Unsupported(Value),
    /// The value stands there already.
    Duplicate(Value),
    /// The field may not be set here.
    Forbidden,
    /// The value refers to something that does not exist.
    NotFound(Value),
    /// The text is longer than allowed.
    TooLong,
    /// The list has more items than allowed.
    TooMany(usize),
    /// The value has the wrong type.
    WrongType(Value),
}

impl FieldError {
    /// `field: Required value: detail`.
    pub fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), mistake: Mistake::Required, detail: detail.into() }
    }

    /// `field: Invalid value: "x": detail`.
    pub fn invalid(field: impl Into<String>, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), mistake: Mistake::Invalid(value.into()), detail: detail.into() }
    }

    /// `field: Unsupported value: "x": supported values: "a", "b"`.
    pub fn unsupported(field: impl Into<String>, value: impl Into<Value>, allowed: &[&str]) -> Self {
        let allowed: Vec<String> = allowed.iter().map(|value| format!("{value:?}")).collect();
        Self {
            field: field.into(),
            mistake: Mistake::Unsupported(value.into()),
            detail: format!("supported values: {}", allowed.join(", ")),
        }
    }

    /// `field: Duplicate value: "x"`.
    pub fn duplicate(field: impl Into<String>, value: impl Into<Value>) -> Self {
        let mistake = Mistake::Duplicate(value.into());
        Self { field: field.into(), mistake, detail: String::new() }
    }

    /// `field: Forbidden: detail`.
    pub fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), mistake: Mistake::Forbidden, detail: detail.into() }
    }

    /// `field: Not found: "x"`.
    pub fn not_found(field: impl Into<String>, value: impl Into<Value>) -> Self {
        let mistake = Mistake::NotFound(value.into());
        Self { field: field.into(), mistake, detail: String::new() }
    }

    /// `field: Too long: may not be more than N bytes`.
    pub fn too_long(field: impl Into<String>, most: usize) -> Self {
        let detail = format!("may not be more than {most} bytes");
        Self { field: field.into(), mistake: Mistake::TooLong, detail }
    }

    /// `field: Too many: N: must have at most M items`.
    pub fn too_many(field: impl Into<String>, found: usize, most: usize) -> Self {
        let detail = format!("must have at most {most} items");
        Self { field: field.into(), mistake: Mistake::TooMany(found), detail }
    }

    /// The machine-readable reason of a Status cause.
    pub fn reason(&self) -> &'static str {
        match self.mistake {
            Mistake::Required => "FieldValueRequired",
            Mistake::Invalid(_) => "FieldValueInvalid",
            Mistake::Unsupported(_) => "FieldValueNotSupported",
            Mistake::Duplicate(_) => "FieldValueDuplicate",
            Mistake::Forbidden => "FieldValueForbidden",
            Mistake::NotFound(_) => "FieldValueNotFound",
            Mistake::TooLong => "FieldValueTooLong",
            Mistake::TooMany(_) => "FieldValueTooMany",
            Mistake::WrongType(_) => "FieldValueTypeInvalid",
        }
    }

    /// The sentence without the field path.
    pub fn sentence(&self) -> String {
        let head = match &self.mistake {
            Mistake::Required => "Required value".to_owned(),
            Mistake::Invalid(value) | Mistake::WrongType(value) => {
                format!("Invalid value: {value}")
            }
            Mistake::Unsupported(value) => format!("Unsupported value: {value}"),
            Mistake::Duplicate(value) => format!("Duplicate value: {value}"),
            Mistake::Forbidden => "Forbidden".to_owned(),
            Mistake::NotFound(value) => format!("Not found: {value}"),
            Mistake::TooLong => "Too long".to_owned(),
            Mistake::TooMany(found) => format!("Too many: {found}"),
        };
        if self.detail.is_empty() { head } else { format!("{head}: {}", self.detail) }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.sentence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_read_as_in_kubernetes() {
        let row = |error: FieldError, words: &str| assert_eq!(error.to_string(), words);
        row(FieldError::required("spec.image", ""), "spec.image: Required value");
        row(
            FieldError::invalid("spec.replicas", -1, "must be greater than or equal to 0"),
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        );
        row(
            FieldError::unsupported("spec.type", "Foo", &["ClusterIP", "NodePort"]),
            r#"spec.type: Unsupported value: "Foo": supported values: "ClusterIP", "NodePort""#,
        );
        row(FieldError::duplicate("a", "b"), r#"a: Duplicate value: "b""#);
    }
}
