//! ValidatingAdmissionPolicy: expressions that must hold.

use api::Status;
use serde_json::{Value, json};

use super::params::Params;
use super::{Binding, Compiled, Does, Policy, denied, expression, of_messages};
use crate::admission::conditions::{self, Outcome, Seen};
use crate::admission::shown::Shown;
use crate::admission::{Attributes, Findings, Surroundings};
use crate::cel::{self, Budget, COST_OF_ALL, Expression, Failure, Names, Scope};
use crate::tree;

/// A message that an expression makes may be this long; else it is not shown.
const LONGEST_MESSAGE: usize = 5 << 10;

/// An annotation that an expression makes is cut here.
const LONGEST_ANNOTATION: usize = 10 << 10;

/// What must hold, and what is noted.
#[derive(Debug)]
pub struct Rules {
    validations: Vec<Validation>,
    annotations: Vec<(String, Expression)>,
}

#[derive(Debug)]
struct Validation {
    expression: Expression,
    message: String,
    message_expression: Option<Expression>,
    reason: String,
}

impl Does for Rules {
    fn compile(spec: &Value, names: &Names<'_>) -> Result<Self, String> {
        let items = |field: &str| spec[field].as_array().cloned().unwrap_or_default();
        let validation = |written: &Value| {
            let text = |field| tree::text(written, field).unwrap_or_default().trim().to_owned();
            let makes_message = tree::text(written, "messageExpression").is_some();
            Ok(Validation {
                expression: expression(written, "expression", names)?,
                message: text("message"),
                message_expression: match makes_message {
                    true => Some(expression(written, "messageExpression", &of_messages(*names))?),
                    false => None,
                },
                reason: text("reason"),
            })
        };
        let annotation = |written: &Value| {
            let key = tree::text(written, "key").unwrap_or_default().to_owned();
            Ok((key, expression(written, "valueExpression", names)?))
        };
        Ok(Self {
            validations: items("validations").iter().map(validation).collect::<Result<_, String>>()?,
            annotations: items("auditAnnotations").iter().map(annotation).collect::<Result<_, String>>()?,
        })
    }
}

/// Something that does not hold, or of which that could not be found out.
struct Failed {
    message: String,
    reason: String,
    /// The place of the expression.
    index: usize,
}

impl Failed {
    fn at(index: usize, message: String) -> Self {
        Self { message, reason: String::new(), index }
    }
}

const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// Asks all policies. What does not hold is refused, warned of or noted, as the binding says; the first refusal is heard.
pub async fn validate(
    policies: &[Policy<Rules>],
    around: &Surroundings<'_>,
    attributes: &Attributes<'_>,
    findings: &mut Findings,
) -> Result<(), Status> {
    let mut refused = None;
    for policy in policies {
        for binding in &policy.bindings {
            let failed = match policy.ask(binding, around, attributes, findings).await {
                Ok(failed) => failed,
                Err(_) if policy.ignores_failures => continue,
                Err(message) => {
                    let failed = Failed::at(0, message);
                    refused = refused.or_else(|| Some(policy.refusal(binding, attributes, &failed)));
                    continue;
                }
            };
            for failed in &failed {
                policy.note(binding, failed, findings);
                if binding.actions.iter().any(|action| action == "Deny") {
                    refused = refused.or_else(|| Some(policy.refusal(binding, attributes, failed)));
                }
            }
        }
    }
    refused.map_or(Ok(()), Err)
}

impl Policy<Rules> {
    /// What does not hold; an error if the policy and its binding make no sense.
    async fn ask(
        &self,
        binding: &Binding,
        around: &Surroundings<'_>,
        attributes: &Attributes<'_>,
        findings: &mut Findings,
    ) -> Result<Vec<Failed>, String> {
        let compiled = self.compiled.as_ref().map_err(String::clone)?;
        let Some(resource) = compiled.selection.selects(around, attributes, false) else {
            return Ok(Vec::new());
        };
        let not_bound = |words: String| format!("failed to configure binding: {words}");
        if !binding.selects(around, attributes).map_err(not_bound)? {
            return Ok(Vec::new());
        }
        let params = match &self.param_kind {
            Some(kind) => kind.find(&binding.params, around, attributes).map_err(not_bound)?,
            None => Params::None,
        };
        let shown = Shown::new(around, attributes, resource).await?;
        let seen = Seen::new(around, &shown);
        let mut failed = Vec::new();
        for params in params.values() {
            let scope = seen
                .scope(&shown)
                .with("params", params.map_or(cel::Value::Null, cel::Value::json))
                .with_composed(&compiled.variables);
            match conditions::outcome(&compiled.conditions, &scope) {
                Outcome::Asked => self.evaluate(compiled, &scope, &mut failed, findings),
                Outcome::NotAsked => {}
                Outcome::Failed(message) => self.fail(&mut failed, Failed::at(0, message)),
            }
        }
        Ok(failed)
    }

