//! Secrets: bytes for pods that are nobody else's business. Some types say what must be in them.

use std::borrow::Cow;

use api::Resource;
use api::field::FieldError;
use api::resource::SECRETS;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Map, Value};

use crate::builtin::{Builtin, Column, Definition};
use crate::cells;
use crate::names::{IMMUTABLE, config_key_mistakes};
use crate::path::Path;
use crate::tree;

/// All values together, as in Kubernetes.
const LARGEST_BYTES: usize = 1 << 20;

const SEALED: &str = "field is immutable when `immutable` is set";

/// The annotation by which a secret of this type names its account.
const ACCOUNT_ANNOTATION: &str = "kubernetes.io/service-account.name";

/// The kind Secret.
pub struct Secrets;

impl Builtin for Secrets {
    type Typed = Secret;

    const RESOURCE: Resource = SECRETS;

    const DEFINITION: Definition = Definition { fields: &["type"], ..Definition::new("secret") };

    fn set_defaults(secret: &mut Value) {
        fold_texts(secret);
        tree::set_default_text(secret, "type", "Opaque");
    }

    fn check(secret: &Secret, errors: &mut Vec<FieldError>) {
        let path = Path::new("data");
        let mut total = 0;
        for (key, bytes) in secret.data.iter().flatten() {
            total += bytes.0.len();
            let mistakes = config_key_mistakes(key).into_iter();
            errors.extend(mistakes.map(|words| FieldError::invalid(path.key(key), key.as_str(), words)));
        }
        if total > LARGEST_BYTES {
            errors.push(FieldError::too_long(path, LARGEST_BYTES));
        }
        check_type(secret, &path, errors);
    }

    fn check_update(new: &Secret, old: &Secret, errors: &mut Vec<FieldError>) {
        if new.type_ != old.type_ {
            errors.push(FieldError::invalid("type", new.type_.as_deref().unwrap_or_default(), IMMUTABLE));
        }
        if old.immutable != Some(true) {
            return;
        }
        if new.immutable != Some(true) {
            errors.push(FieldError::forbidden("immutable", SEALED));
        }
        if new.data != old.data {
            errors.push(FieldError::forbidden("data", SEALED));
        }
    }

    fn field<'a>(secret: &'a Secret, field: &str) -> Option<Cow<'a, str>> {
        match field {
            "type" => secret.type_.as_deref().map(Cow::from),
            _ => None,
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        cells::text("Type", "What the secret is for."),
        cells::number("Data", "Number of keys."),
        cells::AGE,
    ];

    fn row(secret: &Secret, now: Timestamp) -> Vec<Value> {
        vec![
            cells::name(&secret.metadata),
            secret.type_.as_deref().unwrap_or_default().into(),
            secret.data.as_ref().map_or(0, |data| data.len()).into(),
            cells::age(&secret.metadata, now),
        ]
    }
}

/// What was given as text is kept as bytes, in place of bytes under the same key.
fn fold_texts(secret: &mut Value) {
    let Some(texts) = tree::field(secret, "stringData").map(Value::take) else {
        return;
    };
    tree::set(secret, "stringData", None);
    let Value::Object(texts) = texts else { return };
    if tree::field(secret, "data").is_none_or(|data| data.is_null()) {
        tree::set(secret, "data", Some(Value::Object(Map::new())));
    }
    let data = tree::object(secret, "data");
    for (key, text) in texts {
        let bytes = ByteString(text.as_str().unwrap_or_default().as_bytes().to_vec());
        tree::set(data, &key, serde_json::to_value(bytes).ok());
    }
}

/// What the type promises to those who use the secret is there.
fn check_type(secret: &Secret, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let bytes =
        |key: &str| secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.as_slice());
    let mut require = |key: &str, there: bool| {
        if !there {
            errors.push(FieldError::required(path.key(key), ""));
        }
    };
    match secret.type_.as_deref().unwrap_or_default() {
        "kubernetes.io/service-account-token" => {
            let annotations = secret.metadata.annotations.as_ref();
            let account = annotations.and_then(|annotations| annotations.get(ACCOUNT_ANNOTATION));
            if account.is_none_or(String::is_empty) {
                let path = Path::new("metadata");
                let path = path.child("annotations");
                errors.push(FieldError::required(path.key(ACCOUNT_ANNOTATION), ""));
            }
        }
        "kubernetes.io/dockercfg" => check_docker(".dockercfg", bytes(".dockercfg"), path, errors),
        "kubernetes.io/dockerconfigjson" => {
            check_docker(".dockerconfigjson", bytes(".dockerconfigjson"), path, errors);
        }
        "kubernetes.io/basic-auth" => {
            let either = bytes("username").is_some() || bytes("password").is_some();
            require("username", either);
            require("password", either);
        }
        "kubernetes.io/ssh-auth" => {
            require("ssh-privatekey", bytes("ssh-privatekey").is_some_and(|key| !key.is_empty()));
        }
        "kubernetes.io/tls" => {
            require("tls.crt", bytes("tls.crt").is_some());
            require("tls.key", bytes("tls.key").is_some());
        }
        _ => {}
    }
}

fn check_docker(key: &str, config: Option<&[u8]>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match config.map(serde_json::from_slice::<Map<String, Value>>) {
        None => errors.push(FieldError::required(path.key(key), "")),
        Some(Err(error)) => {
            // Where it is broken, but nothing of what is in it.
            let words = format!("must be a JSON object; line {}, column {}", error.line(), error.column());
            errors.push(FieldError::invalid(path.key(key), "<secret contents redacted>", words));
        }
        Some(Ok(_)) => {}
    }
}
