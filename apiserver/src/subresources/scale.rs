//! The scale of what has replicas: how many there are to be, seen alike for all kinds.

use api::field::FieldError;
use api::selector::LabelSelector;
use api::{Object, Resource, Status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::names::NOT_NEGATIVE;
use crate::served::KindHandle;
use crate::tree;

/// The document of the subresource.
pub const RESOURCE: Resource = Resource::new("autoscaling", "v1", "scales", "Scale", true);

/// The scale of an object.
pub fn of(kind: &KindHandle, object: &Object) -> Result<Object, Status> {
    let value: Value = serde_json::from_slice(object.json()).map_err(Status::internal)?;
    Object::from_value(of_value(kind, &value)).map_err(Status::internal)
}

/// The scale of an object as a tree.
pub fn of_value(kind: &KindHandle, object: &Value) -> Value {
    if let Some(scale) = kind.custom().and_then(|kind| kind.scale.as_ref()) {
        return scale.of(object);
    }
    let kept = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
    let metadata =
        kept.iter().filter_map(|field| Some(((*field).to_owned(), object["metadata"].get(field)?.clone())));
    let given = &object["spec"]["selector"];
    // That of a ReplicationController is labels alone.
    let labels_alone = json!({"matchLabels": given});
    let given = if object["kind"] == "ReplicationController" { &labels_alone } else { given };
    let selector = meta::LabelSelector::deserialize(given).ok();
    let selector = selector.and_then(|selector| LabelSelector::try_from(&selector).ok());
    json!({
        "apiVersion": RESOURCE.api_version(),
        "kind": RESOURCE.kind,
        "metadata": metadata.collect::<serde_json::Map<_, _>>(),
        "spec": {"replicas": object["spec"]["replicas"].as_i64().unwrap_or(0)},
        "status": {
            "replicas": object["status"]["replicas"].as_i64().unwrap_or(0),
            "selector": selector.map(|selector| selector.to_string()).unwrap_or_default(),
        },
    })
}

/// The object with the replicas of the scale.
pub fn apply(kind: &KindHandle, mut object: Value, scale: &Value) -> Result<Value, FieldError> {
    if let Some(custom) = kind.custom().and_then(|kind| kind.scale.as_ref()) {
        return custom.apply(object, scale);
    }
    let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
    if replicas < 0 {
        return Err(FieldError::invalid("spec.replicas", replicas, NOT_NEGATIVE));
    }
    tree::set(tree::object(&mut object, "spec"), "replicas", Some(replicas.into()));
    Ok(object)
}
