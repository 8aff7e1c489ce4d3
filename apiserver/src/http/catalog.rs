//! What is served: every resource with its verbs and its subresources. Routes and discovery follow from it.

use std::cmp::Reverse;

use api::Resource;

use super::bindings::BINDINGS;
use crate::builtin::{Kind, Names};
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
/// What one may do.
pub(super) const SELF_SUBJECT_ACCESS_REVIEWS: Resource =
    Resource::new("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false);

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
    let reviews = [
        plain(SELF_SUBJECT_REVIEWS, "selfsubjectreview", &["create"]),
        plain(SELF_SUBJECT_ACCESS_REVIEWS, "selfsubjectaccessreview", &["create"]),
    ];
    let bindings = [plain(BINDINGS, "binding", &["create"])];
    let usage = [plain(NODE_METRICS, "", &["get", "list"]), plain(POD_METRICS, "", &["get", "list"])];
    let mut entries: Vec<Entry> =
        stored.chain(bindings).chain(reviews).chain(usage.into_iter().filter(|_| with_usage)).collect();
    entries.sort_by_cached_key(|entry| {
        let Resource { group, version, plural, .. } = &entry.resource;
        let (group, version) =
            (priorities::of_group(group), (group.clone(), priorities::of_version(version)));
        (Reverse(group), version.0, Reverse(version.1), plural.clone())
    });
    entries
}
