//! What is allowed as long as there are no roles: everything to the masters of the cluster, finding one's way to others.

use api::backend::{Request, User, Verb};
use api::resource::NAMESPACES;
use api::status::{Details, Reason};
use api::{Key, Resource, Status};
use serde_json::{Value, json};

use super::{AUTHENTICATED, Authorizer, MASTERS};

/// Allows everything to the members of `system:masters`; to other users to look what the server serves and who they
/// are; to everybody to look whether the server is well and which version it has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Standard;

/// Allows everything to everybody, without a question.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlwaysAllow;

/// What anybody may get, and what is below it.
const HEALTH: [&str; 4] = ["healthz", "livez", "readyz", "version"];

/// What users may create to learn about themselves.
const ABOUT_ONESELF: [(&str, &str); 3] = [
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
];

/// The rules of those who may do everything.
fn everything() -> Value {
    json!({
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": false,
    })
}

impl Authorizer for Standard {
    fn rules(&self, user: &User, _namespace: &str) -> Value {
        if is_in(user, MASTERS) {
            return everything();
        }
        let mut urls: Vec<String> =
            HEALTH.iter().flat_map(|path| [format!("/{path}"), format!("/{path}/*")]).collect();
        let mut resources = Vec::new();
        if is_in(user, AUTHENTICATED) {
            urls.extend(["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*"].map(str::to_owned));
            let own = ABOUT_ONESELF.iter().map(
                |(group, plural)| json!({"verbs": ["create"], "apiGroups": [group], "resources": [plural]}),
            );
            resources.extend(own);
        }
        let others = [json!({"verbs": ["get"], "nonResourceURLs": urls})];
        json!({"resourceRules": resources, "nonResourceRules": others, "incomplete": false})
    }

    fn authorize(&self, request: &Request) -> Result<(), Status> {
        let user = &request.user;
        if is_in(user, MASTERS) || is_in(user, AUTHENTICATED) && is_about_oneself(request) {
            return Ok(());
        }
        Err(forbidden(request))
    }

    fn authorize_path(&self, user: &User, verb: &str, path: &str) -> Result<(), Status> {
        let may_get = || is_health(path) || is_in(user, AUTHENTICATED) && is_discovery(path);
        if is_in(user, MASTERS) || verb == "get" && may_get() {
            return Ok(());
        }
        let words = format!("forbidden: User {:?} cannot {verb} path {path:?}", user.name);
        // Kubernetes sends details here, though there are none.
        Err(Status { details: Some(Box::<Details>::default()), ..Status::new(Reason::Forbidden, words) })
    }
}

/// Lets the masters act as anybody.
pub(super) fn authorize_impersonation(
    user: &User,
    other: &Resource,
    part: &str,
    key: &Key,
) -> Result<(), Status> {
    if is_in(user, MASTERS) {
        return Ok(());
    }
    let Resource { group, plural, .. } = other;
    let resource = if part.is_empty() { plural.to_string() } else { format!("{plural}/{part}") };
    let words = format!(
        "User {:?} cannot impersonate resource {resource:?} in API group {group:?} {}",
        user.name,
        scope(&key.namespace)
    );
    Err(Status::forbidden(other, &key.name, &words))
}

impl Authorizer for AlwaysAllow {
    fn authorize_impersonation(
        &self,
        _user: &User,
        _other: &Resource,
        _part: &str,
        _key: &Key,
    ) -> Result<(), Status> {
        Ok(())
    }

    fn rules(&self, _user: &User, _namespace: &str) -> Value {
        everything()
    }

    fn authorize(&self, _request: &Request) -> Result<(), Status> {
        Ok(())
    }

    fn authorize_path(&self, _user: &User, _verb: &str, _path: &str) -> Result<(), Status> {
        Ok(())
    }
}

fn is_in(user: &User, group: &str) -> bool {
    user.groups.iter().any(|own| own == group)
}

fn is_about_oneself(request: &Request) -> bool {
    let Resource { group, plural, .. } = &request.resource;
    matches!(request.verb, Verb::Create(..))
        && request.subresource.is_empty()
        && ABOUT_ONESELF.contains(&(group, plural))
}

fn is_health(path: &str) -> bool {
    let first = path.strip_prefix('/').and_then(|path| path.split('/').next());
    first.is_some_and(|first| HEALTH.contains(&first))
}

/// The paths that tell which resources there are, and no path of a resource itself.
fn is_discovery(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let parts: Vec<_> = path.split('/').collect();
    matches!(
        parts[..],
        ["", "api" | "apis"] | ["", "api" | "apis", _] | ["", "apis", _, _] | ["", "openapi", ..]
    )
}

fn scope(namespace: &str) -> String {
    match namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    }
}

