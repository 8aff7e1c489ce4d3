//! What the cluster adds to objects and forbids, beyond what their kinds say of themselves.

mod namespace_lifecycle;
mod pods;
mod service_account;

use api::resource::PODS;
use api::{Key, Resource, Status};
use serde_json::Value;

use crate::registry::Identity;
use crate::store::Store;

pub use namespace_lifecycle::check_namespace;

/// What admission looks at besides the object.
pub(crate) struct Surroundings<'a> {
    /// What there is.
    pub store: &'a Store,
    /// Names what is added.
    pub identity: &'a Identity,
    /// Whether the server issues tokens, so that pods can be given one.
    pub issues_tokens: bool,
}

/// Adds what the cluster adds to a new object that is to be at `key`, or refuses it.
pub(crate) fn admit_new(
    around: &Surroundings<'_>,
    resource: &Resource,
    key: &Key,
    object: &mut Value,
) -> Result<(), Status> {
    if *resource == PODS {
        service_account::admit(around, resource, key, object)?;
        pods::tolerate_node_failures(object);
        pods::set_priority(object);
    }
    Ok(())
}
