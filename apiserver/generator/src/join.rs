//! Joins definitions with messages: what JSON calls a member, and where the wire and the comments have it.

use std::collections::BTreeMap;

use crate::openapi::{Definition, Definitions, Resource, Type};
use crate::protobuf::{self, Cardinality, Markers, Messages, Wire, bare};
use crate::zeros;

/// Constants that defaults refer to by name.
const CONSTANTS: [(&str, &str); 2] =
    [("AzureDataDiskCachingReadWrite", "\"ReadWrite\""), ("AzureSharedBlobDisk", "\"Shared\"")];

/// Types with a syntax of their own in JSON, and how the table calls them.
const LEAVES: [(&str, &str); 10] = [
    ("apiextensions_apiserver.pkg.apis.apiextensions.v1.JSON", "JSON"),
    ("apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray", "SchemaOrArray"),
    ("apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool", "SchemaOrBool"),
    ("apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray", "SchemaOrStrings"),
    ("apimachinery.pkg.api.resource.Quantity", "Quantity"),
    ("apimachinery.pkg.apis.meta.v1.FieldsV1", "FieldsV1"),
    ("apimachinery.pkg.apis.meta.v1.MicroTime", "MicroTime"),
    ("apimachinery.pkg.apis.meta.v1.Time", "Time"),
    ("apimachinery.pkg.runtime.RawExtension", "RawExtension"),
    ("apimachinery.pkg.util.intstr.IntOrString", "IntOrString"),
];

/// Lists that `k8s-openapi` merges differently from what the API declares, for its users' sake, and one member
/// that is no list although the comment on it is about lists.
const MERGED_DIFFERENTLY: [&str; 5] = [
    "apps.v1.StatefulSetSpec.volumeClaimTemplates",
    "batch.v1.JobStatus.conditions",
    "core.v1.PodStatus.hostIPs",
    "meta.v1.APIResource.verbs",
    "apiregistration.v1.APIServiceSpec.caBundle",
];

/// Definitions that have no message: an answer about the server's version, which is only ever JSON.
const JSON_ONLY: [&str; 1] = ["apimachinery.pkg.version.Info"];

/// A type of the table.
pub struct Row<'d> {
    /// `core.v1.Pod`.
    pub name: String,
    /// It has `apiVersion` and `kind`.
    pub type_meta: bool,
    /// Always owned and replaced as a whole.
    pub atomic: bool,
    /// Set for kinds.
    pub resource: Option<&'d Resource>,
    /// By their JSON names.
    pub members: BTreeMap<String, Member>,
}

/// A member of a type of the table.
pub struct Member {
    /// It must be given.
    pub required: bool,
    /// From the message of the type to the member: Go embeds structures that JSON flattens.
    pub tags: Vec<u32>,
    /// `[]core.v1.Container`.
    pub of: String,
    /// What the comments say, as the table says it.
    pub facts: Vec<String>,
    /// An empty text, 0 or false is a value, not an absence.
    pub keeps_zero: bool,
}

/// Every definition with the message of its name. Both crates must agree on everything.
pub fn join<'d>(definitions: &'d Definitions, messages: &Messages) -> Result<Vec<Row<'d>>, String> {
    let mut rows = Vec::new();
    for (path, definition) in definitions {
        if leaf(path).is_some() || JSON_ONLY.contains(&path.as_str()) {
            continue;
        }
        let row = Joining { definitions, messages }.row(path, definition);
        rows.push(row.map_err(|error| format!("{path}: {error}"))?);
    }
    rows.sort_by(|left, right| left.name.cmp(&right.name));
    zeros::mark(&mut rows)?;
    match rows.windows(2).find(|pair| pair[0].name == pair[1].name) {
        Some(pair) => Err(format!("two types are called {}", pair[0].name)),
        None => Ok(rows),
    }
}

struct Joining<'j> {
    definitions: &'j Definitions,
    messages: &'j Messages,
}

