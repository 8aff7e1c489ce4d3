//! RFC 6902: operations on single places of a tree, named by pointers (RFC 6901).

use serde::Deserialize;
use serde_json::{Number, Value};

use super::PatchError;
use crate::schema::LARGEST_DEPTH;

/// Operations in one patch at most, as in Kubernetes.
pub(super) const MOST_OPERATIONS: usize = 10_000;

/// What the operations of one patch may copy and move together, as copies of copies double and a few lines would fill
/// the memory. Kubernetes bounds copies likewise.
const MOST_COPIED_BYTES: usize = 3 << 20;

/// Longer values are shown cut: a message is read by people, and the value may be a whole object.
const LONGEST_SHOWN: usize = 256;

/// Beyond all integers of 64 bits, which are the only ones there are.
const LARGEST_WHOLE: f64 = 1e20;

/// About what a value takes besides its text.
const VALUE_BYTES: usize = 16;

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase")]
enum Operation {
    Add { path: String, value: Value },
    Remove { path: String },
    Replace { path: String, value: Value },
    Move { from: String, path: String },
    Copy { from: String, path: String },
    Test { path: String, value: Value },
}

impl Operation {
    fn name(&self) -> &'static str {
        match self {
            Self::Add { .. } => "add",
            Self::Remove { .. } => "remove",
            Self::Replace { .. } => "replace",
            Self::Move { .. } => "move",
            Self::Copy { .. } => "copy",
            Self::Test { .. } => "test",
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Add { path, .. }
            | Self::Remove { path }
            | Self::Replace { path, .. }
            | Self::Move { path, .. }
            | Self::Copy { path, .. }
            | Self::Test { path, .. } => path,
        }
    }
}

pub(super) fn apply(mut document: Value, patch: &Value) -> Result<Value, PatchError> {
    let Value::Array(operations) = patch else {
        return Err(PatchError::Malformed("a JSON patch is a list of operations".to_owned()));
    };
    if operations.len() > MOST_OPERATIONS {
        return Err(PatchError::TooManyOperations(operations.len()));
    }
    let mut budget = MOST_COPIED_BYTES;
    for (index, operation) in operations.iter().enumerate() {
        let operation = Operation::deserialize(operation)
            .map_err(|error| PatchError::Malformed(format!("operation {index}: {error}")))?;
        let (name, path) = (operation.name(), operation.path().to_owned());
        carry_out(&mut document, operation, &mut budget).map_err(|why| PatchError::Failed {
            index,
            operation: name,
            path,
            why,
        })?;
    }
    Ok(document)
}

fn carry_out(document: &mut Value, operation: Operation, budget: &mut usize) -> Result<(), String> {
    match operation {
        Operation::Add { path, value } => add(document, &path, value),
        Operation::Remove { path } => remove(document, &path).map(drop),
        Operation::Replace { path, value } => {
            let found = find(document, &path)?;
            check_depth(&path, &value)?;
            *found = value;
            Ok(())
        }
        Operation::Move { from, path } if path.starts_with(&format!("{from}/")) => {
            Err(format!("{from:?} cannot be moved into itself"))
        }
        Operation::Move { from, path } => {
            spend(budget, find(document, &from)?)?;
            let value = remove(document, &from)?;
            add(document, &path, value)
        }
        Operation::Copy { from, path } => {
            let found = find(document, &from)?;
            spend(budget, found)?;
            let value = found.clone();
            add(document, &path, value)
        }
        Operation::Test { path, value } if value.is_null() && is_unset(document, &path)? => Ok(()),
        Operation::Test { path, value } => match find(document, &path)? {
            found if equal(found, &value) => Ok(()),
            found => Err(format!("the value is {}, not {}", shown(found), shown(&value))),
        },
    }
}

/// The value as people read it in a message: a large one is cut.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Takes the size of a value from what may still be copied.
fn spend(budget: &mut usize, value: &Value) -> Result<(), String> {
    let left = budget.checked_sub(bytes(value));
    *budget = left.ok_or_else(|| format!("more than {MOST_COPIED_BYTES} bytes are copied or moved"))?;
    Ok(())
}

fn bytes(value: &Value) -> usize {
    VALUE_BYTES
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(bytes).sum(),
            Value::Object(fields) => fields.iter().map(|(name, value)| name.len() + bytes(value)).sum(),
            _ => 0,
        }
}

