//! RFC 7386: a tree laid over another; null removes, objects are merged, everything else replaces.

use serde_json::{Map, Value};

/// Lays `patch` over `target`.
pub fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else {
        return;
    };
    for (field, value) in patch {
        match value {
            Value::Null => {
                fields.remove(&field);
            }
            value @ Value::Object(_) => merge(fields.entry(field).or_insert(Value::Null), value),
            value => {
                fields.insert(field, value);
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn rows_of_the_rfc() {
        let row = |target: Value, patch: Value, wanted: Value| {
            let mut result = target.clone();
            merge(&mut result, patch.clone());
            assert_eq!(result, wanted, "{target} {patch}");
        };
        row(json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"}));
        row(json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"}));
        row(json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"}));
        row(json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"}));
        row(json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}}));
        row(json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]}));
        row(json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"]));
        row(json!({"a": "foo"}), json!(null), json!(null));
        row(json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1}));
        row(json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"}));
        row(json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}}));
    }

    pub(in crate::patch) fn tree() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..4i64).prop_map(Value::from),
            "[ab]".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// The RFC's own words: the value at every path, asked for one by one.
    fn model(target: Option<&Value>, patch: &Value) -> Value {
        let Value::Object(patch) = patch else {
            return patch.clone();
        };
        let empty = Map::new();
        let target = target.and_then(Value::as_object).unwrap_or(&empty);
        let names = target.keys().chain(patch.keys());
        let field = |name: &String| match (target.get(name), patch.get(name)) {
            (_, Some(Value::Null)) => None,
            (old, Some(new)) => Some((name.clone(), model(old, new))),
            (old, None) => old.map(|old| (name.clone(), old.clone())),
        };
        Value::Object(names.filter_map(field).collect())
    }

    proptest! {
        #[test]
        fn agrees_with_the_model(target in tree(), patch in tree()) {
            let mut result = target.clone();
            merge(&mut result, patch.clone());
            prop_assert_eq!(&result, &model(Some(&target), &patch));
            let once = result.clone();
            merge(&mut result, patch);
            prop_assert_eq!(result, once, "laying it over again changes nothing");
        }
    }
}
