//! Which requests a webhook or a policy is asked about.

use std::collections::BTreeMap;

use api::resource::NAMESPACES;
use api::selector::LabelSelector;
use api::{Key, Resource};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde::Deserialize;
use serde_json::Value;

use super::{Attributes, Operation, Surroundings, shown};
use crate::store::{Collection, Store, StoreKey};

/// The group of what configures admission. It is never taken to those it configures: nobody could repair it otherwise.
const CONFIGURATION: &str = "admissionregistration.k8s.io";

/// Operations on resources.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    operations: Vec<String>,
    api_groups: Vec<String>,
    api_versions: Vec<String>,
    resources: Vec<String>,
    scope: Option<String>,
    resource_names: Vec<String>,
}

/// Which requests somebody is asked about.
#[derive(Debug)]
pub struct Selection {
    rules: Vec<Rule>,
    excluded: Vec<Rule>,
    exact: bool,
    namespaces: LabelSelector,
    objects: LabelSelector,
}

/// As it is written, in webhooks and in the `matchConstraints` of policies.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Written {
    rules: Vec<Rule>,
    resource_rules: Vec<Rule>,
    exclude_resource_rules: Vec<Rule>,
    match_policy: Option<String>,
    namespace_selector: Option<meta::LabelSelector>,
    object_selector: Option<meta::LabelSelector>,
}

impl Selection {
    /// Reads a webhook, or what a policy or a binding selects.
    pub fn read(written: &Value) -> Result<Self, String> {
        let written = Written::deserialize(written).map_err(|error| error.to_string())?;
        let selector = |selector: Option<meta::LabelSelector>| {
            LabelSelector::try_from(&selector.unwrap_or_default()).map_err(|error| error.to_string())
        };
        Ok(Self {
            rules: [written.rules, written.resource_rules].concat(),
            excluded: written.exclude_resource_rules,
            exact: written.match_policy.as_deref() == Some("Exact"),
            namespaces: selector(written.namespace_selector)?,
            objects: selector(written.object_selector)?,
        })
    }

    /// In which version a request is selected: in that in which it was asked for, or in the first other version of the kind
    /// that is meant. None if it is not selected. A binding may leave out the rules.
    pub fn selects(
        &self,
        around: &Surroundings<'_>,
        attributes: &Attributes<'_>,
        without_rules: bool,
    ) -> Option<Resource> {
        let find = |rules: &[Rule]| {
            let asked = if self.exact { 1 } else { usize::MAX };
            let mut versions = shown::versions(around.served, attributes).take(asked);
            versions.find(|version| rules.iter().any(|rule| rule.is_for(version, attributes)))
        };
        let selected = match without_rules && self.rules.is_empty() {
            true => Some(attributes.requested),
            false => find(&self.rules),
        }?;
        let is_selected = find(&self.excluded).is_none()
            && attributes.resource.group != CONFIGURATION
            && self.selects_namespace(around.store, attributes)
            && self.selects_object(attributes);
        is_selected.then(|| selected.clone())
    }

    fn selects_namespace(&self, store: &Store, attributes: &Attributes<'_>) -> bool {
        if self.namespaces.is_everything() {
            return true;
        }
        let name = &*attributes.key.namespace;
        if attributes.is_of(&NAMESPACES) {
            return self.namespaces.matches(Some(&labels(attributes.object.as_deref().or(attributes.old))));
        }
        if name.is_empty() {
            return true;
        }
        self.namespaces.matches(Some(&labels(namespace(store, name).as_ref().map(api::Object::value))))
    }

    fn selects_object(&self, attributes: &Attributes<'_>) -> bool {
        let has = |object: Option<&Value>| object.is_some() && self.objects.matches(Some(&labels(object)));
        self.objects.is_everything() || has(attributes.object.as_deref()) || has(attributes.old)
    }
}

/// A namespace.
pub fn namespace(store: &Store, name: &str) -> Option<api::Object> {
    store.get(&StoreKey { collection: Collection::from(&NAMESPACES), key: Key::cluster(name) })
}

fn labels(object: Option<&Value>) -> BTreeMap<String, String> {
    let labels = object.and_then(|object| object["metadata"]["labels"].as_object());
    let label = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    labels.into_iter().flatten().filter_map(label).collect()
}

impl Rule {
    fn is_for(&self, resource: &Resource, attributes: &Attributes<'_>) -> bool {
        let any = |known: &[String], wanted: &str| known.iter().any(|known| known == "*" || known == wanted);
        let scope = match self.scope.as_deref() {
            Some("Namespaced") => !attributes.key.namespace.is_empty(),
            Some("Cluster") => attributes.key.namespace.is_empty(),
            _ => true,
        };
        let names = &self.resource_names;
        scope
            && any(&self.operations, attributes.operation.name())
            && any(&self.api_groups, &resource.group)
            && any(&self.api_versions, &resource.version)
            && self.resources.iter().any(|known| is_resource(known, resource, attributes.subresource))
            && (names.is_empty() || names.iter().any(|name| **name == *attributes.key.name))
    }
}

/// Whether a pattern such as `pods`, `pods/*` or `*/scale` is of this resource.
fn is_resource(pattern: &str, resource: &Resource, subresource: &str) -> bool {
    let (plural, part) = pattern.split_once('/').unwrap_or((pattern, ""));
    (plural == "*" || plural == resource.plural) && (part == "*" || part == subresource)
}

impl Operation {
    /// As rules and reviews name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}
