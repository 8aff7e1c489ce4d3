//! Pods whose images come from a real registry, in the forms that images have in the world.

use std::io::Write;

use anyhow::{Context, Result};
use api::resource::{EVENTS, NODES, PODS, SECRETS};
use api::{Key, Object};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tests::real::RealCluster;
use tests::registry::{PASSWORD, Registry, USER, tar};
use tests::require;

const ARTIFACT: &str = "application/vnd.wasm.config.v0+json";
const IMAGE: &str = "application/vnd.oci.image.config.v1+json";
const WASM: &str = "application/wasm";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Prints `/etc/motd`, then makes the file `/new` and exits with what WASI says of that.
const READER: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "etc/motd")
    (data (i32.const 8) "new")
    (data (i32.const 16) "\40\00\00\00\64\00\00\00")
    (func (export "_start")
        (if (call $open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 8) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32))
            (then (call $exit (i32.const 99))))
        (drop (call $read (i32.load (i32.const 32)) (i32.const 16) (i32.const 1) (i32.const 20)))
        (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 36)))
        (call $exit (call $open (i32.const 3) (i32.const 1) (i32.const 8) (i32.const 3) (i32.const 9)
            (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 32)))))"#;

fn registry() -> Result<Option<Registry>> {
    let program = require::program("docker-registry");
    program.map(|program| Registry::start(&program)).transpose()
}

/// A cluster with a Secret that lets pods pull.
async fn cluster(registry: &Registry) -> Result<RealCluster> {
    let cluster = RealCluster::start().await?;
    let auths = json!({"auths": {registry.host(): {"auth": STANDARD.encode(format!("{USER}:{PASSWORD}"))}}});
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hub"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": STANDARD.encode(auths.to_string())},
    });
    cluster.cluster.client.create(&SECRETS, "default", &secret).await?;
    Ok(cluster)
}

async fn create(cluster: &RealCluster, name: &str, container: Value, secrets: Value) -> Result<()> {
    let mut container = container;
    container["name"] = "main".into();
    let spec = json!({"restartPolicy": "Never", "imagePullSecrets": secrets, "containers": [container]});
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec});
    cluster.cluster.client.create(&PODS, "default", &pod).await?;
    Ok(())
}

fn state(pod: Option<&Value>) -> Option<&Value> {
    pod.map(|pod| &pod["status"]["containerStatuses"][0]["state"])
}

async fn succeeds(cluster: &RealCluster, pod: &str) -> Result<()> {
    let has_succeeded = |pod: Option<&Value>| pod.is_some_and(|pod| pod["status"]["phase"] == "Succeeded");
    cluster.wait(&PODS, pod, has_succeeded).await?;
    Ok(())
}

/// Waits until a pod waits, and gives why: reason and message.
async fn waiting(cluster: &RealCluster, pod: &str) -> Result<(String, String)> {
    let reason = |pod: Option<&Value>| {
        let reason = state(pod)?["waiting"]["reason"].as_str()?;
        (reason != "ContainerCreating").then(|| reason.to_owned())
    };
    let waits = cluster.wait(&PODS, pod, |pod| reason(pod).is_some()).await?.context("the pod")?;
    let message = state(Some(waits.value())).context("a state")?["waiting"]["message"].clone();
    Ok((reason(Some(waits.value())).context("a reason")?, message.as_str().unwrap_or_default().to_owned()))
}

