//! APIServices: which group-versions there are, and who serves them.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::{APIService, APIServiceSpec};
use serde_json::{Value, json};

use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::{Form, port_mistake};
use crate::path::Path;
use crate::tree;

const HIGHEST_GROUP_PRIORITY: i32 = 20_000;
const HIGHEST_VERSION_PRIORITY: i32 = 1_000;

/// Says that the server made the object, and when it does: `onstart`, or whenever it is missing.
pub const MANAGED: &str = "kube-aggregator.kubernetes.io/automanaged";

/// The kind APIService.
pub struct ApiServices;

/// The object for a group-version that this server serves itself.
pub fn local(group: &str, version: &str, when: &str, group_priority: i32, version_priority: i32) -> Value {
    json!({
        "metadata": {"name": format!("{version}.{group}"), "labels": {MANAGED: when}},
        "spec": {"group": group, "version": version,
            "groupPriorityMinimum": group_priority, "versionPriority": version_priority},
    })
}

impl Builtin for ApiServices {
    type Typed = APIService;

    const RESOURCE: Resource =
        Resource::new("apiregistration.k8s.io", "v1", "apiservices", "APIService", false);

    const DEFINITION: Definition = Definition {
        categories: &["api-extensions"],
        subresources: &["status"],
        names: Form::PathSegment,
        ..Definition::new("apiservice")
    };

    fn set_defaults(service: &mut Value) {
        let spec = tree::object(service, "spec");
        if let Some(reference) = tree::field(spec, "service").filter(|service| service.is_object()) {
            tree::set_default(reference, "port", 443);
        }
    }

    /// What the server serves itself is there at once.
    fn prepare_create(service: &mut Value) {
        let now = service["metadata"]["creationTimestamp"].clone();
        let status = if is_local(service) { available(&now) } else { json!({}) };
        tree::set(service, "status", Some(status));
    }

    fn prepare_update(new: &mut Value, old: &Value) {
        if is_local(new) && !is_local(old) {
            let since = new["metadata"]["creationTimestamp"].clone();
            tree::set(new, "status", Some(available(&since)));
        }
    }

    fn check(service: &APIService, errors: &mut Vec<FieldError>) {
        let empty = APIServiceSpec::default();
        let spec = service.spec.as_ref().unwrap_or(&empty);
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        let (group, version) = (of(&spec.group), of(&spec.version));
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let wanted = format!("{version}.{group}");
        if !name.is_empty() && name != wanted {
            let words = format!("must be `spec.version+\".\"+spec.group`: {wanted:?}");
            errors.push(FieldError::invalid("metadata.name", name, words));
        }
        check_spec(spec, &group, &version, &Path::new("spec"), errors);
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Service", "The service that serves it."),
        text("Available", "Whether it is served."),
        cells::AGE,
    ];

    fn row(service: &APIService, now: Timestamp) -> Vec<Value> {
        let reference = service.spec.as_ref().and_then(|spec| spec.service.as_ref());
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        let shown =
            reference.map(|reference| format!("{}/{}", of(&reference.namespace), of(&reference.name)));
        let mut conditions = service.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let available = conditions.rfind(|condition| condition.type_ == "Available");
        let available = match available {
            None => "Unknown".to_owned(),
            Some(condition) if condition.status == "True" => "True".to_owned(),
            Some(condition) => format!("{} ({})", condition.status, of(&condition.reason)),
        };
        vec![
            cells::name(&service.metadata),
            shown.unwrap_or_else(|| "Local".to_owned()).into(),
            available.into(),
            cells::age(&service.metadata, now),
        ]
    }
}

fn is_local(service: &Value) -> bool {
    service["spec"].get("service").is_none_or(Value::is_null)
}

/// The status of what the server serves itself.
fn available(since: &Value) -> Value {
    json!({"conditions": [{
        "type": "Available", "status": "True", "reason": "Local",
        "message": "Local APIServices are always available", "lastTransitionTime": since,
    }]})
}

fn check_spec(
    spec: &APIServiceSpec,
    group: &str,
    version: &str,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if group.is_empty() && version != "v1" {
        let words = "only v1 may have an empty group and it better be legacy kube";
        errors.push(FieldError::required(path.child("group"), words));
    } else if !group.is_empty() {
        Form::Subdomain.check(group, &path.child("group"), errors);
    }
    Form::Label1035.check(version, &path.child("version"), errors);
    let priorities = [
        ("groupPriorityMinimum", spec.group_priority_minimum, HIGHEST_GROUP_PRIORITY),
        ("versionPriority", spec.version_priority, HIGHEST_VERSION_PRIORITY),
    ];
    for (field, priority, highest) in priorities {
        if !(1..=highest).contains(&priority) {
            let words = format!("must be positive and less than {highest}");
            errors.push(FieldError::invalid(path.child(field), priority, words));
        }
    }
    let bundle = spec.ca_bundle.as_ref().map_or(0, |bundle| bundle.0.len());
    let is_insecure = spec.insecure_skip_tls_verify == Some(true);
    let Some(service) = &spec.service else {
        if bundle > 0 {
            let words = "local APIServices may not have a caBundle";
            errors.push(FieldError::invalid(path.child("caBundle"), format!("{bundle} bytes"), words));
        }
        if is_insecure {
            let words = "local APIServices may not have insecureSkipTLSVerify";
            errors.push(FieldError::invalid(path.child("insecureSkipTLSVerify"), true, words));
        }
        return;
    };
    let service_path = path.child("service");
    for (field, text) in [("namespace", &service.namespace), ("name", &service.name)] {
        if text.as_deref().unwrap_or_default().is_empty() {
            errors.push(FieldError::required(service_path.child(field), ""));
        }
    }
    if let Some(port) = service.port
        && let Some(words) = port_mistake(port)
    {
        let words = format!("port is not valid: {words}");
        errors.push(FieldError::invalid(service_path.child("port"), port, words));
    }
    if is_insecure && bundle > 0 {
        let words = "may not be true if caBundle is present";
        errors.push(FieldError::invalid(path.child("insecureSkipTLSVerify"), true, words));
    }
}
