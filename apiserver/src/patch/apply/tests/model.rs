//! Apply against a slow, obviously right model: an object is a set of places with values, and each place has a set of
//! owners. What is owned as one is one place, however large. The object has two versions, in which one field has two names.

use std::collections::{BTreeMap, BTreeSet};

use api::Resource;
use proptest::prelude::*;
use serde_json::Map;

use super::*;
use crate::managed::node::Node;
use crate::managed::versions::Others;
use crate::served::OtherVersion;

/// A place: `l/a` in a map, `k/x` and `k/x/a` in a list with keys, `s/v` in a set, `m` and `t` as one.
type Place = String;

/// What a configuration says: the value at each place. An item of a list is a place of its own, without a value.
type Places = BTreeMap<Place, Value>;

/// An object as the model has it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    values: Places,
    owners: BTreeMap<Place, BTreeSet<String>>,
}

impl Model {
    /// Applies; false if that would change what only others want otherwise.
    fn apply(&mut self, manager: &str, config: &Places, force: bool) -> bool {
        let differs = |(place, value): &(&Place, &Value)| self.values.get(*place) != Some(*value);
        let changed: BTreeSet<Place> =
            config.iter().filter(differs).map(|(place, _)| place.clone()).collect();
        let others_own = |place: &&Place| {
            self.owners.get(*place).is_some_and(|owners| owners.iter().any(|owner| owner != manager))
        };
        if !force && changed.iter().any(|place| others_own(&place)) {
            return false;
        }
        let mut last: BTreeSet<Place> = BTreeSet::new();
        for (place, owners) in &mut self.owners {
            if owners.remove(manager) {
                last.insert(place.clone());
            }
        }
        for place in &changed {
            self.owners.remove(place);
        }
        for (place, value) in config {
            self.values.insert(place.clone(), value.clone());
            self.owners.entry(place.clone()).or_default().insert(manager.to_owned());
        }
        self.owners.retain(|_, owners| !owners.is_empty());
        // What nobody owns any more goes away, with all that is within it, whoever owns that.
        for place in last.iter().filter(|place| !self.owners.contains_key(*place)) {
            let within = format!("{place}/");
            self.values.retain(|other, _| other != place && !other.starts_with(&within));
        }
        self.owners.retain(|place, _| self.values.contains_key(place));
        true
    }

    /// Somebody who does not apply makes the object that.
    fn update(&mut self, manager: &str, next: Places) {
        let gone = |place: &Place| !next.contains_key(place);
        self.owners.retain(|place, _| !gone(place));
        for (place, value) in &next {
            if self.values.get(place) != Some(value) {
                self.owners.insert(place.clone(), [manager.to_owned()].into());
            }
        }
        self.values = next;
    }

    fn owned_by(&self, manager: &str) -> BTreeSet<Place> {
        let owned = self.owners.iter().filter(|(_, owners)| owners.contains(manager));
        owned.map(|(place, _)| place.clone()).collect()
    }
}

const X: Resource = Resource::new("", "v1", "xs", "X", true);

/// The version in which `l` is called `r`.
static RENAMED: OtherVersion = OtherVersion::new(Resource::new("", "v2", "xs", "X", true), X).converted(
    |object| {
        rename(object, "r", "l");
        Ok(())
    },
    |object| rename(object, "l", "r"),
);

fn rename(object: &mut Value, from: &str, to: &str) {
    let fields = object.as_object_mut().unwrap();
    if let Some(value) = fields.remove(from) {
        fields.insert(to.to_owned(), value);
    }
}

/// The versions, of which one is written.
fn versions<'n>([first, second]: &'n [Node; 2], current: &str) -> Versions<'n> {
    let (first, second) = (Shape::Node(first), Shape::Node(second));
    match current {
        "v1" => Versions::new("v1", first, None).with("v2", second, Some(&RENAMED)),
        _ => Versions::new("v2", second, Some(&RENAMED)).with("v1", first, None),
    }
}

