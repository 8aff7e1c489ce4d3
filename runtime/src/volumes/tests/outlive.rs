//! Volumes that are there before and after their pods: those of claims, and those of the host.

use std::os::unix::fs::symlink;

use super::*;

/// A claim and a volume.
struct Bound {
    claim: Value,
    volume: Value,
}

impl Bound {
    fn new() -> Self {
        let affinity = json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [
            {"key": "kubernetes.io/hostname", "operator": "In", "values": ["here"]}]}]}});
        Self {
            claim: json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
                "metadata": {"name": "data", "namespace": "n", "uid": "c"},
                "spec": {"volumeName": "v"}, "status": {"phase": "Bound"}}),
            volume: json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "v"},
                "spec": {"csi": {"driver": "local.peapod.dev", "volumeHandle": "h"}, "nodeAffinity": affinity,
                    "accessModes": ["ReadWriteOnce"], "claimRef": {"uid": "c"}}}),
        }
    }

    fn with(mut self, path: &str, value: Value) -> Self {
        let (of, path) = path.split_once(':').unwrap();
        let tree = if of == "claim" { &mut self.claim } else { &mut self.volume };
        let (parent, field) = path.rsplit_once('/').unwrap();
        tree.pointer_mut(parent).unwrap()[field] = value;
        self
    }
}

impl Sources for Bound {
    fn find(&self, source: Source, name: &str) -> Option<Object> {
        let object = Object::from_value(self.claim.clone()).unwrap();
        Some(object).filter(|object| source == Source::Claim && object.name() == name)
    }

    fn volume(&self, name: &str) -> Option<Object> {
        Some(Object::from_value(self.volume.clone()).unwrap()).filter(|object| object.name() == name)
    }

    fn image(&self, _: &str) -> Result<PathBuf, String> {
        Ok("/usr".into())
    }

    fn token(&self, _: &TokenSpec) -> Result<Arc<str>, String> {
        Err("none".to_owned())
    }

    fn allocatable(&self) -> Allocatable {
        Allocatable::default()
    }
}

