//! Pulls from a registry that does as it should, and from one that does not.

#![allow(clippy::unwrap_used)]

mod registry;

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::super::tar::testing::Tar;
use super::*;
use registry::{Door, Registry};

const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
const WASM: &str = "application/wasm";
const TAR: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ARTIFACT: &str = "application/vnd.wasm.config.v0+json";
const IMAGE: &str = "application/vnd.oci.image.config.v1+json";

struct Trial {
    registry: Registry,
    puller: Puller,
    folder: tempfile::TempDir,
}

impl Trial {
    async fn new(door: Door) -> Self {
        Self::with(door, |_| RegistryConfig::default()).await
    }

    async fn with(door: Door, config: impl FnOnce(&Registry) -> RegistryConfig) -> Self {
        let registry = Registry::start(door).await;
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(folder.path().join("images")).unwrap();
        let config = config(&registry);
        Self { puller: Puller::new(store, config, Clock::real()).unwrap(), registry, folder }
    }

    fn reference(&self, name: &str) -> Reference {
        self.registry.name(name).parse().unwrap()
    }

    async fn pull(&self, name: &str) -> Result<Image, String> {
        self.pull_as(name, &[]).await
    }

    /// Pulls, and leaves the registry's address out of what is said of it.
    async fn pull_as(&self, name: &str, credentials: &[Credential]) -> Result<Image, String> {
        let pulled = self.puller.pull(&self.reference(name), credentials, &|_| {}).await;
        pulled.map(|(image, _)| image).map_err(|error| {
            let address = self.registry.address.to_string();
            error.to_string().replace(&format!("http://{address}"), "REGISTRY").replace(&address, "REG")
        })
    }

    fn credentials(&self, password: &str) -> Vec<Credential> {
        let auth = json!({"username": "me", "password": password});
        let host = self.registry.address.to_string();
        let config = json!({"auths": {host: auth}}).to_string();
        DockerConfig::parse(config.as_bytes()).unwrap().credentials
    }
}

fn artifact(registry: &Registry, tag: &str, program: &[u8]) -> Digest {
    registry.image(tag, (ARTIFACT, &json!({"os": "wasip1"})), &[(WASM, program)])
}

#[tokio::test]
async fn an_image_is_pulled_once_and_then_only_asked_for() {
    let trial = Trial::new(Door::Open).await;
    let digest = artifact(&trial.registry, "v1", MODULE);
    let image = trial.pull("team/app:v1").await.unwrap();
    assert_eq!((image.digest.as_str(), image.kind), (digest.as_str(), ImageKind::Module));
    assert_eq!(image.config.entrypoint, ["app"]);
    assert_eq!(std::fs::read(&image.path).unwrap(), MODULE);
    assert_eq!(trial.puller.store().find(&trial.reference("team/app:v1")), Some(image.clone()));
    assert_eq!(trial.registry.asked()[0], "GET /v2/team/app/manifests/v1");
    assert_eq!(trial.pull("team/app:v1").await.unwrap(), image);
    assert_eq!(trial.registry.asked(), ["HEAD /v2/team/app/manifests/v1"]);
    // What both have is not brought again.
    artifact(&trial.registry, "v2", MODULE);
    assert_eq!(trial.pull("team/app:v2").await.unwrap().path, image.path);
    assert!(trial.registry.asked().iter().all(|asked| !asked.contains("/blobs/")));
    artifact(&trial.registry, "v1", COMPONENT);
    assert_eq!(trial.pull("team/app:v1").await.unwrap().kind, ImageKind::Component);
    let by_digest = format!("team/app@{digest}");
    assert_eq!(trial.pull(&by_digest).await.unwrap().path, image.path);
}