/// The schema of a version, in which the first field has this name.
fn schema(name: &str) -> Node {
    let text = json!({"type": "string"});
    let texts = json!({"type": "object", "additionalProperties": text});
    let item = json!({"type": "object", "properties": {"name": text, "a": text, "b": text}});
    Node::of_object(&json!({"type": "object", "properties": {
        name: texts,
        "m": {"type": "object", "additionalProperties": text, "x-kubernetes-map-type": "atomic"},
        "t": {"type": "array", "items": text},
        "s": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
        "k": {"type": "array", "items": item, "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"]},
    }}))
}

/// An object with these values.
fn object(places: &Places) -> Value {
    let type_of = [("apiVersion".to_owned(), json!("v1")), ("kind".to_owned(), json!("X"))];
    let mut object = Map::from_iter(type_of);
    let mut items: BTreeMap<&str, Value> = BTreeMap::new();
    for (place, value) in places {
        let steps: Vec<&str> = place.split('/').collect();
        match steps.as_slice() {
            ["l", name] => {
                let map = object.entry("l").or_insert_with(|| json!({}));
                map[*name] = value.clone();
            }
            ["s", text] => {
                let list = object.entry("s").or_insert_with(|| json!([]));
                list.as_array_mut().unwrap().push((*text).into());
            }
            ["k", name] => {
                items.entry(name).or_insert_with(|| json!({"name": name}));
            }
            ["k", name, field] => {
                items.entry(name).or_insert_with(|| json!({"name": name}))[*field] = value.clone()
            }
            [name] => drop(object.insert((*name).to_owned(), value.clone())),
            other => panic!("{other:?}"),
        }
    }
    if !items.is_empty() {
        object.insert("k".to_owned(), items.into_values().collect());
    }
    Value::Object(object)
}

/// The values of an object.
fn places(object: &Value) -> Places {
    let mut places = Places::new();
    for (name, value) in object["l"].as_object().into_iter().flatten() {
        places.insert(format!("l/{name}"), value.clone());
    }
    for text in object["s"].as_array().into_iter().flatten() {
        places.insert(format!("s/{}", text.as_str().unwrap()), text.clone());
    }
    for item in object["k"].as_array().into_iter().flatten() {
        let name = item["name"].as_str().unwrap();
        places.insert(format!("k/{name}"), Value::Null);
        for (field, value) in item.as_object().unwrap() {
            places.insert(format!("k/{name}/{field}"), value.clone());
        }
    }
    for name in ["m", "t"] {
        places.extend(
            object.get(name).filter(|value| !value.is_null()).map(|value| (name.to_owned(), value.clone())),
        );
    }
    places
}

/// The places in a set of fields, apart from maps and lists that have owners only as long as something is in them.
fn owned(set: &Set<'_>) -> BTreeSet<Place> {
    let paths = text::paths(set).into_iter().map(|path| {
        let path = path.replace("[name=\"", "/").replace("[=\"", "/").replace("\"]", "").replace('.', "/");
        let path = path[1..].to_owned();
        path.strip_prefix('r').map_or(path.clone(), |rest| format!("l{rest}"))
    });
    paths.filter(|place| !["l", "s", "k"].contains(&place.as_str())).collect()
}

fn config() -> impl Strategy<Value = Places> {
    let place =
        prop_oneof!["l/[ab]", "s/[xy]", "k/[xy]", "k/[xy]/[ab]", Just("m".to_owned()), Just("t".to_owned()),];
    let values = prop::collection::btree_map(place, "[12]", 0..6);
    values.prop_map(|chosen| {
        let mut places = Places::new();
        for (place, value) in chosen {
            let steps: Vec<&str> = place.split('/').collect();
            if let ["k", name, ..] = steps.as_slice() {
                places.insert(format!("k/{name}"), Value::Null);
                places.insert(format!("k/{name}/name"), (*name).into());
            }
            let value = match steps.as_slice() {
                ["k", _] => continue,
                ["s", text] => (*text).into(),
                ["m"] => json!({"a": value}),
                ["t"] => json!([value, "z"]),
                _ => Value::from(value),
            };
            places.insert(place.clone(), value);
        }
        places
    })
}

