//! What a request wants to do, as the authorizer is asked: known from its path and method, before its body is read.

use super::path::Address;
use crate::auth::Question;

/// Whether somebody may do something at an address, whether or not there is anything.
pub(super) fn question(address: &Address) -> Question {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Question {
        group: address.group.clone(),
        version: address.version.clone(),
        plural: address.plural.clone(),
        part: address.part.clone(),
        namespace: text(&address.namespace),
        name: text(&address.name),
    }
}
