//! Sets of fields: a tree of steps into an object, some of which are members.
//!
//! The steps borrow their text from where they were read, in the form in which JSON has it between quotes; so a set that
//! was stored is read and written again without looking at what the text means.

use std::borrow::Cow;
use std::cmp::Ordering;

/// What leads from a value to one within it. Ordered as Kubernetes orders them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A member of a structure or a map, by its name: `f:`.
    Field,
    /// An item of a list, by its place: `i:`.
    Index,
    /// An item of a list, by the fields that tell it apart: `k:`.
    Key,
    /// An item of a list, by itself: `v:`.
    Value,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element<'a> {
    /// What the text is.
    pub kind: Kind,
    /// As JSON has it between quotes, without the letter for its kind.
    pub text: Cow<'a, str>,
}

impl<'a> Element<'a> {
    /// The step to the member of this name.
    pub fn field(name: &'a str) -> Self {
        Self { kind: Kind::Field, text: escaped(name) }
    }

    /// A step whose text is not yet in the form of JSON.
    pub fn new(kind: Kind, text: &str) -> Self {
        Self { kind, text: escaped(text).into_owned().into() }
    }

    /// The text as it is meant.
    pub fn plain(&self) -> Cow<'_, str> {
        plain(&self.text)
    }
}

/// The text that JSON has so between quotes.
pub fn plain(text: &str) -> Cow<'_, str> {
    match text.contains('\\') {
        false => Cow::Borrowed(text),
        true => serde_json::from_str(&format!("\"{text}\"")).map_or(Cow::Borrowed(""), Cow::Owned),
    }
}

/// A text as JSON has it between quotes.
pub fn escaped(text: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let quoted = serde_json::Value::from(text).to_string();
    Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
}

/// A set of fields. There is no node that is neither a member nor leads to one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set<'a>(Vec<Node<'a>>);

/// A step, and what is in the set behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<'a> {
    /// The step.
    pub element: Element<'a>,
    /// Whether the value it leads to is in the set.
    pub is_member: bool,
    /// What is in the set within that value.
    pub below: Set<'a>,
}

impl<'a> Set<'a> {
    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its nodes, in order.
    pub fn nodes(&self) -> &[Node<'a>] {
        &self.0
    }

    /// Adds a node that is greater than all there are, or, before [`Set::sort`], any; one without members is left out.
    pub fn push(&mut self, element: Element<'a>, is_member: bool, below: Self) {
        if is_member || !below.is_empty() {
            self.0.push(Node { element, is_member, below });
        }
    }

    /// Brings what was pushed into order. A step that was pushed twice counts once.
    pub fn sort(&mut self) {
        if self.0.is_sorted_by(|one, other| one.element < other.element) {
            return;
        }
        self.0.sort_by(|one, other| one.element.cmp(&other.element));
        self.0.dedup_by(|later, first| {
            let is_same = later.element == first.element;
            if is_same {
                first.is_member |= later.is_member;
                first.below = first.below.union(&later.below);
            }
            is_same
        });
    }