/// A document stays as shallow as an object must be, so that nobody who walks over it runs out of stack.
fn check_depth(path: &str, value: &Value) -> Result<(), String> {
    match tokens(path)?.len() + height(value) <= LARGEST_DEPTH {
        true => Ok(()),
        false => Err(format!("the value is nested deeper than {LARGEST_DEPTH} levels")),
    }
}

/// How many objects and lists are within one another.
fn height(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(height).max().unwrap_or(0),
        Value::Object(fields) => 1 + fields.values().map(height).max().unwrap_or(0),
        _ => 0,
    }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), String> {
    check_depth(path, &value)?;
    let Some((parent, last)) = split(path)? else {
        *document = value;
        return Ok(());
    };
    match find(document, parent)? {
        Value::Object(fields) => {
            fields.insert(last, value);
        }
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => {
            let index = index(&last).filter(|index| *index <= items.len());
            items.insert(index.ok_or_else(|| no_index(&last, items.len()))?, value);
        }
        _ => return Err(format!("{parent:?} is neither an object nor a list")),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Result<Value, String> {
    let Some((parent, last)) = split(path)? else {
        return Ok(document.take());
    };
    match find(document, parent)? {
        Value::Object(fields) => fields.remove(&last).ok_or_else(|| missing(path)),
        Value::Array(items) => {
            let index = index(&last).filter(|index| *index < items.len());
            Ok(items.remove(index.ok_or_else(|| no_index(&last, items.len()))?))
        }
        _ => Err(missing(path)),
    }
}

fn find<'a>(document: &'a mut Value, path: &str) -> Result<&'a mut Value, String> {
    let mut value = document;
    for token in tokens(path)? {
        value = match value {
            Value::Object(fields) => fields.get_mut(&token).ok_or_else(|| missing(path))?,
            Value::Array(items) => {
                let length = items.len();
                let found = index(&token).and_then(|index| items.get_mut(index));
                found.ok_or_else(|| no_index(&token, length))?
            }
            _ => return Err(missing(path)),
        };
    }
    Ok(value)
}

/// Whether an object is there that lacks this field: clients test with null for what is not there, as Kubernetes lets them.
fn is_unset(document: &mut Value, path: &str) -> Result<bool, String> {
    let Some((parent, last)) = split(path)? else {
        return Ok(false);
    };
    Ok(find(document, parent)?.as_object().is_some_and(|fields| !fields.contains_key(&last)))
}

fn missing(path: &str) -> String {
    format!("there is nothing at {path:?}")
}

fn no_index(token: &str, length: usize) -> String {
    format!("{token:?} is no index into a list of {length}")
}

/// The path without its last token, and that token; none for the whole document.
fn split(path: &str) -> Result<Option<(&str, String)>, String> {
    let last = tokens(path)?.pop();
    Ok(last.map(|last| (path.rsplit_once('/').map_or("", |(parent, _)| parent), last)))
}

fn tokens(path: &str) -> Result<Vec<String>, String> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let tokens = path.strip_prefix('/').ok_or("a path starts with '/'")?.split('/');
    Ok(tokens.map(|token| token.replace("~1", "/").replace("~0", "~")).collect())
}

fn index(token: &str) -> Option<usize> {
    let leading_zero = token.len() > 1 && token.starts_with('0');
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    (digits && !leading_zero).then(|| token.parse().ok()).flatten()
}

/// Numbers are equal by value: 1 and 1.0.
fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || whole(one).is_some_and(|one| whole(other) == Some(one))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, one)| other.get(key).is_some_and(|other| equal(one, other)))
        }
        _ => one == other,
    }
}

/// The value of a whole number, however it is written: exact also where floats are not.
fn whole(number: &Number) -> Option<i128> {
    let integer = number.as_i64().map(i128::from).or(number.as_u64().map(i128::from));
    let is_whole = |float: &f64| float.fract() == 0.0 && float.abs() < LARGEST_WHOLE;
    integer.or_else(|| number.as_f64().filter(is_whole).map(|float| float as i128))
}

#[cfg(test)]
mod tests {
    use super::super::merge::tests::tree;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn row(document: Value, patch: Value, wanted: Result<Value, &str>) {
        let result = apply(document, &patch).map_err(|error| error.to_string());
        assert_eq!(result, wanted.map_err(str::to_owned), "{patch}");
    }

