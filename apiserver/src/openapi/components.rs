//! The types of a document: what an object looks like, and how it is merged with another.

use api::Resource;
use serde_json::{Map, Value, json};

use super::custom::Custom;
use super::descriptions::Descriptions;
use crate::schema::{self, Field, Form, Leaf, ListType, Patch, Type};

/// The extension that names group, version and kind.
pub const KIND: &str = "x-kubernetes-group-version-kind";

/// The metadata of objects, in the table.
pub const OBJECT_META: &str = "meta.v1.ObjectMeta";

/// The metadata of lists, in the table.
pub const LIST_META: &str = "meta.v1.ListMeta";

/// A type of a document.
#[derive(Clone, Copy)]
pub enum Component<'c> {
    /// One with fields, by its name in the table.
    Struct(&'static Type),
    /// A list of objects of a kind.
    List(&'static Type),
    /// A kind in a version of which the table knows nothing: with the fields of the version that it knows.
    Alias(&'static Type, &'c Resource),
    /// A list of such objects.
    AliasList(&'static Type, &'c Resource),
    /// One with a form of its own in JSON.
    Leaf(Leaf),
    /// The body of a patch, which may be anything.
    Patch,
    /// A custom resource.
    Custom(&'c Custom),
    /// A list of custom resources.
    CustomList(&'c Custom),
}

/// The types a document refers to, and those that they refer to.
pub struct Components<'d> {
    descriptions: &'d Descriptions,
    schemas: Map<String, Value>,
    open: Vec<(String, Component<'d>)>,
}

impl<'d> Components<'d> {
    /// None yet.
    pub fn new(descriptions: &'d Descriptions) -> Self {
        Self { descriptions, schemas: Map::new(), open: Vec::new() }
    }

    /// Refers to a type of the table, such as `core.v1.Pod`.
    ///
    /// # Panics
    /// If there is no such type: the names are the program's own.
    pub fn named(&mut self, name: &str) -> Value {
        self.refer(Component::Struct(named(name)))
    }

    /// Refers to a type, which from then on is one of the components.
    pub fn refer(&mut self, component: Component<'d>) -> Value {
        let name = full_name(component);
        let reference = json!({"$ref": format!("#/components/schemas/{name}")});
        if !self.schemas.contains_key(&name) {
            self.schemas.insert(name.clone(), Value::Null);
            self.open.push((name, component));
        }
        reference
    }

    /// All types by their full names.
    pub fn finish(mut self) -> Value {
        while let Some((name, component)) = self.open.pop() {
            let schema = match component {
                Component::Struct(of) => self.structure(&name, of),
                Component::List(of) => match of.kind {
                    Some(kind) => {
                        let names = (kind.group, kind.version, kind.kind);
                        self.list(Component::Struct(of), &full_name(Component::Struct(of)), names)
                    }
                    None => Value::Null,
                },
                Component::Alias(of, resource) => {
                    let mut schema = self.structure(&full_name(Component::Struct(of)), of);
                    let Resource { group, version, kind, .. } = resource;
                    schema[KIND] = json!([{"group": group, "version": version, "kind": kind}]);
                    schema
                }
                Component::AliasList(of, resource) => {
                    let names = (&*resource.group, &*resource.version, &*resource.kind);
                    self.list(Component::Alias(of, resource), &full_name(Component::Struct(of)), names)
                }
                Component::Leaf(leaf) => self.leaf(&name, leaf),
                Component::Patch => self.described(&name, json!({"type": "object"})),
                Component::Custom(custom) => custom.object(&mut self),
                Component::CustomList(custom) => custom.list(&mut self),
            };
            self.schemas.insert(name, schema);
        }
        self.schemas.into()
    }

    /// The fields that say what an object is.
    pub fn type_meta(&self) -> impl Iterator<Item = (String, Value)> + use<> {
        let status = full_name(Component::Struct(named("meta.v1.Status")));
        ["apiVersion", "kind"].map(|name| (name.to_owned(), self.text(&status, name))).into_iter()
    }

    /// Refers to a type of the table from a field that has a description of its own.
    pub fn described_reference(&mut self, name: &str, description: &str) -> Value {
        json!({"allOf": [self.named(name)], "description": description})
    }

    /// A text that is described where the typed values are.
    fn text(&self, component: &str, field: &str) -> Value {
        match self.descriptions.of_field(component, field) {
            Some(description) => json!({"type": "string", "description": description}),
            None => json!({"type": "string"}),
        }
    }

    fn structure(&mut self, name: &str, of: &'static Type) -> Value {
        let mut properties = Map::new();
        for field in of.fields() {
            let mut property = self.property(field);
            if let Some(description) = self.descriptions.of_field(name, field.name) {
                property["description"] = description.into();
            }
            properties.insert(field.name.to_owned(), property);
        }
        let mut schema = json!({"type": "object", "properties": properties});
        let required: Vec<&str> =
            of.fields().iter().filter(|field| field.required).map(|field| field.name).collect();
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        if of.whole {
            schema["x-kubernetes-map-type"] = "atomic".into();
        }
        if let Some(kind) = of.kind {
            schema[KIND] = json!([{"group": kind.group, "version": kind.version, "kind": kind.kind}]);
        }
        self.described(name, schema)
    }

    /// All lists are alike, so the table has no types for them. `described` is the type with the descriptions.
    fn list(&mut self, item: Component<'d>, described: &str, names: (&str, &str, &str)) -> Value {
        let (group, version, kind) = names;
        let (api_version, kind_name) = (self.text(described, "apiVersion"), self.text(described, "kind"));
        json!({
            "description": format!("{kind}List is a list of objects of kind {kind}."),
            "type": "object",
            "properties": {
                "apiVersion": api_version,
                "items": {"type": "array", "items": self.refer(item), "description": "The objects."},
                "kind": kind_name,
                "metadata": self.described_reference(
                    LIST_META,
                    "The revision of the list, and how to go on if it was too long.",
                ),
            },
            "required": ["items"],
            KIND: [{"group": group, "version": version, "kind": format!("{kind}List")}],
        })
    }

    fn property(&mut self, field: &Field) -> Value {
        let value = self.value(field.leaf);
        let mut property = match field.form {
            Form::One if value.get("$ref").is_some() => json!({"allOf": [value]}),
            Form::One => value,
            Form::List | Form::WrappedList => json!({"type": "array", "items": value}),
            Form::Map => json!({"type": "object", "additionalProperties": value}),
            Form::MapOfLists => {
                json!({"type": "object", "additionalProperties": {"type": "array", "items": value}})
            }
        };
        merge_rules(field, &mut property);
        if let Some(default) = field.default() {
            property["default"] = serde_json::from_str(default).expect("a test reads every default");
        }
        property
    }

    fn value(&mut self, leaf: Leaf) -> Value {
        match leaf {
            Leaf::String => json!({"type": "string"}),
            Leaf::Int32 => json!({"type": "integer", "format": "int32"}),
            Leaf::Int64 => json!({"type": "integer", "format": "int64"}),
            Leaf::Bool => json!({"type": "boolean"}),
            Leaf::Double => json!({"type": "number", "format": "double"}),
            Leaf::Bytes => json!({"type": "string", "format": "byte"}),
            Leaf::Struct(_) => match leaf.structure() {
                Some(of) => self.refer(Component::Struct(of)),
                None => json!({"type": "object"}),
            },
            leaf => self.refer(Component::Leaf(leaf)),
        }
    }

    fn leaf(&mut self, name: &str, leaf: Leaf) -> Value {
        let schema = match leaf {
            Leaf::Quantity => json!({"oneOf": [{"type": "string"}, {"type": "number"}]}),
            Leaf::IntOrString => {
                json!({"format": "int-or-string", "oneOf": [{"type": "integer"}, {"type": "string"}]})
            }
            Leaf::Time | Leaf::MicroTime => json!({"type": "string", "format": "date-time"}),
            Leaf::RawExtension | Leaf::FieldsV1 => json!({"type": "object"}),
            _ => json!({}),
        };
        self.described(name, schema)
    }

    fn described(&self, name: &str, mut schema: Value) -> Value {
        if let Some(description) = self.descriptions.of_type(name) {
            schema["description"] = description.into();
        }
        schema
    }
}

fn named(name: &str) -> &'static Type {
    schema::builtin().named(name).expect("the table has every type the server names")
}

/// How lists and maps are owned, and how the strategic merge patch merges them.
fn merge_rules(field: &Field, property: &mut Value) {
    if let Some(list_type) = field.list_type {
        let word = match list_type {
            ListType::Atomic => "atomic",
            ListType::Set => "set",
            ListType::Map => "map",
        };
        property["x-kubernetes-list-type"] = word.into();
        if list_type == ListType::Map {
            property["x-kubernetes-list-map-keys"] = field.map_keys().collect::<Vec<_>>().into();
        }
    }
    // Said here only where the type of the field does not say it already.
    let of_type =
        matches!(field.form, Form::One | Form::List) && field.structure().is_some_and(|of| of.whole);
    match (field.is_whole(), of_type) {
        (true, false) => property["x-kubernetes-map-type"] = "atomic".into(),
        (false, true) => property["x-kubernetes-map-type"] = "granular".into(),
        _ => {}
    }
    if let Some(key) = field.merge_key {
        property["x-kubernetes-patch-merge-key"] = key.into();
    }
    let strategies =
        [(Patch::Merge, "merge"), (Patch::Replace, "replace"), (Patch::RetainKeys, "retainKeys")];
    let strategies: Vec<&str> =
        strategies.into_iter().filter(|(how, _)| field.patches(*how)).map(|(_, word)| word).collect();
    if !strategies.is_empty() {
        property["x-kubernetes-patch-strategy"] = strategies.join(",").into();
    }
}

/// The full name of a type, by which clients know it.
fn full_name(component: Component<'_>) -> String {
    let name = match component {
        Component::Struct(of) => of.name,
        Component::List(of) => return format!("{}List", full_name(Component::Struct(of))),
        Component::Alias(_, Resource { group, version, kind, .. }) => {
            let package = group.split('.').next().unwrap_or_default();
            return format!("io.k8s.api.{package}.{version}.{kind}");
        }
        Component::AliasList(of, resource) => {
            return format!("{}List", full_name(Component::Alias(of, resource)));
        }
        Component::Patch => "meta.v1.Patch",
        Component::Custom(custom) => return custom.full_name(),
        Component::CustomList(custom) => return custom.full_list_name(),
        Component::Leaf(leaf) => match leaf {
            Leaf::Quantity => return "io.k8s.apimachinery.pkg.api.resource.Quantity".to_owned(),
            Leaf::IntOrString => return "io.k8s.apimachinery.pkg.util.intstr.IntOrString".to_owned(),
            Leaf::RawExtension => return "io.k8s.apimachinery.pkg.runtime.RawExtension".to_owned(),
            Leaf::Time => "meta.v1.Time",
            Leaf::MicroTime => "meta.v1.MicroTime",
            Leaf::FieldsV1 => "meta.v1.FieldsV1",
            Leaf::SchemaOrArray => "apiextensions.v1.JSONSchemaPropsOrArray",
            Leaf::SchemaOrBool => "apiextensions.v1.JSONSchemaPropsOrBool",
            Leaf::SchemaOrStrings => "apiextensions.v1.JSONSchemaPropsOrStringArray",
            _ => "apiextensions.v1.JSON",
        },
    };
    let package = match name.split('.').next() {
        Some("meta") => "apimachinery.pkg.apis",
        Some("apiextensions") => "apiextensions-apiserver.pkg.apis",
        Some("apiregistration") => "kube-aggregator.pkg.apis",
        _ => "api",
    };
    format!("io.k8s.{package}.{name}")
}
