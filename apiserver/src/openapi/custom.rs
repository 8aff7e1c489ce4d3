//! What the documents say of custom resources: their own schema, and how they are listed, written and patched.

use api::Resource;
use serde_json::{Map, Value, json};

use super::components::{Component, Components, KIND, LIST_META, OBJECT_META};
use super::operations::CUSTOM_PATCHES;
use super::paths::{self, Served};
use crate::http::catalog::Part;

/// A version of a custom resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Custom {
    /// Its names, its version and its scope.
    pub resource: Resource,
    /// The kind of its lists.
    pub list_kind: String,
    /// The schema as the definition has it (`openAPIV3Schema`).
    pub schema: Value,
    /// Whether it has the subresource `status`.
    pub has_status: bool,
    /// Whether it has the subresource `scale`.
    pub has_scale: bool,
}

impl Custom {
    /// The full name of its type: the group from its end, the version and the kind.
    pub fn full_name(&self) -> String {
        let Resource { group, version, kind, .. } = &self.resource;
        let group: Vec<&str> = group.split('.').rev().collect();
        format!("{}.{version}.{kind}", group.join("."))
    }

    /// The full name of its lists' type.
    pub fn full_list_name(&self) -> String {
        let name = self.full_name();
        let prefix = name.strip_suffix(self.resource.kind.as_ref()).unwrap_or(&name);
        format!("{prefix}{}", self.list_kind)
    }

    /// Adds its paths.
    pub(super) fn add<'c>(&'c self, components: &mut Components<'c>, shown: &mut Map<String, Value>) {
        let part = |(name, has, document): (&'static str, bool, _)| {
            has.then_some(Part { name, verbs: &["get", "patch", "update"], document })
        };
        let scale = Some(("autoscaling", "v1", "Scale"));
        let parts = [("status", self.has_status, None), ("scale", self.has_scale, scale)];
        let served = Served {
            resource: &self.resource,
            body: Component::Custom(self),
            list: Component::CustomList(self),
            parts: parts.into_iter().filter_map(part).collect(),
            group: camel(&self.resource.group),
            patches: &CUSTOM_PATCHES,
        };
        paths::add(&served, components, shown);
    }

    /// The schema, with what every object has.
    pub(super) fn object<'c>(&'c self, components: &mut Components<'c>) -> Value {
        let mut schema = match &self.schema {
            Value::Object(schema) => schema.clone(),
            _ => Map::new(),
        };
        schema.entry("type").or_insert_with(|| "object".into());
        let properties = schema.entry("properties").or_insert_with(|| json!({}));
        if let Some(properties) = properties.as_object_mut() {
            properties.extend(components.type_meta());
            let metadata = components.described_reference(OBJECT_META, METADATA);
            properties.insert("metadata".to_owned(), metadata);
        }
        schema.insert(KIND.to_owned(), self.kinds(&self.resource.kind));
        schema.into()
    }

    /// A list of its objects.
    pub(super) fn list<'c>(&'c self, components: &mut Components<'c>) -> Value {
        let items = components.refer(Component::Custom(self));
        let mut properties: Map<String, Value> = components.type_meta().collect();
        let description = format!("List of {}.", self.resource.plural);
        properties
            .insert("items".to_owned(), json!({"type": "array", "items": items, "description": description}));
        properties.insert("metadata".to_owned(), components.described_reference(LIST_META, METADATA));
        json!({
            "description": format!("{} is a list of {}", self.list_kind, self.resource.kind),
            "type": "object",
            "properties": properties,
            "required": ["items"],
            KIND: self.kinds(&self.list_kind),
        })
    }

    fn kinds(&self, kind: &str) -> Value {
        let Resource { group, version, .. } = &self.resource;
        json!([{"group": group, "version": version, "kind": kind}])
    }
}

/// What Kubernetes says of the metadata of every object.
const METADATA: &str = "Standard object's metadata. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// `stable.example.com` as tags have it: `stableExampleCom`.
fn camel(group: &str) -> String {
    let mut words = group.split(['.', '-']);
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &super::operations::capitalized(word))
}
