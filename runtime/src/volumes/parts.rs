//! What configMap, secret, downwardAPI and projected volumes are made of, and the files that come of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use api::Object;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, Secret, Volume, VolumeProjection,
};
use serde::de::DeserializeOwned;

use super::downward;
use super::place::relative;
use super::show::{File, Files};
use super::{Sources, TokenSpec, VolumeError};

const DEFAULT_MODE: i32 = 0o644;
/// Only the owner may read a token, whatever the volume says of its files.
const TOKEN_MODE: u32 = 0o600;
/// How long a token lives if the volume does not say, as in Kubernetes.
const DEFAULT_TOKEN_SECONDS: i64 = 3600;

/// What a volume shows: its parts, later ones over earlier ones.
#[derive(Debug)]
pub(super) struct Shown {
    parts: Vec<Part>,
    default_mode: i32,
}

#[derive(Debug)]
enum Part {
    Keys(Keys),
    Token { spec: TokenSpec, path: String },
    Downward(Vec<DownwardAPIVolumeFile>),
}

/// Keys of a ConfigMap or a Secret.
#[derive(Debug)]
struct Keys {
    source: Source,
    name: String,
    /// Which keys; none for all.
    items: Option<Vec<KeyToPath>>,
    is_optional: bool,
}

/// What volumes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// Data everybody may see.
    ConfigMap,
    /// Data for few.
    Secret,
    /// What is claimed, which has no keys.
    Claim,
}

impl Source {
    /// As Kubernetes' messages have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
            Self::Claim => "persistentvolumeclaim",
        }
    }

    fn word_for_missing_keys(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap references non-existent config key",
            Self::Secret => "references non-existent secret key",
            Self::Claim => "persistentvolumeclaim has no keys",
        }
    }
}

impl Part {
    fn keys(source: Source, name: &str, items: &Option<Vec<KeyToPath>>, optional: Option<bool>) -> Self {
        let items = items.clone().filter(|items| !items.is_empty());
        Self::Keys(Keys { source, name: name.to_owned(), items, is_optional: optional == Some(true) })
    }
}

impl Shown {
    /// What the volume shows; none if it is of another kind.
    pub(super) fn of(volume: &Volume) -> Option<Self> {
        let (parts, default_mode) = if let Some(source) = &volume.config_map {
            let keys = Part::keys(Source::ConfigMap, &source.name, &source.items, source.optional);
            (vec![keys], source.default_mode)
        } else if let Some(source) = &volume.secret {
            let name = source.secret_name.as_deref().unwrap_or_default();
            (vec![Part::keys(Source::Secret, name, &source.items, source.optional)], source.default_mode)
        } else if let Some(source) = &volume.downward_api {
            (vec![Part::Downward(source.items.clone().unwrap_or_default())], source.default_mode)
        } else {
            let source = volume.projected.as_ref()?;
            let parts = source.sources.iter().flatten().flat_map(projected);
            (parts.collect(), source.default_mode)
        };
        Some(Self { parts, default_mode: default_mode.unwrap_or(DEFAULT_MODE) })
    }

