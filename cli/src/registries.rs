//! How registries are reached: flags of all commands that pull images.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use runtime::images::{DockerConfig, RegistryConfig};

/// Where images come from, as the user says.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Registries {
    /// Asks there first for images of a registry: docker.io=https://mirror.example; may be given often
    #[arg(long = "registry-mirror", value_name = "HOST=URL", value_parser = mirror)]
    pub mirrors: Vec<(String, String)>,
    /// Believes a registry without a valid certificate, or without TLS; those on this machine always are
    #[arg(long = "insecure-registry", value_name = "HOST[:PORT]")]
    pub insecure: Vec<String>,
    /// A Docker configuration with credentials [default: the user's own]
    #[arg(long = "registry-config", value_name = "PATH")]
    pub config: Option<PathBuf>,
}

impl Registries {
    /// The same for what pulls.
    pub fn config(&self) -> Result<RegistryConfig> {
        if let Some(path) = &self.config {
            ensure!(
                path.is_file(),
                "read the Docker configuration {}: there is no such file",
                path.display()
            );
        }
        let mut mirrors = BTreeMap::<String, Vec<String>>::new();
        for (host, url) in &self.mirrors {
            mirrors.entry(host.clone()).or_default().push(url.clone());
        }
        Ok(RegistryConfig {
            mirrors,
            insecure: self.insecure.iter().cloned().collect::<BTreeSet<_>>(),
            docker_config: self.config.clone().or_else(DockerConfig::path_of_user),
        })
    }
}

fn mirror(text: &str) -> Result<(String, String), String> {
    let split = text.split_once('=').filter(|(host, url)| {
        let is_url = url.starts_with("https://") || url.starts_with("http://");
        !host.is_empty() && !host.contains('/') && is_url
    });
    let (host, url) =
        split.ok_or("expected a registry and where to ask instead: docker.io=https://mirror.example")?;
    Ok((host.to_owned(), url.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_is_a_registry_and_a_url() {
        let pair = ("docker.io".to_owned(), "https://mirror.example/hub".to_owned());
        assert_eq!(mirror("docker.io=https://mirror.example/hub"), Ok(pair));
        for text in ["", "docker.io", "docker.io=mirror.example", "=https://x", "a/b=https://x"] {
            assert!(mirror(text).is_err(), "{text}");
        }
    }

    #[test]
    fn mirrors_of_a_registry_are_asked_in_the_order_given() {
        let mirrors = ["docker.io=https://a", "docker.io=https://b", "ghcr.io=http://c"];
        let mirrors = mirrors.iter().map(|text| mirror(text).expect("a mirror")).collect();
        let registries = Registries { mirrors, ..Registries::default() };
        let config = registries.config().expect("a configuration");
        assert_eq!(config.mirrors["docker.io"], ["https://a", "https://b"]);
        let registries = Registries { config: Some("/does/not/exist".into()), ..Registries::default() };
        assert!(registries.config().is_err());
    }
}