#[tokio::test]
async fn who_wants_an_image_that_is_being_pulled_waits_for_it() {
    let trial = Trial::new(Door::Open).await;
    artifact(&trial.registry, "v1", MODULE);
    let pulled = futures::future::join_all((0..20).map(|_| trial.pull("app:v1"))).await;
    assert!(pulled.iter().all(Result::is_ok));
    let asked = trial.registry.asked();
    assert_eq!(
        asked.iter().filter(|asked| asked.starts_with("GET") && asked.contains("manifests")).count(),
        1
    );
}

#[tokio::test]
async fn credentials_are_shown_when_they_are_asked_for() {
    for door in [Door::Basic, Door::Token] {
        let trial = Trial::new(door).await;
        artifact(&trial.registry, "v1", MODULE);
        let refused = trial.pull("app:v1").await.unwrap_err();
        let denied = "failed to resolve reference \"REG/app:v1\": pull access denied, repository does not exist or may \
                      require authorization: ";
        let (alone, wrong) = match door {
            Door::Basic => ("no basic auth credentials", "server message: 401 Unauthorized: who are you?"),
            _ => (
                "failed to fetch anonymous token: 401 Unauthorized",
                "failed to fetch oauth token: 401 Unauthorized",
            ),
        };
        assert_eq!(refused, format!("{denied}{alone}"));
        let refused = trial.pull_as("app:v1", &trial.credentials("wrong")).await.unwrap_err();
        assert_eq!(refused, format!("{denied}{wrong}"));
        trial.registry.said.redirects.store(true, Ordering::Relaxed);
        assert!(trial.pull_as("app:v1", &trial.credentials("secret")).await.is_ok());
    }
}

#[tokio::test]
async fn a_docker_configuration_of_the_node_is_read_at_each_pull() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let docker_config = Some(path.clone());
    let trial =
        Trial::with(Door::Basic, |_| RegistryConfig { docker_config, ..RegistryConfig::default() }).await;
    artifact(&trial.registry, "v1", MODULE);
    std::fs::write(&path, "{\"credsStore\": \"desktop\"}").unwrap();
    let refused = trial.pull("app:v1").await.unwrap_err();
    assert!(refused.ends_with("to a helper program, which Peapod does not run"), "{refused}");
    let host = trial.registry.address.to_string();
    let config = json!({"auths": {host: {"username": "me", "password": "secret"}}});
    std::fs::write(&path, config.to_string()).unwrap();
    assert!(trial.pull("app:v1").await.is_ok());
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_another_place_if_it_has_nothing() {
    let trial = Trial::with(Door::Open, |registry| RegistryConfig {
        mirrors: [(
            "reg.example".to_owned(),
            vec!["http://127.0.0.1:1".to_owned(), format!("http://{}/hub/", registry.address)],
        )]
        .into(),
        ..RegistryConfig::default()
    })
    .await;
    artifact(&trial.registry, "v1", MODULE);
    let reference: Reference = "reg.example/team/app:v1".parse().unwrap();
    let (image, _) = trial.puller.pull(&reference, &[], &|_| {}).await.unwrap();
    assert_eq!(image.reference, reference);
    assert_eq!(trial.registry.asked()[0], "GET /hub/v2/team/app/manifests/v1?ns=reg.example");
}

#[tokio::test]
async fn what_fails_for_a_moment_is_tried_again() {
    let trial = Trial::new(Door::Open).await;
    artifact(&trial.registry, "v1", MODULE);
    trial.registry.said.failures.store(2, Ordering::Relaxed);
    assert!(trial.pull("app:v1").await.is_ok());
    artifact(&trial.registry, "v2", MODULE);
    trial.registry.said.failures.store(3, Ordering::Relaxed);
    let refused = trial.pull("app:v2").await.unwrap_err();
    assert_eq!(
        refused,
        "failed to resolve reference \"REG/app:v2\": unexpected status from GET request to \
         REGISTRY/v2/app/manifests/v2: 503 Service Unavailable"
    );
}

