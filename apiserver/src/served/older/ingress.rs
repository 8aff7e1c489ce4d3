//! Ingresses as they were before version 1: backends name a service and its port side by side.

use api::field::FieldError;
use serde_json::{Value, json};

use super::events::rename;
use crate::tree;

pub(super) fn take_in(ingress: &mut Value) -> Result<(), FieldError> {
    let Some(spec) = tree::field(ingress, "spec") else { return Ok(()) };
    rename(spec, "backend", "defaultBackend");
    each_backend(spec, take_in_backend);
    each_path(spec, |path| {
        if path.is_object() {
            tree::set_default(path, "pathType", "ImplementationSpecific");
        }
    });
    Ok(())
}

pub(super) fn bring_out(ingress: &mut Value) {
    let Some(spec) = tree::field(ingress, "spec") else { return };
    each_backend(spec, bring_out_backend);
    rename(spec, "defaultBackend", "backend");
}

fn each_backend(spec: &mut Value, change: fn(&mut Value)) {
    if let Some(backend) = tree::field(spec, "defaultBackend") {
        change(backend);
    }
    each_path(spec, |path| {
        if let Some(backend) = tree::field(path, "backend") {
            change(backend);
        }
    });
}

fn each_path(spec: &mut Value, change: impl Fn(&mut Value)) {
    for rule in tree::items(spec, "rules") {
        if let Some(http) = tree::field(rule, "http") {
            tree::items(http, "paths").for_each(&change);
        }
    }
}

fn take_in_backend(backend: &mut Value) {
    let Value::Object(fields) = backend else { return };
    let name = fields.remove("serviceName");
    let port = match fields.remove("servicePort") {
        Some(port @ Value::Number(_)) => Some(json!({"number": port})),
        Some(Value::String(port)) => match port.parse::<i32>() {
            Ok(number) => Some(json!({"number": number})),
            Err(_) => Some(json!({"name": port})),
        },
        _ => None,
    };
    if name.is_none() && port.is_none() {
        return;
    }
    let mut service = json!({"name": name.unwrap_or_else(|| "".into())});
    tree::set(&mut service, "port", port);
    fields.insert("service".to_owned(), service);
}

fn bring_out_backend(backend: &mut Value) {
    let Value::Object(fields) = backend else { return };
    let Some(Value::Object(mut service)) = fields.remove("service") else { return };
    let port = service.remove("port").unwrap_or_default();
    let port = port.get("name").or_else(|| port.get("number")).cloned();
    fields.extend(service.remove("name").map(|name| ("serviceName".to_owned(), name)));
    fields.extend(port.map(|port| ("servicePort".to_owned(), port)));
}
