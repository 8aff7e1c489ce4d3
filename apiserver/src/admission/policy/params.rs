//! The parameters of a policy: objects of a kind it names, chosen by its bindings.

use api::selector::LabelSelector;
use api::{Key, Object};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde::Deserialize;
use serde_json::Value;

use crate::admission::{Attributes, Surroundings};
use crate::served::Version;
use crate::store::{Collection, StoreKey};
use crate::tree;

/// The kind of a policy's parameters.
#[derive(Debug)]
pub struct ParamKind {
    group: String,
    version: String,
    kind: String,
}

/// With which parameters a policy is asked.
#[derive(Debug)]
pub enum Params {
    /// It has none.
    None,
    /// Once with each of these.
    Of(Vec<Param>),
}

/// A parameter in the version that the policy names.
#[derive(Debug)]
pub enum Param {
    /// As it is stored.
    Stored(Object),
    /// In another version.
    Shown(Value),
}

impl Param {
    fn of(object: Object, version: &Version) -> Self {
        let resource = version.resource();
        if object.api_version() == resource.api_version() {
            return Self::Stored(object);
        }
        let mut value = object.value().clone();
        match version.other() {
            Some(other) => other.bring_out(&mut value),
            None => tree::set(&mut value, "apiVersion", Some(resource.api_version().into())),
        }
        Self::Shown(value)
    }

    fn value(&self) -> &Value {
        match self {
            Self::Stored(object) => object.value(),
            Self::Shown(value) => value,
        }
    }
}

impl ParamKind {
    /// Reads it; none if there is none.
    pub fn read(written: &Value) -> Option<Self> {
        let version = tree::text(written, "apiVersion")?;
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        let kind = tree::text(written, "kind")?.to_owned();
        Some(Self { group: group.to_owned(), version: version.to_owned(), kind })
    }

    /// The parameters that a binding chooses for a request.
    pub fn find(
        &self,
        reference: &Value,
        around: &Surroundings<'_>,
        attributes: &Attributes<'_>,
    ) -> Result<Params, String> {
        if !reference.is_object() {
            return Ok(Params::None);
        }
        let Self { group, version, kind } = self;
        let mut served = around.served.in_order();
        let version = served
            .find(|known| {
                let known = known.resource();
                known.group == *group && known.version == *version && known.kind == *kind
            })
            .ok_or_else(|| {
                let slash = if group.is_empty() { "" } else { "/" };
                format!(
                    "failed to find resource referenced by paramKind: '{group}{slash}{version}, Kind={kind}'"
                )
            })?;
        let resource = version.kind().resource();
        let namespace = match (resource.namespaced, tree::text(reference, "namespace")) {
            (false, Some(_)) => {
                return Err(
                    "paramRef.namespace must not be provided for a cluster-scoped `paramKind`".to_owned()
                );
            }
            (false, None) => "",
            (true, Some(namespace)) => namespace,
            (true, None) if attributes.key.namespace.is_empty() => {
                return Err(
                    "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
                        .to_owned(),
                );
            }
            (true, None) => &*attributes.key.namespace,
        };
        let collection = Collection::from(resource);
        let found: Vec<Object> = match tree::text(reference, "name") {
            Some(name) => {
                let key = StoreKey { collection, key: Key::new(namespace, name) };
                around.store.get(&key).into_iter().collect()
            }
            None => {
                let selector = meta::LabelSelector::deserialize(&reference["selector"]).unwrap_or_default();
                let selector = LabelSelector::try_from(&selector).map_err(|error| error.to_string())?;
                let (snapshot, _) = around.store.snapshot(&collection);
                let is_chosen = |object: &&Object| selector.matches(object.metadata().labels.as_ref());
                snapshot.range(namespace, None).filter(is_chosen).cloned().collect()
            }
        };
        if found.is_empty() && tree::text(reference, "parameterNotFoundAction") != Some("Allow") {
            return Err("no params found for policy binding with `Deny` parameterNotFoundAction".to_owned());
        }
        Ok(Params::Of(found.into_iter().map(|object| Param::of(object, version)).collect()))
    }
}

impl Params {
    /// The values that `params` has, one after the other.
    pub fn values(&self) -> Vec<Option<&Value>> {
        match self {
            Self::None => vec![None],
            Self::Of(params) => params.iter().map(|param| Some(param.value())).collect(),
        }
    }
}
