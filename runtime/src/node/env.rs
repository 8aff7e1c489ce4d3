//! The environment of a container: its services, what it takes from ConfigMaps, Secrets and its own pod, and its own values.

mod expand;
mod field;
mod services;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::IpAddr;

use api::Object;
use k8s_openapi::api::core::v1::{ConfigMap, Container, EnvFromSource, EnvVar, EnvVarSource, Pod, Secret};

use crate::volumes::{Source, Sources, resource_field};

pub use expand::expand;

/// What the environment is made of besides the pod's own object.
pub struct Surroundings<'a> {
    /// What the pod is called among hosts.
    pub hostname: &'a str,
    /// The node's name.
    pub node_name: &'a str,
    /// The node's address.
    pub host_address: IpAddr,
    /// The pod's address.
    pub pod_address: IpAddr,
    /// The ConfigMaps and Secrets of the pod's namespace.
    pub sources: &'a dyn Sources,
    /// The services the pod is told of, in order.
    pub services: &'a [Object],
}

/// The environment cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// A ConfigMap or Secret does not exist.
    #[error("{} {name:?} not found", source_kind.word())]
    NoSource {
        /// Which of both.
        source_kind: Source,
        /// Its name.
        name: String,
    },
    /// A ConfigMap or Secret has no such key.
    #[error("couldn't find key {key} in {} {namespace}/{name}", kind_of(*source_kind))]
    NoKey {
        /// Which of both.
        source_kind: Source,
        /// The pod's namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// The key.
        key: String,
    },
    /// The source asks for something Peapod does not do yet.
    #[error(
        "{field}: not supported yet; supported: value, configMapKeyRef, secretKeyRef, fieldRef, resourceFieldRef"
    )]
    Unsupported {
        /// The path of the field.
        field: String,
    },
    /// There is no such amount to refer to.
    #[error("env {variable}: {problem}")]
    NoResource {
        /// The variable.
        variable: String,
        /// What is wrong.
        problem: String,
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
    variables.set("HOSTNAME", around.hostname.to_owned());
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
            Some(source) => value_from(pod, container, variable, source, around)?,
        };
        if let Some(value) = value {
            variables.set(&variable.name, value);
        }
    }
    Ok(variables.0)
}

/// The ConfigMaps and Secrets that containers of the pod take variables from.
pub fn sources(pod: &Pod) -> impl Iterator<Item = (Source, &str)> {
    let lists = pod.spec.iter().flat_map(|spec| {
        let first = spec.init_containers.iter().flatten();
        let plain = first.chain(&spec.containers).map(|container| (&container.env_from, &container.env));
        let added = spec.ephemeral_containers.iter().flatten();
        plain.chain(added.map(|container| (&container.env_from, &container.env)))
    });
    lists.flat_map(|(env_from, env)| {
        let whole = env_from.iter().flatten().filter_map(whole_source);
        let sources = env.iter().flatten().filter_map(|variable| variable.value_from.as_ref());
        let keys = sources.filter_map(|source| key_source(source).map(|key| (key.source, key.name)));
        whole.map(|(source, name, _)| (source, name)).chain(keys)
    })
}

/// What an entry of `envFrom` names, and whether it may be missing.
fn whole_source(source: &EnvFromSource) -> Option<(Source, &str, bool)> {
    if let Some(reference) = &source.config_map_ref {
        return Some((Source::ConfigMap, &reference.name, reference.optional == Some(true)));
    }
    let reference = source.secret_ref.as_ref()?;
    Some((Source::Secret, &reference.name, reference.optional == Some(true)))
}

/// A key of a ConfigMap or a Secret.
struct KeyOf<'a> {
    source: Source,
    name: &'a str,
    key: &'a str,
    is_optional: bool,
}

fn key_source(source: &EnvVarSource) -> Option<KeyOf<'_>> {
    let (source, name, key, optional) = if let Some(reference) = &source.config_map_key_ref {
        (Source::ConfigMap, &reference.name, &reference.key, reference.optional)
    } else {
        let reference = source.secret_key_ref.as_ref()?;
        (Source::Secret, &reference.name, &reference.key, reference.optional)
    };
    Some(KeyOf { source, name, key, is_optional: optional == Some(true) })
}

/// The texts that an object keeps by key. Variables are text: other bytes are replaced.
fn texts(source: Source, object: &Object) -> Vec<(&str, Cow<'_, str>)> {
    match source {
        Source::ConfigMap => {
            let data = object.typed::<ConfigMap>().ok().and_then(|config_map| config_map.data.as_ref());
            let texts = data.into_iter().flatten();
            texts.map(|(key, text)| (key.as_str(), Cow::Borrowed(text.as_str()))).collect()
        }
        Source::Secret => {
            let data = object.typed::<Secret>().ok().and_then(|secret| secret.data.as_ref());
            let texts = data.into_iter().flatten();
            texts.map(|(key, bytes)| (key.as_str(), String::from_utf8_lossy(&bytes.0))).collect()
        }
        Source::Claim => vec![],
    }
}

fn kind_of(source: Source) -> &'static str {
    match source {
        Source::ConfigMap => "ConfigMap",
        Source::Secret => "Secret",
        Source::Claim => "PersistentVolumeClaim",
    }
}

fn add_all(
    source: &EnvFromSource,
    around: &Surroundings<'_>,
    variables: &mut Variables,
) -> Result<(), EnvError> {
    let Some((kind, name, is_optional)) = whole_source(source) else {
        return Err(EnvError::Unsupported { field: "envFrom[]".to_owned() });
    };
    let Some(object) = around.sources.find(kind, name) else {
        return match is_optional {
            true => Ok(()),
            false => Err(EnvError::NoSource { source_kind: kind, name: name.to_owned() }),
        };
    };
    for (key, value) in texts(kind, &object) {
        let name = format!("{}{key}", source.prefix.as_deref().unwrap_or_default());
        // Keys that cannot be names are left out, as Kubernetes does.
        if !name.is_empty() && !name.contains(['=', '\0']) {
            variables.set(&name, value.into_owned());
        }
    }
    Ok(())
}

fn value_from(
    pod: &Pod,
    container: &Container,
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
    if let Some(selector) = &source.resource_field_ref {
        let amount = resource_field(pod, Some(container), selector, &around.sources.allocatable());
        let refused = |problem| EnvError::NoResource { variable: variable.name.clone(), problem };
        return amount.map(Some).map_err(refused);
    }
    let Some(wanted) = key_source(source) else {
        let field = format!("env {}: valueFrom", variable.name);
        return Err(EnvError::Unsupported { field });
    };
    let object = around.sources.find(wanted.source, wanted.name);
    let texts = object.iter().flat_map(|object| texts(wanted.source, object));
    let value = texts.into_iter().find(|(key, _)| *key == wanted.key);
    match (value, object.is_some()) {
        (Some((_, value)), _) => Ok(Some(value.into_owned())),
        (None, _) if wanted.is_optional => Ok(None),
        (None, false) => Err(EnvError::NoSource { source_kind: wanted.source, name: wanted.name.to_owned() }),
        (None, true) => Err(EnvError::NoKey {
            source_kind: wanted.source,
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: wanted.name.to_owned(),
            key: wanted.key.to_owned(),
        }),
    }
}
