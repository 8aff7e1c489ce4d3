//! The documents as clients read them.
#![allow(clippy::unwrap_used)]

mod customs;
mod legacy;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::*;
use crate::schema;

static OPEN_API: LazyLock<OpenApi> = LazyLock::new(OpenApi::new);

fn document(path: &str) -> Value {
    serde_json::from_slice(&OPEN_API.document(path).unwrap().json).unwrap()
}

fn index() -> Map<String, Value> {
    let index: Value = serde_json::from_slice(&OPEN_API.index().json).unwrap();
    index["paths"].as_object().unwrap().clone()
}

fn every_document() -> Vec<(String, Value)> {
    index().into_iter().map(|(path, _)| (path.clone(), document(&path))).collect()
}

/// Calls `visit` with every object in a document.
fn walk(value: &Value, visit: &mut dyn FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            visit(fields);
            fields.values().for_each(|field| walk(field, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        _ => {}
    }
}

#[test]
fn the_index_names_every_group_version_with_its_hash() {
    let paths = index();
    for kind in BUILTINS {
        let path = paths::root(kind.resource())[1..].to_owned();
        let hash = &OPEN_API.document(&path).unwrap().hash;
        assert_eq!(paths[&path]["serverRelativeURL"], format!("/openapi/v3/{path}?hash={hash}"));
    }
    assert!(paths.contains_key("api/v1") && paths.contains_key("apis/apps/v1"));
    assert_eq!(OPEN_API.document("apis/apps/v2"), None);
    assert_eq!(OPEN_API.document("/api/v1"), None);
}

#[test]
fn documents_are_the_same_in_every_process() {
    let (one, other) = (OpenApi::new(), OpenApi::new());
    assert_eq!(one.index(), other.index());
    assert_eq!(one.document("api/v1"), other.document("api/v1"));
    assert_ne!(one.document("api/v1").unwrap().hash, one.document("apis/apps/v1").unwrap().hash);
}

#[test]
fn every_reference_leads_to_a_type_and_every_type_is_referred_to() {
    for (path, document) in every_document() {
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let mut seen = BTreeSet::new();
        walk(&document, &mut |object| {
            if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                let name = reference.strip_prefix("#/components/schemas/").unwrap();
                assert!(schemas.contains_key(name), "{path}: {name}");
                seen.insert(name.to_owned());
            }
        });
        assert_eq!(seen, schemas.keys().cloned().collect(), "{path}");
    }
}

/// What the descriptions leave out, in Kubernetes too: the table gives embedded structures the names JSON has for them.
const UNDESCRIBED: [&str; 2] = [
    "io.k8s.api.certificates.v1.CertificateSigningRequest metadata",
    "io.k8s.api.networking.v1.IngressRule http",
];

/// The types of which no field is described, in Kubernetes neither, or nearly none: those of JSON schemas.
const OF_SCHEMAS: [&str; 2] = [
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.ExternalDocumentation",
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps",
];

/// The descriptions come from elsewhere, by names made up here: one that is missing shows that the names differ.
#[test]
fn every_type_and_every_field_is_described() {
    for (path, document) in every_document() {
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            assert!(schema["description"].is_string(), "{path}: {name}");
            if OF_SCHEMAS.contains(&name.as_str()) {
                continue;
            }
            for (field, property) in schema["properties"].as_object().into_iter().flatten() {
                let is_described = property["description"].is_string();
                let place = format!("{name} {field}");
                assert!(is_described != UNDESCRIBED.contains(&place.as_str()), "{path}: {place}");
            }
        }
    }
}

#[test]
fn every_kind_has_a_type_with_the_fields_of_the_table() {
    for kind in BUILTINS {
        let resource = kind.resource();
        let document = document(&paths::root(resource)[1..]);
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let names = json!([
            {"group": resource.group, "version": resource.version, "kind": resource.kind}
        ]);
        let found: Vec<&Value> =
            schemas.values().filter(|schema| schema["x-kubernetes-group-version-kind"] == names).collect();
        assert_eq!(found.len(), 1, "{resource}");
        let of = schema::builtin().kind(&resource.group, &resource.version, &resource.kind).unwrap();
        let fields: Vec<&str> = of.fields().iter().map(|field| field.name).collect();
        let properties = found[0]["properties"].as_object().unwrap();
        assert_eq!(properties.keys().map(String::as_str).collect::<Vec<_>>(), fields, "{resource}");
    }
}