    fn evaluate<'a>(
        &self,
        compiled: &'a Compiled<Rules>,
        scope: &Scope<'a>,
        failed: &mut Vec<Failed>,
        findings: &mut Findings,
    ) {
        let (mut budget, before) = (Budget::new(COST_OF_ALL), failed.len());
        for (index, validation) in compiled.does.validations.iter().enumerate() {
            match budget.on_one(|budget| validation.expression.is_true(scope, budget)) {
                Ok(true) => {}
                Ok(false) => {
                    let message = validation.message(scope, &mut budget);
                    failed.push(Failed { reason: validation.reason.clone(), ..Failed::at(index, message) });
                }
                Err(Failure::TooCostly) => {
                    failed.truncate(before);
                    return self.fail(failed, Failed::at(0, OUT_OF_BUDGET.to_owned()));
                }
                Err(failure) => {
                    self.fail(failed, Failed::at(index, resulted(&validation.expression, &failure)));
                }
            }
        }
        for (index, (key, expression)) in compiled.does.annotations.iter().enumerate() {
            match budget.on_one(|budget| expression.evaluate(scope, budget)) {
                Ok(cel::Value::Text(text)) if !text.trim().is_empty() => {
                    let text: String = text.chars().take(LONGEST_ANNOTATION).collect();
                    findings.annotations.insert(format!("{}/{key}", self.name), text);
                }
                Ok(cel::Value::Text(_) | cel::Value::Null) => {}
                Ok(other) => {
                    let words = format!(
                        "valueExpression '{}' resulted in unsupported return type: {}. Return type must be either string or null.",
                        expression.source(),
                        other.kind()
                    );
                    self.fail(failed, Failed::at(index, words));
                }
                Err(failure) => self.fail(failed, Failed::at(index, resulted(expression, &failure))),
            }
        }
    }

    /// Notes that something could not be found out, unless that does not matter.
    fn fail(&self, failed: &mut Vec<Failed>, failure: Failed) {
        if !self.ignores_failures {
            failed.push(failure);
        }
    }

    /// Warns of what does not hold, or notes it.
    fn note(&self, binding: &Binding, failed: &Failed, findings: &mut Findings) {
        for action in &binding.actions {
            match action.as_str() {
                "Warn" => findings.warnings.push(format!(
                    "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {}",
                    self.name, binding.name, failed.message
                )),
                "Audit" => {
                    let note = json!([{"message": failed.message, "policy": self.name, "binding": binding.name,
                        "expressionIndex": failed.index, "validationActions": binding.actions}]);
                    let key = "validation.policy.admission.k8s.io/validation_failure".to_owned();
                    // An annotation does not change once it is there.
                    findings.annotations.entry(key).or_insert_with(|| note.to_string());
                }
                _ => {}
            }
        }
    }

    fn refusal(&self, binding: &Binding, attributes: &Attributes<'_>, failed: &Failed) -> Status {
        let Self { name, .. } = self;
        let message = format!(
            "ValidatingAdmissionPolicy '{name}' with binding '{}' denied request: {}",
            binding.name, failed.message
        );
        denied(attributes, &failed.reason, message)
    }
}

fn resulted(expression: &Expression, failure: &Failure) -> String {
    format!("expression '{}' resulted in error: {failure}", expression.source())
}

impl Validation {
    /// What the user is told: what the expression for that says, or the message, or the expression that does not hold.
    fn message<'a>(&'a self, scope: &Scope<'a>, budget: &mut Budget) -> String {
        let made = self.message_expression.as_ref();
        let made = made.and_then(|made| budget.on_one(|budget| made.text(scope, budget)).ok());
        let is_good =
            |text: &String| !text.trim().is_empty() && !text.contains('\n') && text.len() <= LONGEST_MESSAGE;
        match made.filter(is_good) {
            Some(text) => text.trim().to_owned(),
            None if !self.message.is_empty() => self.message.clone(),
            None => format!("failed expression: {}", self.expression.source().trim()),
        }
    }
}
