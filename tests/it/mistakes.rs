//! Mistakes in manifests: one clear line each that names file, line and field, and nothing applied.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use cli::run::{RunOptions, Session};
use tests::transcript::Transcript;

/// What `peapod run` says to this manifest; the cluster it starts must get nothing.
async fn run(manifest: &str) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("app.yaml");
    fs::write(&file, manifest)?;
    fs::write(folder.path().join("app.wasm"), crate::HELLO)?;
    let options = RunOptions {
        paths: vec![folder.path().to_owned()],
        until: None,
        timeout: Duration::from_secs(60),
        watch: false,
        namespace: "default".to_owned(),
        registries: Default::default(),
        image_dir: folder.path().join("images"),
    };
    let transcript = Transcript::default();
    let error = Session::start(options, transcript.terminal()).await.err().expect("a mistake");
    assert!(!transcript.text().contains("created"), "{}", transcript.text());
    Ok(format!("{error:#}").replace(&format!("{}/", folder.path().display()), ""))
}

const POD: &str = "apiVersion: v1
kind: Pod
metadata:
  name: app
spec:
  containers:
    - name: app
      image: localhost/app
";

async fn row(from: &str, to: &str, expected: &str) -> Result<()> {
    assert!(POD.contains(from), "{from}");
    let manifest =
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: fine}}\n---\n{}", POD.replace(from, to));
    assert_eq!(run(&manifest).await?, expected);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mistake_is_one_clear_line() -> Result<()> {
    let rows = [
        (
            "image:",
            "imagee:",
            "app.yaml:12: Pod/app: spec.containers[0].imagee: unknown field; did you mean \"image\"?",
        ),
        (
            "image: localhost/app",
            "image: localhost/ap",
            "app.yaml:12: Pod/app: spec.containers[0].image: image \"localhost/ap\" is not in the image store, which has localhost/app:latest; import it with: peapod image import FILE.wasm --as NAME[:TAG]",
        ),
        (
            "  containers:\n",
            "  initContainers: [{name: set-up, image: localhost/set-up}]\n  containers:\n",
            "app.yaml:10: Pod/app: spec.initContainers[0].image: image \"localhost/set-up\" is not in the image store, which has localhost/app:latest; import it with: peapod image import FILE.wasm --as NAME[:TAG]",
        ),
        (
            "      image: localhost/app\n",
            "",
            "app.yaml:11: Pod/app: spec.containers[0].image: Required value",
        ),
        (
            "image: localhost/app",
            "image: [a]",
            "app.yaml:12: Pod/app: spec.containers[0].image: Invalid value: \"array\": must be a string",
        ),
        (
            "image: localhost/app\n",
            "image: localhost/app\n      resources: {limits: {memory: 5Zi}}\n",
            "app.yaml:13: Pod/app: spec.containers[0].resources.limits[memory]: Invalid value: \"5Zi\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        ("kind: Pod", "kind: Pud", "app.yaml:6: kind: \"Pud\" of \"v1\" is unknown; did you mean \"Pod\"?"),
        (
            "apiVersion: v1\nkind: Pod",
            "apiVersion: internal.apiserver.k8s.io/v1alpha1\nkind: StorageVersion",
            "app.yaml:6: kind: StorageVersion of internal.apiserver.k8s.io/v1alpha1 is not supported yet",
        ),
        (
            "    - name: app\n",
            "    - name: App\n",
            "app.yaml:11: Pod/app: spec.containers[0].name: Invalid value: \"App\": a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        ),
        (
            "    - name: app\n",
            "    - name: app\n      name: app\n",
            "app.yaml:12: key \"name\" already set in map",
        ),
        ("spec:", "spec: {", "app.yaml:11: \"-\" is only valid inside a block"),
    ];
    for (from, to, expected) in rows {
        row(from, to, expected).await?;
    }
    Ok(())
}