#[test]
fn what_is_looked_at_can_only_be_read() {
    let document = document("api/v1");
    let methods = |path: &str| {
        let known = ["delete", "get", "patch", "post", "put"];
        let operations = document["paths"][path].as_object().unwrap();
        known.into_iter().filter(|method| operations.contains_key(*method)).collect::<Vec<_>>()
    };
    assert_eq!(methods("/api/v1/componentstatuses"), ["get"]);
    assert_eq!(methods("/api/v1/componentstatuses/{name}"), ["get"]);
    assert_eq!(methods("/api/v1/nodes/{name}"), ["delete", "get", "patch", "put"]);
}

/// Old manifests are applied by the fields they have now.
#[test]
fn a_version_the_table_does_not_know_has_the_fields_of_the_one_it_knows() {
    let kind = *BUILTINS.iter().find(|kind| *kind.resource() == api::resource::DEPLOYMENTS).unwrap();
    let resource = Resource::new("extensions", "v1beta1", "deployments", "Deployment", true);
    let descriptions = Descriptions::of(&[kind]);
    let (mut components, mut paths) = (Components::new(&descriptions), Map::new());
    paths::add_builtin(kind, &resource, &mut components, &mut paths);
    let schemas = components.finish();
    let of = &schemas["io.k8s.api.extensions.v1beta1.Deployment"];
    let names = json!({"group": "extensions", "version": "v1beta1", "kind": "Deployment"});
    assert_eq!(of["x-kubernetes-group-version-kind"], json!([names]));
    let spec = "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec";
    assert_eq!(of["properties"]["spec"]["allOf"][0]["$ref"], spec);
    assert!(of["properties"]["spec"]["description"].is_string());
    let list = &schemas["io.k8s.api.extensions.v1beta1.DeploymentList"];
    let item = &list["properties"]["items"]["items"]["$ref"];
    assert_eq!(*item, "#/components/schemas/io.k8s.api.extensions.v1beta1.Deployment");
    let patch = &paths["/apis/extensions/v1beta1/namespaces/{namespace}/deployments/{name}"]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"], names);
}

/// What kubectl looks for before it trusts a document with `apply`; else it asks for the document of version 2.
#[test]
fn every_kind_can_be_patched_in_the_way_kubectl_apply_does() {
    for kind in BUILTINS {
        let resource = kind.resource();
        let document = document(&paths::root(resource)[1..]);
        let expected = json!(
            {"group": resource.group, "version": resource.version, "kind": resource.kind}
        );
        let paths = document["paths"].as_object().unwrap();
        let patches = paths.values().map(|path| &path["patch"]);
        let patches: Vec<&Value> =
            patches.filter(|patch| patch["x-kubernetes-group-version-kind"] == expected).collect();
        assert!(!patches.is_empty(), "{resource}");
        for patch in patches {
            assert_eq!(patch["x-kubernetes-action"], "patch");
            let content = patch["requestBody"]["content"].as_object().unwrap();
            assert!(content.contains_key("application/strategic-merge-patch+json"), "{resource}");
            for name in ["fieldValidation", "dryRun"] {
                let mut parameters = patch["parameters"].as_array().unwrap().iter();
                let found = parameters.find(|parameter| parameter["name"] == name).unwrap();
                assert_eq!((&found["in"], &found["schema"]["type"]), (&"query".into(), &"string".into()));
            }
        }
    }
}

#[test]
fn paths_have_the_operations_of_the_server() {
    let core = document("api/v1");
    let apps = document("apis/apps/v1");
    let check = |document: &Value, path: &str, expected: &str| {
        let operations = document["paths"][path].as_object().unwrap_or_else(|| panic!("no {path}"));
        let words =
            operations.iter().filter(|(method, _)| *method != "parameters").map(|(method, operation)| {
                let kind = operation["x-kubernetes-group-version-kind"]["kind"].as_str().unwrap();
                format!("{method}:{}:{kind}", operation["x-kubernetes-action"].as_str().unwrap())
            });
        assert_eq!(words.collect::<Vec<_>>().join(" "), expected, "{path}");
    };
    let one = |kind: &str| format!("delete:delete:{kind} get:get:{kind} patch:patch:{kind} put:put:{kind}");
    let many = |kind: &str| format!("delete:deletecollection:{kind} get:list:{kind} post:post:{kind}");
    check(&core, "/api/v1/pods", "get:list:Pod");
    check(&core, "/api/v1/namespaces/{namespace}/pods", &many("Pod"));
    check(&core, "/api/v1/namespaces/{namespace}/pods/{name}", &one("Pod"));
    check(
        &core,
        "/api/v1/namespaces/{namespace}/pods/{name}/status",
        "get:get:Pod patch:patch:Pod put:put:Pod",
    );
    check(&core, "/api/v1/namespaces/{namespace}/pods/{name}/binding", "post:post:Binding");
    check(&core, "/api/v1/namespaces/{namespace}/pods/{name}/log", "get:get:Pod");
    check(&core, "/api/v1/nodes", &many("Node"));
    check(&core, "/api/v1/nodes/{name}", &one("Node"));
    check(&core, "/api/v1/namespaces", "get:list:Namespace post:post:Namespace");
    check(&core, "/api/v1/namespaces/{name}/finalize", "put:put:Namespace");
    let account = "/api/v1/namespaces/{namespace}/serviceaccounts/{name}";
    check(&core, &format!("{account}/token"), "post:post:TokenRequest");
    let deployment = "/apis/apps/v1/namespaces/{namespace}/deployments/{name}";
    check(&apps, deployment, &one("Deployment"));
    check(&apps, &format!("{deployment}/scale"), "get:get:Scale patch:patch:Scale put:put:Scale");
    let names: Vec<&str> = apps["paths"][deployment]["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| parameter["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["namespace", "name"]);
    let get = &apps["paths"][deployment]["get"];
    assert_eq!(get["operationId"], "readAppsV1NamespacedDeployment");
}