#[tokio::test]
async fn what_is_wrong_with_an_image_is_said() {
    let trial = Trial::new(Door::Open).await;
    let check = async |tag: &str, expected: &str| {
        let refused = trial.pull(&format!("app:{tag}")).await.expect_err(tag);
        assert_eq!(refused, expected);
        assert_eq!(trial.puller.store().find(&trial.reference(&format!("app:{tag}"))), None, "{tag}");
    };
    let unpack = |tag: &str| format!("failed to pull and unpack image \"REG/app:{tag}\": ");
    check("none", "failed to resolve reference \"REG/app:none\": REG/app:none: not found").await;
    trial.registry.tag("text", &json!("hello"));
    let refused = trial.pull("app:text").await.unwrap_err();
    assert!(refused.starts_with(&format!("{}the manifest cannot be read", unpack("text"))), "{refused}");
    trial.registry.tag("large", &json!("x".repeat(5 << 20)));
    check(
        "large",
        "failed to resolve reference \"REG/app:large\": the manifest is larger than 4194304 bytes",
    )
    .await;

    let other = Digest::of(b"what was meant");
    let layer =
        |digest: &Digest, size: u64| json!({"mediaType": WASM, "digest": digest.as_str(), "size": size});
    let config = trial.registry.put(b"{}");
    let tag = |tag: &str, layer: Value| {
        let config = json!({"mediaType": ARTIFACT, "digest": config.as_str(), "size": 2});
        trial.registry.tag(tag, &json!({"schemaVersion": 2, "config": config, "layers": [layer]}))
    };
    trial.registry.put_as(&other, b"something else");
    tag("changed", layer(&other, 100));
    let found = Digest::of(b"something else");
    let words = format!(
        "failed to copy: failed commit on ref \"{other}\": unexpected digest: expected {other}, got {found}"
    );
    check("changed", &format!("{}{words}", unpack("changed"))).await;
    let long = trial.registry.put(&[0; 1000]);
    tag("longer", layer(&long, 999));
    check("longer", &format!("{}failed to copy: {long} is larger than 999 bytes", unpack("longer"))).await;
    let absent = Digest::of(b"absent");
    tag("absent", layer(&absent, 1));
    check("absent", &format!("{}failed to copy: not found", unpack("absent"))).await;
    tag("huge", layer(&absent, 5 << 30));
    check("huge", &format!("{}the image has 5368709122 bytes, more than 4294967296", unpack("huge"))).await;
    let nested = trial.registry.tag("index", &json!({"schemaVersion": 2, "manifests": []}));
    check("index", &format!("{}no match for platform wasi/wasm in manifest; it has ", unpack("index"))).await;
    let entry =
        json!({"digest": nested.as_str(), "size": 1, "platform": {"os": "wasi", "architecture": "wasm"}});
    let one = trial.registry.tag("one", &json!({"schemaVersion": 2, "manifests": [entry]}));
    let entry =
        json!({"digest": one.as_str(), "size": 1, "platform": {"os": "wasi", "architecture": "wasm"}});
    trial.registry.tag("deep", &json!({"schemaVersion": 2, "manifests": [entry]}));
    check("deep", &format!("{}its indexes do not come to an end", unpack("deep"))).await;
    let bad = |tag: &str, layer: Vec<u8>| {
        trial.registry.image(tag, (IMAGE, &json!({})), &[(TAR, &layer)]);
    };
    bad("out", Tar::default().file("../../etc/passwd", b"x").finish());
    let extract = "failed to extract layer: ";
    check("out", &format!("{}{extract}\"../../etc/passwd\" leads out of the image's root", unpack("out")))
        .await;
    bad("cut", Tar::default().file("a", &[0; 600]).finish()[..700].to_vec());
    check("cut", &format!("{}{extract}the tar archive is damaged: it ends within an entry", unpack("cut")))
        .await;
    // Nothing is left of what failed.
    let processes = trial.folder.path().join("images/processes");
    let process = std::fs::read_dir(processes).unwrap().next().unwrap().unwrap().path();
    let mut left: Vec<_> =
        std::fs::read_dir(process).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["lock", "used"]);
}

