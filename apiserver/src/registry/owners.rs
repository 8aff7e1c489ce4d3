//! Keeps account of who owns which fields of the objects that are written.

use std::borrow::Cow;
use std::collections::BTreeSet;

use api::backend::WriteOptions;
use api::field::FieldError;
use api::{Object, Resource};
use serde_json::Value;

use super::Place;
use super::change::in_version;
use crate::managed::compare::{Comparison, compare};
use crate::managed::entries::{self, Entry};
use crate::managed::manager::{self, Manager};
use crate::managed::{Operation, Shape, Versions, fields, update};
use crate::served::{Served, Version};
use crate::{managed, schema, tree};

/// The longest name of a subresource that an entry may have, in bytes.
const LONGEST_SUBRESOURCE: usize = 256;

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

/// The type of the objects of a version, or of the version in which they are kept if the schema has none for it.
pub(super) fn shape(version: &Version) -> Shape<'_> {
    let known = |of: &Resource| schema::builtin().kind(&of.group, &of.version, &of.kind);
    match (known(version.resource()).or_else(|| known(version.kind().resource())), version.kind().ownership())
    {
        (_, Some(node)) => Shape::Node(node),
        (Some(of), None) => Shape::Structure(of),
        (None, None) => Shape::Deduced,
    }
}

/// The versions that count for an object: the one that is written, and those of the entries that there are. What a webhook
/// would convert counts as if only the name of the version differed.
pub(super) fn versions<'p>(place: &'p Place, served: &'p Served, entries: &[Entry<'_>]) -> Versions<'p> {
    let of_place = &place.version;
    let mut versions = Versions::new(&of_place.resource().api_version(), shape(of_place), of_place.other());
    let kind = place.resource().group_resource();
    let names: BTreeSet<&str> = entries.iter().map(|entry| &*entry.manager.api_version).collect();
    for name in names {
        let found = (name != versions.current()).then(|| {
            let mut of_kind =
                served.in_order().filter(|version| version.kind().resource().group_resource() == kind);
            of_kind.find(|version| version.resource().api_version() == name)
        });
        if let Some(version) = found.flatten() {
            versions = versions.with(name, shape(version), version.other());
        }
    }
    versions
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
pub(super) fn of_new(
    place: &Place,
    served: &Served,
    options: &WriteOptions,
    (new, sent): (&Value, Option<&Value>),
    now: &str,
) -> String {
    let (api_version, writer) = (place.version.resource().api_version(), writer(place, options));
    let manager = Manager::new(&writer, Operation::Update, &api_version, place.part);
    let new = in_version(place, new);
    let ignored = unwritable(place, &new, &new);
    let mut entries = sent.and_then(said).unwrap_or_default();
    let versions = versions(place, served, &entries);
    versions.reconcile(&mut entries);
    let added = fields::created(shape(&place.version), &new, &ignored);
    let states = versions.states(&entries, &Value::Null, &new);
    let others = versions.compare(&states, &ignored);
    update(&mut entries, manager, &Comparison { added, ..Comparison::default() }, &others, now);
    entries::write(&mut entries)
}

impl Owners<'_> {
    /// Their text in the next state of the object.
    pub fn after(&self, place: &Place, served: &Served, old: &Value, new: &Value, now: &str) -> String {
        let (before, sent, writer) = match self {
            Self::Known(text) => return text.clone(),
            Self::ByDifference { before, sent, writer } => (*before, sent, writer),
        };
        let (old, new) = (in_version(place, old), in_version(place, new));
        let ignored = unwritable(place, &old, &new);
        let comparison = compare(shape(&place.version), &old, &new, &ignored);
        let sent = sent.as_ref().filter(|_| place.part.is_empty());
        if sent.is_none() && comparison == Comparison::default() {
            return before.to_owned();
        }
        let api_version = place.version.resource().api_version();
        let manager = Manager::new(writer, Operation::Update, &api_version, place.part);
        // Who does not say who owns what, or says nothing that makes sense, does not change it.
        let mut entries = sent.and_then(said).or_else(|| entries::parse(before)).unwrap_or_default();
        // Nobody kept account of this object so far; the first who applies begins.
        if !entries.is_empty() {
            let versions = versions(place, served, &entries);
            versions.reconcile(&mut entries);
            let states = versions.states(&entries, &old, &new);
            let others = versions.compare(&states, &ignored);
            update(&mut entries, manager, &comparison, &others, now);
        }
        entries::write(&mut entries)
    }

    /// What of them a client may not say.
    pub fn check(&self, text: &str, errors: &mut Vec<FieldError>) {
        if let Self::ByDifference { sent: Some(_), .. } = self {
            check_sent(text, errors);
        }
    }
}

/// What a client that sent owners may not say of them, in the text of those that are left.
pub(super) fn check_sent(text: &str, errors: &mut Vec<FieldError>) {
    for (index, entry) in entries::parse(text).unwrap_or_default().iter().enumerate() {
        let path = format!("metadata.managedFields[{index}]");
        manager::check_name(&entry.manager.plain_name(), &format!("{path}.manager"), errors);
        if entry.manager.subresource.len() > LONGEST_SUBRESOURCE {
            errors.push(FieldError::too_long(format!("{path}.subresource"), LONGEST_SUBRESOURCE));
        }
    }
}

/// The entries a client asks for: none at all if it asks for all to be forgotten. Nothing if it does not say.
fn said(sent: &Value) -> Option<Vec<Entry<'_>>> {
    match entries::is_reset(sent) {
        true => Some(Vec::new()),
        false => entries::from_value(sent).filter(|entries| !entries.is_empty()),
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
