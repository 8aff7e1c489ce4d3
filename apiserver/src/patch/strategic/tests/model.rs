//! What merging means, said slowly: keyed lists are maps, and two orders are kept.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::schema::{Field, Form, Patch, Type};

/// The object with keyed lists as objects by their keys.
pub fn unordered(object: &Value, of: &'static Type) -> Value {
    let members = object.as_object().unwrap().iter().map(|(name, value)| {
        let value = match (of.field(name), value) {
            (Some(field), Value::Array(items)) if field.patches(Patch::Merge) => {
                let (key, below) = (field.merge_key.unwrap(), field.structure().unwrap());
                items.iter().map(|item| (item[key].to_string(), unordered(item, below))).collect()
            }
            (Some(field), Value::Object(_)) if field.form == Form::One => {
                unordered(value, field.structure().unwrap())
            }
            _ => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(members.collect())
}

/// The unordered result: member by member, recursively, null removes.
pub fn merged(document: &Value, patch: &Value, of: &'static Type) -> Value {
    lay_over(&unordered(document, of), &unordered(patch, of))
}

fn lay_over(document: &Value, patch: &Value) -> Value {
    let (Value::Object(old), Value::Object(new)) = (document, patch) else { return patch.clone() };
    let names: BTreeMap<&String, ()> = old.keys().chain(new.keys()).map(|name| (name, ())).collect();
    let members = names.into_keys().filter_map(|name| {
        let value = match (old.get(name), new.get(name)) {
            (_, Some(Value::Null)) => return None,
            (Some(old), Some(new)) => lay_over(old, new),
            (None, Some(new)) => lay_over(&Value::Object(Map::new()), new),
            (Some(old), None) => old.clone(),
            (None, None) => unreachable!(),
        };
        Some((name.clone(), value))
    });
    Value::Object(members.collect())
}

/// Items of the patch stand in its order, and the others in that of the document.
pub fn check_orders(document: &Value, patch: &Value, merged: &Value, of: &'static Type) {
    for (name, result) in merged.as_object().unwrap() {
        let merges = |field: &&Field| field.patches(Patch::Merge) && result.is_array();
        let Some(field) = of.field(name).filter(merges) else { continue };
        let key = field.merge_key.unwrap();
        let keys = |object: &Value| -> Vec<Value> {
            object[name].as_array().into_iter().flatten().map(|item| item[key].clone()).collect()
        };
        let (before, wanted, after) = (keys(document), keys(patch), keys(merged));
        let only = |of: &[Value], is_in_patch: bool| -> Vec<Value> {
            of.iter().filter(|key| wanted.contains(key) == is_in_patch).cloned().collect()
        };
        assert_eq!(only(&after, true), wanted, "{name}");
        assert_eq!(only(&after, false), only(&before, false), "{name}");
        // One that stood before everything the patch names stands there still, unless the patch puts new ones there.
        let first = before.first().filter(|first| !wanted.contains(first));
        if let (Some(first), true) = (first, wanted.first().is_some_and(|wanted| before.contains(wanted))) {
            assert_eq!(after.first(), Some(first), "{name}");
        }
        let below = field.structure().unwrap();
        let find = |object: &Value, wanted: &Value| {
            object[name].as_array().into_iter().flatten().find(|item| item[key] == *wanted).cloned()
        };
        for key in after {
            if let (Some(before), Some(patch)) = (find(document, &key), find(patch, &key)) {
                check_orders(&before, &patch, &find(merged, &key).unwrap(), below);
            }
        }
    }
}
