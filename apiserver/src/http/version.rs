//! Which version of Kubernetes' API this is.

use std::env::consts;

use serde_json::{Value, json};

/// The document at `/version`.
pub(super) fn document() -> Value {
    let arch = match consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "major": "1",
        "minor": "35",
        "gitVersion": "v1.35.0+peapod",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{arch}", consts::OS),
    })
}
