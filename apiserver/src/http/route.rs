//! Finds what a path leads to among what is served, and what the method does there.

use std::sync::Arc;

use api::status::Reason;
use api::{Key, Status};
use http::Method;

use super::catalog::{self, Part};
use super::metrics::About;
use super::path::Address;
use super::query::Query;
use crate::served::{Served, Version};

/// What a request is to do, by its method and its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

/// What a request is about, found among what is served.
pub(super) struct Found {
    pub version: Arc<Version>,
    pub key: Key,
    part: Option<Part>,
    pub action: Action,
}

impl Action {
    pub fn of(method: &Method, address: &Address, query: &Query) -> Result<Self, Status> {
        let on_one = address.name.is_some();
        if address.is_watch {
            let is_read = [Method::GET, Method::HEAD].contains(method);
            return if is_read { Ok(Self::Watch) } else { Err(not_allowed()) };
        }
        Ok(match (method.as_str(), on_one) {
            ("GET" | "HEAD", true) => Self::Get,
            ("GET" | "HEAD", false) if query.is_on("watch") => Self::Watch,
            ("GET" | "HEAD", false) => Self::List,
            ("POST", false) => Self::Create,
            ("POST", true) if !address.part.is_empty() => Self::Create,
            ("PUT", true) => Self::Update,
            ("PATCH", true) => Self::Patch,
            ("DELETE", true) => Self::Delete,
            ("DELETE", false) => Self::DeleteCollection,
            _ => return Err(not_allowed()),
        })
    }

    /// The name in rules and in discovery.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// The name in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::List => "LIST",
            Self::Watch => "WATCH",
            Self::Create => "POST",
            Self::Update => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::DeleteCollection => "DELETECOLLECTION",
        }
    }

    /// Whether it changes something.
    fn is_change(self) -> bool {
        !matches!(self, Self::Get | Self::List | Self::Watch)
    }
}

/// The subresources that join a client with something in the cluster.
const CONNECTIONS: [&str; 5] = ["attach", "exec", "log", "portforward", "proxy"];

/// Finds what an address leads to and whether the method is possible there.
pub(super) fn find(
    served: &Served,
    method: &Method,
    address: &Address,
    query: &Query,
) -> Result<Found, Status> {
    let version = served.version(&address.group, &address.plural, &address.version);
    let version = version.ok_or_else(not_found)?.clone();
    let kind = version.kind();
    let namespaced = kind.resource().namespaced;
    let fits = match (&address.namespace, &address.name) {
        (Some(_), _) => namespaced,
        (None, Some(_)) => !namespaced,
        (None, None) => true,
    };
    if !fits {
        return Err(not_found());
    }
    let part = match address.part.as_str() {
        "" => None,
        part => Some(catalog::parts(kind).find(|known| known.name == part).ok_or_else(not_found)?),
    };
    let action = Action::of(method, address, query)?;
    let verbs = part.map_or_else(|| catalog::verbs(kind), |part| part.verbs);
    let everywhere = namespaced && address.namespace.is_none();
    if !verbs.contains(&action.name()) || everywhere && action.is_change() {
        return Err(not_allowed());
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    Ok(Found { version, key: Key::new(text(&address.namespace), text(&address.name)), part, action })
}

impl Found {
    /// What the metrics say of the request.
    pub fn about(&self) -> About {
        let resource = self.version.resource();
        About {
            verb: if self.is_connection() { "CONNECT" } else { self.action.label() },
            group: resource.group.clone(),
            version: resource.version.clone(),
            resource: resource.plural.clone(),
            subresource: self.part(),
            scope: scope(&self.key),
        }
    }

    /// Whether it changes something.
    pub fn is_change(&self) -> bool {
        self.action.is_change()
    }

    /// Whether the answer may go on for as long as the client likes.
    pub fn is_long(&self, query: &Query) -> bool {
        match self.part() {
            "log" => query.is_on("follow"),
            _ => self.action == Action::Watch || self.is_connection(),
        }
    }

    /// Whether it joins the client with something in the cluster, instead of reading or writing an object.
    pub fn is_connection(&self) -> bool {
        CONNECTIONS.contains(&self.part())
    }

    /// The name of the subresource; empty for the object itself.
    pub fn part(&self) -> &'static str {
        self.part.map_or("", |part| part.name)
    }
}

