//! Gives every new pod an account, and with it the token by which its containers can ask the API.
//!
//! A pod that names an account that is not there is refused, except for the account `default`: a controller creates
//! that one soon after its namespace, and a pod need not be refused for having been faster. Its token is asked for when
//! its volumes are mounted, and the node tries that until the account is there.

use api::resource::{NAMESPACES, SERVICE_ACCOUNTS};
use api::{Key, Resource, Status};
use k8s_openapi::api::core::v1::ServiceAccount;
use serde_json::{Value, json};

use super::Surroundings;
use crate::resources::service_account::DEFAULT;
use crate::store::{Collection, StoreKey};
use crate::tree;

/// Where clients in pods look for their token.
const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// A volume whose name starts so holds the token already.
const VOLUME_PREFIX: &str = "kube-api-access-";

/// An hour, and a little more by which such tokens can be told from those that users ask for, as in Kubernetes.
const TOKEN_SECONDS: u64 = 3607;

/// The config map with the certificate of the cluster's authority, in every namespace.
const ROOT_CA: &str = "kube-root-ca.crt";

/// Pods with this annotation show what a node runs on its own account.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// Sets the account, and adds what it brings with it.
pub fn admit(
    around: &Surroundings<'_>,
    resource: &Resource,
    key: &Key,
    pod: &mut Value,
) -> Result<(), Status> {
    if pod["metadata"]["annotations"].get(MIRROR).is_some() {
        return Ok(());
    }
    let spec = tree::object(pod, "spec");
    tree::set_default_text(spec, "serviceAccountName", DEFAULT);
    let name = tree::text(spec, "serviceAccountName").unwrap_or(DEFAULT).to_owned();
    tree::set(spec, "serviceAccount", Some(name.as_str().into()));
    let account = find(around, resource, key, &name)?.unwrap_or_default();
    let mounts = spec["automountServiceAccountToken"].as_bool().or(account.automount_service_account_token);
    if around.issues_tokens && mounts.unwrap_or(true) {
        mount_token(around, spec);
    }
    let own_secrets = spec["imagePullSecrets"].as_array().is_some_and(|secrets| !secrets.is_empty());
    if let Some(secrets) = account.image_pull_secrets.filter(|secrets| !secrets.is_empty() && !own_secrets) {
        tree::set(spec, "imagePullSecrets", serde_json::to_value(secrets).ok());
    }
    Ok(())
}

/// The account, if it is there or may be missing.
fn find(
    around: &Surroundings<'_>,
    resource: &Resource,
    key: &Key,
    name: &str,
) -> Result<Option<ServiceAccount>, Status> {
    let get = |resource: &Resource, key: Key| {
        around.store.get(&StoreKey { collection: Collection::from(resource), key })
    };
    let namespace = &*key.namespace;
    if let Some(found) = get(&SERVICE_ACCOUNTS, Key::new(namespace, name)) {
        return found.typed::<ServiceAccount>().cloned().map(Some).map_err(Status::internal);
    }
    // That the namespace is missing is said by those who look after namespaces.
    if name == DEFAULT || get(&NAMESPACES, Key::cluster(namespace)).is_none() {
        return Ok(None);
    }
    let words =
        format!("error looking up service account {namespace}/{name}: serviceaccount {name:?} not found");
    Err(Status::forbidden(resource, &key.name, &words))
}

/// Mounts the token into every container that has nothing else in its place.
fn mount_token(around: &Surroundings<'_>, spec: &mut Value) {
    let volumes = spec["volumes"].as_array().into_iter().flatten();
    let known = volumes
        .filter_map(|volume| tree::text(volume, "name"))
        .find(|name| name.starts_with(VOLUME_PREFIX))
        .map(str::to_owned);
    let taken = |container: &Value| {
        let mut mounts = container["volumeMounts"].as_array().into_iter().flatten();
        mounts.any(|mount| mount["mountPath"] == MOUNT_PATH)
    };
    let lists = ["initContainers", "containers"];
    let wanted = lists.iter().any(|list| {
        let mut containers = spec[*list].as_array().into_iter().flatten();
        containers.any(|container| !taken(container))
    });
    if !wanted {
        return;
    }
    let volume = known.clone().unwrap_or_else(|| around.identity.name(VOLUME_PREFIX));
    for list in lists {
        for container in tree::items(spec, list).filter(|container| !taken(container)) {
            let mount = json!({"name": volume, "readOnly": true, "mountPath": MOUNT_PATH});
            append(container, "volumeMounts", mount);
        }
    }
    if known.is_none() {
        append(spec, "volumes", token_volume(&volume));
    }
}

fn append(object: &mut Value, field: &str, item: Value) {
    let mut items = object[field].as_array().cloned().unwrap_or_default();
    items.push(item);
    tree::set(object, field, Some(items.into()));
}

fn token_volume(name: &str) -> Value {
    let namespace = json!({"path": "namespace",
        "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}});
    json!({"name": name, "projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_SECONDS}},
        {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [namespace]}},
    ]}})
}

#[cfg(test)]
mod tests;
