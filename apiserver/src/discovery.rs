//! Which resource a manifest's `apiVersion` and `kind` mean, and what to say if none is served.

use api::Resource;
use serde_json::Value;

use crate::builtin::BUILTINS;
use crate::schema;
use crate::served::{OTHER_VERSIONS, OtherVersion};

/// The resource of a kind, or a sentence that says what is wrong.
pub fn find(api_version: &str, kind: &str) -> Result<Resource, String> {
    let served = || BUILTINS.iter().map(|builtin| builtin.resource());
    let others = OTHER_VERSIONS.iter().map(|other| &other.resource);
    let mut all = served().chain(others);
    if let Some(found) = all.find(|known| known.kind == kind && known.api_version() == api_version) {
        return Ok(found.clone());
    }
    if let Some(other) = served().find(|known| known.kind == kind) {
        let right = other.api_version();
        return Err(format!("{kind} is not served in {api_version:?}; write apiVersion: {right}"));
    }
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    if schema::builtin().kind(group, version, kind).is_some() {
        return Err(format!("{kind} of {api_version} is not supported yet"));
    }
    let near = schema::nearest_of(served().map(|known| known.kind.as_ref()), kind);
    let hint = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    Err(format!("{kind:?} of {api_version:?} is unknown{hint}"))
}

/// Makes an object of an outdated version one of the version that took its place, and says so. What cannot be converted
/// stays as it is, for the server to refuse.
pub fn bring_up_to_date(manifest: &mut Value) -> Option<&'static str> {
    let text = |field: &str| manifest.get(field).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let outdated = |other: &&OtherVersion| {
        let resource = &other.resource;
        !other.warning.is_empty() && resource.kind == kind && resource.api_version() == api_version
    };
    let other = OTHER_VERSIONS.iter().find(outdated)?;
    let mut converted = manifest.clone();
    other.take_in(&mut converted).ok()?;
    *manifest = converted;
    Some(other.warning)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn outdated_manifests_are_brought_up_to_date() {
        let mut job = json!({"apiVersion": "batch/v1beta1", "kind": "CronJob", "metadata": {"name": "a"}});
        let warning = bring_up_to_date(&mut job);
        assert!(warning.is_some_and(|warning| warning.ends_with("use batch/v1 CronJob")));
        assert_eq!(job, json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"}}));
        assert_eq!(bring_up_to_date(&mut job), None);
        assert_eq!(bring_up_to_date(&mut json!(7)), None);
    }

    #[test]
    fn a_wrong_kind_is_told_what_would_be_right() {
        let row = |api_version: &str, kind: &str, start: &str| {
            let found = match find(api_version, kind) {
                Ok(resource) => resource.to_string(),
                Err(sentence) => sentence,
            };
            assert!(found.starts_with(start), "{found}");
        };
        row("apps/v1", "Deployment", "deployments.apps");
        row("v1", "Pod", "pods");
        row("extensions/v1beta1", "Deployment", "deployments.extensions");
        row(
            "extensions/v1",
            "Deployment",
            "Deployment is not served in \"extensions/v1\"; write apiVersion: apps/v1",
        );
        row(
            "apps/v1",
            "Deploymnet",
            "\"Deploymnet\" of \"apps/v1\" is unknown; did you mean \"Deployment\"?",
        );
        row("v1", "pod", "\"pod\" of \"v1\" is unknown; did you mean \"Pod\"?");
        row(
            "internal.apiserver.k8s.io/v1alpha1",
            "StorageVersion",
            "StorageVersion of internal.apiserver.k8s.io/v1alpha1 is not supported yet",
        );
        row("example.com/v1", "Foo", "\"Foo\" of \"example.com/v1\" is unknown");
    }
}
