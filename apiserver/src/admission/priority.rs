//! Gives pods the priority of their class.

use api::{Key, Object, Resource, Status};
use k8s_openapi::api::scheduling::v1::PriorityClass;
use serde_json::Value;

use super::{Attributes, Surroundings};
use crate::builtin::Builtin;
use crate::resources::priority_class::{PriorityClasses, always_there};
use crate::store::{Collection, StoreKey};
use crate::tree;

const PREEMPTS: &str = "PreemptLowerPriority";

/// The resource of priority classes.
pub(super) const CLASSES: Resource = PriorityClasses::RESOURCE;

/// What a class says.
struct Class {
    name: String,
    value: i32,
    preemption: String,
}

impl Class {
    fn of(class: PriorityClass) -> Self {
        Self {
            name: class.metadata.name.unwrap_or_default(),
            value: class.value,
            preemption: class.preemption_policy.unwrap_or_else(|| PREEMPTS.to_owned()),
        }
    }
}

/// Sets the priority of a new pod; refuses one that the pod says of itself if it is another.
pub(super) fn admit(
    around: &Surroundings<'_>,
    resource: &Resource,
    key: &Key,
    pod: &mut Value,
) -> Result<(), Status> {
    let refuse = |words: &str| Err(Status::forbidden(resource, &key.name, words));
    let spec = tree::object(pod, "spec");
    let class = match tree::text(spec, "priorityClassName") {
        None => of_others(around),
        Some(name) => match named(around, name) {
            Some(class) => class,
            None => return refuse(&format!("no PriorityClass with name {name} was found")),
        },
    };
    if let Some(given) = spec["priority"].as_i64().filter(|given| *given != i64::from(class.value)) {
        return refuse(&format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
             computed {} from the given PriorityClass name",
            class.value
        ));
    }
    if let Some(given) = tree::text(spec, "preemptionPolicy").filter(|given| *given != class.preemption) {
        return refuse(&format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission \
             controller computed {} from the given PriorityClass name",
            class.preemption
        ));
    }
    if !class.name.is_empty() {
        tree::set(spec, "priorityClassName", Some(class.name.into()));
    }
    tree::set(spec, "priority", Some(class.value.into()));
    tree::set(spec, "preemptionPolicy", Some(class.preemption.into()));
    Ok(())
}

/// The classes of the system are known before they are stored.
fn named(around: &Surroundings<'_>, name: &str) -> Option<Class> {
    let place = StoreKey { collection: Collection::from(&CLASSES), key: Key::cluster(name) };
    let stored = around.store.get(&place).and_then(|object| object.typed::<PriorityClass>().ok().cloned());
    let known = || {
        let class = always_there().find(|class| class["metadata"]["name"] == name)?;
        serde_json::from_value(class).ok()
    };
    stored.or_else(known).map(Class::of)
}

/// What pods have that name no class: the least of the defaults, or nothing.
fn of_others(around: &Surroundings<'_>) -> Class {
    let (classes, _) = around.store.snapshot(&Collection::from(&CLASSES));
    let defaults = classes.iter().filter_map(default_class);
    let least = defaults.min_by_key(|class| class.value).cloned().map(Class::of);
    least.unwrap_or_else(|| Class { name: String::new(), value: 0, preemption: PREEMPTS.to_owned() })
}

fn default_class(object: &Object) -> Option<&PriorityClass> {
    object.typed::<PriorityClass>().ok().filter(|class| class.global_default == Some(true))
}

/// Refuses a second class that pods without one would have.
pub(super) fn check_default(around: &Surroundings<'_>, attributes: &Attributes<'_>) -> Result<(), Status> {
    let is_default = |object: &Value| object["globalDefault"] == true;
    if !attributes.is_of(&CLASSES) || !attributes.object.as_deref().is_some_and(is_default) {
        return Ok(());
    }
    let (classes, _) = around.store.snapshot(&Collection::from(&CLASSES));
    let name = &*attributes.key.name;
    match classes.iter().find(|object| object.name() != name && default_class(object).is_some()) {
        None => Ok(()),
        Some(other) => {
            let words = format!(
                "PriorityClass {} is already marked as default. Only one default can exist",
                other.name()
            );
            Err(Status::forbidden(attributes.resource, name, &words))
        }
    }
}
