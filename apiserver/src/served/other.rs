//! Versions of built-in kinds other than the one their objects are stored in: read into that, and shown from it.

use api::backend::{Answer, Reply};
use api::field::FieldError;
use api::object::DecodeError;
use api::watch::WatchEvent;
use api::{Object, Resource, Status};
use futures::StreamExt;
use serde_json::Value;

/// A version of a kind, told by how it differs. Pure: a tree in, a tree out.
#[derive(Debug)]
pub struct OtherVersion {
    /// The names in this version.
    pub resource: Resource,
    /// The kind that does the work, in its own version.
    pub kind: Resource,
    /// Makes an object of the kind of one in this version; `apiVersion` and `kind` are set afterwards.
    pub take_in: fn(&mut Value) -> Result<(), FieldError>,
    /// Makes an object in this version of one of the kind; `apiVersion` and `kind` are set afterwards.
    pub bring_out: fn(&mut Value),
    /// What users of this version are told with every answer; nothing if it is empty.
    pub warning: &'static str,
    /// The fields selectors may ask for whose names differ: here, and in the kind.
    pub fields: &'static [(&'static str, &'static str)],
    /// Whether it has the short names and categories of the kind: they would mean several.
    pub has_names: bool,
}

impl OtherVersion {
    /// A version that differs in its name only.
    pub const fn new(resource: Resource, kind: Resource) -> Self {
        Self {
            resource,
            kind,
            take_in: |_| Ok(()),
            bring_out: |_| (),
            warning: "",
            fields: &[],
            has_names: false,
        }
    }

    /// The same with a conversion both ways.
    #[must_use]
    pub const fn converted(
        mut self,
        take_in: fn(&mut Value) -> Result<(), FieldError>,
        bring_out: fn(&mut Value),
    ) -> Self {
        self.take_in = take_in;
        self.bring_out = bring_out;
        self
    }

    /// The same with a sentence for its users.
    #[must_use]
    pub const fn with_warning(mut self, warning: &'static str) -> Self {
        self.warning = warning;
        self
    }

    /// The same with fields that have other names here.
    #[must_use]
    pub const fn with_fields(mut self, fields: &'static [(&'static str, &'static str)]) -> Self {
        self.fields = fields;
        self
    }

    /// The same with the short names and categories of the kind.
    #[must_use]
    pub const fn with_names(mut self) -> Self {
        self.has_names = true;
        self
    }

    /// A tree in this version as one of the kind.
    pub fn take_in(&self, value: &mut Value) -> Result<(), FieldError> {
        (self.take_in)(value)?;
        set_type(value, &self.kind);
        Ok(())
    }

    /// A tree of the kind as one in this version.
    pub fn bring_out(&self, value: &mut Value) {
        (self.bring_out)(value);
        set_type(value, &self.resource);
    }

    /// The name in the kind of a field that selectors ask for.
    pub fn field<'a>(&self, field: &'a str) -> &'a str {
        self.fields.iter().find(|(here, _)| *here == field).map_or(field, |(_, there)| there)
    }

    /// An object in this version as one of the kind.
    pub(super) fn taken_in(&self, object: &Object, kind: &Resource) -> Result<Object, Status> {
        if object.kind() == kind.kind && object.api_version() == kind.api_version() {
            return Ok(object.clone());
        }
        let mut value = object.value().clone();
        self.take_in(&mut value).map_err(Status::internal)?;
        Object::from_value(value).map_err(Status::internal)
    }

    /// An answer in this version.
    pub fn show(&'static self, reply: Reply) -> Result<Reply, Status> {
        let Reply { answer, mut warnings } = reply;
        if !self.warning.is_empty() {
            warnings.push(self.warning.to_owned());
        }
        let answer = match answer {
            Answer::Object(object) => Answer::Object(self.brought_out(object)?),
            Answer::Created(object) => Answer::Created(self.brought_out(object)?),
            Answer::Deleted(object) => Answer::Deleted(self.brought_out(object)?),
            Answer::List(mut list) => {
                for item in &mut list.items {
                    *item = self.brought_out(item.clone())?;
                }
                Answer::List(list)
            }
            Answer::Watch(events) => Answer::Watch(Box::pin(events.map(|event| self.event(event)))),
        };
        Ok(Reply { answer, warnings })
    }

    fn event(&self, event: WatchEvent) -> WatchEvent {
        let shown = match event {
            WatchEvent::Added(object) => self.brought_out(object).map(WatchEvent::Added),
            WatchEvent::Modified(object) => self.brought_out(object).map(WatchEvent::Modified),
            WatchEvent::Deleted(object) => self.brought_out(object).map(WatchEvent::Deleted),
            other => Ok(other),
        };
        shown.unwrap_or_else(WatchEvent::Error)
    }

    /// An object in this version; others, such as a scale, stay what they are.
    fn brought_out(&self, object: Object) -> Result<Object, Status> {
        if object.kind() != self.kind.kind || object.api_version() != self.kind.api_version() {
            return Ok(object);
        }
        let mut value = object.value().clone();
        self.bring_out(&mut value);
        let made: Result<Object, DecodeError> = Object::from_value(value);
        made.map_err(Status::internal)
    }
}

fn set_type(value: &mut Value, resource: &Resource) {
    crate::tree::set(value, "apiVersion", Some(resource.api_version().into()));
    crate::tree::set(value, "kind", Some(resource.kind.as_ref().into()));
}
