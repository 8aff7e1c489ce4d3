//! Volumes show what they should, change at once, and are gone with their pod.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::*;

mod outlive;

/// One ConfigMap or Secret, if any. Its tokens tell what was asked for.
struct Known(Option<Object>);

impl Sources for Known {
    fn find(&self, source: Source, name: &str) -> Option<Object> {
        let object = self.0.clone().filter(|object| object.name() == name);
        object.filter(|object| object.kind().to_lowercase() == source.word())
    }

    fn volume(&self, _: &str) -> Option<Object> {
        None
    }

    fn image(&self, _: &str) -> Result<PathBuf, String> {
        Err("no image".to_owned())
    }

    fn token(&self, spec: &TokenSpec) -> Result<Arc<str>, String> {
        match spec.audience.as_deref() {
            Some("nobody") => Err("failed to fetch token: refused".to_owned()),
            audience => Ok(format!("{} for {}s", audience.unwrap_or("api"), spec.expiration_seconds).into()),
        }
    }

    fn allocatable(&self) -> Allocatable {
        Allocatable::default()
    }
}

fn places() -> Arc<Places> {
    Arc::default()
}

fn secret(data: Value) -> Known {
    let value = json!({"apiVersion": "v1", "kind": "Secret", "data": data,
        "metadata": {"name": "keys", "namespace": "n"}});
    Known(Some(Object::from_value(value).unwrap()))
}

fn config_map(revision: u64, data: Value) -> Known {
    let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": data, "binaryData": {"bin": "AAE="},
        "metadata": {"name": "settings", "namespace": "n", "resourceVersion": revision.to_string()}});
    Known(Some(Object::from_value(value).unwrap()))
}

fn pod(volumes: Value) -> Pod {
    serde_json::from_value(json!({"metadata": {"name": "p"}, "spec": {"containers": [], "volumes": volumes}}))
        .unwrap()
}

fn mount(volume: &str, path: &str, sub_path: &str) -> VolumeMount {
    VolumeMount {
        name: volume.into(),
        mount_path: path.into(),
        sub_path: Some(sub_path.into()),
        ..VolumeMount::default()
    }
}

#[test]
fn a_config_map_is_replaced_at_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let volumes = json!([{"name": "v", "configMap": {"name": "settings"}}]);
    let mut volumes = PodVolumes::new(folder.path().join("uid"), places(), &pod(volumes)).unwrap();
    volumes.set_up(&pod(json!([])), &config_map(4, json!({"a": "one", "gone": "x"}))).unwrap();
    let shown = folder.path().join("uid/volumes/v");
    assert_eq!(fs::read_to_string(shown.join("a")).unwrap(), "one");
    assert_eq!(fs::read(shown.join("bin")).unwrap(), [0, 1]);
    assert_eq!(fs::read_link(shown.join("a")).unwrap(), Path::new("..data/a"));
    volumes.refresh(&pod(json!([])), &config_map(9, json!({"a": "two", "new": "y"}))).unwrap();
    assert_eq!(fs::read_to_string(shown.join("a")).unwrap(), "two");
    let mut names: Vec<_> = fs::read_dir(&shown).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names.len(), 5, "the former files are gone: {names:?}");
    assert_eq!(names[2..], ["a", "bin", "new"]);
    volumes.refresh(&pod(json!([])), &Known(None)).unwrap();
    assert_eq!(fs::read_to_string(shown.join("a")).unwrap(), "two", "a deleted ConfigMap stays shown");
    volumes.remove().unwrap();
    assert!(!folder.path().join("uid").exists());
}

#[test]
fn what_an_ended_process_left_is_made_good() {
    let folder = tempfile::tempdir().unwrap();
    let volumes = json!([{"name": "v", "configMap": {"name": "settings"}}]);
    let mut volumes = PodVolumes::new(folder.path().into(), places(), &pod(volumes)).unwrap();
    let source = config_map(4, json!({"a": "one"}));
    volumes.set_up(&pod(json!([])), &source).unwrap();
    let shown = folder.path().join("volumes/v");
    // A power cut can keep a name and lose the content.
    fs::write(shown.join("a"), "").unwrap();
    fs::create_dir(shown.join("..former")).unwrap();
    fs::write(shown.join("..former/a"), "zero").unwrap();
    volumes.set_up(&pod(json!([])), &source).unwrap();
    assert_eq!(fs::read_to_string(shown.join("a")).unwrap(), "one");
    assert!(!shown.join("..former").exists());
}

