//! The entries of `metadata.managedFields`: who owns which fields, read from their text and written back to it.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry::{Occupied, Vacant};

use api::field::FieldError;
use serde_json::{Value, json};

use super::cursor::Cursor;
use super::manager::{Manager, Operation};
use super::set::{Set, escaped};
use super::text;
use crate::tree;

/// So many managers that only update have an entry of their own, as in Kubernetes.
const MOST_UPDATERS: usize = 10;

/// Who is said to own what the oldest of too many managers owned.
const ANCIENT: &str = "ancient-changes";

/// What a manager owns.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// The manager.
    pub manager: Manager<'a>,
    /// When it last changed something, as Kubernetes writes it.
    pub time: Option<Cow<'a, str>>,
    set: Set<'a>,
    /// The text of the set, if it is what was read.
    text: Option<&'a str>,
}

impl<'a> Entry<'a> {
    /// A new entry.
    pub fn new(manager: Manager<'a>, set: Set<'a>, time: Option<Cow<'a, str>>) -> Self {
        Self { manager, time, set, text: None }
    }

    /// What it owns.
    pub fn set(&self) -> &Set<'a> {
        &self.set
    }

    /// Makes it own something else.
    pub fn replace(&mut self, set: Set<'a>) {
        self.set = set;
        self.text = None;
    }
}

/// Reads the stored text of the entries; none if it is not one.
pub fn parse(text: &str) -> Option<Vec<Entry<'_>>> {
    let mut cursor = Cursor::new(text);
    let mut entries = Vec::new();
    cursor.expect(b'[')?;
    while !cursor.pass(b']') {
        if !entries.is_empty() {
            cursor.expect(b',')?;
        }
        entries.push(entry(&mut cursor)?);
    }
    cursor.is_at_end().then_some(entries)
}

fn entry<'a>(cursor: &mut Cursor<'a>) -> Option<Entry<'a>> {
    let (mut name, mut version, mut subresource, mut time, mut fields) = ("", "", "", None, None);
    let mut operation = Operation::Update;
    cursor.expect(b'{')?;
    while !cursor.pass(b'}') {
        cursor.pass(b',');
        let field = cursor.string()?;
        cursor.expect(b':')?;
        match field {
            "fieldsV1" => fields = cursor.set_and_text(),
            "manager" => name = cursor.string()?,
            "operation" if cursor.string()? == "Apply" => operation = Operation::Apply,
            "operation" => {}
            "apiVersion" => version = cursor.string()?,
            "subresource" => subresource = cursor.string()?,
            "time" => time = Some(cursor.string()?.into()),
            _ => drop(cursor.string()?),
        }
    }
    let (set, text) = fields?;
    let manager = Manager {
        name: name.into(),
        operation,
        api_version: version.into(),
        subresource: subresource.into(),
    };
    Some(Entry { manager, time, set, text: Some(text) })
}

/// Reads the entries a client sent; none if one of them is none.
pub fn from_value(value: &Value) -> Option<Vec<Entry<'_>>> {
    read(value).ok()
}

/// Reads the entries a client sent, or says in Kubernetes' words what is wrong with one. Of several of one manager the
/// last counts.
pub fn read(value: &Value) -> Result<Vec<Entry<'_>>, String> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    let mut places = BTreeMap::new();
    let items = value.as_array().ok_or_else(|| "metadata.managedFields is not a list".to_owned())?;
    for (index, item) in items.iter().enumerate() {
        let entry = from_item(index, item)?;
        match places.entry(entry.manager.identity()) {
            Occupied(place) => entries[*place.get()] = entry,
            Vacant(place) => {
                place.insert(entries.len());
                entries.push(entry);
            }
        }
    }
    Ok(entries)
}

