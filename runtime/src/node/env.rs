//! The environment of a container: its services, what it takes from ConfigMaps and from its own pod, and its own values.

mod expand;
mod field;
mod services;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use api::Object;
use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvFromSource, EnvVar, EnvVarSource, Pod};

use crate::volumes::Sources;

pub use expand::expand;

/// What the environment is made of besides the pod's own object.
pub struct Surroundings<'a> {
    /// The node's name.
    pub node_name: &'a str,
    /// The node's address.
    pub host_address: IpAddr,
    /// The pod's address.
    pub pod_address: IpAddr,
    /// The ConfigMaps of the pod's namespace.
    pub sources: &'a dyn Sources,
    /// The services the pod is told of, in order.
    pub services: &'a [Object],
}

/// The environment cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// A ConfigMap does not exist.
    #[error("configmap {0:?} not found")]
    NoConfigMap(String),
    /// A ConfigMap has no such key.
    #[error("couldn't find key {key} in ConfigMap {namespace}/{name}")]
    NoKey {
        /// The pod's namespace.
        namespace: String,
        /// The ConfigMap.
        name: String,
        /// The key.
        key: String,
    },
    /// The source asks for something Peapod does not do yet.
    #[error("{field}: not supported yet; supported: value, configMapKeyRef, fieldRef, configMapRef")]
    Unsupported {
        /// The path of the field.
        field: String,
    },
    /// There is no such field to refer to.
    #[error(
        "env {variable}: fieldPath {path:?} is not supported; supported: metadata.name, metadata.namespace, metadata.uid, \
         metadata.labels['KEY'], metadata.annotations['KEY'], spec.nodeName, spec.serviceAccountName, status.podIP, \
         status.podIPs, status.hostIP, status.hostIPs"
    )]
    NoField {
        /// The variable.
        variable: String,
        /// The path as the user wrote it.
        path: String,
    },
}

/// Variables in the order in which they were first set.
#[derive(Default)]
struct Variables(Vec<(String, String)>);

impl Variables {
    fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The environment of `container`, each name once; what is set later wins.
pub fn environment(
    pod: &Pod,
    container: &Container,
    around: &Surroundings<'_>,
) -> Result<Vec<(String, String)>, EnvError> {
    let mut variables = Variables::default();
    let hostname = pod.spec.as_ref().and_then(|spec| spec.hostname.as_ref());
    let hostname = hostname.or(pod.metadata.name.as_ref());
    variables.set("HOSTNAME", hostname.cloned().unwrap_or_default());
    for service in around.services {
        services::add(service, &mut variables);
    }
    for source in container.env_from.iter().flatten() {
        add_all(source, around, &mut variables)?;
    }
    for variable in container.env.iter().flatten() {
        let value = match &variable.value_from {
            None => Some(expand(variable.value.as_deref().unwrap_or_default(), |name| {
                variables.get(name).map(str::to_owned)
            })),
            Some(source) => value_from(pod, variable, source, around)?,
        };
        if let Some(value) = value {
            variables.set(&variable.name, value);
        }
    }
    Ok(variables.0)
}

/// The names of the ConfigMaps that containers of the pod take variables from.
pub fn config_maps(pod: &Pod) -> impl Iterator<Item = &str> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    containers.flat_map(|container| {
        let whole = container.env_from.iter().flatten();
        let whole = whole.filter_map(|source| Some(source.config_map_ref.as_ref()?.name.as_str()));
        let sources = container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref());
        let keys = sources.filter_map(|source| Some(source.config_map_key_ref.as_ref()?.name.as_str()));
        whole.chain(keys)
    })
}

fn add_all(
    source: &EnvFromSource,
    around: &Surroundings<'_>,
    variables: &mut Variables,
) -> Result<(), EnvError> {
    let Some(reference) = &source.config_map_ref else {
        let field = "envFrom[].secretRef".to_owned();
        return Err(EnvError::Unsupported { field });
    };
    let Some(object) = around.sources.config_map(&reference.name) else {
        return match reference.optional {
            Some(true) => Ok(()),
            _ => Err(EnvError::NoConfigMap(reference.name.clone())),
        };
    };
    let config_map = object.typed::<ConfigMap>();
    let data = config_map.ok().and_then(|config_map| config_map.data.as_ref());
    for (key, value) in data.into_iter().flatten() {
        let name = format!("{}{key}", source.prefix.as_deref().unwrap_or_default());
        // Keys that cannot be names are left out, as Kubernetes does.
        if !name.is_empty() && !name.contains(['=', '\0']) {
            variables.set(&name, value.clone());
        }
    }
    Ok(())
}

fn value_from(
    pod: &Pod,
    variable: &EnvVar,
    source: &EnvVarSource,
    around: &Surroundings<'_>,
) -> Result<Option<String>, EnvError> {
    if let Some(reference) = &source.field_ref {
        let value = field::value(pod, &reference.field_path, around);
        return value.map(Some).ok_or_else(|| EnvError::NoField {
            variable: variable.name.clone(),
            path: reference.field_path.clone(),
        });
    }
    let Some(reference) = &source.config_map_key_ref else {
        let kind = if source.secret_key_ref.is_some() {
            "secretKeyRef"
        } else if source.resource_field_ref.is_some() {
            "resourceFieldRef"
        } else {
            "valueFrom"
        };
        let field = format!("env {}: {kind}", variable.name);
        return Err(EnvError::Unsupported { field });
    };
    let is_optional = reference.optional == Some(true);
    let object = around.sources.config_map(&reference.name);
    let config_map = object.as_ref().and_then(|object| object.typed::<ConfigMap>().ok());
    let value = config_map.and_then(|config_map| config_map.data.as_ref()?.get(&reference.key));
    match (value, object.is_some()) {
        (Some(value), _) => Ok(Some(value.clone())),
        (None, _) if is_optional => Ok(None),
        (None, false) => Err(EnvError::NoConfigMap(reference.name.clone())),
        (None, true) => Err(EnvError::NoKey {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: reference.name.clone(),
            key: reference.key.clone(),
        }),
    }
}