#[test]
fn items_choose_keys_paths_and_modes() {
    let folder = tempfile::tempdir().unwrap();
    let items = json!([{"key": "a", "path": "deep/er/name", "mode": 0o600}]);
    let volumes = json!([{"name": "v", "configMap": {"name": "settings", "items": items}}]);
    let mut volumes = PodVolumes::new(folder.path().into(), places(), &pod(volumes)).unwrap();
    volumes.set_up(&pod(json!([])), &config_map(1, json!({"a": "one", "b": "two"}))).unwrap();
    let file = folder.path().join("volumes/v/deep/er/name");
    assert_eq!(fs::read_to_string(&file).unwrap(), "one");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!folder.path().join("volumes/v/b").exists());
}

#[test]
fn failures_name_the_volume_and_the_cause() {
    let check = |volume: Value, sources: Known, words: &str| {
        let folder = tempfile::tempdir().unwrap();
        let made = PodVolumes::new(folder.path().into(), places(), &pod(json!([volume])));
        let error = made.and_then(|mut volumes| volumes.set_up(&pod(json!([])), &sources)).unwrap_err();
        assert_eq!(error.to_string(), words);
    };
    check(
        json!({"name": "x", "hostPath": {"path": "/"}}),
        Known(None),
        r#"volume "x": path "/" of the host is not for pods: this node allows none; its operator allows one with --allow-host-path DIR"#,
    );
    check(
        json!({"name": "x", "nfs": {"server": "s", "path": "/"}}),
        Known(None),
        r#"volume "x": nfs is a network file system, which Peapod does not mount: that needs root; mount it on the host and use a hostPath that the node allows"#,
    );
    check(
        json!({"name": "v", "configMap": {"name": "settings"}}),
        Known(None),
        r#"MountVolume.SetUp failed for volume "v" : configmap "settings" not found"#,
    );
    check(
        json!({"name": "v", "configMap": {"name": "settings", "items": [{"key": "k", "path": "k"}]}}),
        config_map(1, json!({})),
        r#"MountVolume.SetUp failed for volume "v" : configmap references non-existent config key: k"#,
    );
    check(
        json!({"name": "v", "configMap": {"name": "settings", "items": [{"key": "bin", "path": "../k"}]}}),
        config_map(1, json!({})),
        r#"volume "v": "../k" is not a path within the volume"#,
    );
    check(
        json!({"name": "v", "secret": {"secretName": "keys"}}),
        Known(None),
        r#"MountVolume.SetUp failed for volume "v" : secret "keys" not found"#,
    );
    check(
        json!({"name": "v", "secret": {"secretName": "keys", "items": [{"key": "k", "path": "k"}]}}),
        secret(json!({})),
        r#"MountVolume.SetUp failed for volume "v" : references non-existent secret key: k"#,
    );
    check(
        json!({"name": "v", "secret": {"secretName": "keys", "items": [{"key": "k", "path": "..data"}]}}),
        secret(json!({"k": ""})),
        r#"volume "v": "..data" is not a path within the volume"#,
    );
    check(
        json!({"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t", "audience": "nobody"}}]}}),
        Known(None),
        r#"MountVolume.SetUp failed for volume "v" : failed to fetch token: refused"#,
    );
    check(
        json!({"name": "v", "projected": {"sources": [{"clusterTrustBundle": {"path": "ca"}}]}}),
        Known(None),
        r#"volume "v": projected.sources[].clusterTrustBundle is not supported yet"#,
    );
    check(
        json!({"name": "../v", "emptyDir": {}}),
        Known(None),
        r#"volume "../v": "../v" is not a path within the volume"#,
    );
}

