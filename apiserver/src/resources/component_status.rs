//! ComponentStatuses: whether the parts of the control plane are well. They are not stored but looked at.

use api::Resource;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ComponentStatus;
use serde_json::Value;

use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};

/// The kind ComponentStatus.
pub struct ComponentStatuses;

impl Builtin for ComponentStatuses {
    type Typed = ComponentStatus;

    const RESOURCE: Resource = Resource::new("", "v1", "componentstatuses", "ComponentStatus", false);

    const DEFINITION: Definition = Definition { short_names: &["cs"], ..Definition::new("componentstatus") };

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Status", "Whether the part is well."),
        text("Message", "What was found when it was looked at."),
        text("Error", "Why it could not be looked at."),
    ];

    fn row(component: &ComponentStatus, _now: Timestamp) -> Vec<Value> {
        let mut conditions = component.conditions.iter().flatten();
        let healthy = conditions.find(|condition| condition.type_ == "Healthy");
        let status = match healthy.map(|condition| condition.status.as_str()) {
            None => "Unknown",
            Some("True") => "Healthy",
            Some(_) => "Unhealthy",
        };
        let part = |part: Option<&String>| part.map_or("", String::as_str).into();
        vec![
            cells::name(&component.metadata),
            status.into(),
            part(healthy.and_then(|condition| condition.message.as_ref())),
            part(healthy.and_then(|condition| condition.error.as_ref())),
        ]
    }
}