#[tokio::test]
async fn an_image_with_files_has_a_root_that_the_command_chooses_from() {
    let trial = Trial::new(Door::Open).await;
    let config = json!({"os": "wasi", "architecture": "wasm", "config": {
        "Entrypoint": ["/app.wasm"], "Cmd": ["serve"], "Env": ["A=1"], "WorkingDir": "/srv", "ExposedPorts": {"80/tcp": {}}}});
    let base =
        Tar::default().file("app.wasm", MODULE).file("srv/web.wasm", COMPONENT).file("old", b"x").finish();
    let above = Tar::default().file(".wh.old", b"").file("etc/motd", b"hi").finish();
    let inner = trial.registry.image("inner", (IMAGE, &config), &[(TAR, &base), (TAR, &above)]);
    let platform = |os: &str| json!({"os": os, "architecture": "wasm"});
    let other = artifact(&trial.registry, "other", MODULE);
    trial.registry.tag(
        "v1",
        &json!({"schemaVersion": 2, "manifests": [
            {"digest": other.as_str(), "size": 1, "platform": platform("wasip2")},
            {"digest": inner.as_str(), "size": 1, "platform": platform("wasi")},
        ]}),
    );
    let image = trial.pull("app:v1").await.unwrap();
    let root = image.root.clone().unwrap();
    assert_eq!(std::fs::read_to_string(root.join("etc/motd")).unwrap(), "hi");
    assert!(!root.join("old").exists());
    assert_eq!(
        (image.kind, image.config.env.len(), image.config.ports.clone()),
        (ImageKind::Files, 1, vec![80])
    );
    let chosen = image.clone().for_command(&[]).unwrap();
    assert_eq!((chosen.kind, chosen.path), (ImageKind::Module, root.join("app.wasm")));
    let chosen = image.for_command(&["web.wasm".to_owned()]).unwrap();
    assert_eq!((chosen.kind, chosen.path), (ImageKind::Component, root.join("srv/web.wasm")));
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_named() {
    let trial = Trial::new(Door::Open).await;
    let reference: Reference = "127.0.0.1:1/app:v1".parse().unwrap();
    let refused = trial.puller.pull(&reference, &[], &|_| {}).await.unwrap_err().to_string();
    let words = "failed to resolve reference \"127.0.0.1:1/app:v1\": failed to do request: GET \
                 \"http://127.0.0.1:1/v2/app/manifests/v1\": Connection refused";
    assert!(refused.starts_with(words), "{refused}");
}

#[test]
fn only_what_is_called_insecure_or_is_on_this_machine_is_asked_without_tls() {
    let config = RegistryConfig {
        mirrors: [("docker.io".to_owned(), vec!["https://mirror.example/hub/".to_owned()])].into(),
        insecure: ["old.example:5000".to_owned()].into(),
        docker_config: None,
    };
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(folder.path()).unwrap();
    let puller = Puller::new(store, config, Clock::real()).unwrap();
    let check = |image: &str, expected: &[&str]| {
        let endpoints = puller.0.endpoints(&image.parse().unwrap());
        let shown = endpoints.iter().map(|endpoint| {
            let how = if endpoint.is_insecure { "insecure " } else { "" };
            format!("{how}{}", endpoint.base)
        });
        assert_eq!(shown.collect::<Vec<_>>(), expected);
    };
    check("nginx", &["https://mirror.example/hub", "https://registry-1.docker.io"]);
    check("ghcr.io/a/b", &["https://ghcr.io"]);
    check("old.example:5000/a", &["insecure https://old.example:5000", "insecure http://old.example:5000"]);
    check("old.example/a", &["https://old.example"]);
    for local in ["localhost:5000", "127.0.0.1:80"] {
        check(
            &format!("{local}/a"),
            &[&format!("insecure https://{local}"), &format!("insecure http://{local}")],
        );
    }
}
