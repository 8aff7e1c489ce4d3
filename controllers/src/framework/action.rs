//! What a controller can decide to do.

use std::fmt;

use api::backend::DeleteOptions;
use api::event::{Involved, Occurrence, Severity};
use api::{Key, Object, Resource, Status};
use jiff::Timestamp;
use serde_json::Value;

/// One object of the API, by resource and key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The resource.
    pub resource: Resource,
    /// The key within it.
    pub key: Key,
}

impl Target {
    /// The place of an object of `resource`.
    pub fn of(resource: &Resource, object: &Object) -> Self {
        Self::new(resource, object.key())
    }

    /// The place with this key.
    pub fn new(resource: &Resource, key: Key) -> Self {
        Self { resource: resource.clone(), key }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.resource, self.key)
    }
}

/// Something to do. Neighbours of the same sort run together, others in turn; a failure stops what comes after it. Changes
/// of objects are one sort, those of their parts another.
#[derive(Clone, Debug)]
pub enum Action {
    /// Adds objects.
    Create(Create),
    /// Lays a tree over an object, or over a part of it.
    Patch {
        /// Which object.
        target: Target,
        /// Which part; empty for the object itself.
        subresource: &'static str,
        /// The tree; null removes.
        merge: Value,
    },
    /// Replaces a part of an object that cannot be patched.
    Replace {
        /// Which object.
        target: Target,
        /// Which part.
        subresource: &'static str,
        /// The new state.
        value: Value,
    },
    /// Deletes an object; that it is gone already is no failure.
    Delete {
        /// Which object.
        target: Target,
        /// How.
        options: DeleteOptions,
        /// In whose name it is told.
        report: Option<Report>,
    },
    /// Deletes all objects of a resource in a namespace.
    DeleteAll {
        /// Of this resource.
        resource: Resource,
        /// In this namespace.
        namespace: String,
    },
    /// Fails if the object is there with this uid: the cache may lag behind, so the API is asked.
    ExpectAbsent {
        /// Which object.
        target: Target,
        /// Its uid.
        uid: String,
    },
    /// Tells people.
    Event(Occurrence),
    /// Looks at the object again at this time, if nothing happens before.
    WakeAt(Timestamp),
}

/// Objects to add.
#[derive(Clone, Debug)]
pub struct Create {
    /// Of this resource.
    pub resource: Resource,
    /// In this namespace; empty for objects of the cluster.
    pub namespace: String,
    /// Each of them like this.
    pub value: Value,
    /// So many; more than one needs `generateName`.
    pub times: usize,
    /// In whose name it is told.
    pub report: Option<Report>,
    /// What is done if one of them is refused.
    pub refusal: Option<Refusal>,
}

impl Create {
    /// One object, of which nobody is told.
    pub fn one(resource: &Resource, namespace: &str, value: Value) -> Self {
        Self {
            resource: resource.clone(),
            namespace: namespace.to_owned(),
            value,
            times: 1,
            report: None,
            refusal: None,
        }
    }
}

/// What an owner does when what it wants to add is refused: the first refusal of a look is answered by one action.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The owner.
    pub owner: Object,
    /// The action, from the owner, the API's answer and the time of it.
    pub answer: fn(&Object, &Status, Timestamp) -> Option<Action>,
}

/// In whose name the making and deleting of an object is told, and what the object is called there.
#[derive(Clone, Debug)]
pub struct Report {
    /// The owner.
    pub involved: Involved,
    /// What the object is called, such as `pod`.
    pub noun: &'static str,
}

impl Report {
    /// Tells it of an owner.
    pub fn of(owner: &Object, noun: &'static str) -> Self {
        Self { involved: Involved::object(owner), noun }
    }
}

impl Action {
    /// Lays a tree over exactly this object: another one that took its name since is refused.
    pub fn patch(resource: &Resource, object: &Object, subresource: &'static str, mut merge: Value) -> Self {
        merge["metadata"]["uid"] = object.uid().into();
        Self::Patch { target: Target::of(resource, object), subresource, merge }
    }

    /// As [`Action::patch`], refused as well if the object changed since it was observed.
    pub fn patch_unchanged(
        resource: &Resource,
        object: &Object,
        subresource: &'static str,
        mut merge: Value,
    ) -> Self {
        merge["metadata"]["resourceVersion"] = object.revision().to_string().into();
        Self::patch(resource, object, subresource, merge)
    }

    /// Deletes exactly this object.
    pub fn delete(resource: &Resource, object: &Object, report: Option<Report>) -> Self {
        let options = DeleteOptions { uid: Some(object.uid().to_owned()), ..DeleteOptions::default() };
        Self::Delete { target: Target::of(resource, object), options, report }
    }

    /// Tells people about an object.
    pub fn event(object: &Object, severity: Severity, reason: &str, message: impl AsRef<str>) -> Self {
        Self::Event(Occurrence {
            involved: Involved::object(object),
            severity,
            reason: reason.into(),
            message: message.as_ref().into(),
        })
    }
}

/// The actions in the short form that tests are written in, one text each.
#[cfg(test)]
pub(crate) fn describe(actions: &[Action]) -> Vec<String> {
    actions.iter().map(text).collect()
}

#[cfg(test)]
fn text(action: &Action) -> String {
    let place = |target: &Target| format!("{} {}", target.resource.kind, target.key.name);
    match action {
        Action::Create(create) => {
            let metadata = &create.value["metadata"];
            let name = metadata["name"].as_str().map(str::to_owned);
            let generated = || format!("{}*", metadata["generateName"].as_str().unwrap_or("?"));
            let name = name.unwrap_or_else(generated);
            let replicas = create.value["spec"].get("replicas");
            let replicas = replicas.map(|count| format!(" replicas={count}"));
            format!("create {} {} {name}{}", create.times, create.resource.kind, replicas.unwrap_or_default())
        }
        Action::Patch { target, subresource, merge } => {
            let mut merge = merge.clone();
            let metadata = merge["metadata"].as_object_mut().expect("metadata");
            metadata.remove("uid");
            if metadata.is_empty() {
                merge.as_object_mut().expect("an object").remove("metadata");
            }
            let slash = if subresource.is_empty() { "" } else { "/" };
            format!("patch {}{slash}{subresource} {merge}", place(target))
        }
        Action::Replace { target, subresource, value } => {
            format!("replace {}/{subresource} {}", place(target), value["spec"])
        }
        Action::Delete { target, options, .. } => match options.propagation {
            Some(propagation) => format!("delete {} {propagation:?}", place(target)),
            None => format!("delete {}", place(target)),
        },
        Action::DeleteAll { resource, namespace } => format!("delete all {resource} in {namespace}"),
        Action::ExpectAbsent { target, .. } => format!("expect no {}", place(target)),
        Action::Event(occurrence) => format!("{}: {}", occurrence.reason, occurrence.message),
        Action::WakeAt(time) => format!("wake at {time}"),
    }
}
