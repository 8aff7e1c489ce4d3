//! The document that webhooks are sent and the one they answer with.

use std::collections::BTreeMap;

use api::backend::{DeleteOptions, FieldValidation, Propagation, WriteOptions};
use api::resource::NAMESPACES;
use api::status::{Details, Reason};
use api::{Resource, Status};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::shown::Shown;
use super::{Attributes, Options};
use crate::tree;

const VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// All that is said of a request but the objects.
pub fn request(shown: &Shown<'_>, uid: String) -> Value {
    let attributes = shown.attributes;
    let Attributes { requested, subresource, key, user, operation, .. } = attributes;
    // A namespace counts as being in itself.
    let namespace = if attributes.resource == &NAMESPACES { &key.name } else { &key.namespace };
    let mut request = json!({
        "uid": uid,
        "kind": kind(shown, &shown.resource),
        "resource": names(&shown.resource),
        "requestKind": kind(shown, requested),
        "requestResource": names(requested),
        "name": &*key.name,
        "namespace": &**namespace,
        "operation": operation.name(),
        "userInfo": user.info(),
        "dryRun": attributes.is_dry_run(),
        "options": options(attributes),
    });
    if !subresource.is_empty() {
        request["subResource"] = (*subresource).into();
        request["requestSubResource"] = (*subresource).into();
    }
    for field in ["name", "namespace"] {
        if request[field] == "" {
            tree::set(&mut request, field, None);
        }
    }
    request
}

/// The kind of the object that is sent, which may be a document of a subresource.
fn kind(shown: &Shown<'_>, resource: &Resource) -> Value {
    let object = shown.object().or(shown.old());
    let text = |field: &str| object.and_then(|object| tree::text(object, field));
    if let (true, Some(version), Some(kind)) = (shown.is_document(), text("apiVersion"), text("kind")) {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        return json!({"group": group, "version": version, "kind": kind});
    }
    json!({"group": resource.group, "version": resource.version, "kind": resource.kind})
}

fn names(resource: &Resource) -> Value {
    json!({"group": resource.group, "version": resource.version, "resource": resource.plural})
}

fn options(attributes: &Attributes<'_>) -> Value {
    match attributes.options {
        Options::Create(options) => write_options("CreateOptions", options),
        Options::Update(options) => write_options("UpdateOptions", options),
        Options::Patch(options) => {
            let mut value = write_options("PatchOptions", options);
            tree::set(&mut value, "force", options.force.then(|| true.into()));
            value
        }
        Options::Delete(options) => delete_options(options),
        Options::Connect => Value::Null,
    }
}

fn write_options(kind: &str, options: &WriteOptions) -> Value {
    let mut value = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1"});
    if options.dry_run {
        value["dryRun"] = json!(["All"]);
    }
    if !options.field_manager.is_empty() {
        value["fieldManager"] = options.field_manager.as_str().into();
    }
    value["fieldValidation"] = match options.field_validation {
        FieldValidation::Ignore => "Ignore",
        FieldValidation::Warn => "Warn",
        FieldValidation::Strict => "Strict",
    }
    .into();
    value
}

fn delete_options(options: &DeleteOptions) -> Value {
    let mut value = json!({"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"});
    if options.dry_run {
        value["dryRun"] = json!(["All"]);
    }
    if let Some(seconds) = options.grace_seconds {
        value["gracePeriodSeconds"] = seconds.into();
    }
    if let Some(propagation) = options.propagation {
        value["propagationPolicy"] = match propagation {
            Propagation::Background => "Background",
            Propagation::Foreground => "Foreground",
            Propagation::Orphan => "Orphan",
        }
        .into();
    }
    if options.uid.is_some() || options.revision.is_some() {
        let mut preconditions = Map::new();
        preconditions.extend(options.uid.as_ref().map(|uid| ("uid".to_owned(), uid.as_str().into())));
        let revision = options.revision.map(|revision| revision.to_string().into());
        preconditions.extend(revision.map(|revision| ("resourceVersion".to_owned(), revision)));
        value["preconditions"] = preconditions.into();
    }
    value
}