    /// The ConfigMaps and Secrets it shows.
    pub(super) fn sources(&self) -> impl Iterator<Item = (Source, &str)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Keys(keys) => Some((keys.source, keys.name.as_str())),
            Part::Token { .. } | Part::Downward(_) => None,
        })
    }

    /// The tokens it shows.
    pub(super) fn tokens(&self) -> impl Iterator<Item = &TokenSpec> {
        self.parts.iter().filter_map(|part| match part {
            Part::Token { spec, .. } => Some(spec),
            Part::Keys(_) | Part::Downward(_) => None,
        })
    }

    /// Whether it shows anything of the pod's own object.
    pub(super) fn shows_pod(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Downward(_)))
    }

    /// The files as they should be now.
    pub(super) fn files(&self, volume: &str, pod: &Pod, sources: &dyn Sources) -> Result<Files, VolumeError> {
        let mut files = Files::new();
        let missing = |what| VolumeError::Missing { volume: volume.to_owned(), what };
        for part in &self.parts {
            match part {
                Part::Keys(keys) => self.add_keys(keys, volume, sources, &mut files)?,
                Part::Token { spec, path } => {
                    let token = sources.token(spec).map_err(missing)?;
                    let content = token.as_bytes().to_vec();
                    files.insert(placed(volume, path)?, File { mode: TOKEN_MODE, content });
                }
                Part::Downward(items) => {
                    for item in items {
                        let content = downward::content(pod, item, &sources.allocatable());
                        let content = content.map_err(missing)?.into_bytes();
                        files.insert(placed(volume, &item.path)?, self.file(item.mode, content));
                    }
                }
            }
        }
        Ok(files)
    }

    fn add_keys(
        &self,
        keys: &Keys,
        volume: &str,
        sources: &dyn Sources,
        files: &mut Files,
    ) -> Result<(), VolumeError> {
        let missing = |what: String| VolumeError::Missing { volume: volume.to_owned(), what };
        let Some(object) = sources.find(keys.source, &keys.name) else {
            return match keys.is_optional {
                true => Ok(()),
                false => Err(missing(format!("{} {:?} not found", keys.source.word(), keys.name))),
            };
        };
        let data = data(keys.source, &object).map_err(missing)?;
        let Some(items) = &keys.items else {
            for (key, content) in data {
                files.insert(placed(volume, key)?, self.file(None, content.to_vec()));
            }
            return Ok(());
        };
        for item in items {
            match data.get(item.key.as_str()) {
                Some(content) => {
                    files.insert(placed(volume, &item.path)?, self.file(item.mode, content.to_vec()));
                }
                None if keys.is_optional => {}
                None => {
                    let words = keys.source.word_for_missing_keys();
                    return Err(missing(format!("{words}: {}", item.key)));
                }
            }
        }
        Ok(())
    }

    /// The owner, which is Peapod, can always read.
    fn file(&self, mode: Option<i32>, content: Vec<u8>) -> File {
        let mode = mode.unwrap_or(self.default_mode);
        File { mode: (mode as u32 & 0o777) | 0o400, content }
    }
}

fn projected(source: &VolumeProjection) -> impl Iterator<Item = Part> {
    let config_map = source
        .config_map
        .iter()
        .map(|source| Part::keys(Source::ConfigMap, &source.name, &source.items, source.optional));
    let secret = source
        .secret
        .iter()
        .map(|source| Part::keys(Source::Secret, &source.name, &source.items, source.optional));
    let token = source.service_account_token.iter().map(|token| Part::Token {
        spec: TokenSpec {
            audience: token.audience.clone().filter(|audience| !audience.is_empty()),
            expiration_seconds: token.expiration_seconds.unwrap_or(DEFAULT_TOKEN_SECONDS),
        },
        path: token.path.clone(),
    });
    let downward =
        source.downward_api.iter().map(|source| Part::Downward(source.items.clone().unwrap_or_default()));
    config_map.chain(secret).chain(token).chain(downward)
}

/// The data of a ConfigMap or a Secret, by key.
fn data(source: Source, object: &Object) -> Result<BTreeMap<&str, &[u8]>, String> {
    fn typed<K: DeserializeOwned + Send + Sync + 'static>(object: &Object) -> Result<&K, String> {
        object.typed().map_err(|error| error.to_string())
    }
    fn binaries(data: &Option<BTreeMap<String, ByteString>>) -> impl Iterator<Item = (&str, &[u8])> {
        data.iter().flatten().map(|(key, data)| (key.as_str(), data.0.as_slice()))
    }
    Ok(match source {
        Source::ConfigMap => {
            let config_map: &ConfigMap = typed(object)?;
            let texts = config_map.data.iter().flatten();
            let texts = texts.map(|(key, text)| (key.as_str(), text.as_bytes()));
            texts.chain(binaries(&config_map.binary_data)).collect()
        }
        Source::Secret => binaries(&typed::<Secret>(object)?.data).collect(),
        Source::Claim => BTreeMap::new(),
    })
}

/// A path within the volume. Names that begin with two dots are those of the volume itself.
fn placed(volume: &str, path: &str) -> Result<PathBuf, VolumeError> {
    if path.starts_with("..") {
        return Err(VolumeError::Outside { volume: volume.to_owned(), path: path.to_owned() });
    }
    relative(volume, path)
}