impl Joining<'_> {
    fn row<'d>(&self, path: &str, definition: &'d Definition) -> Result<Row<'d>, String> {
        let message = self.message(&path.to_lowercase())?;
        let mut open: BTreeMap<String, &str> =
            definition.fields.keys().map(|name| (bare(name), name.as_str())).collect();
        let mut members = BTreeMap::new();
        self.flatten(definition, message, &[], &mut open, &mut members)?;
        // The wire has these two around an object, not inside it.
        let type_meta = open.remove("apiversion").is_some() & open.remove("kind").is_some();
        if let Some(name) = open.values().next() {
            return Err(format!("`{name}` is not in the message"));
        }
        if let Some(list_kind) = definition.resource.as_ref().and_then(|resource| resource.list_kind.as_ref())
        {
            self.expect_list(path, list_kind)?;
        }
        check_lists(&short(path), definition, &members)?;
        Ok(Row {
            name: short(path),
            type_meta: type_meta || definition.type_meta,
            atomic: values(&message.markers, "structType").any(|value| value == "atomic"),
            resource: definition.resource.as_ref(),
            members,
        })
    }

    /// Takes from `open` what the message has by name, then looks for the rest in the messages it embeds.
    fn flatten(
        &self,
        definition: &Definition,
        message: &protobuf::Message,
        above: &[u32],
        open: &mut BTreeMap<String, &str>,
        members: &mut BTreeMap<String, Member>,
    ) -> Result<(), String> {
        let mut embedded = Vec::new();
        for field in &message.fields {
            let tags = [above, &[field.tag]].concat();
            let Some(json) = open.remove(&field.name) else {
                embedded.push((field, tags));
                continue;
            };
            let member = &definition.fields[json];
            let explain = |error| format!("`{json}`: {error}");
            members.insert(
                json.to_owned(),
                Member {
                    required: required(definition, json)
                        && !field.markers.iter().any(|marker| marker == "optional"),
                    tags,
                    of: self.join_types(&member.of, field.cardinality, &field.of).map_err(explain)?,
                    facts: facts(&field.markers).map_err(explain)?,
                    keeps_zero: false,
                },
            );
        }
        for (field, tags) in embedded {
            match &field.of {
                Wire::Message(path) if field.cardinality == Cardinality::One => {
                    self.flatten(definition, self.message(path)?, &tags, open, members)?;
                }
                _ => {
                    return Err(format!("the message's `{}` is not in the definition", field.name));
                }
            }
        }
        Ok(())
    }

    fn join_types(&self, of: &Type, cardinality: Cardinality, wire: &Wire) -> Result<String, String> {
        match (of, cardinality, wire) {
            (Type::List(item), Cardinality::Repeated, _) => {
                Ok(format!("[]{}", self.join_leaves(item, wire)?))
            }
            // The wire has no map of lists and no nil list: both are wrapped in a message.
            (Type::List(item), Cardinality::One, Wire::Message(path)) => {
                Ok(format!("([]{})", self.join_leaves(item, self.wrapped(path)?)?))
            }
            (Type::Map(value), Cardinality::Map, _) => match (&**value, wire) {
                (Type::List(item), Wire::Message(path)) => {
                    Ok(format!("{{}}([]{})", self.join_leaves(item, self.wrapped(path)?)?))
                }
                (value, _) => Ok(format!("{{}}{}", self.join_leaves(value, wire)?)),
            },
            (_, Cardinality::One, _) => self.join_leaves(of, wire),
            _ => Err(format!("{of:?} is {cardinality:?} {wire:?} on the wire")),
        }
    }

    fn join_leaves(&self, of: &Type, wire: &Wire) -> Result<String, String> {
        match (of, wire) {
            (Type::Plain(json), Wire::Plain(wire)) if json == wire => Ok(wire.clone()),
            (Type::Named(path), Wire::Message(message)) if path.to_lowercase() == *message => {
                if let Some(leaf) = leaf(path) {
                    return Ok(leaf.to_owned());
                }
                match self.definitions.contains_key(path) {
                    true => Ok(short(path)),
                    false => Err(format!("{path} is not defined")),
                }
            }
            _ => Err(format!("{of:?} is {wire:?} on the wire")),
        }
    }

    /// What is repeated in a message that is there only to hold a list.
    fn wrapped(&self, path: &str) -> Result<&Wire, String> {
        match &self.message(path)?.fields[..] {
            [items]
                if items.name == "items" && items.tag == 1 && items.cardinality == Cardinality::Repeated =>
            {
                Ok(&items.of)
            }
            _ => Err(format!("{path} does not only hold a list")),
        }
    }

    /// Lists are alike, so the table has no types for them.
    fn expect_list(&self, path: &str, list_kind: &str) -> Result<(), String> {
        let (package, _) = path.rsplit_once('.').unwrap_or_default();
        match &self.message(&format!("{package}.{list_kind}").to_lowercase())?.fields[..] {
            [metadata, items]
                if (metadata.name.as_str(), metadata.tag) == ("metadata", 1)
                    && (items.name.as_str(), items.tag) == ("items", 2)
                    && items.of == Wire::Message(path.to_lowercase()) =>
            {
                Ok(())
            }
            _ => Err(format!("{list_kind} is not metadata and items")),
        }
    }

    fn message(&self, path: &str) -> Result<&protobuf::Message, String> {
        self.messages.get(path).ok_or_else(|| format!("there is no message {path}"))
    }
}

