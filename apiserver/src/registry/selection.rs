//! Which objects of a collection a list or a watch is about.

use std::borrow::Cow;
use std::sync::Arc;

use api::selector::{FieldSelector, LabelSelector};
use api::{Key, Object, Status};

use super::Place;
use crate::served::Version;

/// A choice of objects of one collection.
pub(super) struct Selection {
    version: Arc<Version>,
    pub namespace: String,
    labels: LabelSelector,
    fields: FieldSelector,
    /// The one name it can have.
    name: Option<String>,
}

impl Selection {
    /// The objects at a place that the selectors choose; refuses fields the kind cannot be selected by.
    pub fn new(place: &Place, labels: LabelSelector, fields: FieldSelector) -> Result<Self, Status> {
        for requirement in fields.requirements() {
            let field = requirement.field.as_str();
            let of_all =
                field == "metadata.name" || field == "metadata.namespace" && place.kind.resource().namespaced;
            if !of_all && !place.version.selects_by(field) {
                return Err(Status::bad_request(format!("field label not supported: {field}")));
            }
        }
        let asked = Some(&*place.key.name).filter(|name| !name.is_empty()).map(str::to_owned);
        let name = asked.or_else(|| fields.required_value("metadata.name").map(str::to_owned));
        let namespace = place.key.namespace.to_string();
        Ok(Self { version: place.version.clone(), namespace, labels, fields, name })
    }

    /// Whether everything in the namespace is chosen.
    pub fn is_everything(&self) -> bool {
        self.name.is_none() && self.labels.is_everything() && self.fields.is_everything()
    }

    /// The only key that can be chosen, if there is one.
    pub fn only_key(&self) -> Option<Key> {
        let name = self.name.as_deref()?;
        let namespaced = self.version.resource().namespaced;
        (!namespaced || !self.namespace.is_empty()).then(|| Key::new(self.namespace.as_str(), name))
    }

    pub fn matches(&self, object: &Object) -> bool {
        (self.namespace.is_empty() || object.namespace() == self.namespace)
            && self.name.as_deref().is_none_or(|name| name == object.name())
            && self.labels.matches(object.metadata().labels.as_ref())
            && self.fields.matches(|field| match field {
                "metadata.name" => Some(Cow::from(object.name())),
                "metadata.namespace" => Some(Cow::from(object.namespace())),
                field => self.version.field(object, field),
            })
    }
}