/// The document for a webhook.
pub fn document(shown: &Shown<'_>, uid: &str) -> Value {
    let mut request = request(shown, uid.to_owned());
    request["object"] = shown.object().cloned().unwrap_or_default();
    request["oldObject"] = shown.old().cloned().unwrap_or_default();
    json!({"kind": KIND, "apiVersion": VERSION, "request": request})
}

/// What a webhook said.
#[derive(Debug, Default)]
pub struct Answer {
    /// Whether the request may go on.
    pub allowed: bool,
    /// Why not.
    pub status: Value,
    /// The operations by which the object is changed.
    pub patch: Option<Value>,
    /// Sentences for the user.
    pub warnings: Vec<String>,
    /// What is noted of the request.
    pub annotations: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Response {
    uid: String,
    allowed: bool,
    status: Option<Value>,
    patch: Option<String>,
    patch_type: Option<String>,
    warnings: Option<Vec<String>>,
    audit_annotations: Option<BTreeMap<String, String>>,
}

/// Reads what a webhook answered to the request with this uid.
pub fn answer(body: &[u8], uid: &str) -> Result<Answer, String> {
    let review: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let text = |field: &str| tree::text(&review, field).unwrap_or_default();
    if (text("apiVersion"), text("kind")) != (VERSION, KIND) {
        let found = format!("{}, Kind={}", text("apiVersion"), text("kind"));
        return Err(format!(
            "received invalid webhook response: expected webhook response of {VERSION}, Kind={KIND}, got {found}"
        ));
    }
    if !review["response"].is_object() {
        return Err("webhook response was absent".to_owned());
    }
    let invalid = |words: String| format!("received invalid webhook response: {words}");
    let response = Response::deserialize(&review["response"]).map_err(|error| invalid(error.to_string()))?;
    if response.uid != uid {
        return Err(invalid(format!("expected response.uid={uid:?}, got {:?}", response.uid)));
    }
    let patch = match (response.patch.filter(|patch| !patch.is_empty()), response.patch_type.as_deref()) {
        (None, None) => None,
        (None, Some(_)) => {
            return Err(invalid("webhook returned response.patchType but not response.patch".to_owned()));
        }
        (Some(_), None) => {
            return Err(invalid("webhook returned response.patch but not response.patchType".to_owned()));
        }
        (Some(patch), Some("JSONPatch")) => Some(decode(&patch).map_err(invalid)?),
        (Some(_), Some(other)) => {
            return Err(invalid(format!("webhook returned invalid response.patchType of {other:?}")));
        }
    };
    Ok(Answer {
        allowed: response.allowed,
        status: response.status.unwrap_or_default(),
        patch,
        warnings: response.warnings.unwrap_or_default(),
        annotations: response.audit_annotations.unwrap_or_default(),
    })
}

fn decode(patch: &str) -> Result<Value, String> {
    let json = STANDARD.decode(patch).map_err(|error| error.to_string())?;
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}

/// The refusal of a webhook, for the user.
pub fn denied(webhook: &str, status: &Value) -> Status {
    let text = |field: &str| tree::text(status, field);
    let by = format!("admission webhook {webhook:?} denied the request");
    let message = match text("message").or_else(|| text("reason")) {
        Some(why) => format!("{by}: {why}"),
        None => format!("{by} without explanation"),
    };
    let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok());
    let code = code.filter(|code| (400..600).contains(code)).unwrap_or(400);
    let reason = text("reason").and_then(Reason::of_name).unwrap_or(Reason::Unknown);
    let detail = |field: &str| tree::text(&status["details"], field).unwrap_or_default().to_owned();
    let details = status["details"].is_object().then(|| {
        Box::new(Details {
            name: detail("name"),
            group: detail("group"),
            kind: detail("kind"),
            uid: detail("uid"),
            ..Details::default()
        })
    });
    Status { code, details, ..Status::new(reason, message) }
}
