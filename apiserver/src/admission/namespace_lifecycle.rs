//! Objects are created only in namespaces that exist and do not terminate.

use api::resource::NAMESPACES;
use api::status::Cause;
use api::{Key, Resource, Status};

use crate::store::{Collection, Store, StoreKey};

/// Refuses an object whose namespace is not there or on its way out.
pub fn check_namespace(store: &Store, resource: &Resource, key: &Key) -> Result<(), Status> {
    if !resource.namespaced {
        return Ok(());
    }
    let namespace = &*key.namespace;
    let place = StoreKey { collection: Collection::from(&NAMESPACES), key: Key::cluster(namespace) };
    let found = store.get(&place).ok_or_else(|| Status::not_found(&NAMESPACES, namespace))?;
    if !found.is_terminating() {
        return Ok(());
    }
    let words =
        format!("unable to create new content in namespace {namespace} because it is being terminated");
    let mut status = Status::forbidden(resource, &key.name, &words);
    if let Some(details) = &mut status.details {
        details.causes.push(Cause {
            reason: "NamespaceTerminating".to_owned(),
            message: format!("namespace {namespace} is being terminated"),
            field: "metadata.namespace".to_owned(),
        });
    }
    Err(status)
}
