//! What registries say of an image: an index of platforms, or a manifest of its parts, and its configuration. All of it
//! is written by strangers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::digest::Digest;

/// The largest manifest, and the largest configuration, that is read: as other runtimes have it.
pub(super) const LARGEST: u64 = 4 << 20;
/// The most parts of an image, or platforms of an index.
const MOST_PARTS: usize = 1_000;

/// The media types of manifests, to be asked for.
pub(super) const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// What a manifest is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Manifest {
    Image(Parts),
    Index(Vec<Choice>),
}

/// The parts of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) config: Descriptor,
    pub(super) layers: Vec<Descriptor>,
}

/// One content of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Descriptor {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// The image of one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) digest: Digest,
    /// Operating system and architecture.
    pub(super) platform: Option<(String, String)>,
}

/// How an image wants to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImageConfig {
    /// What it starts, where a pod gives no `command`.
    pub entrypoint: Vec<String>,
    /// The arguments, where a pod gives neither `command` nor `args`.
    pub command: Vec<String>,
    /// The variables it has besides those of the pod.
    pub env: Vec<(String, String)>,
    /// Its working directory; empty for the root.
    pub working_dir: String,
    /// The TCP ports it says to serve.
    pub ports: Vec<u16>,
}

/// A manifest cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadManifest(pub(super) String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManifest {
    schema_version: Option<u32>,
    config: Option<RawDescriptor>,
    layers: Option<Vec<RawDescriptor>>,
    manifests: Option<Vec<RawDescriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    size: u64,
    platform: Option<RawPlatform>,
}

#[derive(Deserialize)]
struct RawPlatform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawConfig {
    config: Option<RawRun>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct RawRun {
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde::de::IgnoredAny>>,
}

impl Manifest {
    /// Reads a manifest.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadManifest> {
        let raw: RawManifest = serde_json::from_slice(bytes)
            .map_err(|error| BadManifest(format!("the manifest cannot be read: {error}")))?;
        if raw.schema_version != Some(2) {
            return Err(BadManifest("the manifest is not of schema version 2".to_owned()));
        }
        let count = raw.layers.as_ref().map_or(0, Vec::len) + raw.manifests.as_ref().map_or(0, Vec::len);
        if count > MOST_PARTS {
            return Err(BadManifest(format!("the manifest has {count} parts, more than {MOST_PARTS}")));
        }
        match (raw.manifests, raw.config) {
            (Some(manifests), None) => {
                manifests.into_iter().map(Choice::of).collect::<Result<_, _>>().map(Self::Index)
            }
            (None, Some(config)) => {
                let layers = raw.layers.unwrap_or_default();
                let layers = layers.into_iter().map(Descriptor::of).collect::<Result<_, _>>()?;
                Ok(Self::Image(Parts { config: Descriptor::of(config)?, layers }))
            }
            _ => Err(BadManifest("the manifest is neither an image's nor an index".to_owned())),
        }
    }
}

impl Descriptor {
    fn of(raw: RawDescriptor) -> Result<Self, BadManifest> {
        Ok(Self { digest: digest(&raw)?, media_type: raw.media_type, size: raw.size })
    }
}

impl Choice {
    fn of(raw: RawDescriptor) -> Result<Self, BadManifest> {
        let digest = digest(&raw)?;
        Ok(Self { digest, platform: raw.platform.map(|platform| (platform.os, platform.architecture)) })
    }
}

fn digest(raw: &RawDescriptor) -> Result<Digest, BadManifest> {
    raw.digest.parse().map_err(|error| BadManifest(format!("the manifest holds an {error}")))
}

/// The image to take from an index: one for WebAssembly, the plainest first, else one for this machine's kind of Linux, else for
/// any Linux: images with a program for WebAssembly often call themselves that.
pub(super) fn choose(choices: &[Choice], architecture: &str) -> Result<Digest, BadManifest> {
    let rank = |choice: &Choice| match &choice.platform {
        Some((os, _)) if os == "wasi" => Some(0),
        Some((os, _)) if os == "wasip1" => Some(1),
        Some((os, _)) if os == "wasip2" => Some(2),
        Some((_, arch)) if arch.starts_with("wasm") => Some(3),
        Some((os, arch)) if os == "linux" && arch == architecture => Some(4),
        Some((os, _)) if os == "linux" => Some(5),
        Some(_) => None,
        None => Some(6),
    };
    let ranked = choices.iter().filter_map(|choice| Some((rank(choice)?, choice)));
    let best = ranked.min_by_key(|(rank, _)| *rank);
    best.map(|(_, choice)| choice.digest.clone()).ok_or_else(|| {
        let known = choices.iter().filter_map(|choice| choice.platform.as_ref());
        let known: Vec<String> = known.map(|(os, arch)| format!("{os}/{arch}")).take(20).collect();
        BadManifest(format!("no match for platform wasi/wasm in manifest; it has {}", known.join(", ")))
    })
}

