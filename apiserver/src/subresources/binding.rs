//! Binding: the scheduler says on which node a pod is to run, once.

use api::backend::{Answer, Body, Reply, WriteOptions};
use api::field::FieldError;
use api::{Resource, Status, event};
use serde_json::{Value, json};

use crate::admission::Findings;
use crate::registry::{ATTEMPTS, Place, Registry, decode, metadata, update};
use crate::store::{Draft, Expected, Next, Refused, Write};
use crate::tree;

/// The document of the subresource.
pub const RESOURCE: Resource = Resource::new("", "v1", "bindings", "Binding", true);

/// How messages name the subresource.
const PODS_BINDING: Resource = Resource::new("", "v1", "pods/binding", "Binding", true);

impl Registry {
    pub(crate) async fn bind(
        &self,
        place: &Place,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Reply, Status> {
        let incoming = decode::object(&RESOURCE, body, options.field_validation)?;
        let mut binding = incoming.value;
        let mut findings = Findings::default();
        self.admit_document(place, options, &mut binding, &mut findings).await?;
        let warnings: Vec<String> = incoming.warnings.into_iter().chain(findings.warnings).collect();
        let target = target(place, &binding)?;
        for _ in 0..ATTEMPTS {
            let current = self.current(place)?;
            update::check_preconditions(place, &binding, &current)?;
            let mut pod: Value =
                serde_json::from_slice(current.json()).map_err(|error| place.unfit(&error))?;
            let now = event::seconds(self.clock.now());
            assign(&mut pod, &target, &binding, now)
                .map_err(|why| Status::conflict(&PODS_BINDING, &place.key.name, &why))?;
            let checked = place.kind.decode(&pod).map_err(|error| place.unfit(&error))?;
            if options.dry_run {
                return Ok(Answer::Object(Draft::preview(&pod, checked.metadata)).into());
            }
            let draft = Draft::new(&pod, checked.metadata);
            let expected = Expected::At(current.revision());
            let write = Write { key: place.store_key(), expected, next: Next::Put(draft), hold: None };
            match self.commit(write).await {
                Ok(object) => {
                    return Ok(Reply { answer: Answer::Object(object), warnings });
                }
                Err(Refused::Conflict(Some(_))) => {}
                Err(refused) => return Err(place.refused(&refused)),
            }
        }
        Err(Status::modified(place.resource(), &place.key.name))
    }
}

/// The node the binding names.
fn target(place: &Place, binding: &Value) -> Result<String, Status> {
    let target = &binding["target"];
    let mut errors = Vec::new();
    if let Some(kind) = tree::text(target, "kind").filter(|kind| *kind != "Node") {
        errors.push(FieldError::unsupported("target.kind", kind, &["Node", "<empty>"]));
    }
    let name = tree::text(target, "name");
    if name.is_none() {
        errors.push(FieldError::required("target.name", ""));
    }
    match name.filter(|_| errors.is_empty()) {
        Some(name) => Ok(name.to_owned()),
        None => Err(Status::invalid(&PODS_BINDING, &place.key.name, &errors)),
    }
}

/// Puts the pod on the node; says why if it cannot be there.
fn assign(pod: &mut Value, node: &str, binding: &Value, now: String) -> Result<(), String> {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if metadata::is_terminating(pod) {
        return Err(format!("pod {name} is being deleted, cannot be assigned to a host"));
    }
    let spec = tree::object(pod, "spec");
    if let Some(known) = tree::text(spec, "nodeName") {
        return Err(format!("pod {name} is already assigned to node {known:?}"));
    }
    if spec["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
        return Err(format!("pod {name} has non-empty .spec.schedulingGates"));
    }
    tree::set(spec, "nodeName", Some(node.into()));
    for (key, value) in binding["metadata"]["annotations"].as_object().into_iter().flatten() {
        let annotations = tree::object(tree::object(pod, "metadata"), "annotations");
        tree::set(annotations, key, Some(value.clone()));
    }
    let status = tree::object(pod, "status");
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    conditions.retain(|condition| condition["type"] != "PodScheduled");
    conditions.push(json!({"type": "PodScheduled", "status": "True", "lastTransitionTime": now}));
    tree::set(status, "conditions", Some(conditions.into()));
    Ok(())
}