    /// The node behind a step.
    pub fn get(&self, element: &Element<'_>) -> Option<&Node<'a>> {
        let found = self.0.binary_search_by(|node| {
            node.element.kind.cmp(&element.kind).then_with(|| (*node.element.text).cmp(&element.text))
        });
        found.ok().map(|found| &self.0[found])
    }

    /// What is in one or the other.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (mut first, mut second) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut nodes = Vec::with_capacity(self.0.len().max(other.0.len()));
        loop {
            let order = match (first.peek(), second.peek()) {
                (None, None) => return Self(nodes),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(one), Some(other)) => one.element.cmp(&other.element),
            };
            let one = if order == Ordering::Greater { None } else { first.next() };
            let other = if order == Ordering::Less { None } else { second.next() };
            nodes.extend(match (one, other) {
                (Some(one), Some(other)) => Some(Node {
                    element: one.element.clone(),
                    is_member: one.is_member || other.is_member,
                    below: one.below.union(&other.below),
                }),
                (one, other) => one.or(other).cloned(),
            });
        }
    }

    /// What is in any of them. Pairs are joined first, so that nothing is copied more often than their number doubles.
    pub fn union_of(mut sets: Vec<Self>) -> Self {
        while sets.len() > 1 {
            let mut pairs = sets.into_iter();
            let mut joined = Vec::new();
            while let Some(one) = pairs.next() {
                joined.push(pairs.next().map_or_else(|| one.clone(), |other| one.union(&other)));
            }
            sets = joined;
        }
        sets.pop().unwrap_or_default()
    }

    /// What is in this one but not in the other.
    #[must_use]
    pub fn difference(&self, other: &Set<'_>) -> Self {
        self.filtered(other, false)
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Set<'_>) -> Self {
        self.filtered(other, true)
    }

    /// What the other has as well, or what it has not.
    fn filtered(&self, other: &Set<'_>, in_both: bool) -> Self {
        let mut left = Self::default();
        for node in &self.0 {
            match other.get(&node.element) {
                Some(found) => {
                    let is_member = node.is_member && found.is_member == in_both;
                    left.push(node.element.clone(), is_member, node.below.filtered(&found.below, in_both));
                }
                None if in_both => {}
                None => left.0.push(node.clone()),
            }
        }
        left
    }

    /// Whether everything in the other is in this one.
    pub fn covers(&self, other: &Set<'_>) -> bool {
        other.0.iter().all(|node| {
            self.get(&node.element)
                .is_some_and(|mine| (mine.is_member || !node.is_member) && mine.below.covers(&node.below))
        })
    }

    /// Whether something is in both.
    pub fn overlaps(&self, other: &Set<'_>) -> bool {
        other.0.iter().any(|node| {
            self.get(&node.element)
                .is_some_and(|found| found.is_member && node.is_member || found.below.overlaps(&node.below))
        })
    }

    /// Removes members, and nodes that lead to none afterwards; `change` says what is left of a node.
    pub fn retain(&mut self, mut change: impl FnMut(&mut Node<'a>)) {
        self.0.retain_mut(|node| {
            change(node);
            node.is_member || !node.below.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::text;
    use super::*;

    #[test]
    fn sets_are_combined_member_by_member() {
        let row = |one: &str, other: &str, union: &str, difference: &str, both: &str| {
            let (one, other) = (text::parse(one).unwrap(), text::parse(other).unwrap());
            let written = |set: Set<'_>| text::written(&set);
            assert_eq!(written(one.union(&other)), union);
            assert_eq!(written(one.difference(&other)), difference);
            assert_eq!(written(one.intersection(&other)), both);
            assert_eq!(one.overlaps(&other), both != "{}");
            assert_eq!(one.covers(&other), other.difference(&one).is_empty());
        };
        row("{}", "{}", "{}", "{}", "{}");
        row(
            r#"{"f:a":{},"f:b":{}}"#,
            r#"{"f:b":{},"f:c":{}}"#,
            r#"{"f:a":{},"f:b":{},"f:c":{}}"#,
            r#"{"f:a":{}}"#,
            r#"{"f:b":{}}"#,
        );
        row(
            r#"{"f:a":{".":{},"f:x":{}}}"#,
            r#"{"f:a":{"f:x":{},"f:y":{}}}"#,
            r#"{"f:a":{".":{},"f:x":{},"f:y":{}}}"#,
            r#"{"f:a":{}}"#,
            r#"{"f:a":{"f:x":{}}}"#,
        );
        row(r#"{"f:a":{}}"#, r#"{"f:a":{"f:x":{}}}"#, r#"{"f:a":{".":{},"f:x":{}}}"#, r#"{"f:a":{}}"#, "{}");
        row(
            r#"{"v:\"a\"":{}}"#,
            r#"{"v:\"b\"":{}}"#,
            r#"{"v:\"a\"":{},"v:\"b\"":{}}"#,
            r#"{"v:\"a\"":{}}"#,
            "{}",
        );
    }
}
