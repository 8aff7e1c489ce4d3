//! Volumes show what they should, change at once, and are gone with their pod.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::*;

struct Known(Option<Object>);

impl Sources for Known {
    fn config_map(&self, name: &str) -> Option<Object> {
        self.0.clone().filter(|object| object.name() == name)
    }
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
    let volumes = PodVolumes::new(folder.path().join("uid"), &pod(volumes)).unwrap();
    volumes.set_up(&config_map(4, json!({"a": "one", "gone": "x"}))).unwrap();
    let shown = folder.path().join("uid/volumes/v");
    assert_eq!(fs::read_to_string(shown.join("a")).unwrap(), "one");
    assert_eq!(fs::read(shown.join("bin")).unwrap(), [0, 1]);
    assert_eq!(fs::read_link(shown.join("a")).unwrap(), Path::new("..data/a"));
    volumes.refresh(&config_map(9, json!({"a": "two", "new": "y"}))).unwrap();
    assert_eq!(fs::read_to_string(shown.join("a")).unwrap(), "two");
    let mut names: Vec<_> = fs::read_dir(&shown).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["..data", "..r9", "a", "bin", "new"]);
    volumes.refresh(&Known(None)).unwrap();
    assert_eq!(fs::read_to_string(shown.join("a")).unwrap(), "two", "a deleted ConfigMap stays shown");
    volumes.remove().unwrap();
    assert!(!folder.path().join("uid").exists());
}

#[test]
fn items_choose_keys_paths_and_modes() {
    let folder = tempfile::tempdir().unwrap();
    let items = json!([{"key": "a", "path": "deep/er/name", "mode": 0o600}]);
    let volumes = json!([{"name": "v", "configMap": {"name": "settings", "items": items}}]);
    let volumes = PodVolumes::new(folder.path().into(), &pod(volumes)).unwrap();
    volumes.set_up(&config_map(1, json!({"a": "one", "b": "two"}))).unwrap();
    let file = folder.path().join("volumes/v/deep/er/name");
    assert_eq!(fs::read_to_string(&file).unwrap(), "one");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!folder.path().join("volumes/v/b").exists());
}

#[test]
fn failures_name_the_volume_and_the_cause() {
    let check = |volume: Value, sources: Known, words: &str| {
        let folder = tempfile::tempdir().unwrap();
        let made = PodVolumes::new(folder.path().into(), &pod(json!([volume])));
        let error = made.and_then(|volumes| volumes.set_up(&sources)).unwrap_err();
        assert_eq!(error.to_string(), words);
    };
    check(
        json!({"name": "x", "hostPath": {"path": "/"}}),
        Known(None),
        r#"volume "x": hostPath is not supported yet; supported: configMap, emptyDir"#,
    );
    check(
        json!({"name": "x", "emptyDir": {"sizeLimit": "1Gi"}}),
        Known(None),
        r#"volume "x": emptyDir.sizeLimit is not supported yet; supported: configMap, emptyDir"#,
    );
    check(
        json!({"name": "v", "configMap": {"name": "settings"}}),
        Known(None),
        r#"MountVolume.SetUp failed for volume "v" : configmap "settings" not found"#,
    );
    check(
        json!({"name": "v", "configMap": {"name": "settings", "items": [{"key": "k", "path": "k"}]}}),
        config_map(1, json!({})),
        r#"MountVolume.SetUp failed for volume "v" : references non-existent config key: k"#,
    );
    check(
        json!({"name": "v", "configMap": {"name": "settings", "items": [{"key": "bin", "path": "../k"}]}}),
        config_map(1, json!({})),
        r#"volume "v": "../k" is not a path within the volume"#,
    );
    check(
        json!({"name": "../v", "emptyDir": {}}),
        Known(None),
        r#"volume "../v": "../v" is not a path within the volume"#,
    );
}

#[test]
fn what_is_optional_may_be_missing() {
    let folder = tempfile::tempdir().unwrap();
    let volumes = json!([{"name": "v", "configMap": {"name": "settings", "optional": true}}]);
    let volumes = PodVolumes::new(folder.path().into(), &pod(volumes)).unwrap();
    volumes.set_up(&Known(None)).unwrap();
    volumes.refresh(&config_map(3, json!({"a": "one"}))).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("volumes/v/a")).unwrap(), "one");
    volumes.refresh(&Known(None)).unwrap();
    assert!(!folder.path().join("volumes/v/a").exists());
}

#[test]
fn sub_paths_are_directories_of_an_empty_dir_or_copies_of_single_files() {
    let folder = tempfile::tempdir().unwrap();
    let declared =
        json!([{"name": "v", "configMap": {"name": "settings"}}, {"name": "scratch", "emptyDir": {}}]);
    let volumes = PodVolumes::new(folder.path().into(), &pod(declared)).unwrap();
    volumes.set_up(&config_map(1, json!({"a": "one"}))).unwrap();
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
    let volumes =
        PodVolumes::new(folder.path().join("uid"), &pod(json!([{"name": "s", "emptyDir": {}}]))).unwrap();
    volumes.set_up(&Known(None)).unwrap();
    std::os::unix::fs::symlink(folder.path(), folder.path().join("uid/volumes/s/out")).unwrap();
    for sub_path in ["out", "out/made", "..", "/etc"] {
        let error = volumes.mounts("web", &[mount("s", "/x", sub_path)]).unwrap_err();
        assert!(matches!(error, VolumeError::Outside { .. }), "{sub_path}: {error}");
    }
    assert!(!folder.path().join("made").exists());
    let error = volumes.mounts("web", &[mount("other", "/x", "")]).unwrap_err();
    assert_eq!(error.to_string(), r#"volume "other" is not declared in spec.volumes"#);
}
