//! What the kinds share that ask for devices: requests, constraints, configuration.

use std::collections::{BTreeMap, BTreeSet};

use api::field::FieldError;
use k8s_openapi::api::resource::v1::{
    DeviceClaim, DeviceClaimConfiguration, DeviceConstraint, DeviceRequest, DeviceSelector, DeviceToleration,
    OpaqueDeviceConfiguration,
};
use serde_json::Value;

use crate::names::{Form, check_driver};
use crate::path::Path;
use crate::tree;

/// The group of devices.
pub const GROUP: &str = "resource.k8s.io";

const MOST_REQUESTS: usize = 32;
const MOST_ALTERNATIVES: usize = 8;
const MOST_SELECTORS: usize = 32;
const LONGEST_EXPRESSION: usize = 10 << 10;
const MODES: [&str; 2] = ["All", "ExactCount"];
const EFFECTS: [&str; 2] = ["NoExecute", "NoSchedule"];
const OPERATORS: [&str; 2] = ["Equal", "Exists"];

/// The names of requests, each with those of its alternatives.
type Names<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// Fills in what the requests of a specification leave out.
pub fn set_defaults(spec: &mut Value) {
    let Some(devices) = tree::field(spec, "devices") else { return };
    for request in tree::items(devices, "requests") {
        if let Some(exactly) = tree::field(request, "exactly").filter(|exactly| exactly.is_object()) {
            set_request_defaults(exactly);
        }
        for alternative in tree::items(request, "firstAvailable") {
            set_request_defaults(alternative);
        }
    }
}

fn set_request_defaults(request: &mut Value) {
    tree::set_default_text(request, "allocationMode", "ExactCount");
    if request["allocationMode"] == "ExactCount" && request["count"].as_i64().unwrap_or(0) == 0 {
        tree::set(request, "count", Some(1.into()));
    }
    for toleration in tree::items(request, "tolerations") {
        tree::set_default_text(toleration, "operator", "Equal");
    }
}

/// Checks what a claim asks for.
pub fn check(claim: &DeviceClaim, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let requests = claim.requests.as_deref().unwrap_or_default();
    let requests_path = path.child("requests");
    check_count(requests.len(), MOST_REQUESTS, &requests_path, errors);
    let mut names = Names::new();
    for (index, request) in requests.iter().enumerate() {
        let path = requests_path.index(index);
        check_request(request, &path, errors);
        let alternatives = request.first_available.iter().flatten();
        let alternatives = alternatives.map(|alternative| alternative.name.as_str()).collect();
        if names.insert(&request.name, alternatives).is_some() {
            errors.push(FieldError::duplicate(path, request.name.as_str()));
        }
    }
    let constraints_path = path.child("constraints");
    let constraints = claim.constraints.as_deref().unwrap_or_default();
    check_count(constraints.len(), MOST_REQUESTS, &constraints_path, errors);
    for (index, constraint) in constraints.iter().enumerate() {
        check_constraint(constraint, &names, &constraints_path.index(index), errors);
    }
    let config_path = path.child("config");
    let configs = claim.config.as_deref().unwrap_or_default();
    check_count(configs.len(), MOST_REQUESTS, &config_path, errors);
    for (index, config) in configs.iter().enumerate() {
        check_config(config, &names, &config_path.index(index), errors);
    }
}

fn check_count(count: usize, most: usize, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if count > most {
        errors.push(FieldError::too_many(*path, count, most));
    }
}

/// What one request asks for, whether it is the only choice or one of several.
struct Wish<'a> {
    class: &'a str,
    selectors: &'a [DeviceSelector],
    mode: Option<&'a str>,
    count: i64,
    tolerations: &'a [DeviceToleration],
}

fn check_request(request: &DeviceRequest, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    Form::Label.require(&request.name, &path.child("name"), errors);
    let alternatives = request.first_available.as_deref().unwrap_or_default();
    match &request.exactly {
        None if alternatives.is_empty() => {
            let words = "exactly one of `exactly` or `firstAvailable` is required";
            errors.push(FieldError::required(*path, words));
        }
        Some(_) if !alternatives.is_empty() => {
            let words =
                "exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set";
            errors.push(FieldError::invalid(*path, Value::Null, words));
        }
        Some(exactly) => {
            let wish = Wish {
                class: &exactly.device_class_name,
                selectors: exactly.selectors.as_deref().unwrap_or_default(),
                mode: exactly.allocation_mode.as_deref(),
                count: exactly.count.unwrap_or(0),
                tolerations: exactly.tolerations.as_deref().unwrap_or_default(),
            };
            wish.check(&path.child("exactly"), errors);
        }
        None => {
            let path = path.child("firstAvailable");
            check_count(alternatives.len(), MOST_ALTERNATIVES, &path, errors);
            let mut names = BTreeSet::new();
            for (index, alternative) in alternatives.iter().enumerate() {
                let path = path.index(index);
                Form::Label.require(&alternative.name, &path.child("name"), errors);
                if !names.insert(&alternative.name) {
                    errors.push(FieldError::duplicate(path, alternative.name.as_str()));
                }
                let wish = Wish {
                    class: &alternative.device_class_name,
                    selectors: alternative.selectors.as_deref().unwrap_or_default(),
                    mode: alternative.allocation_mode.as_deref(),
                    count: alternative.count.unwrap_or(0),
                    tolerations: alternative.tolerations.as_deref().unwrap_or_default(),
                };
                wish.check(&path, errors);
            }
        }
    }
}

