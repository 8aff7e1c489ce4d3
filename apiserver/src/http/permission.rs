//! What a request wants to do, as the authorizer is asked: known from its path and method, before its body is read.

use std::sync::Arc;

use api::backend::{Request, User};
use api::{Key, Resource};

use super::catalog;
use super::path::Address;
use super::route::Action;
use crate::builtin::BUILTINS;
use crate::served::Served;

/// The request to do something at an address, whether or not there is anything.
pub(super) fn request(served: &Served, user: &Arc<User>, action: Action, address: &Address) -> Request {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Request {
        user: user.clone(),
        resource: resource(served, address),
        key: Key::new(text(&address.namespace), text(&address.name)),
        subresource: part(&address.part),
        verb: action.verb(),
    }
}

fn resource(served: &Served, address: &Address) -> Resource {
    let Address { group, version, plural, .. } = address;
    let known = served.any_version(group, plural).map(|known| known.resource().clone());
    known.unwrap_or_else(|| Resource {
        group: group.clone().into(),
        version: version.clone().into(),
        plural: plural.clone().into(),
        kind: "".into(),
        namespaced: true,
    })
}

/// The subresource as clients know it. `*` stands for those that nobody knows.
fn part(name: &str) -> &'static str {
    let served = BUILTINS.iter().flat_map(|kind| catalog::parts(*kind)).map(|part| part.name);
    let mut known = served.filter(|known| *known == name);
    if name.is_empty() { "" } else { known.next().unwrap_or("*") }
}
