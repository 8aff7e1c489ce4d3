//! What is served: every resource with its verbs and its subresources. Routes and discovery follow from it.

use std::cmp::Reverse;

use api::Resource;

use super::bindings::BINDINGS;
use crate::builtin::{COMPONENT_STATUSES, Kind, Names};
use crate::priorities;
use crate::served::Served;

/// The verbs of every kind that is stored.
const STORED: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
/// Namespaces hold too much to be deleted by the dozen.
const NAMESPACES: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];

/// Something that can be asked for, stored or not.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub resource: Resource,
    pub names: Names,
    pub verbs: &'static [&'static str],
    pub parts: Vec<Part>,
}

/// A subresource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub name: &'static str,
    pub verbs: &'static [&'static str],
    /// Group, version and kind of what is read and written there; none if that of the object itself.
    pub document: Option<(&'static str, &'static str, &'static str)>,
}

/// The verbs of the objects of a kind.
pub(super) fn verbs(kind: &dyn Kind) -> &'static [&'static str] {
    if *kind.resource() == api::resource::NAMESPACES { NAMESPACES } else { STORED }
}

/// The subresources of a kind.
pub(crate) fn parts(kind: &dyn Kind) -> impl Iterator<Item = Part> + '_ {
    let connections = connections(kind.resource());
    let documents = kind.definition().subresources.iter().copied().map(part);
    documents.chain(connections.iter().map(|(name, options)| connection(name, options)))
}

/// The subresources that join a client with something in the cluster, each with the kind of its options.
fn connections(of: &Resource) -> &'static [(&'static str, &'static str)] {
    match of.plural.as_ref() {
        _ if !of.group.is_empty() => &[],
        "pods" => &[
            ("attach", "PodAttachOptions"),
            ("exec", "PodExecOptions"),
            ("log", ""),
            ("portforward", "PodPortForwardOptions"),
            ("proxy", "PodProxyOptions"),
        ],
        "services" => &[("proxy", "ServiceProxyOptions")],
        "nodes" => &[("proxy", "NodeProxyOptions")],
        _ => &[],
    }
}

fn connection(name: &'static str, options: &'static str) -> Part {
    let verbs: &[&str] = match name {
        "log" => &["get"],
        "proxy" => &["create", "delete", "get", "patch", "update"],
        _ => &["create", "get"],
    };
    Part { name, verbs, document: (!options.is_empty()).then_some(("", "v1", options)) }
}

/// The subresource of this name.
fn part(name: &'static str) -> Part {
    let (verbs, document): (&[&str], _) = match name {
        "scale" => (&["get", "patch", "update"], Some(("autoscaling", "v1", "Scale"))),
        "binding" => (&["create"], Some(("", "v1", "Binding"))),
        "eviction" => (&["create"], Some(("policy", "v1", "Eviction"))),
        "token" => (&["create"], Some(("authentication.k8s.io", "v1", "TokenRequest"))),
        "finalize" => (&["update"], None),
        _ => (&["get", "patch", "update"], None),
    };
    Part { name, verbs, document }
}

/// The usage of nodes and pods.
pub(super) const NODE_METRICS: Resource =
    Resource::new("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", false);
pub(super) const POD_METRICS: Resource =
    Resource::new("metrics.k8s.io", "v1beta1", "pods", "PodMetrics", true);
/// Who one is.
pub(super) const SELF_SUBJECT_REVIEWS: Resource =
    Resource::new("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", false);
/// Whose token something is.
pub(super) const TOKEN_REVIEWS: Resource =
    Resource::new("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", false);