#[derive(Clone, Debug)]
enum Write {
    Apply { manager: usize, version: &'static str, config: Places, force: bool },
    Update { manager: usize, next: Places },
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        4 => (0..3usize, prop_oneof![Just("v1"), Just("v2")], config(), any::<bool>())
            .prop_map(|(manager, version, config, force)| Write::Apply { manager, version, config, force }),
        1 => (0..2usize, config()).prop_map(|(manager, next)| Write::Update { manager, next }),
    ]
}

const APPLIERS: [&str; 3] = ["one", "two", "three"];
/// Who writes otherwise, and in which version.
const WRITERS: [(&str, &str); 2] = [("four", "v1"), ("five", "v2")];
const NOW: &str = "2026-01-01T00:00:00Z";

/// The same write to an object; false if it was refused.
fn carry_out(nodes: &[Node; 2], write: &Write, object_now: &mut Value, account: &mut String) -> bool {
    let version = match write {
        Write::Apply { version, .. } => version,
        Write::Update { manager, .. } => WRITERS[*manager].1,
    };
    let versions = versions(nodes, version);
    let seen = |object: Value| versions.convert(object, "v1", version);
    let live = seen(object_now.clone());
    let mut entries = if account.is_empty() { Vec::new() } else { entries::parse(account).unwrap() };
    let next = match write {
        Write::Apply { manager, config, force, .. } => {
            let config = seen(object(config));
            let manager = Manager::new(APPLIERS[*manager], Operation::Apply, version, "");
            let request = Apply {
                versions: &versions,
                config: &config,
                manager: &manager,
                ignored: &[],
                force: *force,
            };
            let Ok(next) = apply(request, &live, &mut entries, NOW) else {
                return false;
            };
            *account = entries::write(&mut entries);
            next.unwrap_or_else(|| live.clone())
        }
        Write::Update { manager, next } => {
            let next = seen(object(next));
            let manager = Manager::new(WRITERS[*manager].0, Operation::Update, version, "");
            let states = versions.states(&entries, &live, &next);
            let others: Others<'_> = versions.compare(&states, &[]);
            let comparison = compare(versions.shape(version), &live, &next, &[]);
            crate::managed::update(&mut entries, manager, &comparison, &others, NOW);
            *account = entries::write(&mut entries);
            next
        }
    };
    *object_now = versions.convert(next, version, "v1");
    true
}

proptest! {
    #[test]
    fn agrees_with_the_model(writes in prop::collection::vec(write(), 1..12)) {
        let nodes = [schema("l"), schema("r")];
        let (mut model, mut live, mut account) = (Model::default(), object(&Places::new()), String::new());
        for write in &writes {
            let done = carry_out(&nodes, write, &mut live, &mut account);
            let expected = match write {
                Write::Apply { manager, config, force, .. } => model.apply(APPLIERS[*manager], config, *force),
                Write::Update { manager, next } => {
                    model.update(WRITERS[*manager].0, next.clone());
                    true
                }
            };
            prop_assert_eq!(done, expected, "{:?}\n{:?}", write, model);
            prop_assert_eq!(&places(&live), &model.values, "{:?}", write);
            let entries = entries::parse(&account).unwrap_or_default();
            for name in APPLIERS.into_iter().chain(WRITERS.map(|(name, _)| name)) {
                let found = entries.iter().find(|entry| entry.manager.name == name);
                let found = found.map(|entry| owned(entry.set())).unwrap_or_default();
                prop_assert_eq!(found, model.owned_by(name), "{} {:?}", name, write);
            }
        }
    }
}
