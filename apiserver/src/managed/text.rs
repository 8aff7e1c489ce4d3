//! Reads and writes sets of fields in the form that Kubernetes calls `FieldsV1`.
//!
//! ```text
//! {"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{}}}}}
//! ```
//! What has nothing within it is a member; so is what has a `.` in it.

use serde_json::{Map, Value};

use super::cursor::Cursor;
use super::set::{Element, Kind, Set};
use crate::schema::LARGEST_DEPTH;

/// Sets nested deeper are not read: each step leads into a value, and those are bounded.
pub(super) const DEEPEST: usize = LARGEST_DEPTH + 1;

/// A set as it is stored.
pub fn parse(text: &str) -> Option<Set<'_>> {
    let mut cursor = Cursor::new(text);
    let set = cursor.set()?;
    cursor.is_at_end().then_some(set)
}

/// A set that a client sent.
pub fn from_value(value: &Value) -> Option<Set<'static>> {
    contents(value.as_object()?, 0).map(|(_, set)| set)
}

fn contents(fields: &Map<String, Value>, depth: usize) -> Option<(bool, Set<'static>)> {
    if depth > DEEPEST {
        return None;
    }
    let (mut set, mut is_member) = (Set::default(), fields.is_empty());
    for (step, value) in fields {
        if step == "." {
            is_member = true;
            continue;
        }
        let (member, below) = contents(value.as_object()?, depth + 1)?;
        set.push(element(step)?, member, below);
    }
    set.sort();
    Some((is_member, set))
}

/// A step as a client wrote it, as it is stored.
fn element(step: &str) -> Option<Element<'static>> {
    let (kind, text) = (kind(step.as_bytes())?, step.get(2..)?);
    let canonical = match kind {
        Kind::Field => return Some(Element::new(kind, text)),
        Kind::Index => text.parse::<i64>().ok()?.to_string(),
        Kind::Key => Value::from(serde_json::from_str::<Map<String, Value>>(text).ok()?).to_string(),
        Kind::Value => serde_json::from_str::<Value>(text).ok()?.to_string(),
    };
    Some(Element::new(kind, &canonical))
}

/// What a step is by its first two letters.
pub(super) fn kind(step: &[u8]) -> Option<Kind> {
    match step.get(..2)? {
        b"f:" => Some(Kind::Field),
        b"i:" => Some(Kind::Index),
        b"k:" => Some(Kind::Key),
        b"v:" => Some(Kind::Value),
        _ => None,
    }
}

/// Writes a set.
pub fn write(set: &Set<'_>, out: &mut String) {
    write_contents(false, set, out);
}

fn write_contents(with_itself: bool, set: &Set<'_>, out: &mut String) {
    out.push('{');
    if with_itself {
        out.push_str("\".\":{}");
    }
    for (place, node) in set.nodes().iter().enumerate() {
        out.push_str(if place > 0 || with_itself { ",\"" } else { "\"" });
        out.push_str(match node.element.kind {
            Kind::Field => "f:",
            Kind::Index => "i:",
            Kind::Key => "k:",
            Kind::Value => "v:",
        });
        out.push_str(&node.element.text);
        out.push_str("\":");
        write_contents(node.is_member && !node.below.is_empty(), &node.below, out);
    }
    out.push('}');
}

/// The text of a set.
pub fn written(set: &Set<'_>) -> String {
    let mut text = String::new();
    write(set, &mut text);
    text
}

/// The paths of the members as people read them: `.spec.containers[name="a"].image`.
pub fn paths(set: &Set<'_>) -> Vec<String> {
    let mut paths = Vec::new();
    add_paths(set, "", &mut paths);
    paths
}

fn add_paths(set: &Set<'_>, prefix: &str, paths: &mut Vec<String>) {
    let path = |element: &Element<'_>| format!("{prefix}{}", shown(element));
    let members = set.nodes().iter().filter(|node| node.is_member);
    paths.extend(members.map(|node| path(&node.element)));
    for node in set.nodes() {
        add_paths(&node.below, &path(&node.element), paths);
    }
}

/// A step as people read it.
pub fn shown(element: &Element<'_>) -> String {
    let text = element.plain();
    let parsed = || serde_json::from_str::<Value>(&text).unwrap_or_default();
    match element.kind {
        Kind::Field => format!(".{text}"),
        Kind::Index => format!("[{text}]"),
        Kind::Value => format!("[={}]", parsed()),
        Kind::Key => {
            let keys = parsed();
            let keys = keys.as_object().into_iter().flatten();
            let keys: Vec<String> = keys.map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_read_is_written_again() {
        let row = |given: &str, stored: &str| {
            let sent = from_value(&serde_json::from_str(given).unwrap()).unwrap();
            assert_eq!(written(&sent), stored);
            let read = parse(stored).unwrap();
            assert_eq!(read, sent);
            assert_eq!(written(&read), stored);
        };
        row("{}", "{}");
        row(r#"{"f:a":{"f:b":{},".":{}}}"#, r#"{"f:a":{".":{},"f:b":{}}}"#);
        row(r#"{"f:a":{".":{}}}"#, r#"{"f:a":{}}"#);
        row(
            r#"{"k:{\"protocol\": \"TCP\", \"port\": 80}":{".":{}},"f:é\n":{}}"#,
            r#"{"f:é\n":{},"k:{\"port\":80,\"protocol\":\"TCP\"}":{}}"#,
        );
        row(r#"{"v:\"x\"":{},"i:3":{},"v:1":{}}"#, r#"{"i:3":{},"v:1":{},"v:\"x\"":{}}"#);
    }

    #[test]
    fn what_is_no_set_is_not_read() {
        let row = |text: &str| {
            assert!(parse(text).is_none(), "{text}");
            let value = serde_json::from_str::<Value>(text).ok();
            assert!(value.is_none_or(|value| from_value(&value).is_none()), "{text}");
        };
        for text in
            ["", "[]", r#"{"a":{}}"#, r#"{"x:a":{}}"#, r#"{"f:a":1}"#, r#"{"f:a":{}"#, r#"{"f:a":{}}{"#]
        {
            row(text);
        }
        row(&format!("{}{}{}", r#"{"f:a":"#.repeat(200), "{}", "}".repeat(200)));
        assert!(from_value(&serde_json::json!({"k:{": {}})).is_none());
    }

    #[test]
    fn paths_read_as_in_kubernetes() {
        let set = parse(
            r#"{"f:a":{"k:{\"name\":\"x\",\"port\":80}":{".":{},"f:b.c":{}},"v:\"y\"":{}},"f:z":{},"i:1":{}}"#,
        );
        let expected = [".z", "[1]", r#".a[name="x",port=80]"#, r#".a[="y"]"#, r#".a[name="x",port=80].b.c"#];
        assert_eq!(paths(&set.unwrap()), expected);
    }
}
