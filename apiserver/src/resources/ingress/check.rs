//! What users get wrong in ingresses.

use std::net::IpAddr;

use api::field::FieldError;
use k8s_openapi::api::core::v1::TypedLocalObjectReference;
use k8s_openapi::api::networking::v1::{
    HTTPIngressPath, Ingress, IngressBackend, IngressRule, IngressServiceBackend, IngressTLS,
};
use serde_json::Value;

use crate::names::{Form, NOT_AN_ADDRESS, port_mistake, port_name_mistakes, report, wildcard_mistakes};
use crate::path::Path;

const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
const CLASS_ANNOTATION: &str = "kubernetes.io/ingress.class";
const NOT_A_NAME: &str = "must be a DNS name, not an IP address";

/// What no path may hold, since proxies read it in different ways.
const UNWANTED: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const UNWANTED_ENDS: [&str; 2] = ["/..", "/."];

/// Checks one state of an ingress.
pub(super) fn check(ingress: &Ingress, errors: &mut Vec<FieldError>) {
    let path = Path::new("spec");
    let empty = Default::default();
    let spec = ingress.spec.as_ref().unwrap_or(&empty);
    let rules = spec.rules.as_deref().unwrap_or_default();
    match &spec.default_backend {
        Some(backend) => check_backend(backend, &path.child("defaultBackend"), errors),
        None if rules.is_empty() => {
            let words = "either `defaultBackend` or `rules` must be specified";
            errors.push(FieldError::invalid(path, Value::Null, words));
        }
        None => {}
    }
    let rules_path = path.child("rules");
    for (index, rule) in rules.iter().enumerate() {
        check_rule(rule, &rules_path.index(index), errors);
    }
    let tls_path = path.child("tls");
    for (index, tls) in spec.tls.iter().flatten().enumerate() {
        check_tls(tls, &tls_path.index(index), errors);
    }
    if let Some(class) = &spec.ingress_class_name {
        Form::Subdomain.check(class, &path.child("ingressClassName"), errors);
    }
}

/// A new ingress names its class in one way, or twice the same.
pub(super) fn check_class(ingress: &Ingress, errors: &mut Vec<FieldError>) {
    let annotations = ingress.metadata.annotations.as_ref();
    let annotated = annotations.and_then(|annotations| annotations.get(CLASS_ANNOTATION));
    let named = ingress.spec.as_ref().and_then(|spec| spec.ingress_class_name.as_ref());
    if let (Some(annotated), Some(named)) = (annotated, named)
        && annotated != named
    {
        let path = Path::new("annotations");
        let words = "must match `ingressClassName` when both are specified";
        errors.push(FieldError::invalid(path.child(CLASS_ANNOTATION), annotated.as_str(), words));
    }
}

/// Checks where an ingress is reached.
pub(super) fn check_status(ingress: &Ingress, errors: &mut Vec<FieldError>) {
    let balancer = ingress.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let path = Path::new("status");
    let path = path.child("loadBalancer");
    let path = path.child("ingress");
    for (index, point) in balancer.iter().flat_map(|balancer| balancer.ingress.iter().flatten()).enumerate() {
        let path = path.index(index);
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(ip) = given(&point.ip).filter(|ip| ip.parse::<IpAddr>().is_err()) {
            errors.push(FieldError::invalid(path.child("ip"), ip, NOT_AN_ADDRESS));
        }
        if let Some(hostname) = given(&point.hostname) {
            check_host(&hostname, &path.child("hostname"), errors);
        }
    }
}

/// A name that is no address; as a subdomain, an address would pass.
fn check_host(host: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    Form::Subdomain.check(host, path, errors);
    if host.parse::<IpAddr>().is_ok() {
        errors.push(FieldError::invalid(*path, host, NOT_A_NAME));
    }
}

