//! The patch between two states, as kubectl computes it.

use serde_json::{Map, Value, json};

use crate::schema::{Field, Form, Patch, Type};

/// What leads from `old` to `new`.
pub fn between(old: &Value, new: &Value, of: &'static Type) -> Value {
    Value::Object(members(old, new, Some(of)))
}

fn members(old: &Value, new: &Value, of: Option<&'static Type>) -> Map<String, Value> {
    let (old, new) = (old.as_object().unwrap(), new.as_object().unwrap());
    let mut patch = Map::new();
    for (name, value) in new {
        let field = of.and_then(|of| of.field(name));
        match old.get(name) {
            Some(before) if before == value => {}
            Some(before) => member(name, before, value, field, &mut patch),
            None => drop(patch.insert(name.clone(), value.clone())),
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    patch
}

fn member(name: &str, old: &Value, new: &Value, field: Option<&Field>, patch: &mut Map<String, Value>) {
    let merges = field.is_some_and(|field| field.patches(Patch::Merge));
    let below = field.filter(|field| field.form != Form::Map).and_then(Field::structure);
    match (old, new) {
        (Value::Object(_), Value::Object(_)) => {
            patch.insert(name.to_owned(), Value::Object(members(old, new, below)));
        }
        (Value::Array(before), Value::Array(after)) if merges => {
            let field = field.unwrap();
            let key = field.merge_key.unwrap();
            let find =
                |items: &[Value], item: &Value| items.iter().find(|other| other[key] == item[key]).cloned();
            let mut items = Vec::new();
            for item in after {
                match find(before, item) {
                    Some(before) if before == *item => {}
                    Some(before) => {
                        let mut changes = members(&before, item, below);
                        changes.insert(key.to_owned(), item[key].clone());
                        if field.patches(Patch::RetainKeys) {
                            let keys: Vec<&String> = item.as_object().unwrap().keys().collect();
                            changes.insert("$retainKeys".to_owned(), json!(keys));
                        }
                        items.push(Value::Object(changes));
                    }
                    None => items.push(item.clone()),
                }
            }
            for item in before.iter().filter(|item| find(after, item).is_none()) {
                items.push(json!({"$patch": "delete", key: item[key]}));
            }
            if !items.is_empty() {
                patch.insert(name.to_owned(), Value::from(items));
            }
            let order: Value = after.iter().map(|item| json!({key: item[key]})).collect();
            patch.insert(format!("$setElementOrder/{name}"), order);
        }
        _ => {
            patch.insert(name.to_owned(), new.clone());
        }
    }
}