/// Waits for an event of a pod that says these words, and gives its message.
async fn event(cluster: &RealCluster, pod: &str, reason: &str, words: &str) -> Result<String> {
    let is_it = |event: &Object| {
        let event = event.value();
        let says = event["message"].as_str().is_some_and(|message| message.contains(words));
        event["involvedObject"]["name"] == pod && event["reason"] == reason && says
    };
    let cache = &cluster.cluster.cache;
    let find = || cache.snapshot(&EVENTS).iter().find(|event| is_it(event)).cloned();
    cli::cluster::until(cache, &EVENTS, || find().is_some()).await;
    Ok(find().context("the event")?.value()["message"].as_str().unwrap_or_default().to_owned())
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes)?;
    Ok(packed.finish()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_runs_an_artifact_that_its_secret_lets_it_pull() -> Result<()> {
    let Some(registry) = registry()? else { return Ok(()) };
    let guest = wat::parse_str("(module (func (export \"_start\")))")?;
    let digest = registry.push("team/app", "v1", (ARTIFACT, b"{}"), &[(WASM, &guest)]).await?;
    let cluster = cluster(&registry).await?;
    let image = format!("{}/team/app:v1", registry.host());
    create(&cluster, "stranger", json!({"image": image}), json!([])).await?;
    let (reason, message) = waiting(&cluster, "stranger").await?;
    assert_eq!(reason, "ErrImagePull");
    assert!(message.ends_with("may require authorization: no basic auth credentials"), "{message}");
    create(&cluster, "friend", json!({"image": image}), json!([{"name": "absent"}, {"name": "hub"}])).await?;
    succeeds(&cluster, "friend").await?;
    let pulled = event(&cluster, "friend", "Pulled", "Successfully").await?;
    assert!(pulled.starts_with(&format!("Successfully pulled image {image:?} in ")), "{pulled}");
    let size = guest.len() + 2;
    assert!(
        pulled.contains(" including waiting). Image size: ") && !pulled.contains(&format!(": {size} ")),
        "{pulled}"
    );
    let missing = event(&cluster, "friend", "FailedToRetrieveImagePullSecret", "").await?;
    assert!(missing.starts_with("Unable to retrieve some image pull secrets (absent);"), "{missing}");
    let pod = cluster.wait(&PODS, "friend", |pod| pod.is_some()).await?.context("the pod")?;
    let id = format!("{}/team/app@{digest}", registry.host());
    assert_eq!(pod.value()["status"]["containerStatuses"][0]["imageID"], id);
    // What is there runs also when its registry is gone.
    drop(registry);
    create(&cluster, "later", json!({"image": image}), json!([])).await?;
    succeeds(&cluster, "later").await?;
    create(&cluster, "always", json!({"image": image, "imagePullPolicy": "Always"}), json!([])).await?;
    let (reason, message) = waiting(&cluster, "always").await?;
    assert!(reason == "ErrImagePull" && message.contains("Connection refused"), "{reason}: {message}");
    assert!(cluster.cluster.cache.get(&NODES, &Key::cluster("peapod")).is_some());
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_sees_the_files_of_its_image_and_writes_beside_them() -> Result<()> {
    let Some(registry) = registry()? else { return Ok(()) };
    let program = wat::parse_str(READER)?;
    let base = gzip(&tar(&[("app.wasm", &program), ("etc/motd", b"below")]))?;
    let above = tar(&[("etc/motd", b"hello")]);
    let config = json!({"os": "wasi", "architecture": "wasm", "config": {"Entrypoint": ["/app.wasm"]}});
    let layers: [(&str, &[u8]); 2] = [(LAYER, &base), ("application/vnd.oci.image.layer.v1.tar", &above)];
    registry.push("files", "v1", (IMAGE, config.to_string().as_bytes()), &layers).await?;
    let cluster = cluster(&registry).await?;
    let image = format!("{}/files:v1", registry.host());
    let secrets = || json!([{"name": "hub"}]);
    // Each run finds what the image has, and nothing of the run before.
    for name in ["first", "second"] {
        create(&cluster, name, json!({"image": image}), secrets()).await?;
        assert_eq!(cluster.output(name).await?, b"hello", "{name}");
    }
    let read_only = json!({"image": image, "securityContext": {"readOnlyRootFilesystem": true}});
    create(&cluster, "sealed", read_only, secrets()).await?;
    let failed = cluster.output("sealed").await.expect_err("nothing can be written").to_string();
    assert!(failed.contains("\"phase\":\"Failed\"") && !failed.contains("\"exitCode\":99"), "{failed}");
    create(&cluster, "lost", json!({"image": image, "command": ["/bin/sh"]}), secrets()).await?;
    let (reason, message) = waiting(&cluster, "lost").await?;
    assert_eq!(reason, "CreateContainerError");
    assert_eq!(message, format!("exec: \"/bin/sh\": no such file in the root of image `{image}`"));
    cluster.stop().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_image_says_what_is_wrong_with_it() -> Result<()> {
    let Some(registry) = registry()? else { return Ok(()) };
    let cluster = cluster(&registry).await?;
    let whole = wat::parse_str(READER)?;
    let missing = wat::parse_str("(module (import \"env\" \"nothing\" (func)) (func (export \"_start\")))")?;
    let library = wat::parse_str("(module (func (export \"run\")))")?;
    let component = wat::parse_str("(component)")?;
    let large = [b"\0asm\x01\0\0\0", vec![0; 100 << 20].as_slice()].concat();
    let files = gzip(&tar(&[("notes", b"no program")]))?;
    let rows: [(&str, &str, &[u8], &str, &str); 9] = [
        ("truncated", WASM, &whole[..whole.len() / 2], "CreateContainerError", "compile image"),
        ("magic", WASM, b"\x7fELF\x02\x01\x01", "CreateContainerError", "it is a native program (ELF)"),
        ("imports", WASM, &missing, "CreateContainerError", "env::nothing"),
        ("library", WASM, &library, "CreateContainerError", "it has no function `_start`"),
        (
            "component",
            WASM,
            &component,
            "CreateContainerError",
            "it exports neither wasi:http/incoming-handler@0.2",
        ),
        ("large", WASM, &large, "CreateContainerError", "more than the 67108864 that can be compiled"),
        ("files", LAYER, &files, "CreateContainerError", "no command specified"),
        ("tar", LAYER, b"hello", "ErrImagePull", "failed to extract layer: the tar archive is damaged"),
        ("other", "text/plain", b"hello", "ErrImagePull", "neither a WebAssembly program nor files"),
    ];
    for (name, media, content, reason, words) in rows {
        registry.push("bad", name, (IMAGE, b"{}"), &[(media, content)]).await?;
        let image = format!("{}/bad:{name}", registry.host());
        create(&cluster, name, json!({"image": image}), json!([{"name": "hub"}])).await?;
        let (found, message) = waiting(&cluster, name).await?;
        assert!(found == reason && message.contains(words), "{name}: {found}: {message}");
        assert!(!message.contains('\n'), "{name}: {message:?} is one sentence");
        event(&cluster, name, "Failed", words).await?;
    }
    cluster.stop().await;
    Ok(())
}
