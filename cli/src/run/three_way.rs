//! What changed between two texts of a manifest, as a merge patch that leaves alone what others set.

use serde_json::{Map, Value};

/// A merge patch that sets all of `new` and removes what `last` had and `new` has not.
pub fn patch(last: &Value, new: &Value) -> Value {
    let (Value::Object(last), Value::Object(new)) = (last, new) else { return new.clone() };
    let removed = last.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let set = new.iter().map(|(key, value)| {
        let before = last.get(key).unwrap_or(&Value::Null);
        (key.clone(), patch(before, value))
    });
    Value::Object(removed.chain(set).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_removes_only_what_the_manifest_had() {
        let row = |last: Value, new: Value, expected: Value| assert_eq!(patch(&last, &new), expected);
        row(json!({"a": 1}), json!({"a": 2}), json!({"a": 2}));
        row(json!({"a": 1, "b": 1}), json!({"a": 1}), json!({"a": 1, "b": null}));
        row(json!({"a": {"b": 1, "c": 1}}), json!({"a": {"c": 1}}), json!({"a": {"b": null, "c": 1}}));
        row(json!({"a": [1, 2]}), json!({"a": [2]}), json!({"a": [2]}));
        row(json!({"a": "text"}), json!({"a": {"b": 1}}), json!({"a": {"b": 1}}));
        row(json!(null), json!({"a": 1}), json!({"a": 1}));
    }
}