/// What one may do.
pub(super) const SELF_SUBJECT_ACCESS_REVIEWS: Resource =
    Resource::new("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false);
/// Everything one may do.
pub(super) const SELF_SUBJECT_RULES_REVIEWS: Resource =
    Resource::new("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false);
/// What somebody may do.
pub(super) const SUBJECT_ACCESS_REVIEWS: Resource =
    Resource::new("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", false);
/// What somebody may do in a namespace.
pub(super) const LOCAL_SUBJECT_ACCESS_REVIEWS: Resource = Resource::new(
    "authorization.k8s.io",
    "v1",
    "localsubjectaccessreviews",
    "LocalSubjectAccessReview",
    true,
);

/// The questions about users, each with its name for one.
pub(super) static REVIEWS: [(Resource, &str); 6] = [
    (SELF_SUBJECT_REVIEWS, "selfsubjectreview"),
    (TOKEN_REVIEWS, "tokenreview"),
    (SELF_SUBJECT_ACCESS_REVIEWS, "selfsubjectaccessreview"),
    (SELF_SUBJECT_RULES_REVIEWS, "selfsubjectrulesreview"),
    (SUBJECT_ACCESS_REVIEWS, "subjectaccessreview"),
    (LOCAL_SUBJECT_ACCESS_REVIEWS, "localsubjectaccessreview"),
];

/// What is served without being stored.
pub(crate) fn computed() -> impl Iterator<Item = &'static Resource> {
    static USAGE: [Resource; 2] = [NODE_METRICS, POD_METRICS];
    REVIEWS.iter().map(|(resource, _)| resource).chain(&USAGE)
}

/// Everything that is served: groups in the order in which clients prefer them, and resources by their names, which is
/// how `kubectl get all` lists them.
pub(super) fn entries(served: &Served, with_usage: bool) -> Vec<Entry> {
    let stored = served.in_order().map(|version| Entry {
        resource: version.resource().clone(),
        names: version.names(),
        verbs: verbs(version.kind()),
        parts: parts(version.kind()).collect(),
    });
    let plain = |resource: Resource, singular: &str, verbs: &'static [&'static str]| Entry {
        resource,
        names: Names { singular: singular.to_owned(), ..Names::default() },
        verbs,
        parts: Vec::new(),
    };
    let looked_at = Entry {
        resource: COMPONENT_STATUSES.resource().clone(),
        names: COMPONENT_STATUSES.names(),
        verbs: &["get", "list"],
        parts: Vec::new(),
    };
    let not_stored = [looked_at, plain(BINDINGS, "binding", &["create"])];
    let reviews = REVIEWS.iter().map(|(resource, singular)| plain(resource.clone(), singular, &["create"]));
    let usage = [plain(NODE_METRICS, "", &["get", "list"]), plain(POD_METRICS, "", &["get", "list"])];
    let mut entries: Vec<Entry> =
        stored.chain(not_stored).chain(reviews).chain(usage.into_iter().filter(|_| with_usage)).collect();
    entries.sort_by_cached_key(|entry| {
        let Resource { group, version, plural, .. } = &entry.resource;
        let (group, version) =
            (priorities::of_group(group), (group.clone(), priorities::of_version(version)));
        (Reverse(group), version.0, Reverse(version.1), plural.clone())
    });
    entries
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fmt::Write;
    use std::{env, fs};

    use super::*;

    /// Everything that is served, as people read it.
    fn document() -> String {
        let mut text = "# What the API serves\n\nWritten from the catalog by a test of `apiserver/src/http/catalog.rs`; \
                        `UPDATE=1` writes it anew. Versions that old manifests have are kept in the form of the first \
                        version of their kind.\n\n| group/version | kind | resource | verbs | subresources |\n\
                        |---|---|---|---|---|\n"
            .to_owned();
        for entry in entries(&Served::builtin(), true) {
            let Entry { resource, names, verbs, parts } = entry;
            let short = match &names.short_names[..] {
                [] => String::new(),
                short => format!(" ({})", short.join(", ")),
            };
            let verbs = match verbs {
                verbs if verbs == STORED => "all".to_owned(),
                verbs => verbs.join(", "),
            };
            let parts: Vec<&str> = parts.iter().map(|part| part.name).collect();
            let version = resource.api_version();
            let Resource { kind, plural, .. } = &resource;
            writeln!(text, "| {version} | {kind} | {plural}{short} | {verbs} | {} |", parts.join(", "))
                .unwrap();
        }
        writeln!(text, "\n\"all\" is: {}.", STORED.join(", ")).unwrap();
        text
    }

    #[test]
    fn the_document_tells_everything_that_is_served() {
        const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/kubernetes.md");
        let document = document();
        if env::var_os("UPDATE").is_some() {
            fs::write(PATH, &document).unwrap();
        }
        let kept = fs::read_to_string(PATH).unwrap_or_default();
        assert!(
            kept == document,
            "docs/kubernetes.md is out of date; run this test with UPDATE=1, then read the difference"
        );
    }

    #[test]
    fn short_names_mean_one_kind_each_where_clients_look_first() {
        let mut seen: Vec<(String, Resource)> = Vec::new();
        for entry in entries(&Served::builtin(), true) {
            for short in &entry.names.short_names {
                let other = seen.iter().find(|(known, _)| known == &short.to_string());
                let is_same = |other: &Resource| other.kind == entry.resource.kind;
                assert!(other.is_none_or(|(_, other)| is_same(other)), "{short}");
                seen.push((short.to_string(), entry.resource.clone()));
            }
        }
        let first = |plural: &str| {
            let entries = entries(&Served::builtin(), true);
            entries.iter().find(|entry| entry.resource.plural == plural).unwrap().resource.api_version()
        };
        assert_eq!(first("deployments"), "apps/v1");
        assert_eq!(first("ingresses"), "networking.k8s.io/v1");
        assert_eq!(first("events"), "v1");
        assert_eq!(first("horizontalpodautoscalers"), "autoscaling/v2");
    }
}
