//! Generated pods, small enough that their names meet.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

type Members = Vec<(&'static str, BoxedStrategy<Value>)>;

/// An object with some of the members.
fn object(always: &'static [&'static str], members: Members) -> BoxedStrategy<Value> {
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, value)| {
            let value = if always.contains(&name) {
                value.prop_map(Some).boxed()
            } else {
                prop::option::of(value).boxed()
            };
            value.prop_map(move |value| value.map(|value| (name.to_owned(), value)))
        })
        .collect();
    members.prop_map(|members| Value::Object(members.into_iter().flatten().collect())).boxed()
}

/// Items with different keys, in any order.
fn keyed(
    key: &'static str,
    keys: &[Value],
    item: BoxedStrategy<Value>,
    least: usize,
) -> BoxedStrategy<Value> {
    let keys = Just(keys.to_vec()).prop_shuffle();
    (keys, prop::collection::vec(item, least..=3))
        .prop_map(move |(keys, items)| {
            let with_key = |(mut item, name): (Value, Value)| {
                item[key] = name;
                item
            };
            items.into_iter().zip(keys).map(with_key).collect()
        })
        .boxed()
}

fn names() -> [Value; 4] {
    ["a", "b", "c", "d"].map(Value::from)
}

fn word() -> BoxedStrategy<Value> {
    prop::sample::select(vec!["1", "2", "3"]).prop_map(Value::from).boxed()
}

fn labels() -> BoxedStrategy<Value> {
    let labels = prop::collection::btree_map("[a-c]", word(), 1..3);
    labels.prop_map(|labels| Value::Object(labels.into_iter().collect())).boxed()
}

fn container(least: usize) -> BoxedStrategy<Value> {
    let port = object(&[], vec![("name", word()), ("protocol", word())]);
    let env = object(&[], vec![("value", word())]);
    object(
        &[],
        vec![
            ("image", word()),
            ("args", prop::collection::vec(word(), 1..3).prop_map(Value::from).boxed()),
            ("env", keyed("name", &names(), env, least)),
            ("ports", keyed("containerPort", &[1, 2, 3, 4].map(Value::from), port, least)),
            ("resources", object(&[], vec![("limits", labels()), ("requests", labels())])),
        ],
    )
}

/// Exactly one source, as the API demands.
fn volume() -> BoxedStrategy<Value> {
    prop_oneof![
        word().prop_map(|medium| json!({"emptyDir": {"medium": medium}})),
        word().prop_map(|path| json!({"hostPath": {"path": path}})),
    ]
    .boxed()
}

fn with(volumes: BoxedStrategy<Value>, least: usize) -> BoxedStrategy<Value> {
    let tolerations = prop::collection::vec(word().prop_map(|key| json!({"key": key})), 1..3);
    object(
        &["containers"],
        vec![
            ("hostname", word()),
            ("nodeSelector", labels()),
            ("securityContext", object(&[], vec![("fsGroup", (1..3).prop_map(Value::from).boxed())])),
            ("tolerations", tolerations.prop_map(Value::from).boxed()),
            ("containers", keyed("name", &names(), container(least), 1)),
            ("volumes", keyed("name", &names(), volumes, least)),
        ],
    )
}

/// A specification as users write it.
pub fn spec() -> BoxedStrategy<Value> {
    with(volume(), 1)
}

/// The same form, laid over another; some members are null.
pub fn partial() -> BoxedStrategy<Value> {
    let nulls =
        prop::collection::vec(prop::sample::select(vec!["hostname", "nodeSelector", "volumes"]), 0..2);
    (with(volume(), 0), nulls)
        .prop_map(|(mut spec, nulls)| {
            for name in nulls {
                spec[name] = Value::Null;
            }
            spec
        })
        .boxed()
}

/// Patches with directives in all places, sensible or not.
pub fn wild() -> BoxedStrategy<Value> {
    let name = prop::sample::select(vec![
        "containers",
        "name",
        "env",
        "image",
        "volumes",
        "emptyDir",
        "$patch",
        "$retainKeys",
        "nodeSelector",
        "$setElementOrder/containers",
        "$setElementOrder/env",
        "$deleteFromPrimitiveList/args",
        "args",
    ]);
    let leaf = prop::sample::select(vec!["a", "b", "delete", "replace", "name"]).prop_map(Value::from);
    let tree = leaf.prop_recursive(5, 40, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..5).prop_map(|members| {
                let members: Map<_, _> =
                    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                // Other words would only be refused.
                match members.get("$patch").is_some_and(|word| *word != "delete" && *word != "replace") {
                    true => json!({"name": "a"}),
                    false => Value::Object(members),
                }
            }),
        ]
    });
    tree.prop_filter("only an object is a patch", Value::is_object).boxed()
}

/// What admission, a mesh and a default would add.
pub fn with_additions(spec: &Value) -> Value {
    let mut live = spec.clone();
    live["schedulerName"] = "default".into();
    let containers = live["containers"].as_array_mut().unwrap();
    for container in containers.iter_mut() {
        container["terminationMessagePath"] = "/dev/log".into();
    }
    containers.insert(0, json!({"name": "sidecar-first"}));
    containers.push(json!({"name": "sidecar-last"}));
    if let Some(selector) = live.get_mut("nodeSelector") {
        selector["added"] = "1".into();
    }
    live
}

/// The same without what was added.
pub fn without_additions(live: &Value) -> Value {
    let mut spec = live.clone();
    let members = spec.as_object_mut().unwrap();
    members.remove("schedulerName");
    if let Some(Value::Object(selector)) = members.get_mut("nodeSelector") {
        selector.remove("added");
    }
    let containers = spec["containers"].as_array_mut().unwrap();
    containers.retain(|container| !container["name"].as_str().unwrap().starts_with("sidecar"));
    for container in containers {
        container.as_object_mut().unwrap().remove("terminationMessagePath");
    }
    spec
}

/// Both added containers and the default are there.
pub fn has_additions(live: &Value) -> bool {
    let added = live["containers"].as_array().unwrap().iter();
    let added = added.filter(|container| container["name"].as_str().unwrap().starts_with("sidecar"));
    added.count() == 2 && live["schedulerName"] == "default"
}
