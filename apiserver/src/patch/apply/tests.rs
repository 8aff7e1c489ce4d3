//! Applying by several managers: who owns what, what conflicts, what goes away.
#![allow(clippy::unwrap_used)]

mod model;

use serde_json::{Value, json};

use super::*;
use crate::managed::{Operation, Shape, entries, text};
use crate::schema;

/// An object and its owners, written by one manager after the other.
struct World {
    object: Value,
    owners: String,
}

impl World {
    fn new() -> Self {
        Self {
            object: json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}),
            owners: String::new(),
        }
    }

    fn apply(&mut self, name: &str, config: Value, force: bool) -> Result<(), String> {
        let manager = Manager::new(name, Operation::Apply, "v1", "");
        let shape = Shape::Structure(schema::builtin().kind("", "v1", "Pod").unwrap());
        assert_eq!(check(shape, &config), None);
        let mut owners =
            if self.owners.is_empty() { Vec::new() } else { entries::parse(&self.owners).unwrap() };
        let versions = Versions::new("v1", shape, None);
        let request =
            Apply { versions: &versions, config: &config, manager: &manager, ignored: &["status"], force };
        let next = apply(request, &self.object, &mut owners, "2026-01-01T00:00:00Z")
            .map_err(|conflicts| refused(&conflicts).to_string())?;
        let owners = entries::write(&mut owners);
        self.owners = owners;
        if let Some(next) = next {
            self.object = next;
        }
        Ok(())
    }

    fn owned_by(&self, name: &str) -> String {
        let entries = entries::parse(&self.owners).unwrap_or_default();
        let found = entries.iter().find(|entry| entry.manager.name == name);
        found.map_or_else(String::new, |entry| text::written(entry.set()))
    }
}

fn labels(labels: Value) -> Value {
    json!({"metadata": {"labels": labels}})
}

