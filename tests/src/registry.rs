//! A real registry, Debian's `docker-registry`, on the loopback, and images to push to it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use reqwest::{Client, Method, RequestBuilder};
use runtime::images::Digest;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

/// Who may push and pull.
pub const USER: &str = "me";
/// Its password.
pub const PASSWORD: &str = "secret";
/// Both as htpasswd keeps them.
const HTPASSWD: &str = "me:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// A part of an image: its media type and its content.
pub type Part<'a> = (&'a str, &'a [u8]);

/// A registry that runs until it is dropped.
pub struct Registry {
    address: SocketAddr,
    client: Client,
    process: Child,
    _folder: tempfile::TempDir,
}

impl Registry {
    /// Starts an empty registry that asks for user and password.
    pub fn start(program: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = |name: &str| folder.path().join(name).display().to_string();
        let config = json!({
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": at("data")}},
            "http": {"addr": "127.0.0.1:0", "secret": "test"},
            "auth": {"htpasswd": {"realm": "test", "path": at("htpasswd")}},
        });
        fs::write(at("htpasswd"), HTPASSWD)?;
        fs::write(at("config.yml"), config.to_string())?;
        let mut process = Command::new(program)
            .args(["serve", &at("config.yml")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("start docker-registry")?;
        let mut lines = BufReader::new(process.stderr.take().context("its log")?).lines();
        let mut heard = String::new();
        let address = loop {
            let Some(line) = lines.next() else {
                anyhow::bail!("docker-registry ended: {heard}");
            };
            let line = line?;
            if let Some((_, address)) = line.split_once("listening on ") {
                break address.split('"').next().unwrap_or_default().parse()?;
            }
            heard.push_str(&line);
        };
        // It ends when nobody reads what it says; the thread ends with it.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { address, client: plain_client()?, process, _folder: folder })
    }

    /// `HOST:PORT`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Pushes an image and tags it; gives the digest of its manifest.
    pub async fn push(&self, name: &str, tag: &str, config: Part<'_>, layers: &[Part<'_>]) -> Result<Digest> {
        let config = self.blob(name, config).await?;
        let mut parts = Vec::new();
        for layer in layers {
            parts.push(self.blob(name, *layer).await?);
        }
        const MEDIA: &str = "application/vnd.oci.image.manifest.v1+json";
        let manifest =
            json!({"schemaVersion": 2, "mediaType": MEDIA, "config": config, "layers": parts}).to_string();
        let request = self.request(Method::PUT, &format!("/v2/{name}/manifests/{tag}"));
        let request = request.header("content-type", MEDIA).body(manifest.clone());
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "push {name}:{tag}: {status} {text}");
        Ok(Digest::of(manifest.as_bytes()))
    }

    async fn blob(&self, name: &str, (media, content): Part<'_>) -> Result<Value> {
        let begun = self.request(Method::POST, &format!("/v2/{name}/blobs/uploads/")).send().await?;
        let place = begun.headers().get("location").context("a place to upload to")?.to_str()?.to_owned();
        let path = place.strip_prefix(&format!("http://{}", self.address)).unwrap_or(&place).to_owned();
        let digest = Digest::of(content);
        let request = self.request(Method::PUT, &format!("{path}&digest={digest}"));
        let answer = request.body(content.to_vec()).send().await?;
        ensure!(answer.status().is_success(), "upload to {name}: {}", answer.status());
        Ok(json!({"mediaType": media, "digest": digest.as_str(), "size": content.len()}))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("http://{}{path}", self.address));
        request.basic_auth(USER, Some(PASSWORD))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A client that never comes to look at a certificate: it trusts nobody's.
fn plain_client() -> Result<Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    Ok(Client::builder().tls_backend_preconfigured(tls).build()?)
}

/// A tar archive of files.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (path, content) in files {
        let mut header = [0_u8; 512];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, path.as_bytes());
        put(100, b"0000644\0");
        put(124, format!("{:011o}\0", content.len()).as_bytes());
        put(148, b"        ");
        put(156, b"0");
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend(header);
        archive.extend(*content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.extend([0; 1024]);
    archive
}