impl Wish<'_> {
    fn check(&self, path: &Path<'_>, errors: &mut Vec<FieldError>) {
        Form::Subdomain.require(self.class, &path.child("deviceClassName"), errors);
        check_selectors(self.selectors, &path.child("selectors"), errors);
        let count_path = path.child("count");
        match self.mode {
            Some("All") if self.count != 0 => {
                let words = "must not be specified when allocationMode is 'All'";
                errors.push(FieldError::invalid(count_path, self.count, words));
            }
            Some("ExactCount") if self.count <= 0 => {
                errors.push(FieldError::invalid(count_path, self.count, "must be greater than zero"));
            }
            Some("All" | "ExactCount") | None => {}
            Some(other) => {
                errors.push(FieldError::unsupported(path.child("allocationMode"), other, &MODES));
            }
        }
        let path = path.child("tolerations");
        for (index, toleration) in self.tolerations.iter().enumerate() {
            check_toleration(toleration, &path.index(index), errors);
        }
    }
}

fn check_toleration(toleration: &DeviceToleration, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let of = |text: &'_ Option<String>| text.clone().unwrap_or_default();
    let (key, value) = (of(&toleration.key), of(&toleration.value));
    if !key.is_empty() {
        let mistakes = api::selector::check_label_key(&key);
        crate::names::report(&key, mistakes, &path.child("key"), errors);
    }
    match of(&toleration.operator).as_str() {
        "Exists" if !value.is_empty() => {
            let words = "must be empty for operator `Exists`";
            errors.push(FieldError::invalid(path.child("value"), value, words));
        }
        "Equal" if key.is_empty() => {
            errors.push(FieldError::required(path.child("key"), ""));
        }
        "Exists" | "Equal" => {}
        other => errors.push(FieldError::unsupported(path.child("operator"), other, &OPERATORS)),
    }
    let effect = of(&toleration.effect);
    if !effect.is_empty() && !EFFECTS.contains(&effect.as_str()) {
        errors.push(FieldError::unsupported(path.child("effect"), effect, &EFFECTS));
    }
}

/// Checks that selectors have expressions of a bearable length.
pub fn check_selectors(selectors: &[DeviceSelector], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_count(selectors.len(), MOST_SELECTORS, path, errors);
    for (index, selector) in selectors.iter().enumerate() {
        let path = path.index(index);
        let path = path.child("cel");
        match &selector.cel {
            None => errors.push(FieldError::required(path, "")),
            Some(cel) if cel.expression.is_empty() => {
                errors.push(FieldError::required(path.child("expression"), ""));
            }
            Some(cel) if cel.expression.len() > LONGEST_EXPRESSION => {
                errors.push(FieldError::too_long(path.child("expression"), LONGEST_EXPRESSION));
            }
            Some(_) => {}
        }
    }
}

fn check_named(
    requests: Option<&Vec<String>>,
    names: &Names<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let path = path.child("requests");
    let mut seen = BTreeSet::new();
    for (index, name) in requests.into_iter().flatten().enumerate() {
        let is_known = match name.split_once('/') {
            None => names.contains_key(name.as_str()),
            Some((request, alternative)) => {
                names.get(request).is_some_and(|alternatives| alternatives.contains(alternative))
            }
        };
        if !is_known {
            let words = "must be the name of a request in the claim or the name of a request and a subrequest \
                         separated by '/'";
            errors.push(FieldError::invalid(path.index(index), name.as_str(), words));
        }
        if !seen.insert(name) {
            errors.push(FieldError::duplicate(path.index(index), name.as_str()));
        }
    }
}

fn check_constraint(
    constraint: &DeviceConstraint,
    names: &Names<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    check_named(constraint.requests.as_ref(), names, path, errors);
    let attributes = [
        ("matchAttribute", &constraint.match_attribute),
        ("distinctAttribute", &constraint.distinct_attribute),
    ];
    for (field, attribute) in attributes {
        let Some(attribute) = attribute else { continue };
        let is_whole = attribute.split_once('/').is_some_and(|(domain, name)| {
            Form::Subdomain.mistakes(domain).is_empty() && !name.is_empty() && !name.contains('/')
        });
        if !is_whole {
            let words = "must include a domain";
            errors.push(FieldError::invalid(path.child(field), attribute.as_str(), words));
        }
    }
    if constraint.match_attribute.is_none() && constraint.distinct_attribute.is_none() {
        errors.push(FieldError::required(path.child("matchAttribute"), ""));
    }
}

fn check_config(
    config: &DeviceClaimConfiguration,
    names: &Names<'_>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    check_named(config.requests.as_ref(), names, path, errors);
    check_opaque(config.opaque.as_ref(), path, errors);
}

/// Checks configuration that only a driver understands.
pub fn check_opaque(
    opaque: Option<&OpaqueDeviceConfiguration>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let path = path.child("opaque");
    let Some(opaque) = opaque else {
        errors.push(FieldError::required(path, ""));
        return;
    };
    check_driver(&opaque.driver, &path.child("driver"), errors);
    if !opaque.parameters.0.is_object() {
        let value = opaque.parameters.0.clone();
        errors.push(FieldError::invalid(
            path.child("parameters"),
            value,
            "parameters must be a valid JSON object",
        ));
    }
}
