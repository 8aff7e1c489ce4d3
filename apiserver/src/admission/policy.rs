//! Policies: expressions that refuse, warn of, note or change what is to be stored, where a binding puts them in force.

mod mutating;
mod params;
mod validating;

use std::collections::BTreeMap;

use api::Status;
use api::status::{Cause, Reason};
use serde_json::Value;

use super::conditions::{self, Condition};
use super::rules::Selection;
use super::{Attributes, Surroundings};
use crate::cel::{Expression, Names};
use crate::store::Snapshot;
use crate::tree;

pub use mutating::{Mutation, mutate};
pub use params::ParamKind;
pub use validating::{Rules, validate};

/// The variables of policies, without `params`.
const VARIABLES: [&str; 5] = ["object", "oldObject", "request", "namespaceObject", "authorizer"];

/// The same with `params`, for policies with a kind of parameters.
const WITH_PARAMS: [&str; 6] = ["object", "oldObject", "request", "namespaceObject", "params", "authorizer"];

/// What policies of both sorts have in common; `P` is what they do.
#[derive(Debug)]
pub struct Policy<P> {
    name: String,
    ignores_failures: bool,
    reinvokes: bool,
    param_kind: Option<ParamKind>,
    bindings: Vec<Binding>,
    /// What it says, or why that makes no sense.
    compiled: Result<Compiled<P>, String>,
}

/// The expressions of a policy.
#[derive(Debug)]
pub struct Compiled<P> {
    selection: Selection,
    conditions: Vec<Condition>,
    variables: Vec<Expression>,
    does: P,
}

/// Puts a policy in force.
#[derive(Debug)]
struct Binding {
    name: String,
    params: Value,
    selection: Option<Result<Selection, String>>,
    actions: Vec<String>,
}

/// Compiles what one sort of policies does.
pub trait Does: Sized {
    /// Reads it from the specification.
    fn compile(spec: &Value, names: &Names<'_>) -> Result<Self, String>;
}

/// Reads all policies of a collection with their bindings.
pub fn read_all<P: Does>([policies, bindings]: [&Snapshot; 2]) -> Vec<Policy<P>> {
    let mut by_policy: BTreeMap<String, Vec<Binding>> = BTreeMap::new();
    for binding in bindings.iter() {
        let spec = &binding.value()["spec"];
        let policy = tree::text(spec, "policyName").unwrap_or_default().to_owned();
        by_policy.entry(policy).or_default().push(Binding::read(binding.name(), spec));
    }
    let read = |policy: &api::Object| {
        let bindings = by_policy.remove(policy.name()).unwrap_or_default();
        Policy::read(policy.name(), &policy.value()["spec"], bindings)
    };
    policies.iter().map(read).collect()
}

impl Binding {
    fn read(name: &str, spec: &Value) -> Self {
        let resources = &spec["matchResources"];
        let actions = spec["validationActions"].as_array().into_iter().flatten();
        Self {
            name: name.to_owned(),
            params: spec["paramRef"].clone(),
            selection: resources.is_object().then(|| Selection::read(resources)),
            actions: actions.filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }

    fn selects(&self, around: &Surroundings<'_>, attributes: &Attributes<'_>) -> Result<bool, String> {
        match &self.selection {
            None => Ok(true),
            Some(Ok(selection)) => Ok(selection.selects(around, attributes, true).is_some()),
            Some(Err(words)) => Err(words.clone()),
        }
    }
}

impl<P: Does> Policy<P> {
    fn read(name: &str, spec: &Value, bindings: Vec<Binding>) -> Self {
        Self {
            name: name.to_owned(),
            ignores_failures: tree::text(spec, "failurePolicy") == Some("Ignore"),
            reinvokes: tree::text(spec, "reinvocationPolicy") == Some("IfNeeded"),
            param_kind: ParamKind::read(&spec["paramKind"]),
            bindings,
            compiled: compile(spec),
        }
    }
}

/// Compiles all expressions of a policy; an error names the first that makes no sense.
pub fn compile<P: Does>(spec: &Value) -> Result<Compiled<P>, String> {
    let variables = variables(spec);
    let mut composed: Vec<String> = Vec::new();
    let mut expressions = Vec::new();
    for variable in spec["variables"].as_array().into_iter().flatten() {
        let names = Names { variables, composed: &composed, makes_objects: false };
        expressions.push(expression(variable, "expression", &names)?);
        composed.push(tree::text(variable, "name").unwrap_or_default().to_owned());
    }
    let names = Names { variables, composed: &composed, makes_objects: false };
    Ok(Compiled {
        selection: Selection::read(&spec["matchConstraints"])?,
        conditions: conditions::compile(&spec["matchConditions"], &Names { variables, ..Names::default() })?,
        variables: expressions,
        does: P::compile(spec, &names)?,
    })
}

/// The variables that a policy's expressions have.
pub fn variables(spec: &Value) -> &'static [&'static str] {
    if spec["paramKind"].is_object() { &WITH_PARAMS } else { &VARIABLES }
}

/// The variables of expressions that make messages: they ask nobody.
pub fn of_messages(names: Names<'_>) -> Names<'_> {
    let variables = names.variables.split_last().map_or(names.variables, |(_, others)| others);
    Names { variables, ..names }
}

fn expression(written: &Value, field: &str, names: &Names<'_>) -> Result<Expression, String> {
    let source = tree::text(written, field).unwrap_or_default();
    Expression::compile(source, names)
        .map_err(|error| format!("compilation error: compilation failed: {error}"))
}

/// The refusal of a policy, for the user.
fn denied(attributes: &Attributes<'_>, reason: &str, message: String) -> Status {
    let status = Status::forbidden(attributes.resource, &attributes.key.name, &message);
    let reason = Reason::of_name(reason).unwrap_or(Reason::Invalid);
    let code = match reason {
        Reason::Forbidden => 403,
        Reason::Unauthorized => 401,
        Reason::RequestEntityTooLarge => 413,
        _ => 422,
    };
    let mut status = Status { code, reason, ..status };
    if let Some(details) = &mut status.details {
        details.causes.push(Cause { reason: String::new(), message, field: String::new() });
    }
    status
}