/// The crate makes some members plain for its own sake, as the metadata of every object; of those the API
/// requires only an event's. The other members it makes plain are marked as optional in the comments.
fn required(definition: &Definition, json: &str) -> bool {
    let is_event = |resource: &Resource| resource.api_version == "v1" && resource.kind == "Event";
    let resource = definition.resource.as_ref();
    definition.fields[json].required && (json != "metadata" || resource.is_none_or(is_event))
}

/// Both crates have the type of a list, one from the OpenAPI document, one from the comments.
fn check_lists(
    name: &str,
    definition: &Definition,
    members: &BTreeMap<String, Member>,
) -> Result<(), String> {
    for (json, member) in members {
        let declared = member.facts.iter().find_map(|fact| match fact.as_str() {
            "set" | "atomic" => Some(fact.as_str()),
            fact => fact.starts_with("map=").then_some("map"),
        });
        let merged = definition.fields[json].merged.as_deref();
        let excepted = MERGED_DIFFERENTLY.contains(&format!("{name}.{json}").as_str());
        if (declared != merged) != excepted {
            return Err(format!("`{json}` is declared {declared:?} but merged as {merged:?}"));
        }
    }
    Ok(())
}

fn leaf(path: &str) -> Option<&'static str> {
    LEAVES.iter().find(|(known, _)| *known == path).map(|(_, leaf)| *leaf)
}

/// `core.v1.Pod` for `api.core.v1.Pod`, `meta.v1.Time` for `apimachinery.pkg.apis.meta.v1.Time`.
fn short(path: &str) -> String {
    let parts: Vec<&str> = path.split('.').collect();
    parts[parts.len().saturating_sub(3)..].join(".")
}

fn values<'m>(markers: &'m Markers, name: &'m str) -> impl Iterator<Item = &'m str> {
    markers.iter().filter_map(move |marker| marker.strip_prefix(name)?.strip_prefix('='))
}

/// What a member's markers say beyond its type. Keys of a list count only if the list is a map.
fn facts(markers: &Markers) -> Result<Vec<String>, String> {
    let mut facts = Vec::new();
    match values(markers, "listType").next() {
        Some("map") => {
            let keys: Vec<&str> = values(markers, "listMapKey").collect();
            facts.push(format!("map={}", keys.join(",")));
        }
        Some(kind @ ("set" | "atomic")) => facts.push(kind.to_owned()),
        Some(unknown) => return Err(format!("unknown list type {unknown}")),
        None => {}
    }
    match values(markers, "structType").chain(values(markers, "mapType")).next() {
        Some("atomic") => facts.push("whole".to_owned()),
        Some("granular") => facts.push("granular".to_owned()),
        Some(unknown) => return Err(format!("unknown structure type {unknown}")),
        None => {}
    }
    facts.extend(values(markers, "patchMergeKey").map(|key| format!("mergeKey={key}")));
    facts.extend(values(markers, "patchStrategy").map(|strategy| format!("patch={strategy}")));
    for default in values(markers, "default") {
        let constant = default.strip_prefix("ref(").and_then(|name| name.strip_suffix(')'));
        let default = match constant {
            Some(name) => {
                CONSTANTS
                    .iter()
                    .find(|(known, _)| *known == name)
                    .ok_or(format!("unknown constant {name}"))?
                    .1
            }
            None => default,
        };
        facts.push(format!("default={default}"));
    }
    match facts.iter().find(|fact| fact.contains(' ')) {
        Some(fact) => Err(format!("the table cannot hold the blank in `{fact}`")),
        None => Ok(facts),
    }
}