#[test]
fn a_projected_volume_gathers_its_sources_and_keeps_tokens_to_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let sources = json!([
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"serviceAccountToken": {"path": "vault", "audience": "vault"}},
        {"secret": {"name": "keys", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"configMap": {"name": "absent", "optional": true}},
        {"downwardAPI": {"items": [{"path": "deep/name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    ]);
    let declared = pod(json!([{"name": "v", "projected": {"sources": sources, "defaultMode": 0o444}}]));
    let mut volumes = PodVolumes::new(folder.path().join("uid"), places(), &declared).unwrap();
    assert_eq!(volumes.tokens().len(), 2);
    volumes.set_up(&declared, &secret(json!({"ca.crt": "Q0E=", "other": ""}))).unwrap();
    let read = |name: &str| {
        let path = folder.path().join("uid/volumes/v").join(name);
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        format!("{mode:o} {}", fs::read_to_string(path).unwrap())
    };
    assert_eq!(read("token"), "600 api for 3607s");
    assert_eq!(read("vault"), "600 vault for 3600s");
    assert_eq!(read("ca.crt"), "444 CA");
    assert_eq!(read("deep/name"), "444 p");
    assert!(!folder.path().join("uid/volumes/v/other").exists());
    let mode = |path: &str| folder.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("uid"), 0o700, "nobody else on the host looks in");
}

#[test]
fn what_the_pod_is_told_of_itself_changes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let items = json!([{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]);
    let mut declared = pod(json!([{"name": "v", "downwardAPI": {"items": items}}]));
    let mut volumes = PodVolumes::new(folder.path().into(), places(), &declared).unwrap();
    assert!(volumes.show_pod());
    volumes.set_up(&declared, &Known(None)).unwrap();
    declared.metadata.labels = Some([("app".to_owned(), "web".to_owned())].into());
    volumes.refresh(&declared, &Known(None)).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("volumes/v/labels")).unwrap(), "app=\"web\"");
}

#[test]
fn what_is_optional_may_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let volumes = json!([{"name": "v", "configMap": {"name": "settings", "optional": true}}]);
    let mut volumes = PodVolumes::new(folder.path().into(), places(), &pod(volumes)).unwrap();
    volumes.set_up(&pod(json!([])), &Known(None)).unwrap();
    volumes.refresh(&pod(json!([])), &config_map(3, json!({"a": "one"}))).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("volumes/v/a")).unwrap(), "one");
    volumes.refresh(&pod(json!([])), &Known(None)).unwrap();
    assert!(!folder.path().join("volumes/v/a").exists());
}

#[test]
fn sub_paths_are_directories_of_an_empty_dir_or_copies_of_single_files() {
    let folder = tempfile::tempdir().unwrap();
    let declared =
        json!([{"name": "v", "configMap": {"name": "settings"}}, {"name": "scratch", "emptyDir": {}}]);
    let mut volumes = PodVolumes::new(folder.path().into(), places(), &pod(declared)).unwrap();
    volumes.set_up(&pod(json!([])), &config_map(1, json!({"a": "one"}))).unwrap();
    let wanted = [
        mount("v", "/etc/app/config", "a"),
        mount("scratch", "/tmp", "deep/er"),
        mount("scratch", "/all", ""),
    ];
    let mounts = volumes.mounts("web", &wanted).unwrap();
    let seen: Vec<(&str, bool)> =
        mounts.iter().map(|mount| (mount.guest_path.as_str(), mount.read_only)).collect();
    assert_eq!(seen, [("/tmp", false), ("/all", false), ("/etc/app", true)]);
    assert_eq!(fs::read_to_string(mounts[2].host_path.join("config")).unwrap(), "one");
    assert!(folder.path().join("volumes/scratch/deep/er").is_dir());
}

#[test]
fn links_a_guest_made_lead_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut volumes =
        PodVolumes::new(folder.path().join("uid"), places(), &pod(json!([{"name": "s", "emptyDir": {}}])))
            .unwrap();
    volumes.set_up(&pod(json!([])), &Known(None)).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("uid/volumes/s/out")).unwrap();
    for sub_path in ["out", "out/made", "..", "/etc"] {
        let error = volumes.mounts("web", &[mount("s", "/x", sub_path)]).unwrap_err();
        assert!(matches!(error, VolumeError::Outside { .. }), "{sub_path}: {error}");
    }
    assert!(!folder.path().join("made").exists());
    let error = volumes.mounts("web", &[mount("other", "/x", "")]).unwrap_err();
    assert_eq!(error.to_string(), r#"volume "other" is not declared in spec.volumes"#);
}
