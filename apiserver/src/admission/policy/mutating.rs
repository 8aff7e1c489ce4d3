//! MutatingAdmissionPolicy: expressions that say how an object is to be changed.

use api::Status;
use serde_json::Value;

use super::params::Params;
use super::{Binding, Compiled, Does, Policy, denied, expression};
use crate::admission::conditions::{self, Outcome, Seen};
use crate::admission::shown::{Shown, taken_back};
use crate::admission::webhook::replace;
use crate::admission::{Attributes, Findings, Surroundings};
use crate::cel::{self, Budget, COST_OF_ALL, Expression, Names};
use crate::{patch, schema, tree};

/// What is changed, in order.
#[derive(Debug)]
pub struct Mutation(Vec<(Form, Expression)>);

/// What an expression makes.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// The fields that are to be, as in server-side apply.
    ApplyConfiguration,
    /// Operations.
    JsonPatch,
}

impl Does for Mutation {
    fn compile(spec: &Value, names: &Names<'_>) -> Result<Self, String> {
        let names = Names { makes_objects: true, ..*names };
        let mutation = |written: &Value| match tree::text(written, "patchType") {
            Some("ApplyConfiguration") => Ok((
                Form::ApplyConfiguration,
                expression(&written["applyConfiguration"], "expression", &names)?,
            )),
            Some("JSONPatch") => {
                Ok((Form::JsonPatch, expression(&written["jsonPatch"], "expression", &names)?))
            }
            other => Err(format!("unsupported patchType {:?}", other.unwrap_or_default())),
        };
        let mutations = spec["mutations"].as_array().into_iter().flatten();
        mutations.map(mutation).collect::<Result<_, String>>().map(Self)
    }
}

/// Lets all policies change the object, in the order of their names; `again` only those that want to see it again.
pub async fn mutate(
    policies: &[Policy<Mutation>],
    around: &Surroundings<'_>,
    attributes: &mut Attributes<'_>,
    findings: &mut Findings,
    again: bool,
) -> Result<(), Status> {
    for policy in policies.iter().filter(|policy| policy.reinvokes || !again) {
        for binding in &policy.bindings {
            match policy.change(binding, around, attributes).await {
                Ok(changed) => findings.changed |= changed,
                Err(_) if policy.ignores_failures => {}
                Err(words) => {
                    let (name, binding) = (&policy.name, &binding.name);
                    let message = format!("policy '{name}' with binding '{binding}' denied request: {words}");
                    return Err(denied(attributes, "", message));
                }
            }
        }
    }
    Ok(())
}

impl Policy<Mutation> {
    async fn change(
        &self,
        binding: &Binding,
        around: &Surroundings<'_>,
        attributes: &mut Attributes<'_>,
    ) -> Result<bool, String> {
        if attributes.object.is_none() {
            return Ok(false);
        }
        let compiled = self.compiled.as_ref().map_err(String::clone)?;
        let Some(resource) = compiled.selection.selects(around, attributes, false) else {
            return Ok(false);
        };
        let not_bound = |words: String| format!("failed to configure binding: {words}");
        if !binding.selects(around, attributes).map_err(not_bound)? {
            return Ok(false);
        }
        let params = match &self.param_kind {
            Some(kind) => kind.find(&binding.params, around, attributes).map_err(not_bound)?,
            None => Params::None,
        };
        let mut changed = false;
        for params in params.values() {
            for (form, expression) in &compiled.does.0 {
                // Each sees what those before it made.
                let patched = {
                    let shown = Shown::new(around, attributes, resource.clone()).await?;
                    match compiled.made(expression, params, around, &shown)? {
                        Some(made) => patched(*form, made, &shown)?,
                        None => break,
                    }
                };
                let patched = taken_back(around, attributes, &resource, patched).await?;
                let complete = attributes.complete;
                if let Some(object) = attributes.object.as_deref_mut() {
                    changed |= replace(object, patched, complete).map_err(|status| status.to_string())?;
                }
            }
        }
        Ok(changed)
    }
}

impl Compiled<Mutation> {
    /// What an expression makes; none if the policy is not asked.
    fn made(
        &self,
        expression: &Expression,
        params: Option<&Value>,
        around: &Surroundings<'_>,
        shown: &Shown<'_>,
    ) -> Result<Option<Value>, String> {
        let seen = Seen::new(around, shown);
        let scope = seen
            .scope(shown)
            .with("params", params.map_or(cel::Value::Null, cel::Value::json))
            .with_composed(&self.variables);
        match conditions::outcome(&self.conditions, &scope) {
            Outcome::Asked => {}
            Outcome::NotAsked => return Ok(None),
            Outcome::Failed(words) => return Err(words),
        }
        let value = Budget::new(COST_OF_ALL).on_one(|budget| expression.evaluate(&scope, budget));
        let failed =
            |words: String| format!("expression '{}' resulted in error: {words}", expression.source());
        let value = value.map_err(|failure| failed(failure.to_string()))?;
        value.to_json().map(Some).ok_or_else(|| failed("the value has no form in JSON".to_owned()))
    }
}

/// The object as it is shown, changed.
fn patched(form: Form, made: Value, shown: &Shown<'_>) -> Result<Value, String> {
    let resource = &shown.resource;
    let object = shown.object().cloned().unwrap_or_default();
    match form {
        Form::JsonPatch => patch::apply_operations(object, &made).map_err(|error| error.to_string()),
        Form::ApplyConfiguration => {
            check_configuration(&made)?;
            match schema::builtin().kind(&resource.group, &resource.version, &resource.kind) {
                Some(of) => patch::strategic::merge(object, made, of).map_err(|error| error.to_string()),
                None => {
                    let mut patched = object;
                    patch::merge(&mut patched, made);
                    Ok(patched)
                }
            }
        }
    }
}

/// A configuration says what is to be: it has no directives, and removes nothing.
fn check_configuration(made: &Value) -> Result<(), String> {
    match made {
        Value::Object(fields) => {
            if let Some(name) = fields.keys().find(|name| name.starts_with('$')) {
                return Err(format!("invalid ApplyConfiguration: unknown field {name:?}"));
            }
            fields.values().try_for_each(check_configuration)
        }
        Value::Array(items) => items.iter().try_for_each(check_configuration),
        Value::Null => Err("invalid ApplyConfiguration: null values are not allowed".to_owned()),
        _ => Ok(()),
    }
}
