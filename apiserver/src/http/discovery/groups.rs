//! The groups in the order in which clients prefer them, with what is served here and what other servers serve.

use api::Resource;

use super::super::catalog::Entry;
use crate::aggregation::{Remote, Remotes};
use crate::priorities;

/// What counts as the priority of a version that is served here: that of custom ones.
const VERSION_HERE: i64 = 100;

/// A group.
pub struct Group<'a> {
    pub name: &'a str,
    priority: i64,
    /// Its versions, each with what it holds.
    pub versions: Vec<(&'a str, Content<'a>)>,
}

/// What a version holds.
pub enum Content<'a> {
    /// These resources, which are served here.
    Here(Vec<&'a Entry>),
    /// What another server serves.
    Elsewhere(&'a Remote),
}

/// The groups of resources, which are in order, and of other servers.
pub fn grouped<'a>(entries: &'a [Entry], remotes: &'a Remotes) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for entry in entries {
        let Resource { group, version, .. } = &entry.resource;
        if remotes.get(group, version).is_some() {
            continue;
        }
        let versions = versions_of(&mut groups, group, priorities::of_group(group).into());
        match versions.iter_mut().find(|(known, _)| known == version) {
            Some((_, Content::Here(entries))) => entries.push(entry),
            _ => versions.push((version, Content::Here(vec![entry]))),
        }
    }
    for remote in remotes.iter() {
        let of_group = remotes.iter().filter(|other| other.group == remote.group);
        let priority = of_group.map(|other| other.group_priority).max().unwrap_or_default();
        let versions = versions_of(&mut groups, &remote.group, priority);
        let own = rank(&remote.version, &Content::Elsewhere(remote));
        let place = versions.iter().position(|(version, content)| rank(version, content) < own);
        let place = place.unwrap_or(versions.len());
        versions.insert(place, (&remote.version, Content::Elsewhere(remote)));
    }
    groups
}

/// The versions of a group. A new group comes before the first that is less preferred.
fn versions_of<'g, 'a>(
    groups: &'g mut Vec<Group<'a>>,
    name: &'a str,
    priority: i64,
) -> &'g mut Vec<(&'a str, Content<'a>)> {
    let place = match groups.iter().position(|known| known.name == name) {
        Some(place) => place,
        None => {
            let less = groups.iter().position(|known| known.priority < priority);
            let place = less.unwrap_or(groups.len());
            groups.insert(place, Group { name, priority, versions: Vec::new() });
            place
        }
    };
    &mut groups[place].versions
}

/// Where clients look for a version within its group; the highest first.
fn rank(version: &str, content: &Content<'_>) -> (i64, (u8, u32, u32)) {
    let priority = match content {
        Content::Here(_) => VERSION_HERE,
        Content::Elsewhere(remote) => remote.version_priority,
    };
    (priority, priorities::of_version(version))
}

#[cfg(test)]
mod tests {
    use super::super::super::catalog;
    use super::*;
    use crate::outgoing::Trust;
    use crate::served::Served;
    use serde_json::json;

    #[test]
    fn groups_and_versions_come_by_their_priorities() {
        let remote = |group: &str, version: &str, group_priority: i64, version_priority: i64| {
            let spec = json!({"group": group, "version": version, "service": {"namespace": "n", "name": "s"},
                "groupPriorityMinimum": group_priority, "versionPriority": version_priority});
            Remote::read(&spec, Ok(Trust::anything())).expect("it has a service")
        };
        let remotes = [
            remote("first.example.com", "v1", 19_000, 1),
            remote("low.example.com", "v1", 50, 10),
            remote("low.example.com", "v2", 50, 5),
            remote("low.example.com", "v3", 60, 10),
            remote("mid.example.com", "v1", 1_500, 1),
            remote("metrics.k8s.io", "v1beta1", 100, 100),
            remote("metrics.k8s.io", "v1beta2", 100, 50),
        ];
        let remotes = remotes.into_iter().fold(Remotes::default(), Remotes::with);
        let entries = catalog::entries(&Served::builtin(), true);
        let groups = grouped(&entries, &remotes);
        let names: Vec<&str> = groups.iter().map(|group| group.name).collect();
        assert_eq!(names[..4], ["apiregistration.k8s.io", "first.example.com", "", "apps"]);
        let last = &names[names.len() - 4..];
        assert_eq!(last, ["mid.example.com", "metrics.k8s.io", "low.example.com", "extensions"]);
        let versions = |name: &str| {
            let group = groups.iter().find(|group| group.name == name).expect("a group");
            group
                .versions
                .iter()
                .map(|(version, content)| (*version, matches!(content, Content::Here(_))))
                .collect::<Vec<_>>()
        };
        assert_eq!(versions("low.example.com"), [("v3", false), ("v1", false), ("v2", false)]);
        assert_eq!(
            versions("metrics.k8s.io"),
            [("v1beta1", false), ("v1beta2", false)],
            "nothing of it is served here"
        );
        assert!(Remote::read(&json!({"group": "g", "version": "v1"}), Ok(Trust::anything())).is_none());
    }
}
