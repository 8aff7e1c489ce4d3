//! What the cluster adds to objects and forbids, beyond what their kinds say of themselves.

mod namespace_lifecycle;
mod pods;

use api::Resource;
use api::resource::PODS;
use serde_json::Value;

pub use namespace_lifecycle::check_namespace;

/// Adds what the cluster adds to a new object.
pub fn admit_new(resource: &Resource, object: &mut Value) {
    if *resource == PODS {
        pods::tolerate_node_failures(object);
        pods::set_priority(object);
    }
}
