//! How many pods those who control the pods of a budget ask for.

use std::collections::{BTreeMap, BTreeSet};

use api::resource::DEPLOYMENTS;
use api::{Cache, Object, Resource};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use serde::Deserialize;
use serde_json::Value;

use super::SCALED;
use crate::framework::Target;
use crate::kinds::Kinds;
use crate::owner;
use crate::typed::Typed;

/// Where custom kinds say where their scale is.
pub(super) const DEFINITIONS: Resource = Resource::new(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    false,
);

/// What the controllers of some pods ask for together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scale {
    /// So many pods.
    pub replicas: i32,
    /// Whether nobody controls some of the pods.
    pub has_unmanaged: bool,
}

/// Why it cannot be said what they ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotScaled {
    /// It is not known yet.
    NotYet,
    /// It will not be known, for a reason.
    Never(String),
}

/// Adds up the scales of all who control one of the pods.
pub(super) fn of(cache: &Cache, kinds: &Kinds, pods: &[Typed<Pod>]) -> Result<Scale, NotScaled> {
    let mut scales: BTreeMap<String, i32> = BTreeMap::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut has_unmanaged = false;
    for pod in pods {
        let Some(controller) = owner::controller_of(pod.object()) else {
            has_unmanaged = true;
            continue;
        };
        if !seen.insert(&controller.uid) {
            continue;
        }
        let found = find(cache, kinds, controller, pod.object().namespace())?;
        let nobody = || NotScaled::Never(format!("found no controllers for pod {:?}", pod.object().name()));
        let (uid, replicas) = found.ok_or_else(nobody)?;
        scales.insert(uid, replicas);
    }
    let replicas = scales.values().fold(0_i32, |sum, replicas| sum.saturating_add(*replicas));
    Ok(Scale { replicas, has_unmanaged })
}

/// The uid and the scale of a pod's controller, or of the Deployment above it; none if it is not there.
fn find(
    cache: &Cache,
    kinds: &Kinds,
    controller: &OwnerReference,
    namespace: &str,
) -> Result<Option<(String, i32)>, NotScaled> {
    let OwnerReference { api_version, kind, .. } = controller;
    let Some(resource) = kinds.find(cache, api_version, kind) else {
        return Err(NotScaled::Never(format!("no matches for kind {kind:?} in version {api_version:?}")));
    };
    if !cache.has_read(&resource) {
        return Err(NotScaled::NotYet);
    }
    let target = Target::new(&resource, api::Key::new(namespace, controller.name.as_str()));
    let Some(object) = cache.get(&resource, &target.key).filter(|object| object.uid() == controller.uid)
    else {
        return Ok(None);
    };
    if let Some(above) = owner::controller_of(&object).filter(|above| above.kind == DEPLOYMENTS.kind) {
        let key = api::Key::new(namespace, above.name.as_str());
        let deployment = cache.get(&DEPLOYMENTS, &key).filter(|deployment| deployment.uid() == above.uid);
        return Ok(deployment.map(|deployment| (deployment.uid().to_owned(), replicas(&deployment))));
    }
    if SCALED.contains(&resource) {
        return Ok(Some((object.uid().to_owned(), replicas(&object))));
    }
    let unscaled = || format!("{} does not implement the scale subresource", resource.group_resource());
    let path = path_of_scale(cache, &resource).ok_or_else(|| NotScaled::Never(unscaled()))?;
    let mut path = path.trim_start_matches('.').split('.');
    let replicas = path.try_fold(object.value(), |value, field| value.get(field)).and_then(Value::as_i64);
    let replicas = i32::try_from(replicas.unwrap_or(0)).unwrap_or(i32::MAX);
    Ok(Some((object.uid().to_owned(), replicas)))
}

/// Where built-in kinds have their scale.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Scaled {
    spec: Replicas,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Replicas {
    replicas: i32,
}

/// How many pods an object of a built-in kind asks for. Nothing else of it is decoded, or kept.
pub(super) fn replicas(object: &Object) -> i32 {
    // What does not fit its type was refused.
    let scaled: Scaled = serde_json::from_slice(object.json()).unwrap_or_default();
    scaled.spec.replicas
}

/// Where the objects of a custom kind say how many there are to be; none if they do not.
fn path_of_scale(cache: &Cache, resource: &Resource) -> Option<String> {
    let key = api::Key::cluster(resource.group_resource());
    let definition = cache.get(&DEFINITIONS, &key)?;
    let mut versions = definition.value()["spec"]["versions"].as_array().into_iter().flatten();
    let version = versions.find(|version| version["name"] == *resource.version)?;
    let path: &Value = &version["subresources"]["scale"]["specReplicasPath"];
    path.as_str().map(str::to_owned)
}
