//! The pods of a Job, and the index each of them has.

use api::Object;
use api::resource::{JOBS, PODS};
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};

use super::crew::Place;
use super::spec::Spec;
use super::tracking::FINALIZER;
use crate::framework::{Action, Create, Report};
use crate::owner;
use crate::typed::Typed;

/// The label and annotation with a pod's index.
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// The variable with it.
const VARIABLE: &str = "JOB_COMPLETION_INDEX";

/// The longest part of a name that the server goes on from.
const LONGEST_PREFIX: usize = 58;

/// The index of a pod, if the Job is indexed and has such a one.
pub(super) fn index_of(spec: &Spec, pod: &Object) -> Option<usize> {
    let end = spec.completions.filter(|_| spec.is_indexed)?;
    let index = pod.annotation(INDEX)?.parse().ok()?;
    (index < end).then_some(index)
}

/// Adds pods.
pub(super) fn create(job: &Typed<Job>, spec: &Spec, place: Place) -> Action {
    let (index, times) = match place {
        Place::Any(times) => (None, times),
        Place::Index(index) => (Some(index), 1),
    };
    Action::Create(Create {
        times,
        report: Some(Report::of(job.object(), "pod")),
        ..Create::one(&PODS, job.object().namespace(), new_pod(job, spec, index))
    })
}

/// A pod of the template. Goes by the JSON, so that nothing is lost that the types do not know.
fn new_pod(job: &Typed<Job>, spec: &Spec, index: Option<usize>) -> Value {
    let object = job.object();
    let name = object.name();
    let template = &object.value()["spec"]["template"];
    let mut metadata = json!({
        "generateName": format!("{name}-"),
        "ownerReferences": [owner::controller_reference(&JOBS, object)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            metadata[field] = template["metadata"][field].clone();
        }
    }
    let finalizers = metadata["finalizers"].as_array().cloned().unwrap_or_default();
    let others = finalizers.into_iter().filter(|finalizer| finalizer != FINALIZER);
    metadata["finalizers"] = others.chain([FINALIZER.into()]).collect();
    let mut pod = template["spec"].clone();
    if spec.is_indexed {
        add_variable(&mut pod);
    }
    if let Some(index) = index {
        let end = format!("-{index}-");
        let room = LONGEST_PREFIX.saturating_sub(end.len()).min(name.len());
        metadata["generateName"] = format!("{}{end}", &name[..room]).into();
        metadata["annotations"][INDEX] = index.to_string().into();
        metadata["labels"][INDEX] = index.to_string().into();
        pod["hostname"] = format!("{name}-{index}").into();
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})
}

/// Tells every container its index, unless it has a variable of that name.
fn add_variable(pod: &mut Value) {
    let field = format!("metadata.labels['{INDEX}']");
    for field_name in ["initContainers", "containers"] {
        for container in pod[field_name].as_array_mut().into_iter().flatten() {
            let mut variables = container["env"].as_array().cloned().unwrap_or_default();
            if !variables.iter().any(|variable| variable["name"] == VARIABLE) {
                variables.push(json!({"name": VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": field}}}));
                container["env"] = variables.into();
            }
        }
    }
}
