//! How WebAssembly is packed into images: which parts hold the program, and which its files.
//!
//! ```text
//! artifact (wkg, wash, runwasi)   config wasm.config.v0+json, one layer application/wasm
//! image from scratch              layers of tar, the program a file among others
//! runwasi                         an image's config, a layer ...wasm.component.layer.v0+wasm
//! Spin                            config spin.application.v1+config, layers of wasm, data and tar
//! legacy (Krustlet, wasmCloud)    config wasm.config.v1+json, one layer ...content.layer.v1+wasm
//! ```
//!
//! Media types decide; what has another one counts as a program if it begins like one.

use serde::Deserialize;

use super::digest::Digest;
use super::manifest::{BadManifest, Descriptor, Parts};

/// The parts of an image, put to use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Arrangement {
    /// The program, if it is a part of its own.
    pub(super) program: Option<Digest>,
    /// The layers of the root file system, the lowest first.
    pub(super) layers: Vec<Digest>,
    /// Files that are parts of their own, by their place in the root file system.
    pub(super) files: Vec<(String, Digest)>,
    /// Variables that do not stand in an image's configuration.
    pub(super) env: Vec<(String, String)>,
}

const SPIN_CONFIG: &str = "application/vnd.fermyon.spin.application.v1+config";

/// Where Spin keeps what it built, as `spin.lock` describes it.
#[derive(Deserialize)]
struct SpinApplication {
    components: Vec<SpinComponent>,
}

