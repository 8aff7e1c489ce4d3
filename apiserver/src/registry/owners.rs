//! Keeps account of who owns which fields of the objects that are written.

use std::borrow::Cow;

use api::backend::WriteOptions;
use api::{Object, Resource};
use serde_json::Value;

use super::Place;
use crate::managed::compare::compare;
use crate::managed::entries::{self, Entry};
use crate::managed::{Manager, Operation, Shape, fields, update};
use crate::{managed, schema, tree};

/// What user names of Peapod's own components begin with.
const COMPONENT: &str = "system:peapod:";

/// The owners of the fields of an object that is to be written.
pub(super) enum Owners<'a> {
    /// They follow from what differs.
    ByDifference {
        /// The text of the owners there are.
        before: &'a str,
        /// What the client says they are to be.
        sent: Option<Value>,
        /// Who writes.
        writer: Cow<'a, str>,
    },
    /// They are known: their text.
    Known(String),
}

/// An object without the owners of its fields, and their text.
pub(super) fn apart(object: &Object) -> Result<(Value, &str), serde_json::Error> {
    match managed::stored(object.json()) {
        Some(stored) => Ok((serde_json::from_slice(&stored.without)?, stored.text)),
        None => Ok((serde_json::from_slice(object.json())?, "")),
    }
}

/// Who is said to write: the manager the client names, or one of Peapod's components by its user.
pub(super) fn writer<'a>(place: &'a Place, options: &'a WriteOptions) -> Cow<'a, str> {
    match place.user.name.strip_prefix(COMPONENT) {
        _ if !options.field_manager.is_empty() => Cow::Borrowed(&options.field_manager),
        Some(component) => Cow::Owned(format!("peapod-{component}")),
        None => Cow::Borrowed("unknown"),
    }
}

/// The type of the objects of a place, in a version.
pub(super) fn shape<'a>(place: &'a Place, resource: &Resource) -> Shape<'a> {
    let known = |of: &Resource| schema::builtin().kind(&of.group, &of.version, &of.kind);
    match (known(resource).or_else(|| known(place.resource())), place.kind.ownership()) {
        (_, Some(node)) => Shape::Node(node),
        (Some(of), None) => Shape::Structure(of),
        (None, None) => Shape::Deduced,
    }
}

/// The top-level fields that cannot be written at this place.
pub(super) fn unwritable<'a>(place: &Place, one: &'a Value, other: &'a Value) -> Vec<&'a str> {
    let names = || [one, other].into_iter().filter_map(Value::as_object).flat_map(|fields| fields.keys());
    match place.part {
        "status" => names().map(String::as_str).filter(|name| *name != "status").collect(),
        _ if place.kind.definition().has("status") => vec!["status"],
        _ => Vec::new(),
    }
}

/// The text of the owners of a new object.
pub(super) fn of_new(place: &Place, options: &WriteOptions, new: &Value, now: &str) -> String {
    let api_version = place.version.resource().api_version();
    let writer = writer(place, options);
    let set = fields::created(shape(place, place.resource()), new, &unwritable(place, new, new));
    let manager = Manager::new(&writer, Operation::Update, &api_version, place.part);
    let mut entries = vec![Entry::new(manager, set, Some(now.into()))];
    entries.retain(|entry| !entry.set().is_empty());
    entries::write(&mut entries)
}

impl Owners<'_> {
    /// Their text in the next state of the object.
    pub fn after(&self, place: &Place, old: &Value, new: &Value, now: &str) -> String {
        let (before, sent, writer) = match self {
            Self::Known(text) => return text.clone(),
            Self::ByDifference { before, sent, writer } => (*before, sent, writer),
        };
        let comparison = compare(shape(place, place.resource()), old, new, &unwritable(place, old, new));
        let sent = sent.as_ref().filter(|_| place.part.is_empty());
        if sent.is_none() && comparison == managed::compare::Comparison::default() {
            return before.to_owned();
        }
        let api_version = place.version.resource().api_version();
        let manager = Manager::new(writer, Operation::Update, &api_version, place.part);
        let said = match sent {
            Some(sent) if entries::is_reset(sent) => Some(Vec::new()),
            Some(sent) => entries::from_value(sent).filter(|entries| !entries.is_empty()),
            None => None,
        };
        // Who does not say who owns what, or says nothing that makes sense, does not change it.
        let mut entries = said.or_else(|| entries::parse(before)).unwrap_or_default();
        // Nobody kept account of this object so far; the first who applies begins.
        if !entries.is_empty() {
            update(&mut entries, manager, &comparison, now);
        }
        entries::write(&mut entries)
    }
}

/// Takes what the client says of the owners out of an object.
pub(super) fn take_sent(given: &mut Value) -> Option<Value> {
    let metadata = tree::field(given, "metadata")?.as_object_mut()?;
    metadata.remove("managedFields")
}

/// Whether both texts name the same owners of the same fields, whenever they wrote them.
pub(super) fn is_same_but_times(one: &str, other: &str) -> bool {
    if one == other {
        return true;
    }
    let (Some(one), Some(other)) = (entries::parse(one), entries::parse(other)) else {
        return false;
    };
    one.len() == other.len()
        && one.iter().zip(&other).all(|(one, other)| one.manager == other.manager && one.set() == other.set())
}