fn check_rule(rule: &IngressRule, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match rule.host.as_deref().unwrap_or_default() {
        "" => {}
        host if host.contains('*') => report(host, wildcard_mistakes(host), &path.child("host"), errors),
        host => check_host(host, &path.child("host"), errors),
    }
    let Some(http) = &rule.http else { return };
    let path = path.child("http");
    let paths = path.child("paths");
    if http.paths.is_empty() {
        errors.push(FieldError::required(paths, ""));
    }
    for (index, entry) in http.paths.iter().enumerate() {
        check_path(entry, &paths.index(index), errors);
    }
}

fn check_path(entry: &HTTPIngressPath, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let text = entry.path.as_deref().unwrap_or_default();
    let text_path = path.child("path");
    let is_absolute = text.starts_with('/');
    match entry.path_type.as_str() {
        "" => {
            errors.push(FieldError::required(path.child("pathType"), "pathType must be specified"));
            return;
        }
        "Exact" | "Prefix" => {
            if !is_absolute {
                errors.push(FieldError::invalid(text_path, text, "must be an absolute path"));
            }
            for unwanted in UNWANTED.into_iter().filter(|unwanted| text.contains(unwanted)) {
                let words = format!("must not contain '{unwanted}'");
                errors.push(FieldError::invalid(text_path, text, words));
            }
            for unwanted in UNWANTED_ENDS.into_iter().filter(|unwanted| text.ends_with(unwanted)) {
                errors.push(FieldError::invalid(text_path, text, format!("cannot end with '{unwanted}'")));
            }
        }
        "ImplementationSpecific" if is_absolute || text.is_empty() => {}
        "ImplementationSpecific" => {
            errors.push(FieldError::invalid(text_path, text, "must be an absolute path"));
        }
        other => errors.push(FieldError::unsupported(path.child("pathType"), other, &PATH_TYPES)),
    }
    check_backend(&entry.backend, &path.child("backend"), errors);
}

fn check_backend(backend: &IngressBackend, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    match (&backend.resource, &backend.service) {
        (Some(_), Some(_)) => {
            let words = "cannot set both resource and service backends";
            errors.push(FieldError::invalid(*path, "", words));
        }
        (Some(resource), None) => check_resource(resource, &path.child("resource"), errors),
        (None, Some(service)) => check_service(service, path, errors),
        (None, None) => {
            errors.push(FieldError::invalid(*path, "", "resource or service backend is required"));
        }
    }
}

fn check_service(service: &IngressServiceBackend, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let service_path = path.child("service");
    Form::Label1035.require(&service.name, &service_path.child("name"), errors);
    let port = service.port.as_ref();
    let name = port.and_then(|port| port.name.as_deref()).unwrap_or_default();
    let number = port.and_then(|port| port.number).unwrap_or(0);
    let port_path = service_path.child("port");
    match (name, number) {
        ("", 0) => errors.push(FieldError::required(*path, "port name or number is required")),
        (name, 0) => report(name, port_name_mistakes(name), &port_path.child("name"), errors),
        ("", number) => {
            let mistake = port_mistake(number);
            errors.extend(mistake.map(|words| FieldError::invalid(port_path.child("number"), number, words)));
        }
        _ => errors.push(FieldError::invalid(*path, "", "cannot set both port name & port number")),
    }
}

/// Checks a reference to something that is no service.
fn check_resource(resource: &TypedLocalObjectReference, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(group) = &resource.api_group {
        Form::Subdomain.check(group, &path.child("apiGroup"), errors);
    }
    Form::PathSegment.require(&resource.kind, &path.child("kind"), errors);
    Form::PathSegment.require(&resource.name, &path.child("name"), errors);
}

fn check_tls(tls: &IngressTLS, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let hosts = path.child("hosts");
    for (index, host) in tls.hosts.iter().flatten().enumerate() {
        let mistakes =
            if host.contains('*') { wildcard_mistakes(host) } else { Form::Subdomain.mistakes(host) };
        report(host, mistakes, &hosts.index(index), errors);
    }
    if let Some(secret) = tls.secret_name.as_deref().filter(|secret| !secret.is_empty()) {
        Form::Subdomain.check(secret, &path.child("secretName"), errors);
    }
}
