//! Whether somebody may do something, asked by names: nobody has sent such a request.

use std::sync::Arc;

use api::backend::{
    Body, DeleteOptions, ListOptions, Patch, Request, User, Verb, WatchOptions, WriteOptions,
};
use api::{Key, Resource, Status};
use serde_json::Value;

use super::Authorizer;
use crate::builtin::BUILTINS;
use crate::http::catalog;
use crate::served::Served;

/// What somebody may want to do. Texts that say nothing are empty.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The group of the resource.
    pub group: String,
    /// Its version.
    pub version: String,
    /// Its plural.
    pub plural: String,
    /// The part of it.
    pub part: String,
    /// The namespace.
    pub namespace: String,
    /// The object.
    pub name: String,
}

impl Question {
    /// The request to do it, whether or not there is such a resource.
    pub fn request(&self, served: &Served, user: &Arc<User>, verb: Verb) -> Request {
        Request {
            user: Arc::clone(user),
            resource: self.resource(served),
            key: Key::new(self.namespace.as_str(), self.name.as_str()),
            subresource: part(&self.part),
            verb,
        }
    }

    /// Refuses in Kubernetes' words what the user may not do. A verb that nobody knows is for those who may do everything.
    pub fn ask(
        &self,
        authorizer: &dyn Authorizer,
        served: &Served,
        user: &Arc<User>,
        verb: &str,
    ) -> Result<(), Status> {
        let mut verbs = verbs(verb).into_iter().map(|verb| self.request(served, user, verb));
        verbs.try_for_each(|request| authorizer.authorize(&request))
    }

    fn resource(&self, served: &Served) -> Resource {
        let Self { group, version, plural, .. } = self;
        let known = served.any_version(group, plural).map(|known| known.resource().clone());
        known.unwrap_or_else(|| Resource {
            group: group.clone().into(),
            version: version.clone().into(),
            plural: plural.clone().into(),
            kind: "".into(),
            namespaced: true,
        })
    }
}

/// The subresource as clients know it. `*` stands for those that nobody knows.
fn part(name: &str) -> &'static str {
    let served = BUILTINS.iter().flat_map(|kind| catalog::parts(*kind)).map(|part| part.name);
    let mut known = served.filter(|known| *known == name);
    if name.is_empty() { "" } else { known.next().unwrap_or("*") }
}

/// The verbs of this name, with nothing in them; all if it is not known.
fn verbs(name: &str) -> Vec<Verb> {
    let nothing = || Body::Value(Value::Null);
    let list = ListOptions::default;
    let all = [
        ("get", Verb::Get),
        ("list", Verb::List(list())),
        ("watch", Verb::Watch(WatchOptions::default())),
        ("create", Verb::Create(nothing(), WriteOptions::default())),
        ("update", Verb::Update(nothing(), WriteOptions::default())),
        ("patch", Verb::Patch(Patch::Merge(nothing()), WriteOptions::default())),
        ("delete", Verb::Delete(DeleteOptions::default())),
        ("deletecollection", Verb::DeleteCollection(list(), DeleteOptions::default())),
    ];
    let is_known = all.iter().any(|(known, _)| *known == name);
    all.into_iter().filter(|(known, _)| !is_known || *known == name).map(|(_, verb)| verb).collect()
}
