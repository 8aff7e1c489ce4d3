//! IngressClasses: which controller serves the ingresses that name the class.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::networking::v1::{IngressClass, IngressClassParametersReference};
use serde_json::Value;

use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::{Form, IMMUTABLE};
use crate::path::Path;
use crate::tree;

const SCOPES: [&str; 2] = ["Cluster", "Namespace"];
const LONGEST_CONTROLLER: usize = 250;

/// The kind IngressClass.
pub struct IngressClasses;

impl Builtin for IngressClasses {
    type Typed = IngressClass;

    const RESOURCE: Resource =
        Resource::new("networking.k8s.io", "v1", "ingressclasses", "IngressClass", false);

    const DEFINITION: Definition = Definition { generation: &["spec"], ..Definition::new("ingressclass") };

    fn set_defaults(class: &mut Value) {
        let spec = tree::field(class, "spec");
        if let Some(parameters) = spec.and_then(|spec| tree::field(spec, "parameters")) {
            tree::set_default(parameters, "scope", "Cluster");
        }
    }

    fn check(class: &IngressClass, errors: &mut Vec<FieldError>) {
        let path = Path::new("spec");
        let spec = class.spec.as_ref();
        let controller = spec.and_then(|spec| spec.controller.as_deref()).unwrap_or_default();
        check_controller(controller, &path.child("controller"), errors);
        if let Some(parameters) = spec.and_then(|spec| spec.parameters.as_ref()) {
            check_parameters(parameters, &path.child("parameters"), errors);
        }
    }

    fn check_update(new: &IngressClass, old: &IngressClass, errors: &mut Vec<FieldError>) {
        let controller = |class: &IngressClass| class.spec.as_ref().and_then(|spec| spec.controller.clone());
        if controller(new) != controller(old) {
            errors.push(FieldError::invalid("spec.controller", controller(new), IMMUTABLE));
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Controller", "The controller that serves the class."),
        text("Parameters", "An object with more for the controller."),
        cells::AGE,
    ];

    fn row(class: &IngressClass, now: Timestamp) -> Vec<Value> {
        let spec = class.spec.as_ref();
        let controller = spec.and_then(|spec| spec.controller.as_deref()).unwrap_or_default();
        let parameters = spec.and_then(|spec| spec.parameters.as_ref()).map(|parameters| {
            let group = parameters.api_group.as_ref().map_or_else(String::new, |group| format!(".{group}"));
            format!("{}{group}/{}", parameters.kind, parameters.name)
        });
        vec![
            cells::name(&class.metadata),
            controller.into(),
            cells::or(parameters.as_deref(), cells::NONE),
            cells::age(&class.metadata, now),
        ]
    }
}

/// A domain, a slash, and a path.
fn check_controller(controller: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if controller.is_empty() {
        errors.push(FieldError::required(*path, ""));
        return;
    }
    if controller.len() > LONGEST_CONTROLLER {
        errors.push(FieldError::too_long(*path, LONGEST_CONTROLLER));
    }
    let Some((domain, rest)) =
        controller.split_once('/').filter(|(domain, rest)| !domain.is_empty() && !rest.is_empty())
    else {
        let words = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        errors.push(FieldError::invalid(*path, controller, words));
        return;
    };
    Form::Subdomain.check(domain, path, errors);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:%".contains(&byte);
    if !rest.bytes().all(allowed) {
        let words = "Invalid path (e.g. 'valid/path', regex used for validation is \
                     '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')";
        errors.push(FieldError::invalid(*path, rest, words));
    }
}

fn check_parameters(
    parameters: &IngressClassParametersReference,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    if let Some(group) = &parameters.api_group {
        Form::Subdomain.check(group, &path.child("apiGroup"), errors);
    }
    Form::PathSegment.require(&parameters.kind, &path.child("kind"), errors);
    Form::PathSegment.require(&parameters.name, &path.child("name"), errors);
    let namespace_path = path.child("namespace");
    match (parameters.scope.as_deref(), &parameters.namespace) {
        (None, _) => errors.push(FieldError::required(path.child("scope"), "")),
        (Some("Namespace"), None) => {
            let words = "`parameters.scope` is set to 'Namespace'";
            errors.push(FieldError::required(namespace_path, words));
        }
        (Some("Namespace"), Some(namespace)) => Form::Label.check(namespace, &namespace_path, errors),
        (Some("Cluster"), Some(_)) => {
            let words = "`parameters.scope` is set to 'Cluster'";
            errors.push(FieldError::forbidden(namespace_path, words));
        }
        (Some("Cluster"), None) => {}
        (Some(other), _) => errors.push(FieldError::unsupported(path.child("scope"), other, &SCOPES)),
    }
}