impl ImageConfig {
    /// Reads a configuration; what is not understood counts as not said, as artifacts put other things there.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let raw: RawConfig = serde_json::from_slice(bytes).unwrap_or_default();
        let run = raw.config.unwrap_or_default();
        let variable = |variable: String| {
            let (name, value) = variable.split_once('=')?;
            (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        };
        let port = |port: &String| match port.split_once('/') {
            None | Some((_, "tcp")) => port.split('/').next()?.parse().ok(),
            Some(_) => None,
        };
        Self {
            entrypoint: run.entrypoint.unwrap_or_default(),
            command: run.cmd.unwrap_or_default(),
            env: run.env.unwrap_or_default().into_iter().filter_map(variable).collect(),
            working_dir: run.working_dir.unwrap_or_default(),
            ports: run.exposed_ports.unwrap_or_default().keys().filter_map(port).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn hash(number: u8) -> String {
        Digest::of(&[number]).to_string()
    }

    fn parse(value: serde_json::Value) -> Result<Manifest, String> {
        Manifest::parse(value.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn images_and_indexes_are_told_apart() {
        let part = |number, media: &str| json!({"mediaType": media, "digest": hash(number), "size": 7});
        let image = json!({"schemaVersion": 2, "config": part(1, "c"), "layers": [part(2, "l")]});
        let Ok(Manifest::Image(parts)) = parse(image) else { panic!("an image") };
        assert_eq!((parts.config.media_type.as_str(), parts.layers[0].size), ("c", 7));
        let mut entry = part(3, "m");
        entry["platform"] = json!({"os": "wasi", "architecture": "wasm"});
        let Ok(Manifest::Index(choices)) = parse(json!({"schemaVersion": 2, "manifests": [entry]})) else {
            panic!("an index")
        };
        assert_eq!(choices[0].platform, Some(("wasi".into(), "wasm".into())));
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        let check = |value: serde_json::Value, words: &str| {
            let refused = parse(value).expect_err(words);
            assert!(refused.contains(words), "{refused}");
        };
        check(json!([]), "the manifest cannot be read");
        check(json!({}), "not of schema version 2");
        check(json!({"schemaVersion": 1, "fsLayers": []}), "not of schema version 2");
        check(json!({"schemaVersion": 2}), "neither an image's nor an index");
        let bad = json!({"digest": "sha256:../../../etc/passwd"});
        check(json!({"schemaVersion": 2, "config": bad}), "the manifest holds an invalid digest");
        let many = vec![json!({"digest": hash(1)}); 1_001];
        check(json!({"schemaVersion": 2, "manifests": many}), "1001 parts");
        assert!(Manifest::parse(b"\xff{").is_err());
    }

    #[test]
    fn the_platform_nearest_to_webassembly_is_chosen() {
        let check = |platforms: &[&str], expected: Option<usize>| {
            let choices: Vec<Choice> = platforms
                .iter()
                .enumerate()
                .map(|(index, platform)| Choice {
                    digest: Digest::of(&[index as u8]),
                    platform: platform.split_once('/').map(|(os, arch)| (os.to_owned(), arch.to_owned())),
                })
                .collect();
            let chosen = choose(&choices, "amd64").ok();
            assert_eq!(chosen, expected.map(|index| choices[index].digest.clone()), "{platforms:?}");
        };
        check(&["linux/amd64", "wasip2/wasm", "wasip1/wasm", "wasi/wasm"], Some(3));
        check(&["linux/amd64", "wasip2/wasm", "wasip1/wasm"], Some(2));
        check(&["linux/amd64", "js/wasm"], Some(1));
        check(&["linux/arm64", "linux/amd64"], Some(1));
        check(&["unknown/unknown", "linux/arm64"], Some(1));
        check(&["", "unknown/unknown"], Some(0));
        check(&["windows/amd64", "unknown/unknown"], None);
        check(&[], None);
    }

    #[test]
    fn a_configuration_is_read_as_far_as_it_is_one() {
        let config = json!({"config": {
            "Env": ["A=1", "B=x=y", "=z", "C"], "Entrypoint": ["/app.wasm"], "Cmd": null,
            "WorkingDir": "/srv", "ExposedPorts": {"80/tcp": {}, "53/udp": {}, "x": {}},
        }});
        let config = ImageConfig::parse(config.to_string().as_bytes());
        assert_eq!(config.entrypoint, ["/app.wasm"]);
        assert_eq!(config.env, [("A".into(), "1".into()), ("B".into(), "x=y".into())]);
        assert_eq!((config.working_dir.as_str(), config.ports), ("/srv", vec![80]));
        assert_eq!(ImageConfig::parse(b"{}"), ImageConfig::default());
        assert_eq!(ImageConfig::parse(b"\0asm"), ImageConfig::default());
    }

    fn json_value() -> impl Strategy<Value = serde_json::Value> {
        let word = prop::sample::select(vec![
            "schemaVersion",
            "config",
            "layers",
            "manifests",
            "mediaType",
            "digest",
            "size",
            "platform",
            "os",
            "Env",
            "Entrypoint",
            "ExposedPorts",
            "wasi",
            "A=1",
            "80/tcp",
            "",
        ]);
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<i64>().prop_map(|number| json!(number)),
            any::<f64>().prop_map(|number| json!(number)),
            word.clone().prop_map(|word| json!(word)),
            Just(json!(hash(1))),
        ];
        leaf.prop_recursive(4, 64, 6, move |inner| {
            let object = prop::collection::btree_map(word.clone(), inner.clone(), 0..6);
            prop_oneof![
                prop::collection::vec(inner, 0..6).prop_map(|list| json!(list)),
                object.prop_map(|object| json!(object)),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_strangers_write_is_read_or_refused(
            mut value in json_value(), bytes in prop::collection::vec(any::<u8>(), 0..200)
        ) {
            if let Some(object) = value.as_object_mut() {
                object.insert("schemaVersion".to_owned(), json!(2));
            }
            let text = value.to_string();
            if let Ok(Manifest::Index(choices)) = Manifest::parse(text.as_bytes()) {
                let _ = choose(&choices, "amd64");
            }
            let _ = ImageConfig::parse(json!({"config": value}).to_string().as_bytes());
            let _ = (Manifest::parse(&bytes), ImageConfig::parse(&bytes));
        }
    }
}
