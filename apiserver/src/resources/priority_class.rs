//! PriorityClasses: which pods come first, by name.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::scheduling::v1::PriorityClass;
use serde_json::{Value, json};

use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, flag, number, text};
use crate::names::IMMUTABLE;
use crate::tree;

/// The classes every cluster has: their names, values and descriptions.
const SYSTEM: [(&str, i32, &str); 2] = [
    (
        "system-node-critical",
        2_000_001_000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    (
        "system-cluster-critical",
        2_000_000_000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
];

const SYSTEM_PREFIX: &str = "system-";

/// What users may give at most, so that the system comes first.
const HIGHEST_OF_USERS: i32 = 1_000_000_000;

const POLICIES: [&str; 2] = ["PreemptLowerPriority", "Never"];

/// The objects every cluster has.
pub fn always_there() -> impl Iterator<Item = Value> {
    SYSTEM.iter().map(|(name, value, description)| {
        json!({"metadata": {"name": name}, "value": value, "description": description})
    })
}

/// Whether a class is one that cannot be deleted.
pub fn is_immortal(name: &str) -> bool {
    SYSTEM.iter().any(|(known, _, _)| *known == name)
}

/// The kind PriorityClass.
pub struct PriorityClasses;

impl Builtin for PriorityClasses {
    type Typed = PriorityClass;

    const RESOURCE: Resource =
        Resource::new("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", false);

    const DEFINITION: Definition = Definition {
        short_names: &["pc"],
        // It cannot change, so the generation stays at 1.
        generation: &["value"],
        ..Definition::new("priorityclass")
    };

    fn set_defaults(class: &mut Value) {
        tree::set_default(class, "preemptionPolicy", "PreemptLowerPriority");
    }

    fn check(class: &PriorityClass, errors: &mut Vec<FieldError>) {
        let name = class.metadata.name.as_deref().unwrap_or_default();
        if name.starts_with(SYSTEM_PREFIX) {
            if let Some(mistake) = system_mistake(name, class) {
                let words = format!(
                    "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: \
                     {mistake}"
                );
                errors.push(FieldError::forbidden("metadata.name", words));
            }
        } else if class.value > HIGHEST_OF_USERS {
            let words = format!("maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}");
            errors.push(FieldError::forbidden("value", words));
        }
        match class.preemption_policy.as_deref() {
            Some("") => errors.push(FieldError::required("preemptionPolicy", "")),
            Some(policy) if !POLICIES.contains(&policy) => {
                errors.push(FieldError::unsupported("preemptionPolicy", policy, &POLICIES));
            }
            _ => {}
        }
    }

    fn check_update(new: &PriorityClass, old: &PriorityClass, errors: &mut Vec<FieldError>) {
        if new.value != old.value {
            errors.push(FieldError::forbidden("value", "may not be changed in an update."));
        }
        if new.preemption_policy != old.preemption_policy {
            let policy = new.preemption_policy.clone();
            errors.push(FieldError::invalid("preemptionPolicy", policy, IMMUTABLE));
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        number("Value", "The priority of its pods; more comes first."),
        flag("Global-Default", "Whether pods that name no class have it."),
        cells::AGE,
        text("PreemptionPolicy", "Whether its pods may take the place of others."),
    ];

    fn row(class: &PriorityClass, now: Timestamp) -> Vec<Value> {
        vec![
            cells::name(&class.metadata),
            class.value.into(),
            class.global_default.unwrap_or(false).into(),
            cells::age(&class.metadata, now),
            class.preemption_policy.as_deref().unwrap_or_default().into(),
        ]
    }
}

fn system_mistake(name: &str, class: &PriorityClass) -> Option<String> {
    match SYSTEM.iter().find(|(known, _, _)| *known == name) {
        None => Some(format!("{name} is not a known system priority class")),
        Some((_, value, _)) if class.value != *value => {
            Some(format!("value of {name} PriorityClass must be {value}"))
        }
        Some(_) if class.global_default == Some(true) => {
            Some(format!("globalDefault of {name} PriorityClass must be false"))
        }
        Some(_) => None,
    }
}
