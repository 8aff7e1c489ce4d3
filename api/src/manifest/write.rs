//! Writes a tree as YAML in blocks, as people edit it by hand.

use serde_json::Value;

use super::scalar;

/// The YAML text of a tree; reading it gives the same tree.
pub fn write(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => block(&mut text, value, 0),
        Value::Array(items) if !items.is_empty() => block(&mut text, value, 0),
        single => {
            text.push_str(&one_line(single));
            text.push('\n');
        }
    }
    text
}

/// A mapping or a list, each entry on lines of its own; the cursor is at the begin of a line.
fn block(text: &mut String, value: &Value, depth: usize) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                indent(text, depth);
                text.push_str(&one_line(&Value::from(name.as_str())));
                text.push(':');
                entry(text, value, depth);
            }
        }
        Value::Array(items) => {
            for item in items {
                indent(text, depth);
                text.push('-');
                item_of_list(text, item, depth);
            }
        }
        single => text.push_str(&one_line(single)),
    }
}

/// What stands after `name:`.
fn entry(text: &mut String, value: &Value, depth: usize) {
    if !is_block(value) {
        text.push(' ');
        text.push_str(&one_line(value));
        text.push('\n');
        return;
    }
    text.push('\n');
    // Items of a list stand below the name's first letter, as kubectl writes them.
    let deeper = if value.is_array() { depth } else { depth + 1 };
    block(text, value, deeper);
}

/// What stands after `-`; the first field of a mapping shares its line.
fn item_of_list(text: &mut String, item: &Value, depth: usize) {
    if !is_block(item) {
        text.push(' ');
        text.push_str(&one_line(item));
        text.push('\n');
        return;
    }
    let mut inner = String::new();
    block(&mut inner, item, depth + 1);
    text.push(' ');
    text.push_str(inner.trim_start_matches(' '));
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

/// A text that YAML takes for nothing else stands as it is; every other value as in JSON, which YAML reads too.
fn one_line(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        other => escaped(other.to_string()),
    }
}

/// JSON leaves letters as they are that YAML refuses, or takes for the end of a line.
fn escaped(json: String) -> String {
    let is_wrong = |c: char| matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}');
    if !json.contains(is_wrong) {
        return json;
    }
    let mut text = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        match is_wrong(c) {
            // They stand in strings only.
            true => text.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => text.push(c),
        }
    }
    text
}

fn is_plain(text: &str) -> bool {
    let first = text.chars().next();
    let starts_well = first.is_some_and(|first| first.is_ascii_alphabetic() || first == '/');
    let inner = |letter: char| letter.is_ascii_alphanumeric() || "-_./+=@".contains(letter);
    let is_simple = starts_well && text.chars().all(inner);
    is_simple && scalar::resolve(text, true, None).is_ok_and(|read| read == text)
}
