//! Which groups clients prefer: a name that several of them have is looked up in the first.

/// The groups and their priorities, as in Kubernetes.
const GROUPS: [(&str, i32); 23] = [
    ("apiregistration.k8s.io", 20_000),
    ("", 18_000),
    ("apps", 17_800),
    ("events.k8s.io", 17_750),
    ("authentication.k8s.io", 17_700),
    ("authorization.k8s.io", 17_600),
    ("autoscaling", 17_500),
    ("batch", 17_400),
    ("certificates.k8s.io", 17_300),
    ("networking.k8s.io", 17_200),
    ("policy", 17_100),
    ("rbac.authorization.k8s.io", 17_000),
    ("storage.k8s.io", 16_800),
    ("admissionregistration.k8s.io", 16_700),
    ("apiextensions.k8s.io", 16_700),
    ("scheduling.k8s.io", 16_600),
    ("coordination.k8s.io", 16_500),
    ("node.k8s.io", 16_300),
    ("discovery.k8s.io", 16_200),
    ("flowcontrol.apiserver.k8s.io", 16_100),
    ("resource.k8s.io", 15_900),
    ("metrics.k8s.io", 100),
    // Served for old manifests only: all others come first.
    ("extensions", 1),
];

/// The priority of groups that are declared while the server runs.
const CUSTOM: i32 = 1_000;

/// The priority of a group.
pub fn of_group(group: &str) -> i32 {
    GROUPS.iter().find(|(known, _)| *known == group).map_or(CUSTOM, |(_, priority)| *priority)
}

/// The priority of a version within its group: stable ones first, then the newest.
pub fn of_version(version: &str) -> (u8, u32, u32) {
    let number = |text: &str| text.parse::<u32>().ok();
    let parsed = version.strip_prefix('v').and_then(|rest| {
        if let Some((major, minor)) = rest.split_once("beta") {
            return Some((2, number(major)?, number(minor)?));
        }
        if let Some((major, minor)) = rest.split_once("alpha") {
            return Some((1, number(major)?, number(minor)?));
        }
        Some((3, number(rest)?, 0))
    });
    parsed.unwrap_or((0, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_versions_come_first_and_then_newer_ones() {
        let row = |first: &str, second: &str| {
            assert!(of_version(first) > of_version(second), "{first} {second}");
        };
        row("v2", "v1");
        row("v1", "v2beta2");
        row("v2beta2", "v2beta1");
        row("v1beta1", "v1alpha1");
        row("v10", "v9");
        row("v1alpha1", "foo");
        row("v1alpha1", "v1gamma1");
    }

    #[test]
    fn groups_of_old_manifests_come_last() {
        assert!(of_group("apps") > of_group("example.com"));
        assert!(of_group("example.com") > of_group("extensions"));
    }
}
