//! What becomes of owners when objects are created and written.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::super::compare::compare;
use super::super::entries::write;
use super::super::{Operation, Shape, fields, text};
use super::*;
use crate::schema;

fn deployment() -> Shape<'static> {
    Shape::Structure(schema::builtin().kind("apps", "v1", "Deployment").unwrap())
}

fn container(image: &str) -> Value {
    json!({"name": "web", "image": image, "resources": {}, "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "env": [{"name": "A", "value": "1"}], "securityContext": {}})
}

fn example(replicas: u64, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default", "uid": "u", "creationTimestamp": "t", "generation": 1,
            "labels": {"app": "web"}, "finalizers": ["a/b"]},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [container(image)], "restartPolicy": "Always", "securityContext": {}},
            },
        },
        "status": {"replicas": 3},
    })
}

#[test]
fn who_creates_an_object_owns_what_kubernetes_says() {
    let object = example(3, "nginx");
    let set = fields::created(deployment(), &object, &["status"]);
    let expected = json!({
        "f:metadata": {
            "f:finalizers": {".": {}, "v:\"a/b\"": {}},
            "f:labels": {".": {}, "f:app": {}},
        },
        "f:spec": {
            "f:replicas": {},
            "f:selector": {},
            "f:strategy": {"f:rollingUpdate": {".": {}, "f:maxSurge": {}}, "f:type": {}},
            "f:template": {
                "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                "f:spec": {
                    "f:containers": {"k:{\"name\":\"web\"}": {
                        ".": {},
                        "f:env": {".": {}, "k:{\"name\":\"A\"}": {".": {}, "f:name": {}, "f:value": {}}},
                        "f:image": {},
                        "f:name": {},
                        "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}":
                            {".": {}, "f:containerPort": {}, "f:protocol": {}}},
                        "f:resources": {},
                        "f:securityContext": {},
                    }},
                    "f:restartPolicy": {},
                    "f:securityContext": {},
                },
            },
        },
    });
    assert_eq!(serde_json::from_str::<Value>(&text::written(&set)).unwrap(), expected);
}

#[test]
fn what_is_written_changes_its_owner() {
    let row = |old: &Value, new: &Value, writer: &str, expected: &[(&str, &str)]| {
        let first = fields::created(deployment(), old, &["status"]);
        let who = |name| Manager::new(name, Operation::Update, "apps/v1", "");
        let mut entries = vec![Entry::new(who("creator"), first, Some("2026-01-01T00:00:00Z".into()))];
        let comparison = compare(deployment(), old, new, &["status"]);
        update(&mut entries, who(writer), &comparison, &Others::default(), "2026-01-02T00:00:00Z");
        let original = text::written(&fields::created(deployment(), old, &["status"]));
        let given: Vec<Value> = serde_json::from_str::<Vec<Value>>(&write(&mut entries)).unwrap_or_default();
        let found: Vec<(String, String)> = given
            .iter()
            .map(|entry| {
                let fields = entry["fieldsV1"].to_string();
                let fields = if fields == original { "as before".to_owned() } else { fields };
                let time = entry["time"].as_str().unwrap().to_owned();
                (format!("{} {}", entry["manager"].as_str().unwrap(), &time[8..10]), fields)
            })
            .collect();
        let found: Vec<(&str, &str)> =
            found.iter().map(|(who, what)| (who.as_str(), what.as_str())).collect();
        assert_eq!(found, expected);
    };
    let base = || example(3, "nginx");
    row(&base(), &base(), "other", &[("creator 01", "as before")]);
    // What is the writer's already stays as it is.
    row(&base(), &example(4, "nginx"), "creator", &[("creator 02", "as before")]);
    let small = |replicas: u64, label: Value| json!({"metadata": {"name": "x", "labels": label}, "spec": {"replicas": replicas}});
    row(
        &small(1, json!({"a": "1"})),
        &small(2, json!({"a": "1", "b": "1"})),
        "other",
        &[
            ("creator 01", r#"{"f:metadata":{"f:labels":{".":{},"f:a":{}}}}"#),
            ("other 02", r#"{"f:metadata":{"f:labels":{"f:b":{}}},"f:spec":{"f:replicas":{}}}"#),
        ],
    );
    row(
        &small(1, json!({"a": "1", "b": "2"})),
        &small(1, json!({"a": "1"})),
        "other",
        &[("creator 01", r#"{"f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{"f:replicas":{}}}"#)],
    );
    // A list in another order is the same list; a value that is owned as one is not.
    let listed = |items: Value, selector: Value| json!({"spec": {"selector": selector, "template": {"spec": {"containers": items}}}});
    row(
        &listed(json!([{"name": "a"}, {"name": "b"}]), json!({"matchLabels": {"a": "1"}})),
        &listed(json!([{"name": "b"}, {"name": "a"}]), json!({"matchLabels": {"a": "2"}})),
        "other",
        &[
            (
                "creator 01",
                r#"{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:name":{}},"k:{\"name\":\"b\"}":{".":{},"f:name":{}}}}}}}"#,
            ),
            ("other 02", r#"{"f:spec":{"f:selector":{}}}"#),
        ],
    );
}