    #[test]
    fn operations() {
        let add = |path: &str, value: Value| json!([{"op": "add", "path": path, "value": value}]);
        row(json!({"a": 1}), add("/b", json!(2)), Ok(json!({"a": 1, "b": 2})));
        row(json!([1, 3]), add("/1", json!(2)), Ok(json!([1, 2, 3])));
        row(json!([1]), add("/-", json!(2)), Ok(json!([1, 2])));
        row(json!({"a/b": {"~": 1}}), add("/a~1b/~0", json!(2)), Ok(json!({"a/b": {"~": 2}})));
        row(json!({"a": 1}), add("", json!([])), Ok(json!([])));
        row(json!({"a": [1, 2]}), json!([{"op": "remove", "path": "/a/0"}]), Ok(json!({"a": [2]})));
        row(
            json!({"a": 1, "b": {}}),
            json!([{"op": "move", "from": "/a", "path": "/b/c"}, {"op": "copy", "from": "/b", "path": "/d"}]),
            Ok(json!({"b": {"c": 1}, "d": {"c": 1}})),
        );
        row(json!({"a": 1}), json!([{"op": "test", "path": "/a", "value": 1.0}]), Ok(json!({"a": 1})));
        let unset = |path: &str| json!([{"op": "test", "path": path, "value": null}]);
        row(json!({"a": {}}), unset("/a/b"), Ok(json!({"a": {}})));
        row(json!({"a": {}}), unset("/b/c"), Err(r#"test operation 0 at "/b/c": there is nothing at "/b""#));
        row(
            json!({"a": 9_007_199_254_740_993_u64}),
            json!([{"op": "test", "path": "/a", "value": 9_007_199_254_740_992_u64}]),
            Err(r#"test operation 0 at "/a": the value is 9007199254740993, not 9007199254740992"#),
        );
    }

    #[test]
    fn failures_name_what_failed() {
        row(
            json!({"a": 1}),
            json!([{"op": "test", "path": "/a", "value": 2}]),
            Err(r#"test operation 0 at "/a": the value is 1, not 2"#),
        );
        row(
            json!({"a": {}}),
            json!([{"op": "add", "path": "/b", "value": 1}, {"op": "replace", "path": "/a/b", "value": 2}]),
            Err(r#"replace operation 1 at "/a/b": there is nothing at "/a/b""#),
        );
        row(
            json!([1]),
            json!([{"op": "add", "path": "/5", "value": 2}]),
            Err(r#"add operation 0 at "/5": "5" is no index into a list of 1"#),
        );
        row(
            json!({"a": {}}),
            json!([{"op": "move", "from": "/a", "path": "/a/b"}]),
            Err(r#"move operation 0 at "/a/b": "/a" cannot be moved into itself"#),
        );
        let long = format!(r#"test operation 0 at "/a": the value is "{}..., not 2"#, "x".repeat(255));
        row(
            json!({"a": "x".repeat(1_000)}),
            json!([{"op": "test", "path": "/a", "value": 2}]),
            Err(long.as_str()),
        );
        row(json!({}), json!({}), Err("error decoding patch: a JSON patch is a list of operations"));
    }

    #[test]
    fn a_few_lines_neither_fill_the_memory_nor_the_stack() {
        let copy = json!({"op": "copy", "from": "/a", "path": "/a/-"});
        row(
            json!({"a": ["x"]}),
            Value::Array(vec![copy; 64]),
            Err(r#"copy operation 16 at "/a/-": more than 3145728 bytes are copied or moved"#),
        );
        let wrap = json!([{"op": "add", "path": "/b", "value": {}}, {"op": "move", "from": "/a", "path": "/b/a"},
            {"op": "move", "from": "/b", "path": "/a"}]);
        let wraps: Vec<Value> = (0..64).flat_map(|_| wrap.as_array().cloned().unwrap_or_default()).collect();
        let error =
            apply(json!({"a": 1}), &Value::Array([wraps.clone(), wraps].concat())).expect_err("too deep");
        assert!(error.to_string().ends_with("the value is nested deeper than 100 levels"), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_added_is_found_and_can_be_removed(document in tree(), value in tree()) {
            let before = json!({"x": document});
            let add = json!([{"op": "add", "path": "/new", "value": value},
                {"op": "test", "path": "/new", "value": value}]);
            let after = apply(before.clone(), &add).expect("an object takes a field");
            let back = apply(after, &json!([{"op": "remove", "path": "/new"}])).expect("it is there");
            prop_assert_eq!(back, before);
        }
    }
}