fn from_item(index: usize, item: &Value) -> Result<Entry<'_>, String> {
    let invalid = |field: &str, value: &str, words: &str| {
        FieldError::invalid(format!("metadata.managedFields[{index}].{field}"), value, words).to_string()
    };
    let text = |field| tree::text(item, field).unwrap_or_default();
    let operation = match text("operation") {
        "Apply" => Operation::Apply,
        "Update" => Operation::Update,
        other => return Err(invalid("operation", other, "must be `Apply` or `Update`")),
    };
    if text("apiVersion").is_empty() {
        return Err("apiVersion must not be empty".to_owned());
    }
    match text("fieldsType") {
        "FieldsV1" => {}
        "" => return Err(format!("missing fieldsType in managed fields entry {index}")),
        other => return Err(invalid("fieldsType", other, "must be `FieldsV1`")),
    }
    let set = item.get("fieldsV1").map_or(Some(Set::default()), text::from_value);
    let set = set.ok_or_else(|| format!("error decoding the set of managed fields entry {index}"))?;
    let manager = Manager {
        name: escaped(text("manager")),
        operation,
        api_version: escaped(text("apiVersion")),
        subresource: escaped(text("subresource")),
    };
    Ok(Entry::new(manager, set, tree::text(item, "time").map(escaped)))
}

/// Whether a client asks for all entries to be forgotten: by an empty list, or by one empty entry.
pub fn is_reset(value: &Value) -> bool {
    *value == json!([]) || *value == json!([{}])
}

