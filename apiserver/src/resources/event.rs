//! Events: what happened to objects. They are forgotten after an hour.

mod columns;

use std::borrow::Cow;

use api::Resource;
use api::field::FieldError;
use api::resource::EVENTS;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use serde_json::Value;

use crate::builtin::{Builtin, Column, Definition, Dependents};

/// The kind Event.
pub struct Events;

impl Builtin for Events {
    type Typed = Event;

    const RESOURCE: Resource = EVENTS;

    const DEFINITION: Definition = Definition {
        short_names: &["ev"],
        fields: &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        volatile: true,
        dependents: Dependents::None,
        ..Definition::new("event")
    };

    fn check(event: &Event, errors: &mut Vec<FieldError>) {
        let namespace = event.metadata.namespace.as_deref().unwrap_or_default();
        let involved = event.involved_object.namespace.as_deref().unwrap_or_default();
        let agrees = match involved {
            "" => matches!(namespace, "default" | "kube-system"),
            involved => involved == namespace,
        };
        if !agrees {
            let words = "does not match event.namespace";
            errors.push(FieldError::invalid("involvedObject.namespace", involved, words));
        }
    }

    fn field<'a>(event: &'a Event, field: &str) -> Option<Cow<'a, str>> {
        let involved = &event.involved_object;
        let value = match field {
            "involvedObject.kind" => &involved.kind,
            "involvedObject.namespace" => &involved.namespace,
            "involvedObject.name" => &involved.name,
            "involvedObject.uid" => &involved.uid,
            "involvedObject.apiVersion" => &involved.api_version,
            "involvedObject.resourceVersion" => &involved.resource_version,
            "involvedObject.fieldPath" => &involved.field_path,
            "reason" => &event.reason,
            "reportingComponent" => &event.reporting_component,
            "source" => match event.source.as_ref().map(|source| &source.component) {
                Some(component @ Some(name)) if !name.is_empty() => component,
                _ => &event.reporting_component,
            },
            "type" => &event.type_,
            _ => return None,
        };
        value.as_deref().map(Cow::from)
    }

    const COLUMNS: &'static [Column] = columns::COLUMNS;

    fn row(event: &Event, now: Timestamp) -> Vec<Value> {
        columns::row(event, now)
    }
}