fn forbidden(request: &Request) -> Status {
    let Request { user, resource, key, subresource, verb } = request;
    let Resource { group, plural, .. } = resource;
    let part = match *subresource {
        "" => plural.to_string(),
        part => format!("{plural}/{part}"),
    };
    // A namespace is in itself.
    let namespace = if *resource == NAMESPACES { &key.name } else { &key.namespace };
    let scope = scope(namespace);
    let words = format!(
        "User {:?} cannot {} resource {part:?} in API group {group:?} {scope}",
        user.name,
        verb.name()
    );
    Status::forbidden(resource, &key.name, &words)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use api::backend::{Body, ListOptions, WriteOptions};
    use api::resource::{DEPLOYMENTS, NODES, PODS};

    use super::*;

    fn user(name: &str, group: &str) -> User {
        User { name: name.to_owned(), groups: vec![group.to_owned()], ..User::default() }
    }

    fn request(resource: Resource, key: Key, subresource: &'static str, verb: Verb) -> Request {
        Request { user: Arc::new(user("x", AUTHENTICATED)), resource, key, subresource, verb }
    }

    #[test]
    fn refusals_are_worded_as_clients_know_them() {
        let check = |resource, key, part, verb, words: &str| {
            let refused = Standard.authorize(&request(resource, key, part, verb)).unwrap_err();
            assert_eq!((refused.code, refused.message.as_str()), (403, words));
        };
        let list = || Verb::List(ListOptions::default());
        check(
            PODS,
            Key::new("default", ""),
            "",
            list(),
            r#"pods is forbidden: User "x" cannot list resource "pods" in API group "" in the namespace "default""#,
        );
        check(
            PODS,
            Key::new("", ""),
            "",
            list(),
            r#"pods is forbidden: User "x" cannot list resource "pods" in API group "" at the cluster scope"#,
        );
        check(
            PODS,
            Key::new("default", "a"),
            "log",
            Verb::Get,
            r#"pods "a" is forbidden: User "x" cannot get resource "pods/log" in API group "" in the namespace "default""#,
        );
        check(
            DEPLOYMENTS,
            Key::new("default", "a"),
            "",
            Verb::Get,
            r#"deployments.apps "a" is forbidden: User "x" cannot get resource "deployments" in API group "apps" in the namespace "default""#,
        );
        check(
            NODES,
            Key::cluster("n"),
            "",
            Verb::Get,
            r#"nodes "n" is forbidden: User "x" cannot get resource "nodes" in API group "" at the cluster scope"#,
        );
        check(
            NAMESPACES,
            Key::cluster("default"),
            "",
            Verb::Get,
            r#"namespaces "default" is forbidden: User "x" cannot get resource "namespaces" in API group "" in the namespace "default""#,
        );
    }

    #[test]
    fn users_may_ask_who_they_are() {
        let reviews =
            Resource::new("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", false);
        let create = || Verb::Create(Body::Value(json!({})), WriteOptions::default());
        let mut asked = request(reviews, Key::cluster(""), "", create());
        assert_eq!(Standard.authorize(&asked), Ok(()));
        asked.user = Arc::new(user("system:anonymous", "system:unauthenticated"));
        assert_eq!(Standard.authorize(&asked).unwrap_err().code, 403);
        asked.user = Arc::new(user("root", MASTERS));
        asked.resource = PODS;
        assert_eq!(Standard.authorize(&asked), Ok(()));
        asked.user = Arc::new(user("x", AUTHENTICATED));
        assert_eq!(Standard.authorize(&asked).unwrap_err().code, 403);
        assert_eq!(AlwaysAllow.authorize(&asked), Ok(()));
    }

    #[test]
    fn paths_are_open_to_those_they_are_meant_for() {
        let (nobody, somebody, master) = (
            user("system:anonymous", "system:unauthenticated"),
            user("x", AUTHENTICATED),
            user("root", MASTERS),
        );
        let check = |verb: &str, path: &str, open_to: usize| {
            let users = [&master, &somebody, &nobody];
            let allowed = users.map(|user| Standard.authorize_path(user, verb, path).is_ok());
            let expected = [open_to > 0, open_to > 1, open_to > 2];
            assert_eq!(allowed, expected, "{verb} {path}");
        };
        for path in ["/healthz", "/healthz/etcd", "/livez", "/readyz/", "/version", "/version/"] {
            check("get", path, 3);
            check("post", path, 1);
        }
        for path in
            ["/api", "/api/", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/openapi/v3/apis/apps/v1"]
        {
            check("get", path, 2);
        }
        for path in
            ["/metrics", "/", "/healthzz", "/api/v1/pods", "/apis/apps/v1/deployments", "/debug/pprof", ""]
        {
            check("get", path, 1);
        }
        let refused = Standard.authorize_path(&nobody, "get", "/x").unwrap_err();
        assert_eq!(refused.message, r#"forbidden: User "system:anonymous" cannot get path "/x""#);
        assert_eq!(refused.to_value()["details"], json!({}));
    }
}