#[derive(Deserialize)]
struct SpinComponent {
    source: SpinContent,
    #[serde(default)]
    files: Vec<SpinFile>,
    #[serde(default)]
    env: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct SpinContent {
    digest: Option<String>,
}

#[derive(Deserialize)]
struct SpinFile {
    path: String,
    digest: Option<String>,
}

/// Puts the parts of an image to use. `begins` gives the first bytes of a part.
pub(super) fn arrange(
    parts: &Parts,
    config: &[u8],
    begins: impl Fn(&Digest) -> Vec<u8>,
) -> Result<Arrangement, BadManifest> {
    let layers = || parts.layers.iter().filter(|layer| is_files(layer)).map(|layer| layer.digest.clone());
    if parts.config.media_type == SPIN_CONFIG {
        return Ok(Arrangement { layers: layers().collect(), ..spin(config)? });
    }
    let is_program = |layer: &&Descriptor| {
        is_program(layer) || (!is_files(layer) && begins(&layer.digest).starts_with(super::image::WASM_MAGIC))
    };
    let mut programs: Vec<&Digest> =
        parts.layers.iter().filter(is_program).map(|layer| &layer.digest).collect();
    programs.dedup();
    let arrangement = Arrangement {
        program: programs.first().copied().cloned(),
        layers: layers().collect(),
        ..Arrangement::default()
    };
    match (programs.len(), arrangement.layers.len()) {
        (0, 0) => Err(nothing_to_run(parts)),
        (0 | 1, _) => Ok(arrangement),
        (count, _) => {
            Err(BadManifest(format!("the image has {count} programs; one with one program can run")))
        }
    }
}

fn nothing_to_run(parts: &Parts) -> BadManifest {
    let known: Vec<&str> = parts.layers.iter().map(|layer| layer.media_type.as_str()).take(10).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    BadManifest(format!("the image holds neither a WebAssembly program nor files; its layers are {known}"))
}

fn is_program(layer: &Descriptor) -> bool {
    layer.media_type == "application/wasm" || layer.media_type.ends_with("+wasm")
}

fn is_files(layer: &Descriptor) -> bool {
    let media = layer.media_type.as_str();
    media.ends_with(".tar") || media.contains(".tar+") || media.contains(".tar.")
}

fn spin(config: &[u8]) -> Result<Arrangement, BadManifest> {
    let application: SpinApplication = serde_json::from_slice(config)
        .map_err(|error| BadManifest(format!("the Spin application cannot be read: {error}")))?;
    let [component] = application.components.as_slice() else {
        let count = application.components.len();
        return Err(BadManifest(format!(
            "the Spin application has {count} components; one with one component can run"
        )));
    };
    let digest = |text: &Option<String>| {
        let text =
            text.as_ref().ok_or_else(|| BadManifest("the Spin application names no content".to_owned()))?;
        text.parse().map_err(|error| BadManifest(format!("the Spin application holds an {error}")))
    };
    let files = component.files.iter().map(|file| Ok((file.path.clone(), digest(&file.digest)?)));
    Ok(Arrangement {
        program: Some(digest(&component.source.digest)?),
        files: files.collect::<Result<_, BadManifest>>()?,
        env: component.env.clone().into_iter().collect(),
        layers: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

    fn descriptor(media: &str, content: &str) -> Descriptor {
        Descriptor { media_type: media.to_owned(), digest: Digest::of(content.as_bytes()), size: 1 }
    }

    /// Arranges layers given as media type and content, and shows the result by content.
    fn arranged(config_media: &str, config: &str, layers: &[(&str, &'static str)]) -> String {
        let parts = Parts {
            config: descriptor(config_media, config),
            layers: layers.iter().map(|(media, content)| descriptor(media, content)).collect(),
        };
        let content = |digest: &Digest| {
            let found = layers.iter().find(|(_, content)| Digest::of(content.as_bytes()) == *digest);
            found.map_or("?", |(_, content)| content)
        };
        let arranged = arrange(&parts, config.as_bytes(), |digest| content(digest).as_bytes().to_vec());
        match arranged {
            Err(error) => error.to_string(),
            Ok(arranged) => {
                let program = arranged.program.as_ref().map_or("-", content).escape_debug().to_string();
                let layers: Vec<&str> = arranged.layers.iter().map(content).collect();
                let files: Vec<String> = arranged
                    .files
                    .iter()
                    .map(|(path, digest)| format!("{path}={}", content(digest)))
                    .collect();
                format!("{program} {} {} {}", layers.join("+"), files.join(","), arranged.env.len())
                    .trim_end()
                    .to_owned()
            }
        }
    }

    #[test]
    fn each_convention_is_known() {
        let check = |config: &str, layers: &[(&str, &'static str)], expected: &str| {
            assert_eq!(arranged(config, "{}", layers), expected, "{config} {layers:?}");
        };
        check("application/vnd.wasm.config.v0+json", &[("application/wasm", "p")], "p   0");
        let legacy = "application/vnd.wasm.config.v1+json";
        check(legacy, &[("application/vnd.wasm.content.layer.v1+wasm", "p")], "p   0");
        check(legacy, &[("application/vnd.module.wasm.content.layer.v1+wasm", "p")], "p   0");
        let component = "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm";
        check(IMAGE_CONFIG, &[(component, "p")], "p   0");
        let tar = "application/vnd.oci.image.layer.v1.tar+gzip";
        check(IMAGE_CONFIG, &[(tar, "a"), ("application/vnd.oci.image.layer.v1.tar", "b")], "- a+b  0");
        check(IMAGE_CONFIG, &[("application/vnd.docker.image.rootfs.diff.tar.gzip", "a")], "- a  0");
        check(IMAGE_CONFIG, &[(tar, "a"), ("application/wasm", "p")], "p a  0");
        check("application/x", &[("application/octet-stream", "\0asm")], "\\0asm   0");
    }

    #[test]
    fn what_cannot_run_says_why() {
        let check = |layers: &[(&str, &'static str)], expected: &str| {
            assert_eq!(arranged(IMAGE_CONFIG, "{}", layers), expected);
        };
        check(&[], "the image holds neither a WebAssembly program nor files; its layers are none");
        check(
            &[("application/json", "{}"), ("text/plain", "x")],
            "the image holds neither a WebAssembly program nor files; its layers are application/json, text/plain",
        );
        check(
            &[("application/wasm", "a"), ("application/wasm", "b")],
            "the image has 2 programs; one with one program can run",
        );
    }

    #[test]
    fn a_spin_application_of_one_component_is_put_together() {
        let wasm = "application/vnd.wasm.content.layer.v1+wasm";
        let layers = [
            (wasm, "p"),
            ("application/vnd.wasm.content.layer.v1+data", "f"),
            ("application/vnd.wasm.content.bundle.v1.tar+gzip", "t"),
        ];
        let component = json!({"id": "web", "env": {"A": "1"},
            "source": {"content_type": "application/wasm", "digest": Digest::of(b"p").as_str()},
            "files": [{"path": "/index.html", "digest": Digest::of(b"f").as_str()}]});
        let check = |config: serde_json::Value, expected: &str| {
            assert_eq!(arranged(SPIN_CONFIG, &config.to_string(), &layers), expected);
        };
        check(json!({"components": [component]}), "p t /index.html=f 1");
        check(
            json!({"components": [component, component]}),
            "the Spin application has 2 components; one with one component can run",
        );
        check(json!({"components": [{"source": {}}]}), "the Spin application names no content");
        assert!(arranged(SPIN_CONFIG, "[]", &layers).starts_with("the Spin application cannot be read"));
    }
}
