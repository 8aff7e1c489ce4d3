//! Selectors over labels: requirements on single keys, all of which must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

use super::parse::{self, SelectorError};
use super::qualified::{check_label_key, check_label_value};

/// What a requirement asks of the label with its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operator {
    /// Present, with this value.
    Equals(String),
    /// Absent, or with another value.
    NotEquals(String),
    /// Present, with one of these values.
    In(BTreeSet<String>),
    /// Absent, or with none of these values.
    NotIn(BTreeSet<String>),
    /// Present.
    Exists,
    /// Absent.
    DoesNotExist,
    /// Present, an integer, and greater.
    GreaterThan(i64),
    /// Present, an integer, and less.
    LessThan(i64),
}

/// A condition on one label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Requirement {
    key: String,
    operator: Operator,
}

impl Requirement {
    /// A requirement on a label whose key and values have the right form.
    pub fn new(key: impl Into<String>, operator: Operator) -> Result<Self, SelectorError> {
        let key = key.into();
        check_key(&key)?;
        let check_values = |values: &BTreeSet<String>| match values.len() {
            0 => Err(SelectorError::NoValues),
            _ => values.iter().enumerate().try_for_each(|(index, value)| check_value(&key, index, value)),
        };
        match &operator {
            Operator::Equals(value) | Operator::NotEquals(value) => check_value(&key, 0, value)?,
            Operator::In(values) | Operator::NotIn(values) => check_values(values)?,
            Operator::GreaterThan(bound) | Operator::LessThan(bound) => {
                check_value(&key, 0, &bound.to_string())?;
            }
            Operator::Exists | Operator::DoesNotExist => {}
        }
        Ok(Self { key, operator })
    }

    /// The key of the label.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is asked of it.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    fn matches(&self, value: Option<&str>) -> bool {
        let integer = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.operator {
            Operator::Equals(wanted) => value == Some(wanted),
            Operator::NotEquals(unwanted) => value != Some(unwanted),
            Operator::In(wanted) => value.is_some_and(|value| wanted.contains(value)),
            Operator::NotIn(unwanted) => !value.is_some_and(|value| unwanted.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan(bound) => integer().is_some_and(|value| value > *bound),
            Operator::LessThan(bound) => integer().is_some_and(|value| value < *bound),
        }
    }
}

pub(super) fn check_key(key: &str) -> Result<(), SelectorError> {
    let wrongs = check_label_key(key);
    if wrongs.is_empty() {
        return Ok(());
    }
    Err(SelectorError::Key { key: key.to_owned(), wrong: wrongs.join("; ") })
}

fn check_value(key: &str, index: usize, value: &str) -> Result<(), SelectorError> {
    let wrongs = check_label_value(value);
    if wrongs.is_empty() {
        return Ok(());
    }
    let (key, value) = (key.to_owned(), value.to_owned());
    Err(SelectorError::Value { key, index, value, wrong: wrongs.join("; ") })
}

/// A choice of objects by their labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSelector(Choice);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Choice {
    Nothing,
    /// In the order of their keys.
    Every(Vec<Requirement>),
}

impl Default for LabelSelector {
    /// Selects everything, as a request without a selector does.
    fn default() -> Self {
        Self::everything()
    }
}

impl LabelSelector {
    /// Chooses every object.
    pub fn everything() -> Self {
        Self(Choice::Every(Vec::new()))
    }

    /// Chooses no object.
    pub fn nothing() -> Self {
        Self(Choice::Nothing)
    }

    /// Chooses the objects for which all requirements hold.
    pub fn new(requirements: impl IntoIterator<Item = Requirement>) -> Self {
        let mut requirements: Vec<Requirement> = requirements.into_iter().collect();
        requirements.sort();
        Self(Choice::Every(requirements))
    }

