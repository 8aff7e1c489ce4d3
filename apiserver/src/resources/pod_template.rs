//! PodTemplates: descriptions of pods that are kept for others to use.

use api::Resource;
use api::field::FieldError;
use api::resource::POD_TEMPLATES;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodTemplate;
use serde_json::Value;

use super::template;
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::path::Path;

/// The kind PodTemplate.
pub struct PodTemplates;

impl Builtin for PodTemplates {
    type Typed = PodTemplate;

    const RESOURCE: Resource = POD_TEMPLATES;

    const DEFINITION: Definition = Definition { generation: &["template"], ..Definition::new("podtemplate") };

    fn set_defaults(pod_template: &mut Value) {
        template::set_defaults(pod_template);
    }

    fn check(pod_template: &PodTemplate, errors: &mut Vec<FieldError>) {
        if let Some(found) = &pod_template.template {
            template::check_template(found, &Path::new("template"), errors);
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Containers", "Names of the containers in the template."),
        text("Images", "Images of the containers in the template."),
        text("Pod Labels", "Labels of the pods made from the template."),
    ];

    fn row(pod_template: &PodTemplate, _now: Timestamp) -> Vec<Value> {
        let template = pod_template.template.as_ref();
        let [containers, images] = cells::template(template);
        let labels = template.and_then(|template| template.metadata.as_ref()?.labels.as_ref());
        vec![cells::name(&pod_template.metadata), containers, images, cells::labels(labels)]
    }
}