#[test]
fn identifiers_of_operations_are_unique() {
    for (path, document) in every_document() {
        let mut seen = BTreeSet::new();
        walk(&document["paths"], &mut |object| {
            if let Some(id) = object.get("operationId") {
                assert!(seen.insert(id.to_string()), "{path}: {id}");
            }
        });
    }
}

/// A part of the document without its descriptions.
fn bare(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, value)| *name != "description" || !value.is_string());
            kept.map(|(name, value)| (name.clone(), bare(value))).collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(bare).collect::<Vec<_>>().into(),
        other => other.clone(),
    }
}

#[test]
fn types_say_how_they_are_merged() {
    let document = document("apis/apps/v1");
    let check = |component: &str, expected: Value| {
        let (component, field) = component.split_once(' ').unwrap();
        let schema = &document["components"]["schemas"][format!("io.k8s.{component}")];
        let found = if field == "." { schema } else { &schema["properties"][field] };
        assert_eq!(bare(found), expected, "{component} {field}");
    };
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/io.k8s.{name}")});
    check(
        "api.apps.v1.DeploymentSpec template",
        json!({"allOf": [reference("api.core.v1.PodTemplateSpec")]}),
    );
    check(
        "api.core.v1.PodTemplateSpec .",
        json!({
            "type": "object",
            "properties": {
                "metadata": {"allOf": [reference("apimachinery.pkg.apis.meta.v1.ObjectMeta")]},
                "spec": {"allOf": [reference("api.core.v1.PodSpec")]},
            },
        }),
    );
    check(
        "api.core.v1.PodSpec containers",
        json!({
            "type": "array", "items": reference("api.core.v1.Container"),
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge",
        }),
    );
    check(
        "api.core.v1.PodSpec volumes",
        json!({
            "type": "array", "items": reference("api.core.v1.Volume"),
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
            "x-kubernetes-patch-merge-key": "name", "x-kubernetes-patch-strategy": "merge,retainKeys",
        }),
    );
    check(
        "api.core.v1.Container ports",
        json!({
            "type": "array", "items": reference("api.core.v1.ContainerPort"),
            "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["containerPort", "protocol"],
            "x-kubernetes-patch-merge-key": "containerPort", "x-kubernetes-patch-strategy": "merge",
        }),
    );
    check("api.core.v1.ContainerPort protocol", json!({"type": "string", "default": "TCP"}));
    check("api.core.v1.ContainerPort containerPort", json!({"type": "integer", "format": "int32"}));
    check(
        "api.core.v1.PodSpec nodeSelector",
        json!({
            "type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-map-type": "atomic",
        }),
    );
    check("api.core.v1.PodSpec activeDeadlineSeconds", json!({"type": "integer", "format": "int64"}));
    check(
        "api.core.v1.ResourceRequirements limits",
        json!({
            "type": "object",
            "additionalProperties": reference("apimachinery.pkg.api.resource.Quantity"),
        }),
    );
    check(
        "apimachinery.pkg.api.resource.Quantity .",
        json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
    );
    check(
        "apimachinery.pkg.util.intstr.IntOrString .",
        json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]}),
    );
    check("apimachinery.pkg.apis.meta.v1.Time .", json!({"type": "string", "format": "date-time"}));
    let deployment = &document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"];
    let kind = json!([{"group": "apps", "version": "v1", "kind": "Deployment"}]);
    assert_eq!(deployment["x-kubernetes-group-version-kind"], kind);
    let selector = &document["components"]["schemas"]["io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector"];
    assert_eq!(selector["x-kubernetes-map-type"], "atomic");
    let spec = &document["components"]["schemas"]["io.k8s.api.apps.v1.DeploymentSpec"];
    assert_eq!(spec["required"], json!(["selector", "template"]));
}