#[test]
fn what_is_named_no_more_goes_away_unless_somebody_else_owns_it() {
    let mut world = World::new();
    world.apply("a", labels(json!({"x": "1", "y": "1"})), false).unwrap();
    assert_eq!(world.owned_by("a"), r#"{"f:metadata":{"f:labels":{"f:x":{},"f:y":{}}}}"#);
    world.apply("b", labels(json!({"y": "1"})), false).unwrap();
    world.apply("a", json!({}), false).unwrap();
    assert_eq!(world.object["metadata"]["labels"], json!({"y": "1"}));
    assert_eq!(world.owned_by("a"), "");
    world.apply("b", labels(json!({"z": "1"})), false).unwrap();
    assert_eq!(world.object["metadata"]["labels"], json!({"z": "1"}));
}

#[test]
fn conflicts_read_as_in_kubernetes_and_force_takes() {
    let mut world = World::new();
    world.apply("a", labels(json!({"x": "1", "y": "1"})), false).unwrap();
    let row = |world: &mut World, name: &str, config: Value, words: &str| {
        let before = (world.object.clone(), world.owners.clone());
        assert_eq!(world.apply(name, config, false).unwrap_err(), words);
        assert_eq!((world.object.clone(), world.owners.clone()), before);
    };
    row(
        &mut world,
        "b",
        labels(json!({"x": "2"})),
        r#"Apply failed with 1 conflict: conflict with "a": .metadata.labels.x"#,
    );
    row(
        &mut world,
        "b",
        labels(json!({"x": "2", "y": "2"})),
        "Apply failed with 2 conflicts: conflicts with \"a\":\n- .metadata.labels.x\n- .metadata.labels.y",
    );
    world.apply("c", json!({"spec": {"nodeName": "n"}}), false).unwrap();
    row(
        &mut world,
        "b",
        json!({"metadata": {"labels": {"x": "2"}}, "spec": {"nodeName": "m"}}),
        "Apply failed with 2 conflicts: conflicts with \"a\":\n- .metadata.labels.x\nconflicts with \"c\":\n- .spec.nodeName",
    );
    world.apply("b", labels(json!({"x": "2"})), true).unwrap();
    assert_eq!(world.object["metadata"]["labels"], json!({"x": "2", "y": "1"}));
    assert_eq!(world.owned_by("a"), r#"{"f:metadata":{"f:labels":{"f:y":{}}}}"#);
    // To name what another owns with its own value is to share it.
    world.apply("a", labels(json!({"x": "2", "y": "1"})), false).unwrap();
    row(
        &mut world,
        "a",
        labels(json!({"x": "3", "y": "1"})),
        r#"Apply failed with 1 conflict: conflict with "b": .metadata.labels.x"#,
    );
}

#[test]
fn lists_are_merged_by_what_tells_their_items_apart() {
    let row = |configs: &[(&str, Value)], path: &str, expected: Value| {
        let mut world = World::new();
        for (name, config) in configs {
            world.apply(name, config.clone(), false).unwrap();
        }
        assert_eq!(world.object.pointer(path).cloned().unwrap_or_default(), expected, "{configs:?}");
    };
    let containers = |items: Value| json!({"spec": {"containers": items}});
    let path = "/spec/containers";
    row(
        &[
            ("a", containers(json!([{"name": "x", "image": "1"}, {"name": "y"}]))),
            ("b", containers(json!([{"name": "z"}, {"name": "x", "command": ["c"]}]))),
        ],
        path,
        json!([{"name": "z"}, {"name": "x", "image": "1", "command": ["c"]}, {"name": "y"}]),
    );
    row(
        &[
            ("a", containers(json!([{"name": "x"}, {"name": "y", "image": "1"}]))),
            ("b", containers(json!([{"name": "y", "image": "1"}]))),
            ("a", containers(json!([{"name": "x"}]))),
        ],
        path,
        json!([{"name": "x"}, {"name": "y", "image": "1"}]),
    );
    // The protocol of a port has a default, which tells ports apart.
    let ports = |ports: Value| containers(json!([{"name": "x", "ports": ports}]));
    row(
        &[
            ("a", ports(json!([{"containerPort": 53}]))),
            ("b", ports(json!([{"containerPort": 53, "protocol": "TCP", "name": "dns"}]))),
            ("b", ports(json!([{"containerPort": 53, "protocol": "UDP"}]))),
        ],
        "/spec/containers/0/ports",
        json!([{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP"}]),
    );
    let finalizers = |items: Value| json!({"metadata": {"finalizers": items}});
    row(
        &[
            ("a", finalizers(json!(["a/a", "a/b"]))),
            ("b", finalizers(json!(["a/c", "a/b"]))),
            ("a", json!({})),
        ],
        "/metadata/finalizers",
        json!(["a/c", "a/b"]),
    );
    // A list without a type is owned as one.
    let args = |items: Value| containers(json!([{"name": "x", "args": items}]));
    row(
        &[("a", args(json!(["1"]))), ("a", args(json!(["2", "3"])))],
        "/spec/containers/0/args",
        json!(["2", "3"]),
    );
}

#[test]
fn what_does_not_fit_the_type_is_refused_in_kubernetes_words() {
    let row = |config: Value, words: &str| {
        let shape = Shape::Structure(schema::builtin().kind("", "v1", "Pod").unwrap());
        assert_eq!(check(shape, &config).as_deref(), Some(words), "{config}");
    };
    row(json!({"spec": {"foo": 1}}), ".spec.foo: field not declared in schema");
    row(
        json!({"spec": {"nodeName": 1}}),
        ".spec.nodeName: expected string, got &value.valueUnstructured{Value:1}",
    );
    row(json!({"spec": {"priority": "x"}}), ".spec.priority: expected numeric (int or float), got string");
    row(json!({"spec": {"containers": {}}}), ".spec.containers: expected list, got &{map[]}");
    row(json!({"spec": []}), ".spec: expected map, got &{[]}");
    row(
        json!({"spec": {"containers": [{"name": "a"}, {"name": "a"}]}}),
        r#".spec.containers: duplicate entries for key [name="a"]"#,
    );
    row(
        json!({"spec": {"containers": [{"image": "a"}]}}),
        r#".spec.containers: element 0: associative list with keys has an element that omits key field "name" (and doesn't have default value)"#,
    );
    row(
        json!({"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 1, "x": 1}]}], "x": 1}}),
        "errors:\n  .spec.containers[name=\"a\"].ports[containerPort=1,protocol=\"TCP\"].x: field not declared in schema\n  .spec.x: field not declared in schema",
    );
}

#[test]
fn kubectl_takes_over_what_it_applied_by_itself() {
    let last = json!({"apiVersion": "v1", "metadata": {"labels": {"x": "1", "y": "1"}}}).to_string();
    let start = || {
        let mut world = World::new();
        let annotations = json!({"kubectl.kubernetes.io/last-applied-configuration": last});
        world.object["metadata"]["labels"] = json!({"x": "1", "y": "other"});
        world.object["metadata"]["annotations"] = annotations;
        world.owners = r#"[{"apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{"f:x":{},"f:y":{}}}},"manager":"kubectl-client-side-apply","operation":"Update"}]"#.into();
        world
    };
    let mut world = start();
    world.apply("kubectl", labels(json!({"x": "2"})), false).unwrap();
    assert_eq!(world.object["metadata"]["labels"]["x"], "2");
    let conflict = r#"Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using v1: .metadata.labels."#;
    let refused = start().apply("kubectl", labels(json!({"x": "2", "y": "2"})), false);
    assert_eq!(refused.unwrap_err(), format!("{conflict}y"));
    let refused = start().apply("other", labels(json!({"x": "2"})), false);
    assert_eq!(refused.unwrap_err(), format!("{conflict}x"));
    let config = labels(json!({"x": "2"}));
    let mut object = world.object.clone();
    sync_last_applied(&mut object, &config, &Manager::new("kubectl", Operation::Apply, "v1", ""));
    let noted = &object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"];
    assert_eq!(*noted, format!("{config}\n"));
}
