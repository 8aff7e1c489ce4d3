//! Says of a new object that nothing acts on its kind yet, so that nobody takes what is kept for what is done.

use api::Resource;

/// Group and plural of the kinds whose objects are checked and kept, and no more. A kind leaves with its controller.
const UNATTENDED: &[(&str, &str)] = &[
    ("", "replicationcontrollers"),
    ("apps", "daemonsets"),
    ("apps", "statefulsets"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("batch", "cronjobs"),
    ("certificates.k8s.io", "certificatesigningrequests"),
    ("networking.k8s.io", "ingresses"),
    ("networking.k8s.io", "networkpolicies"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("resource.k8s.io", "resourceclaims"),
];

/// What to tell whoever adds this object.
pub(super) fn warning(resource: &Resource) -> Option<String> {
    let Resource { group, plural, kind, .. } = resource;
    let is_unattended = UNATTENDED.contains(&(group, plural));
    is_unattended.then(|| format!("nothing acts on {kind} objects here yet: they are kept, and that is all"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::resource::{DEPLOYMENTS, STATEFUL_SETS};

    #[test]
    fn only_kinds_without_a_controller_are_warned_of() {
        let row = |resource: &Resource, expected: Option<&str>| {
            assert_eq!(warning(resource).as_deref(), expected);
        };
        let words = "nothing acts on StatefulSet objects here yet: they are kept, and that is all";
        row(&STATEFUL_SETS, Some(words));
        row(&DEPLOYMENTS, None);
    }

    #[test]
    fn every_unattended_kind_is_a_kind() {
        for (group, plural) in UNATTENDED {
            let is_it = |kind: &&dyn crate::builtin::Kind| {
                kind.resource().group == *group && kind.resource().plural == *plural
            };
            assert!(crate::builtin::BUILTINS.iter().any(|kind| is_it(&&**kind)), "{plural}.{group}");
        }
    }
}
