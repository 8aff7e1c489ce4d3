//! A request as somebody sees it who asked to see it in a version of the kind.

use std::borrow::Cow;

use api::Resource;
use serde_json::Value;

use super::{Attributes, Operation, Surroundings};
use crate::served::{Served, Version};

/// Parts that are documents of their own, the same for objects of every version.
const DOCUMENTS: [&str; 4] = ["binding", "eviction", "scale", "token"];

/// A request with its objects in one version.
pub struct Shown<'a> {
    /// What else is known of it.
    pub attributes: &'a Attributes<'a>,
    /// The resource in that version.
    pub resource: Resource,
    object: Option<Cow<'a, Value>>,
    old: Option<Cow<'a, Value>>,
}

impl<'a> Shown<'a> {
    /// The request as it is worked on.
    fn unchanged(attributes: &'a Attributes<'a>) -> Self {
        Self {
            attributes,
            resource: attributes.resource.clone(),
            object: attributes.object.as_deref().map(Cow::Borrowed),
            old: attributes.old.map(Cow::Borrowed),
        }
    }

    /// The request in the version of this resource, which is one of the kind.
    pub async fn new(
        around: &Surroundings<'_>,
        attributes: &'a Attributes<'a>,
        resource: Resource,
    ) -> Result<Self, String> {
        let mut shown = Self::unchanged(attributes);
        if is_converted(attributes, &resource) {
            for state in [&mut shown.object, &mut shown.old].into_iter().flatten() {
                let converted = convert(around, attributes.resource, &resource, state.clone().into_owned());
                *state = Cow::Owned(converted.await?);
            }
        }
        Ok(Self { resource, ..shown })
    }

    /// The next state.
    pub fn object(&self) -> Option<&Value> {
        self.object.as_deref()
    }

    /// Whether its object is a document of its own, the same for every version.
    pub fn is_document(&self) -> bool {
        is_document(self.attributes)
    }

    /// The state before.
    pub fn old(&self) -> Option<&Value> {
        self.old.as_deref()
    }
}

/// What somebody made of the object in a version, as it is worked on.
pub async fn taken_back(
    around: &Surroundings<'_>,
    attributes: &Attributes<'_>,
    resource: &Resource,
    made: Value,
) -> Result<Value, String> {
    match is_converted(attributes, resource) {
        true => convert(around, resource, attributes.resource, made).await,
        false => Ok(made),
    }
}

/// The versions of a resource, the one that was asked for first.
pub fn versions<'v>(
    served: &'v Served,
    attributes: &'v Attributes<'_>,
) -> impl Iterator<Item = &'v Resource> {
    let kind = attributes.resource;
    let is_same = |version: &Version| {
        let of = version.kind().resource();
        of.group == kind.group && of.plural == kind.plural
    };
    let all = served.in_order().filter(move |version| is_same(version)).map(|version| version.resource());
    std::iter::once(attributes.requested).chain(all.filter(|version| *version != attributes.requested))
}

fn is_converted(attributes: &Attributes<'_>, resource: &Resource) -> bool {
    attributes.resource != resource && !is_document(attributes)
}

fn is_document(attributes: &Attributes<'_>) -> bool {
    attributes.operation == Operation::Connect || DOCUMENTS.contains(&attributes.subresource)
}

async fn convert(
    around: &Surroundings<'_>,
    from: &Resource,
    to: &Resource,
    mut value: Value,
) -> Result<Value, String> {
    let find = |resource: &Resource| {
        let found = around.served.version(&resource.group, &resource.plural, &resource.version);
        found.ok_or_else(|| {
            format!("no kind {:?} is registered for version {:?}", resource.kind, resource.api_version())
        })
    };
    let (from, to) = (find(from)?, find(to)?);
    if let Some(kind) = to.kind().custom() {
        let wanted = to.resource().api_version();
        let converted = kind.converted(vec![value], &wanted, around.outgoing).await;
        let converted = converted.map_err(|status| status.to_string())?;
        return converted.into_iter().next().ok_or_else(|| "nothing was converted".to_owned());
    }
    if let Some(other) = from.other() {
        other.take_in(&mut value).map_err(|error| error.to_string())?;
    }
    if let Some(other) = to.other() {
        other.bring_out(&mut value);
    }
    Ok(value)
}
