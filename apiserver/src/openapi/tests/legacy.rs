//! The document of version 2 as old clients read it.

use super::*;
use crate::codec::protobuf::wire::Reader;

fn legacy() -> Value {
    serde_json::from_slice(&OPEN_API.legacy().json).unwrap()
}

#[test]
fn every_type_and_every_path_of_version_3_is_in_version_2() {
    let legacy = legacy();
    for (path, document) in every_document() {
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(legacy["definitions"][name].is_object(), "{path}: {name}");
        }
        for (name, operations) in document["paths"].as_object().unwrap() {
            let found: Vec<&String> = legacy["paths"][name].as_object().unwrap().keys().collect();
            assert_eq!(found, operations.as_object().unwrap().keys().collect::<Vec<_>>(), "{name}");
        }
    }
}

/// kubectl refuses the whole document for one reference that leads nowhere, or one list of nobody knows what.
#[test]
fn kubectl_can_read_every_type() {
    let legacy = legacy();
    walk(&legacy, &mut |object| {
        if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
            let name = reference.strip_prefix("#/definitions/").unwrap();
            assert!(legacy["definitions"][name].is_object(), "{name}");
            assert!(object.get("type").is_none() && object.get("properties").is_none(), "{name}");
        }
        if object.get("type") == Some(&"array".into()) && object.get("uniqueItems").is_none() {
            assert!(object["items"].is_object(), "{object:?}");
        }
        for unknown in ["oneOf", "anyOf", "allOf", "nullable", "components"] {
            assert!(
                !object.contains_key(unknown) || object.contains_key("properties"),
                "{unknown}: {object:?}"
            );
        }
    });
}

#[test]
fn kubectl_apply_finds_how_to_patch_and_merge() {
    let legacy = legacy();
    let containers = &legacy["definitions"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["items"]["$ref"], "#/definitions/io.k8s.api.core.v1.Container");
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    let deployment = &legacy["definitions"]["io.k8s.api.apps.v1.Deployment"];
    let kinds = json!([{"group": "apps", "version": "v1", "kind": "Deployment"}]);
    assert_eq!(deployment["x-kubernetes-group-version-kind"], kinds);
    let spec = &deployment["properties"]["spec"];
    assert_eq!(spec["$ref"], "#/definitions/io.k8s.api.apps.v1.DeploymentSpec");
    let path = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
    let patch = &legacy["paths"][path]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"], kinds[0]);
    let parameters: Vec<&str> =
        patch["parameters"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(parameters, ["body", "dryRun", "fieldManager", "fieldValidation", "force"]);
    assert!(patch["consumes"].as_array().unwrap().contains(&"application/strategic-merge-patch+json".into()));
    let quantity = &legacy["definitions"]["io.k8s.apimachinery.pkg.api.resource.Quantity"];
    assert_eq!(quantity["type"], "string");
}

#[test]
fn both_forms_have_the_same_names() {
    let legacy = OPEN_API.legacy();
    let mut tags = Vec::new();
    let (mut paths, mut definitions) = (0, 0);
    for member in Reader::new(&legacy.protobuf) {
        let (tag, payload) = member.unwrap();
        tags.push(tag);
        match tag {
            8 => paths = Reader::new(payload.bytes().unwrap()).count(),
            9 => definitions = Reader::new(payload.bytes().unwrap()).count(),
            _ => {}
        }
    }
    assert_eq!(tags, [1, 2, 8, 9]);
    let json: Value = serde_json::from_slice(&legacy.json).unwrap();
    let count = |field: &str| json[field].as_object().unwrap().len();
    assert_eq!((paths, definitions), (count("paths"), count("definitions")));
}