    /// Chooses the objects that have all these labels: the selector of Services and
    /// ReplicationControllers. An empty map chooses everything. The labels' form is not checked.
    pub fn from_map(labels: &BTreeMap<String, String>) -> Self {
        Self::new(
            labels.iter().map(|(key, value)| Requirement {
                key: key.clone(),
                operator: Operator::Equals(value.clone()),
            }),
        )
    }

    /// The selector in a spec. None chooses nothing, an empty one everything.
    pub fn from_api(selector: Option<&meta::LabelSelector>) -> Result<Self, SelectorError> {
        match selector {
            None => Ok(Self::nothing()),
            Some(selector) => selector.try_into(),
        }
    }

    /// Does it choose an object with these labels?
    pub fn matches(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        let Choice::Every(requirements) = &self.0 else {
            return false;
        };
        requirements.iter().all(|requirement| {
            let value = labels.and_then(|labels| labels.get(&requirement.key));
            requirement.matches(value.map(String::as_str))
        })
    }

    /// The requirements in the order of their keys; none for everything and for nothing.
    pub fn requirements(&self) -> &[Requirement] {
        match &self.0 {
            Choice::Nothing => &[],
            Choice::Every(requirements) => requirements,
        }
    }

    /// Does it choose every object?
    pub fn is_everything(&self) -> bool {
        matches!(&self.0, Choice::Every(requirements) if requirements.is_empty())
    }

    /// Does it choose no object whatever its labels? Contradictions among requirements do not count.
    pub fn is_nothing(&self) -> bool {
        matches!(self.0, Choice::Nothing)
    }
}

impl TryFrom<&meta::LabelSelector> for LabelSelector {
    type Error = SelectorError;

    fn try_from(selector: &meta::LabelSelector) -> Result<Self, SelectorError> {
        let labels = selector.match_labels.iter().flatten();
        let labels = labels.map(|(key, value)| Requirement::new(key, Operator::Equals(value.clone())));
        let expressions = selector.match_expressions.iter().flatten().map(requirement_of_expression);
        Ok(Self::new(labels.chain(expressions).collect::<Result<Vec<_>, _>>()?))
    }
}

fn requirement_of_expression(
    expression: &meta::LabelSelectorRequirement,
) -> Result<Requirement, SelectorError> {
    let values: BTreeSet<String> = expression.values.iter().flatten().cloned().collect();
    let operator = match expression.operator.as_str() {
        "In" => Operator::In(values),
        "NotIn" => Operator::NotIn(values),
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            return Err(SelectorError::NeedlessValues);
        }
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        other => return Err(SelectorError::Operator(other.to_owned())),
    };
    Requirement::new(&expression.key, operator)
}

/// Reads the syntax of `kubectl get --selector`; the empty text chooses everything.
impl FromStr for LabelSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        parse::requirements(text).map(Self::new)
    }
}

/// The same syntax, in the order of keys; `<nothing>`, which reads as an error, if it chooses nothing.
impl fmt::Display for LabelSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_nothing() {
            return formatter.write_str("<nothing>");
        }
        for (index, requirement) in self.requirements().iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(formatter, "{separator}{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &BTreeSet<String>| match values.first() {
            // `()` would read as no value at all.
            Some(empty) if values.len() == 1 && empty.is_empty() => ",".to_owned(),
            _ => values.iter().map(String::as_str).collect::<Vec<_>>().join(","),
        };
        let key = &self.key;
        match &self.operator {
            Operator::Equals(value) => write!(formatter, "{key}={value}"),
            Operator::NotEquals(value) => write!(formatter, "{key}!={value}"),
            Operator::In(values) => write!(formatter, "{key} in ({})", list(values)),
            Operator::NotIn(values) => write!(formatter, "{key} notin ({})", list(values)),
            Operator::Exists => write!(formatter, "{key}"),
            Operator::DoesNotExist => write!(formatter, "!{key}"),
            Operator::GreaterThan(bound) => write!(formatter, "{key}>{bound}"),
            Operator::LessThan(bound) => write!(formatter, "{key}<{bound}"),
        }
    }
}