fn user(source: Value) -> Pod {
    let mut volume = json!({"name": "v"});
    volume.as_object_mut().unwrap().extend(source.as_object().unwrap().clone());
    let value = json!({"metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"containers": [], "volumes": [volume]}});
    serde_json::from_value(value).unwrap()
}

fn made(host: &Path, pod: &Pod, sources: &dyn Sources) -> Result<PodVolumes, VolumeError> {
    let places = Places {
        storage: host.join("storage"),
        memory: Some(host.join("memory")),
        host_paths: vec![host.join("allowed")],
        hostname: "here".to_owned(),
    };
    let mut volumes = PodVolumes::new(host.join("pods/u"), Arc::new(places), pod)?;
    volumes.set_up(pod, sources)?;
    Ok(volumes)
}

fn claims(name: &str) -> Pod {
    user(json!({"persistentVolumeClaim": {"claimName": name}}))
}

#[test]
fn what_is_written_to_a_claim_outlives_the_pod() {
    let host = tempfile::tempdir().unwrap();
    let volumes = made(host.path(), &claims("data"), &Bound::new()).unwrap();
    let mounts = volumes.mounts("c", &[mount("v", "/data", ""), mount("v", "/part", "deep/er")]).unwrap();
    let folder = host.path().canonicalize().unwrap().join("storage/h");
    assert_eq!((&mounts[0].host_path, mounts[0].read_only), (&folder, false));
    assert_eq!(mounts[1].host_path, folder.join("deep/er"));
    assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    volumes.remove().unwrap();
    assert!(folder.join("deep/er").is_dir());
    let only_read = |bound: Bound, pod: Pod| {
        let volumes = made(host.path(), &pod, &bound).unwrap();
        volumes.mounts("c", &[mount("v", "/data", "")]).unwrap()[0].read_only
    };
    let reader = user(json!({"persistentVolumeClaim": {"claimName": "data", "readOnly": true}}));
    assert!(only_read(Bound::new(), reader));
    assert!(only_read(
        Bound::new().with("volume:/spec/accessModes", json!(["ReadOnlyMany"])),
        claims("data")
    ));
}

#[test]
fn a_claim_that_is_not_ready_says_why() {
    let check = |name: &str, bound: Bound, words: &str| {
        let host = tempfile::tempdir().unwrap();
        let error = made(host.path(), &claims(name), &bound).unwrap_err();
        let head = "Unable to attach or mount volumes: unmounted volumes=[v], unattached volumes=[], \
                    failed to process volumes=[v]: error processing PVC ";
        assert_eq!(error.to_string().strip_prefix(head), Some(words), "{error}");
        assert!(!error.is_final());
    };
    let absent = r#"n/x: failed to fetch PVC from API server: persistentvolumeclaims "x" not found"#;
    check("x", Bound::new(), absent);
    check("data", Bound::new().with("claim:/status/phase", "Pending".into()), "n/data: PVC is not bound");
    let going = Bound::new().with("claim:/metadata/deletionTimestamp", "2026-01-01T00:00:00Z".into());
    check("data", going, "n/data: PVC is being deleted");
    let lost = r#"n/data: failed to fetch PV "w" from API server: persistentvolumes "w" not found"#;
    check("data", Bound::new().with("claim:/spec/volumeName", "w".into()), lost);
    let others = Bound::new().with("volume:/spec/claimRef", json!({"uid": "other"}));
    check("data", others, r#"n/data: PV "v" is claimed by another PVC"#);
}

#[test]
fn a_volume_of_another_node_or_kind_is_not_mounted() {
    let check = |bound: Bound, words: &str| {
        let host = tempfile::tempdir().unwrap();
        let error = made(host.path(), &claims("data"), &bound).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    };
    let key = "volume:/spec/nodeAffinity/required/nodeSelectorTerms/0/matchExpressions/0/values";
    let elsewhere = r#"NodeAffinity check failed for volume "v" : no matching NodeSelectorTerms"#;
    check(Bound::new().with(key, json!(["there"])), elsewhere);
    let driver = r#"volume "v": persistentVolume.csi needs a driver of its own on the node"#;
    check(Bound::new().with("volume:/spec/csi/driver", "x.io".into()), driver);
    check(
        Bound::new().with("volume:/spec/csi/volumeHandle", "../up".into()),
        "is not a path within the volume",
    );
    let local = Bound::new().with("volume:/spec/csi", Value::Null);
    check(
        local.with("volume:/spec/local", json!({"path": "/etc"})),
        "path \"/etc\" of the host is not for pods",
    );
}

#[test]
fn a_pod_reaches_of_the_host_what_its_operator_allows() {
    let host = tempfile::tempdir().unwrap();
    let allowed = host.path().join("allowed");
    fs::create_dir_all(allowed.join("there")).unwrap();
    fs::create_dir_all(host.path().join("secret")).unwrap();
    fs::write(allowed.join("file"), "text").unwrap();
    symlink("../secret", allowed.join("out")).unwrap();
    let at = |path: &str, kind: &str| {
        user(json!({"hostPath": {"path": format!("{}/{path}", host.path().display()), "type": kind}}))
    };
    let check = |path: &str, kind: &str, words: &str| match made(host.path(), &at(path, kind), &Known(None)) {
        Ok(volumes) => {
            let mounts = volumes.mounts("c", &[mount("v", "/mnt/it", "")]).unwrap();
            assert_eq!((words, mounts[0].read_only), ("", false), "{path} {kind}");
        }
        Err(error) => {
            assert!(!words.is_empty() && error.to_string().contains(words), "{path} {kind}: {error}")
        }
    };
    for (path, kind) in [
        ("allowed", "Directory"),
        ("allowed/there", ""),
        ("allowed/new", ""),
        ("allowed/made/deep", "DirectoryOrCreate"),
        ("allowed/file", "File"),
        ("allowed/file", ""),
        ("allowed/empty", "FileOrCreate"),
    ] {
        check(path, kind, "");
    }
    assert!(allowed.join("made/deep").is_dir());
    check("allowed/absent", "Directory", "hostPath type check failed: ");
    check("allowed/file", "Directory", "allowed/file is not a directory");
    check("allowed/there", "File", "allowed/there is not a file");
    check("allowed/out", "Directory", "is not for pods: this node allows what is below");
    check("allowed/out/new", "DirectoryOrCreate", "is not for pods");
    check("secret", "", "is not for pods");
    check("allowed/s", "Socket", "hostPath.type Socket is not for WebAssembly");
    assert!(!host.path().join("secret/new").exists());
    let none = PodVolumes::new(host.path().join("pods/u"), places(), &at("allowed", ""));
    let error = none.unwrap().set_up(&at("allowed", ""), &Known(None)).unwrap_err();
    let words = "this node allows none; its operator allows one with --allow-host-path DIR";
    assert!(error.to_string().ends_with(words), "{error}");
}

#[test]
fn what_is_written_to_a_single_file_arrives() {
    let host = tempfile::tempdir().unwrap();
    let volumes = made(host.path(), &user(json!({"emptyDir": {}})), &Known(None)).unwrap();
    let original = host.path().join("pods/u/volumes/v/log");
    fs::write(&original, "old").unwrap();
    let mounts = volumes.mounts("c", &[mount("v", "/var/app.log", "log")]).unwrap();
    assert!(!mounts[0].read_only);
    fs::write(mounts[0].host_path.join("app.log"), "new").unwrap();
    assert_eq!(fs::read_to_string(&original).unwrap(), "new");
    let reads = VolumeMount { read_only: Some(true), ..mount("v", "/var/app.log", "log") };
    let mounts = volumes.mounts("d", &[reads]).unwrap();
    assert!(mounts[0].read_only);
}

#[test]
fn an_empty_dir_can_be_in_memory() {
    let host = tempfile::tempdir().unwrap();
    let pod = user(json!({"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}));
    let volumes = made(host.path(), &pod, &Known(None)).unwrap();
    let folder = host.path().join("memory/u/v");
    assert!(folder.is_dir());
    let known: Vec<_> = volumes.empty_dirs().collect();
    let about = EmptyDir { in_memory: true, limit: Some("1Mi".parse().unwrap()) };
    assert_eq!(known, [("v", folder.clone(), &about)]);
    volumes.remove().unwrap();
    assert!(!folder.exists());
    let error =
        PodVolumes::new(host.path().join("pods/u"), places(), &pod).unwrap().set_up(&pod, &Known(None));
    assert!(error.unwrap_err().to_string().contains("there is no file system in memory at /dev/shm"));
}

#[test]
fn an_image_is_mounted_to_be_read() {
    let host = tempfile::tempdir().unwrap();
    let pod = user(json!({"image": {"reference": "localhost/data"}}));
    let volumes = made(host.path(), &pod, &Bound::new()).unwrap();
    let mounts = volumes.mounts("c", &[mount("v", "/data", "bin")]).unwrap();
    assert!(mounts[0].read_only);
    assert_eq!(mounts[0].host_path, Path::new("/usr/bin"));
    volumes.mounts("c", &[mount("v", "/data", "absent")]).unwrap_err();
    let error = made(host.path(), &pod, &Known(None)).unwrap_err();
    assert_eq!(error.to_string(), r#"MountVolume.SetUp failed for volume "v" : no image"#);
}
