//! Which flow a request belongs to: the first flow schema whose rules it matches.

use api::backend::User;
use k8s_openapi::api::flowcontrol::v1::{
    FlowSchemaSpec, NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject,
};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::limits::Name;

/// The word that stands for all.
const EVERY: &str = "*";

/// What is asked of the server, as far as rules look at it.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Who asks.
    pub user: &'a User,
    /// The verb, such as `list`.
    pub verb: &'a str,
    /// What is asked for.
    pub what: What<'a>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// Objects of the API.
    Resource {
        /// The group; empty for the core.
        group: &'a str,
        /// The resource.
        plural: &'a str,
        /// The subresource; empty for the object itself.
        part: &'a str,
        /// The namespace; empty for the cluster or all namespaces.
        namespace: &'a str,
    },
    /// A path that is no resource.
    Path(&'a str),
}

/// A flow schema, as far as requests matter.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub name: Name,
    pub uid: String,
    pub level: Name,
    pub precedence: i32,
    pub distinguisher: Distinguisher,
    pub rules: Vec<PolicyRulesWithSubjects>,
}

/// What makes flows of the requests that match a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Distinguisher {
    Nothing,
    User,
    Namespace,
}

impl Schema {
    pub fn new(name: &str, uid: &str, spec: &FlowSchemaSpec) -> Self {
        let distinguisher = match spec.distinguisher_method.as_ref().map(|method| method.type_.as_str()) {
            Some("ByUser") => Distinguisher::User,
            Some("ByNamespace") => Distinguisher::Namespace,
            _ => Distinguisher::Nothing,
        };
        Self {
            name: name.into(),
            uid: uid.to_owned(),
            level: spec.priority_level_configuration.name.as_str().into(),
            // Kubernetes' own default.
            precedence: spec.matching_precedence.unwrap_or(1000),
            distinguisher,
            rules: spec.rules.clone().unwrap_or_default(),
        }
    }

    pub fn matches(&self, asked: &Asked<'_>) -> bool {
        self.rules.iter().any(|rule| {
            rule.subjects.iter().any(|subject| is_subject(subject, asked.user)) && is_covered(rule, asked)
        })
    }

    /// A number for the flow the request belongs to.
    pub fn flow(&self, asked: &Asked<'_>) -> u64 {
        let distinguisher = match (self.distinguisher, asked.what) {
            (Distinguisher::User, _) => asked.user.name.as_str(),
            (Distinguisher::Namespace, What::Resource { namespace, .. }) => namespace,
            _ => "",
        };
        let mut hasher = DefaultHasher::new();
        (&*self.name, distinguisher).hash(&mut hasher);
        hasher.finish()
    }
}

fn is_subject(subject: &Subject, user: &User) -> bool {
    match (&subject.user, &subject.group, &subject.service_account) {
        (Some(wanted), _, _) if subject.kind == "User" => wanted.name == EVERY || wanted.name == user.name,
        (_, Some(wanted), _) if subject.kind == "Group" => {
            wanted.name == EVERY || user.groups.contains(&wanted.name)
        }
        (_, _, Some(wanted)) if subject.kind == "ServiceAccount" => {
            let own = user.name.strip_prefix("system:serviceaccount:");
            let own = own.and_then(|own| own.split_once(':'));
            own.is_some_and(|(namespace, name)| {
                namespace == wanted.namespace && (wanted.name == EVERY || wanted.name == name)
            })
        }
        _ => false,
    }
}

fn is_covered(rule: &PolicyRulesWithSubjects, asked: &Asked<'_>) -> bool {
    match asked.what {
        What::Resource { .. } => {
            rule.resource_rules.iter().flatten().any(|rule| covers_resource(rule, asked))
        }
        What::Path(path) => {
            rule.non_resource_rules.iter().flatten().any(|rule| covers_path(rule, asked.verb, path))
        }
    }
}

fn covers_resource(rule: &ResourcePolicyRule, asked: &Asked<'_>) -> bool {
    let What::Resource { group, plural, part, namespace } = asked.what else {
        return false;
    };
    let is_resource = |wanted: &String| {
        let own = match part {
            "" => wanted == plural,
            part => wanted.split_once('/') == Some((plural, part)),
        };
        own || wanted == EVERY
    };
    has(&rule.verbs, asked.verb)
        && rule.resources.iter().any(is_resource)
        && has(&rule.api_groups, group)
        && match namespace {
            "" => rule.cluster_scope == Some(true),
            namespace => rule.namespaces.as_ref().is_some_and(|namespaces| has(namespaces, namespace)),
        }
}

fn covers_path(rule: &NonResourcePolicyRule, verb: &str, path: &str) -> bool {
    let is_path = |pattern: &String| match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == pattern,
    };
    has(&rule.verbs, verb) && rule.non_resource_urls.iter().any(is_path)
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|one| one == wanted || one == EVERY)
}

