//! Bodies as kubectl writes them, objects of every kind there and back, and bodies that nobody should write.
#![allow(clippy::unwrap_used)]

mod generate;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{CodecError, MAGIC, decode, encode, wire};
use crate::schema::{self, LARGEST_DEPTH, Type};
use generate::Generator;

fn kinds() -> Vec<&'static Type> {
    schema::builtin().types().iter().filter(|of| of.kind.is_some()).collect()
}

fn kind(group: &str, kind: &str) -> &'static Type {
    schema::builtin().kind(group, "v1", kind).unwrap()
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let written: Result<(), CodecError> = wire::nested(&mut bytes, 1, |bytes| {
        wire::text(bytes, 1, api_version);
        wire::text(bytes, 2, kind);
        Ok(())
    });
    written.unwrap();
    wire::run(&mut bytes, 2, raw);
    bytes
}

fn message(content: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    content(&mut bytes);
    bytes
}

macro_rules! recorded {
    ($($name:literal),* $(,)?) => {
        [$((
            $name,
            &include_bytes!(concat!("testdata/", $name, ".bin"))[..],
            include_str!(concat!("testdata/", $name, ".json")),
        )),*]
    };
}

/// What `kubectl create` 1.32 sends, and what it prints of the same objects as JSON.
#[test]
fn bodies_of_kubectl_are_what_its_json_is() {
    let bodies = recorded![
        "configmap",
        "configmap-binary",
        "cronjob",
        "deployment",
        "ingress",
        "job",
        "namespace",
        "poddisruptionbudget",
        "priorityclass",
        "resourcequota",
        "secret",
        "service",
        "service-external",
        "serviceaccount",
        "tokenrequest",
    ];
    for (name, bytes, json) in bodies {
        let tree = decode(bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let json: Value = serde_json::from_str(json).unwrap();
        let (group, version) = json["apiVersion"]
            .as_str()
            .unwrap()
            .split_once('/')
            .unwrap_or(("", json["apiVersion"].as_str().unwrap()));
        let of = schema::builtin().kind(group, version, json["kind"].as_str().unwrap()).unwrap();
        let json = schema::normalize(of, json).unwrap().strict().unwrap();
        assert_eq!(tree, json, "{name}: nothing is left to normalise");
        let again = decode(&encode(&tree, of).unwrap()).unwrap();
        assert_eq!(again, tree, "{name}");
    }
}

#[test]
fn zeros_stay_where_they_say_something() {
    let spec = message(|bytes| {
        wire::varint(bytes, 1, 0);
        wire::varint(bytes, 5, 0);
        wire::varint(bytes, 6, 0);
        wire::varint(bytes, 7, 0);
    });
    let deployment = body("apps/v1", "Deployment", &message(|bytes| wire::run(bytes, 2, &spec)));
    let wanted = json!({"replicas": 0, "revisionHistoryLimit": 0});
    assert_eq!(decode(&deployment).unwrap()["spec"], wanted, "minReadySeconds and paused are left out");

    let port = message(|bytes| {
        wire::text(bytes, 1, "");
        wire::varint(bytes, 3, 0);
        wire::run(bytes, 4, &message(|bytes| wire::varint(bytes, 1, 0)));
        wire::text(bytes, 6, "");
    });
    let spec = message(|bytes| wire::run(bytes, 1, &port));
    let service = body("v1", "Service", &message(|bytes| wire::run(bytes, 2, &spec)));
    assert_eq!(decode(&service).unwrap()["spec"]["ports"], json!([{"port": 0, "appProtocol": ""}]));
}

#[test]
fn messages_are_merged_and_other_values_replaced() {
    let label = |value: &str| {
        message(|bytes| {
            wire::text(bytes, 1, "a");
            wire::text(bytes, 2, value);
        })
    };
    let first = message(|bytes| {
        wire::text(bytes, 1, "old");
        wire::run(bytes, 11, &label("old"));
    });
    let second = message(|bytes| {
        wire::text(bytes, 1, "new");
        wire::text(bytes, 3, "here");
        wire::run(bytes, 11, &label("new"));
        wire::run(bytes, 11, &[]);
        wire::varint(bytes, 9_000, 1);
    });
    let config_map = message(|bytes| {
        wire::run(bytes, 1, &first);
        wire::run(bytes, 1, &second);
    });
    let metadata = json!({"name": "new", "namespace": "here", "labels": {"a": "new", "": ""}});
    assert_eq!(decode(&body("v1", "ConfigMap", &config_map)).unwrap()["metadata"], metadata);
}

/// Go's own reader takes packed numbers too.
#[test]
fn packed_numbers_are_a_list() {
    let context = message(|bytes| wire::run(bytes, 4, &[1, 0x80, 1, 0]));
    let spec = message(|bytes| wire::run(bytes, 14, &context));
    let pod = body("v1", "Pod", &message(|bytes| wire::run(bytes, 2, &spec)));
    let groups = &decode(&pod).unwrap()["spec"]["securityContext"]["supplementalGroups"];
    assert_eq!(*groups, json!([1, 128, 0]));
}

#[test]
fn options_of_a_deletion_are_known_in_every_group() {
    let options = message(|bytes| {
        wire::varint(bytes, 1, 0);
        wire::text(bytes, 4, "Foreground");
    });
    let tree = decode(&body("apps/v1", "DeleteOptions", &options)).unwrap();
    let wanted = json!({
        "apiVersion": "apps/v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Foreground",
    });
    assert_eq!(tree, wanted);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let failed = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
    let pod = |raw: Vec<u8>| failed(&body("v1", "Pod", &raw));
    let spec = |content: &[u8]| pod(message(|bytes| wire::run(bytes, 2, content)));
    assert_eq!(
        failed(b"{}"),
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    );
    assert_eq!(failed(&body("v2", "Pod", &[])), "no kind \"Pod\" is registered for version \"v2\"");
    assert_eq!(failed(&[MAGIC, &[0x0a, 0x05]].concat()), "envelope: unexpected end of the message");
    assert_eq!(failed(&[MAGIC, &[0x1a, 1, b'x']].concat()), "envelope: a content encoding is not supported");
    assert_eq!(spec(&[0x12]), "spec: unexpected end of the message");
    assert_eq!(spec(&[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f]), "spec: unexpected end of the message");
    assert_eq!(spec(&[0; 2]), "spec: illegal tag");
    assert_eq!(spec(&[0x1b]), "spec: wire type 3 is not supported");
    assert_eq!(spec(&[0x80; 11]), "spec: number longer than 64 bits");
    assert_eq!(spec(&[0x10, 1]), "spec.containers[0]: wrong wire type: must be a run of bytes");
    assert_eq!(spec(&[0x12, 2, 0x08, 1]), "spec.containers[0].name: wrong wire type: must be a run of bytes");
    assert_eq!(spec(&[0x12, 0, 0x12, 3, 0x0a, 1, 0xff]), "spec.containers[1].name: must be valid UTF-8");
    assert_eq!(spec(&[0x22, 0]), "spec.terminationGracePeriodSeconds: wrong wire type: must be a number");
    let probe = message(|bytes| wire::run(bytes, 2, &[0x12, 2, 0x08, 2]));
    let container = message(|bytes| wire::run(bytes, 10, &message(|bytes| wire::run(bytes, 1, &probe))));
    let error = spec(&message(|bytes| wire::run(bytes, 2, &container)));
    assert_eq!(error, "spec.containers[0].livenessProbe.httpGet.port: must be an integer or a string");
    let time = message(|bytes| wire::run(bytes, 8, &[0x10, 0xff, 0xff, 0xff, 0xff, 0x0f]));
    assert_eq!(
        pod(message(|bytes| wire::run(bytes, 1, &time))),
        "metadata.creationTimestamp: must be a time between the years -9999 and 9999"
    );
}

#[test]
fn depth_and_number_of_values_are_bounded() {
    let mut schema = Vec::new();
    for _ in 0..LARGEST_DEPTH {
        schema = message(|bytes| wire::run(bytes, 28, &schema));
    }
    let version = message(|bytes| wire::run(bytes, 4, &message(|bytes| wire::run(bytes, 1, &schema))));
    let spec = message(|bytes| wire::run(bytes, 7, &version));
    let definition = message(|bytes| wire::run(bytes, 2, &spec));
    let deep = decode(&body("apiextensions.k8s.io/v1", "CustomResourceDefinition", &definition));
    let error = deep.unwrap_err().to_string();
    assert!(error.starts_with("spec.versions[0].schema.openAPIV3Schema.not.not."), "{error}");
    assert!(error.ends_with("nested deeper than 100 levels"), "{error}");

    let context = message(|bytes| wire::run(bytes, 4, &vec![0; super::read::MOST_VALUES + 1]));
    let spec = message(|bytes| wire::run(bytes, 14, &context));
    let many = decode(&body("v1", "Pod", &message(|bytes| wire::run(bytes, 2, &spec))));
    assert!(many.unwrap_err().to_string().ends_with("must not have more than 262144 values"));
}

#[test]
fn schemas_and_what_stands_for_them() {
    let of = kind("apiextensions.k8s.io", "CustomResourceDefinition");
    let schemas = [
        json!({"items": {"type": "string"}, "additionalProperties": true, "default": false}),
        json!({"items": [{}, {"minimum": 0.5}], "additionalProperties": false, "default": [null, {"a": 1}]}),
        json!({"additionalItems": {"maximum": -3}, "dependencies": {"a": ["b"], "c": {"$ref": ""}}}),
    ];
    for schema in schemas {
        let versions =
            json!([{"name": "v1", "served": true, "storage": false, "schema": {"openAPIV3Schema": schema}}]);
        let object = json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "spec": {"versions": versions},
        });
        assert_eq!(decode(&encode(&object, of).unwrap()).unwrap(), object);
    }
}

