//! Asks a served cluster over HTTPS, as its kubeconfig says.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cli::https::{self, Identity};
use reqwest::{Client, Response, StatusCode};
use serde_json::Value;

/// A client of one server.
#[derive(Clone)]
pub struct Https {
    /// The server, as `https://127.0.0.1:41233`.
    pub server: String,
    client: Client,
}

impl Https {
    /// The client that a kubeconfig describes.
    pub fn of(kubeconfig: &Path) -> Result<Self> {
        let config = read(kubeconfig)?;
        let user = &config["users"][0]["user"];
        let (certificate, key) =
            (decoded(&user["client-certificate-data"])?, decoded(&user["client-key-data"])?);
        Self::with(&config, Some(Identity { certificate: &certificate, key: &key }))
    }

    /// A client of the same server that shows nobody's certificate.
    pub fn anonymous(kubeconfig: &Path) -> Result<Self> {
        let config = read(kubeconfig)?;
        Self::with(&config, None)
    }

    /// A client of the same server that shows this certificate.
    pub fn showing(kubeconfig: &Path, identity: Identity<'_>) -> Result<Self> {
        Self::with(&read(kubeconfig)?, Some(identity))
    }

    fn with(config: &Value, identity: Option<Identity<'_>>) -> Result<Self> {
        let cluster = &config["clusters"][0]["cluster"];
        let server = cluster["server"].as_str().context("a server")?.to_owned();
        let client = https::client(&decoded(&cluster["certificate-authority-data"])?, identity)?;
        Ok(Self { server, client })
    }

    /// A request that can still be given headers and a body.
    pub fn request(&self, method: &str, path: &str) -> Result<reqwest::RequestBuilder> {
        Ok(self.client.request(method.parse()?, format!("{}{path}", self.server)))
    }

    /// Asks, and reads the JSON of the answer.
    pub async fn json(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let mut request = self.request(method, path)?;
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await?;
        let status = answer.status();
        Ok((status, serde_json::from_slice(&answer.bytes().await?)?))
    }

    /// Asks, and leaves the answer's body to the caller.
    pub async fn open(&self, path: &str) -> Result<Response> {
        Ok(self.request("GET", path)?.send().await?)
    }
}

fn read(kubeconfig: &Path) -> Result<Value> {
    let text = fs::read_to_string(kubeconfig)?;
    let documents = api::manifest::read("kubeconfig", &text)?;
    Ok(documents.into_iter().next().context("an empty kubeconfig")?.value)
}

fn decoded(text: &Value) -> Result<Vec<u8>> {
    Ok(STANDARD.decode(text.as_str().context("base64")?)?)
}