/// Writes the entries in Kubernetes' order; an empty text if there are none.
pub fn write(entries: &mut [Entry<'_>]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    entries.sort_by(order);
    let mut out = String::with_capacity(256);
    for entry in entries {
        out.push(if out.is_empty() { '[' } else { ',' });
        entry.write(&mut out);
    }
    out.push(']');
    out
}

fn order(one: &Entry<'_>, other: &Entry<'_>) -> Ordering {
    let (a, b) = (&one.manager, &other.manager);
    (a.operation.cmp(&b.operation))
        .then_with(|| one.time.as_deref().unwrap_or_default().cmp(other.time.as_deref().unwrap_or_default()))
        .then_with(|| a.name.cmp(&b.name))
        .then_with(|| a.api_version.cmp(&b.api_version))
        .then_with(|| a.subresource.cmp(&b.subresource))
}

impl Entry<'_> {
    fn write(&self, out: &mut String) {
        let Manager { name, operation, api_version, subresource } = &self.manager;
        out.extend([r#"{"apiVersion":""#, api_version, r#"","fieldsType":"FieldsV1","fieldsV1":"#]);
        match self.text {
            Some(text) => out.push_str(text),
            None => text::write(&self.set, out),
        }
        out.extend([r#","manager":""#, name, r#"","operation":""#, operation.name(), "\""]);
        if !subresource.is_empty() {
            out.extend([r#","subresource":""#, subresource, "\""]);
        }
        if let Some(time) = &self.time {
            out.extend([r#","time":""#, time, "\""]);
        }
        out.push('}');
    }
}

/// Merges the oldest entries of managers that update, version by version, until there are not too many.
pub fn cap(entries: &mut Vec<Entry<'_>>) {
    let is_updater = |entry: &Entry<'_>| entry.manager.operation == Operation::Update;
    let count = entries.iter().filter(|entry| is_updater(entry)).count();
    let Some(mut surplus) = count.checked_sub(MOST_UPDATERS).filter(|surplus| *surplus > 0) else {
        return;
    };
    entries.sort_by(order);
    // By version: the place of the entry that takes in the others, and what it takes in.
    let mut buckets: BTreeMap<String, (usize, Vec<Set<'_>>)> = BTreeMap::new();
    let mut kept: Vec<Entry<'_>> = Vec::with_capacity(entries.len() - surplus);
    for entry in std::mem::take(entries) {
        if surplus == 0 || !is_updater(&entry) {
            kept.push(entry);
            continue;
        }
        match buckets.get_mut(&*entry.manager.api_version) {
            None => {
                let version = entry.manager.api_version.to_string();
                buckets.insert(version, (kept.len(), vec![entry.set.clone()]));
                kept.push(entry);
            }
            Some((place, sets)) => {
                let into = &mut kept[*place];
                into.time = entry.time;
                into.manager.name = ANCIENT.into();
                into.manager.subresource = "".into();
                sets.push(entry.set);
                surplus -= 1;
            }
        }
    }
    for (place, sets) in buckets.into_values().filter(|(_, sets)| sets.len() > 1) {
        kept[place].replace(Set::union_of(sets));
    }
    *entries = kept;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn one(name: &str, operation: &str, time: &str) -> Value {
        json!({"manager": name, "operation": operation, "apiVersion": "v1", "time": time, "fieldsType": "FieldsV1",
            "fieldsV1": {format!("f:{name}"): {}}})
    }

    #[test]
    fn entries_are_written_in_kubernetes_order_and_read_again() {
        let given = json!([
            one("c", "Update", "2026-01-01T00:00:00Z"),
            one("b", "Update", "2026-01-01T00:00:00Z"),
            one("a", "Update", "2026-01-02T00:00:00Z"),
            one("d\"", "Apply", "2026-01-03T00:00:00Z")
        ]);
        let text = write(&mut from_value(&given).unwrap());
        let names = |value: &Value| -> Vec<String> {
            value.as_array().unwrap().iter().map(|entry| entry["manager"].as_str().unwrap().into()).collect()
        };
        assert_eq!(names(&serde_json::from_str(&text).unwrap()), ["d\"", "b", "c", "a"]);
        assert_eq!(write(&mut parse(&text).unwrap()), text);
    }

    #[test]
    fn what_is_no_entry_is_not_taken() {
        let row = |entry: Value| assert!(from_value(&json!([entry])).is_none(), "{entry}");
        row(json!({}));
        row(json!({"manager": "a", "operation": "Create", "apiVersion": "v1", "fieldsType": "FieldsV1"}));
        row(json!({"manager": "a", "operation": "Apply", "fieldsType": "FieldsV1"}));
        row(json!({"manager": "a", "operation": "Apply", "apiVersion": "v1", "fieldsType": "Other"}));
        row(json!({"manager": "a", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"x": {}}}));
    }

    #[test]
    fn of_several_entries_of_one_manager_the_last_counts() {
        let other = |version: &str, operation: &str| {
            let mut entry = one("a", operation, "2026-01-01T00:00:00Z");
            entry["apiVersion"] = version.into();
            entry
        };
        let given =
            json!([other("v1", "Apply"), other("v1", "Update"), other("v2", "Apply"), other("v2", "Update")]);
        let entries = from_value(&given).unwrap();
        let found: Vec<String> = entries.iter().map(|entry| entry.manager.shown()).collect();
        assert_eq!(found, [r#""a""#, r#""a" using v1"#, r#""a" using v2"#]);
        assert_eq!(entries[0].manager.api_version, "v2");
    }

    #[test]
    fn many_entries_are_read_and_merged_in_little_time() {
        // Were each looked for among all others, this would take minutes.
        let many: Vec<Value> =
            (0..30_000).map(|n| one(&format!("m{n}"), "Update", "2026-01-01T00:00:00Z")).collect();
        let given = Value::from(many);
        let mut entries = from_value(&given).unwrap();
        assert_eq!(entries.len(), 30_000);
        cap(&mut entries);
        assert_eq!(entries.len(), 10);
        let ancient = entries.iter().find(|entry| entry.manager.name == ANCIENT).unwrap();
        assert_eq!(ancient.set().nodes().len(), 29_991);
    }

    #[test]
    fn the_oldest_of_too_many_updaters_become_one() {
        let times: Vec<Value> = (0..13)
            .map(|n| {
                one(
                    &format!("m{n:02}"),
                    if n == 3 { "Apply" } else { "Update" },
                    &format!("2026-01-{:02}T00:00:00Z", n + 1),
                )
            })
            .collect();
        let given = Value::from(times);
        let mut entries = from_value(&given).unwrap();
        cap(&mut entries);
        let updaters: Vec<&Entry<'_>> =
            entries.iter().filter(|entry| entry.manager.operation == Operation::Update).collect();
        assert_eq!((entries.len(), updaters.len()), (11, 10));
        let ancient = updaters.iter().find(|entry| entry.manager.name == ANCIENT).unwrap();
        assert_eq!(text::written(ancient.set()), r#"{"f:m00":{},"f:m01":{},"f:m02":{}}"#);
        assert_eq!(ancient.time.as_deref(), Some("2026-01-03T00:00:00Z"));
    }
}