#[test]
fn moments_keep_what_json_has_of_them() {
    let of = kind("coordination.k8s.io", "Lease");
    for moment in
        ["2026-01-02T03:04:05.678901Z", "1969-12-31T23:59:59.250000Z", "0001-01-01T00:00:00.000000Z"]
    {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"creationTimestamp": "1950-01-01T00:00:00Z"},
            "spec": {"renewTime": moment},
        });
        assert_eq!(decode(&encode(&lease, of).unwrap()).unwrap(), lease);
    }
}

#[test]
fn trees_the_schema_refuses_are_not_written() {
    let refused = |pod: Value| encode(&pod, kind("", "Pod")).unwrap_err().to_string();
    let unfit = "does not have the type of its field";
    assert_eq!(refused(json!([])), format!("body: {unfit}"));
    assert_eq!(refused(json!({"spec": {"containers": {}}})), format!("spec.containers: {unfit}"));
    assert_eq!(refused(json!({"spec": {"priority": "high"}})), format!("spec.priority: {unfit}"));
    assert_eq!(refused(json!({"metadata": {"labels": {"a": 1}}})), format!("metadata.labels[a]: {unfit}"));
}

proptest! {
    // Each case is an object of every kind.
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_kind_comes_back_as_it_was(seed: u64) {
        for of in kinds() {
            let object = Generator::new(seed).object(of);
            let bytes = encode(&object, of).unwrap();
            prop_assert_eq!(&decode(&bytes).unwrap(), &object, "{}", of.name);
            let normal = schema::normalize(of, object.clone()).unwrap().strict().unwrap();
            prop_assert_eq!(normal, object, "{}: generated in the form in which it is stored", of.name);
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered(at in any::<prop::sample::Index>(), raw in prop::collection::vec(any::<u8>(), 0..200)) {
        let kinds = kinds();
        let of = kinds[at.index(kinds.len())].kind.unwrap();
        let _ = decode(&raw);
        let _ = decode(&[MAGIC, &raw].concat());
        if let Ok(tree) = decode(&body(of.api_version, of.kind, &raw)) {
            let _ = schema::normalize(kinds[at.index(kinds.len())], tree);
        }
    }

    #[test]
    fn damaged_bodies_are_answered(
        seed: u64,
        kind in any::<prop::sample::Index>(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..6),
    ) {
        let kinds = kinds();
        let of = kinds[kind.index(kinds.len())];
        let mut bytes = encode(&Generator::new(seed).object(of), of).unwrap();
        for (at, byte, how) in damages {
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.insert(at, byte),
                _ => { bytes.truncate(at.max(1)); }
            }
        }
        if let Ok(tree) = decode(&bytes) {
            let _ = schema::normalize(of, tree);
        }
    }
}
