//! The table, row by row.
#![allow(clippy::unwrap_used)]

use crate::schema::{Form, Leaf, ListType, Patch, Scope, builtin};

fn fact(of: &str, field: &str) -> String {
    let field = builtin().named(of).unwrap().field(field).unwrap();
    let tags: Vec<String> = field.tags().map(|tag| tag.to_string()).collect();
    let mut words = vec![tags.join("."), format!("{:?}", field.form)];
    words.push(match field.structure() {
        Some(of) => of.name.to_owned(),
        None => format!("{:?}", field.leaf),
    });
    words.extend(field.required.then(|| "required".to_owned()));
    words.extend(field.list_type.map(|list_type| format!("{list_type:?}")));
    words.extend(field.map_keys().map(str::to_owned));
    words.extend(field.merge_key.map(|key| format!("mergeKey={key}")));
    for patch in [Patch::Merge, Patch::Replace, Patch::RetainKeys] {
        words.extend(field.patches(patch).then(|| format!("{patch:?}")));
    }
    words.extend(field.is_whole().then(|| "whole".to_owned()));
    words.extend(field.keeps_zero.then(|| "zero".to_owned()));
    words.extend(field.default().map(str::to_owned));
    words.join(" ")
}

#[test]
fn facts_are_read_as_the_api_has_them() {
    let rows = [
        ("core.v1.PodSpec", "containers", "2 List core.v1.Container required Map name mergeKey=name Merge"),
        ("core.v1.PodSpec", "volumes", "1 List core.v1.Volume Map name mergeKey=name Merge RetainKeys"),
        ("core.v1.PodSpec", "nodeSelector", "7 Map String whole"),
        ("core.v1.PodSpec", "hostIPC", "13 One Bool"),
        ("core.v1.PodSpec", "hostUsers", "37 One Bool zero"),
        ("apps.v1.DeploymentSpec", "replicas", "1 One Int32 zero"),
        ("core.v1.Pod", "metadata", "1 One meta.v1.ObjectMeta"),
        ("core.v1.Pod", "apiVersion", " One String"),
        ("core.v1.Volume", "emptyDir", "2.2 One core.v1.EmptyDirVolumeSource"),
        ("core.v1.EphemeralContainer", "image", "1.2 One String"),
        ("core.v1.ConfigMapKeySelector", "name", "1.1 One String \"\""),
        ("core.v1.ContainerPort", "protocol", "4 One String \"TCP\""),
        ("core.v1.ContainerPort", "containerPort", "3 One Int32 required"),
        (
            "core.v1.Container",
            "ports",
            "6 List core.v1.ContainerPort Map containerPort protocol mergeKey=containerPort Merge",
        ),
        ("core.v1.ServicePort", "targetPort", "4 One IntOrString"),
        ("core.v1.ResourceRequirements", "limits", "1 Map Quantity"),
        ("core.v1.Secret", "data", "2 Map Bytes"),
        ("core.v1.EnvVarSource", "fieldRef", "1 One core.v1.ObjectFieldSelector whole"),
        ("core.v1.PersistentVolumeSpec", "claimRef", "4 One core.v1.ObjectReference"),
        ("apps.v1.DeploymentSpec", "strategy", "4 One apps.v1.DeploymentStrategy RetainKeys"),
        ("apps.v1.DeploymentSpec", "selector", "2 One meta.v1.LabelSelector required whole"),
        ("meta.v1.ObjectMeta", "finalizers", "14 List String Set Merge"),
        ("meta.v1.ObjectMeta", "creationTimestamp", "8 One Time"),
        ("meta.v1.ManagedFieldsEntry", "fieldsV1", "7 One FieldsV1"),
        ("meta.v1.APIResource", "verbs", "4 WrappedList String required"),
        ("authentication.v1.UserInfo", "extra", "4 MapOfLists String"),
        ("admissionregistration.v1.NamedRuleWithOperations", "apiGroups", "2.2.1 List String Atomic"),
        ("apiextensions.v1.JSONSchemaProps", "$ref", "3 One String zero"),
        ("apiextensions.v1.JSONSchemaProps", "items", "24 One apiextensions.v1.JSONSchemaProps"),
    ];
    for (of, field, expected) in rows {
        assert_eq!(fact(of, field), expected, "{of} {field}");
    }
}

#[test]
fn kinds_are_found_by_group_version_and_kind() {
    let find = |group, version, kind| builtin().kind(group, version, kind).and_then(|of| of.kind);
    let deployment = find("apps", "v1", "Deployment").unwrap();
    assert_eq!(
        (deployment.api_version, deployment.resource, deployment.scope, deployment.list_kind),
        ("apps/v1", "deployments", Scope::Namespaced, Some("DeploymentList"))
    );
    assert_eq!(find("", "v1", "Node").unwrap().scope, Scope::Cluster);
    assert_eq!(find("", "v1", "Binding").unwrap().scope, Scope::Namespaced);
    assert_eq!(find("policy", "v1", "Eviction").unwrap().scope, Scope::Subresource);
    assert_eq!(find("apps", "v1", "Pod"), None);
    assert_eq!(find("apps", "v2", "Deployment"), None);
}

/// A generator that misreads its sources changes these numbers. The lists, keys and strategies were compared
/// one by one with what `k8s-openapi` derived from the published OpenAPI document.
#[test]
fn table_is_complete() {
    let fields = || builtin().types().iter().flat_map(|of| of.fields());
    let count = |is: fn(&crate::schema::Field) -> bool| fields().filter(|field| is(field)).count();
    assert_eq!(builtin().types().len(), 639);
    assert_eq!(builtin().types().iter().filter(|of| of.kind.is_some()).count(), 98);
    assert_eq!(builtin().types().iter().filter(|of| of.whole).count(), 36);
    assert_eq!(count(|field| field.form != Form::One), 452);
    assert_eq!(count(|field| field.required), 581);
    assert_eq!(count(|field| field.list_type.is_some()), 382);
    assert_eq!(count(|field| field.list_type == Some(ListType::Set)), 17);
    assert_eq!(count(|field| field.list_type == Some(ListType::Map)), 73);
    assert_eq!(count(|field| field.merge_key.is_some()), 61);
    assert_eq!(count(|field| !field.patch.is_empty()), 65);
    assert_eq!(count(|field| field.default.is_some()), 35);
    assert_eq!(count(|field| field.leaf == Leaf::Quantity), 57);
    assert_eq!(count(|field| field.keeps_zero), 325);
}

#[test]
fn every_word_of_a_field_makes_sense() {
    for of in builtin().types() {
        assert!(of.fields().len() <= 128, "{}: decoding marks seen fields in 128 bits", of.name);
        assert!(of.fields().windows(2).all(|pair| pair[0].name < pair[1].name), "{}", of.name);
        for field in of.fields() {
            let name = format!("{} {}", of.name, field.name);
            let numbers = field.tags().filter(|tag| *tag > 0).count();
            assert_eq!(numbers, field.tags.split('.').filter(|tag| !tag.is_empty()).count(), "{name}");
            assert_eq!(field.list_type == Some(ListType::Map), field.map_keys().next().is_some(), "{name}");
            for key in field.map_keys().chain(field.merge_key) {
                let item = field.structure().unwrap_or_else(|| panic!("{name} has keys"));
                assert!(item.field(key).is_some(), "{name} {key}");
            }
            if let Some(default) = field.default() {
                serde_json::from_str::<serde_json::Value>(default).unwrap_or_else(|_| panic!("{name}"));
            }
        }
    }
}