/// A user of these groups.
#[cfg(test)]
pub(super) fn named(name: &str, groups: &[&str]) -> User {
    let mut user = User::clone(&User::component(name));
    name.clone_into(&mut user.name);
    user.groups = groups.iter().map(|group| (*group).to_owned()).collect();
    user
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn schema(rule: Value, method: &str) -> Schema {
        let spec = json!({"priorityLevelConfiguration": {"name": "l"}, "rules": [rule],
            "distinguisherMethod": {"type": method}});
        Schema::new("s", "", &serde_json::from_value(spec).unwrap())
    }

    #[test]
    fn rules_choose_by_who_and_what() {
        let row = |subject: Value, user: &str, expected: bool| {
            let rules = json!([{"verbs": ["*"], "nonResourceURLs": ["*"]}]);
            let schema = schema(json!({"subjects": [subject], "nonResourceRules": rules}), "ByUser");
            let user = named(user, &["system:authenticated"]);
            let asked = Asked { user: &user, verb: "get", what: What::Path("/x") };
            assert_eq!(schema.matches(&asked), expected, "{subject} {}", user.name);
        };
        row(json!({"kind": "User", "user": {"name": "ann"}}), "ann", true);
        row(json!({"kind": "User", "user": {"name": "ann"}}), "bob", false);
        row(json!({"kind": "User", "user": {"name": "*"}}), "bob", true);
        row(json!({"kind": "Group", "group": {"name": "system:authenticated"}}), "bob", true);
        row(json!({"kind": "Group", "group": {"name": "system:masters"}}), "bob", false);
        let account = |name: &str| json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": "kube-system", "name": name}});
        row(account("*"), "system:serviceaccount:kube-system:a", true);
        row(account("a"), "system:serviceaccount:kube-system:a", true);
        row(account("b"), "system:serviceaccount:kube-system:a", false);
        row(account("*"), "system:serviceaccount:default:a", false);
    }

    #[test]
    fn rules_cover_resources_and_paths() {
        let user = named("ann", &[]);
        let row = |rule: Value, verb: &str, what: What<'_>, expected: bool| {
            let field = if rule.get("resources").is_some() { "resourceRules" } else { "nonResourceRules" };
            let any = json!({"kind": "User", "user": {"name": "*"}});
            let schema = schema(json!({"subjects": [any], (field): [rule]}), "");
            assert_eq!(
                schema.matches(&Asked { user: &user, verb, what }),
                expected,
                "{rule} {verb} {what:?}"
            );
        };
        let pods = |part, namespace| What::Resource { group: "", plural: "pods", part, namespace };
        let rule = |resources: Value, cluster: bool| {
            json!({"verbs": ["get", "list"], "apiGroups": [""], "resources": resources, "clusterScope": cluster,
                "namespaces": ["a"]})
        };
        row(rule(json!(["pods"]), false), "get", pods("", "a"), true);
        row(rule(json!(["pods"]), false), "delete", pods("", "a"), false);
        row(rule(json!(["pods"]), false), "get", pods("", "b"), false);
        row(rule(json!(["pods"]), false), "list", pods("", ""), false);
        row(rule(json!(["pods"]), true), "list", pods("", ""), true);
        row(rule(json!(["pods"]), true), "get", pods("log", "a"), false);
        row(rule(json!(["pods/log"]), true), "get", pods("log", "a"), true);
        row(rule(json!(["*"]), true), "get", pods("log", "a"), true);
        let nodes = What::Resource { group: "x", plural: "pods", part: "", namespace: "a" };
        row(rule(json!(["*"]), true), "get", nodes, false);
        let paths = |pattern: &str| json!({"verbs": ["*"], "nonResourceURLs": [pattern]});
        row(paths("/healthz"), "get", What::Path("/healthz"), true);
        row(paths("/healthz"), "get", What::Path("/healthz/ping"), false);
        row(paths("/healthz/*"), "get", What::Path("/healthz/ping"), true);
        row(paths("*"), "get", What::Path("/x"), true);
        row(paths("*"), "get", pods("", "a"), false);
    }

    #[test]
    fn flows_are_told_apart_as_the_schema_says() {
        let flow = |method: &str, user: &str, namespace: &str| {
            let user = named(user, &[]);
            let what = What::Resource { group: "", plural: "pods", part: "", namespace };
            schema(json!({}), method).flow(&Asked { user: &user, verb: "get", what })
        };
        assert_eq!(flow("", "a", "x"), flow("", "b", "y"));
        assert_eq!(flow("ByUser", "a", "x"), flow("ByUser", "a", "y"));
        assert_ne!(flow("ByUser", "a", "x"), flow("ByUser", "b", "x"));
        assert_ne!(flow("ByNamespace", "a", "x"), flow("ByNamespace", "a", "y"));
    }
}
