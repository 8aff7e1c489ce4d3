//! Refuses webhooks and policies whose expressions make no sense, when they are stored and not when they are needed.

use api::field::FieldError;
use api::{Resource, Status};
use serde_json::Value;

use super::{Attributes, conditions, policy};
use crate::cel::{Expression, Names};
use crate::tree;

/// The group of what configures admission.
const GROUP: &str = "admissionregistration.k8s.io";

/// Refuses a configuration with an expression that cannot be compiled or never has the type it must have.
pub fn check(attributes: &Attributes<'_>) -> Result<(), Status> {
    let Resource { group, plural, .. } = attributes.resource;
    let Some(object) = attributes.object.as_deref().filter(|_| group == GROUP) else {
        return Ok(());
    };
    let mut check = Check::default();
    if attributes.subresource.is_empty() {
        match &**plural {
            "mutatingwebhookconfigurations" | "validatingwebhookconfigurations" => check.webhooks(object),
            "mutatingadmissionpolicies" | "validatingadmissionpolicies" => check.policy(&object["spec"]),
            _ => {}
        }
    }
    match check.errors.is_empty() {
        true => Ok(()),
        false => Err(Status::invalid(attributes.resource, &attributes.key.name, &check.errors)),
    }
}

#[derive(Default)]
struct Check {
    errors: Vec<FieldError>,
}

fn items<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    value[field].as_array().into_iter().flatten().enumerate()
}

impl Check {
    fn webhooks(&mut self, object: &Value) {
        let names = Names { variables: &conditions::VARIABLES, ..Names::default() };
        for (index, webhook) in items(object, "webhooks") {
            self.all(
                webhook,
                "matchConditions",
                &format!("webhooks[{index}]"),
                &[("expression", &["bool"])],
                &names,
            );
        }
    }

    fn policy(&mut self, spec: &Value) {
        let variables = policy::variables(spec);
        let names = Names { variables, ..Names::default() };
        self.all(spec, "matchConditions", "spec", &[("expression", &["bool"])], &names);
        let mut composed: Vec<String> = Vec::new();
        for (index, variable) in items(spec, "variables") {
            let names = Names { composed: &composed, ..names };
            self.one(variable, "expression", &format!("spec.variables[{index}]"), &[], &names);
            composed.push(tree::text(variable, "name").unwrap_or_default().to_owned());
        }
        let names = Names { composed: &composed, ..names };
        self.all(spec, "validations", "spec", &[("expression", &["bool"])], &names);
        let of_messages = policy::of_messages(names);
        self.all(spec, "validations", "spec", &[("messageExpression", &["string"])], &of_messages);
        self.all(spec, "auditAnnotations", "spec", &[("valueExpression", &["string", "null_type"])], &names);
        let names = Names { makes_objects: true, ..names };
        for (index, mutation) in items(spec, "mutations") {
            for (field, kind) in [("applyConfiguration", "map"), ("jsonPatch", "list")] {
                let path = format!("spec.mutations[{index}].{field}");
                self.one(&mutation[field], "expression", &path, &[kind], &names);
            }
        }
    }

    fn all(&mut self, parent: &Value, list: &str, path: &str, fields: &[(&str, &[&str])], names: &Names<'_>) {
        for (index, item) in items(parent, list) {
            for (field, kinds) in fields {
                self.one(item, field, &format!("{path}.{list}[{index}]"), kinds, names);
            }
        }
    }

    fn one(&mut self, parent: &Value, field: &str, path: &str, kinds: &[&str], names: &Names<'_>) {
        let Some(source) = tree::text(parent, field) else {
            return;
        };
        let words = match Expression::compile(source, names) {
            Err(error) => format!("compilation failed: {error}"),
            Ok(expression) if kinds.iter().any(|kind| !expression.is_never(kind)) => return,
            Ok(_) if kinds.is_empty() => return,
            Ok(_) => format!("compilation failed: must evaluate to {}", one_of(kinds)),
        };
        self.errors.push(FieldError::invalid(format!("{path}.{field}"), source, words));
    }
}

/// The types that a value may have, as messages list them.
fn one_of(kinds: &[&str]) -> String {
    match kinds {
        [kind] => (*kind).to_owned(),
        kinds => format!("one of [{}]", kinds.join(" ")),
    }
}