/// How much a request is about, in metrics.
pub(super) fn scope(key: &Key) -> &'static str {
    match (key.name.is_empty(), key.namespace.is_empty()) {
        (false, _) => "resource",
        (true, false) => "namespace",
        (true, true) => "cluster",
    }
}

pub(super) fn not_found() -> Status {
    Status::new(Reason::NotFound, "the server could not find the requested resource")
}

pub(super) fn not_allowed() -> Status {
    Status::new(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource")
}

#[cfg(test)]
mod tests {
    use super::super::path::{Target, parse};
    use super::*;

    #[test]
    fn methods_and_paths_become_verbs() {
        let served = Served::builtin();
        let row = |method: Method, path: &str, expected: &str| {
            let (path, query) = path.split_once('?').unwrap_or((path, ""));
            let Target::Resource(address) = parse(path) else {
                panic!("{path} is no resource");
            };
            let found = match find(&served, &method, &address, &Query::parse(Some(query))) {
                Ok(found) => format!("{} {} {}", found.action.name(), found.version.resource(), found.key),
                Err(status) => status.code.to_string(),
            };
            assert_eq!(found, expected, "{method} {path}");
        };
        row(Method::GET, "/api/v1/pods", "list pods ");
        row(Method::HEAD, "/api/v1/namespaces/a/pods/b", "get pods a/b");
        row(Method::GET, "/api/v1/namespaces/a/pods?watch=1", "watch pods a/");
        row(Method::GET, "/api/v1/namespaces/a/pods?watch=false", "list pods a/");
        row(Method::GET, "/api/v1/namespaces/a/pods/b?watch=true", "get pods a/b");
        row(Method::GET, "/api/v1/watch/namespaces/a/pods/b", "watch pods a/b");
        row(Method::GET, "/api/v1/watch/pods", "watch pods ");
        row(Method::PUT, "/api/v1/watch/namespaces/a/pods/b", "405");
        row(Method::POST, "/api/v1/namespaces/a/pods", "create pods a/");
        row(Method::POST, "/api/v1/pods", "405");
        row(Method::POST, "/api/v1/namespaces/a/pods/b", "405");
        row(Method::POST, "/api/v1/namespaces/a/pods/b/binding", "create pods a/b");
        row(Method::GET, "/api/v1/namespaces/a/pods/b/binding", "405");
        row(Method::PUT, "/api/v1/namespaces/a/finalize", "update namespaces a");
        row(Method::PATCH, "/api/v1/namespaces/a/finalize", "405");
        row(Method::PUT, "/api/v1/namespaces/a/pods", "405");
        row(Method::DELETE, "/api/v1/namespaces/a/pods", "deletecollection pods a/");
        row(Method::DELETE, "/api/v1/pods", "405");
        row(Method::DELETE, "/api/v1/nodes", "deletecollection nodes ");
        row(Method::DELETE, "/api/v1/namespaces", "405");
        row(Method::OPTIONS, "/api/v1/pods", "405");
        row(Method::GET, "/api/v1/pods/b", "404");
        row(Method::GET, "/api/v1/namespaces/a/nodes/n", "404");
        row(Method::GET, "/api/v1/namespaces/a/pods/b/scale", "404");
        row(Method::GET, "/apis/apps/v1/namespaces/a/deployments/b/scale", "get deployments.apps a/b");
        row(Method::GET, "/apis/apps/v1beta1/deployments", "list deployments.apps ");
        row(Method::GET, "/apis/apps/v1beta9/deployments", "404");
        row(Method::GET, "/apis/apps/v1/pods", "404");
    }
}
