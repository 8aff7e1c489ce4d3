//! The rules in CEL of one node of a schema (`x-kubernetes-validations`), compiled once.

mod typed;

pub use typed::escaped;

use api::field::{FieldError, Mistake};
use serde_json::Value;

use super::schema::{Node, Type};
use crate::cel::{self, Budget, COST_OF_ALL, COST_OF_ONE, Expression, Failure, Scope};

/// What a rule may name.
const NAMES: cel::Names<'static> =
    cel::Names { variables: &["self", "oldSelf"], composed: &[], makes_objects: false };

/// The rules of one node.
#[derive(Debug)]
pub struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    holds: Expression,
    message: Option<Expression>,
    text: String,
    reason: String,
    /// Of the field that is named instead of the node, such as `.replicas`.
    field: String,
    optional_old: bool,
}

/// What all rules of one object may still cost.
#[derive(Debug)]
pub struct Left(u64);

impl Default for Left {
    fn default() -> Self {
        Self(COST_OF_ALL)
    }
}

impl Left {
    /// Gives one evaluation what it may cost, and takes what it did cost.
    fn spend<T>(&mut self, evaluate: impl FnOnce(&mut Budget) -> T) -> T {
        let given = self.0.min(COST_OF_ONE);
        let mut budget = Budget::new(given);
        let result = evaluate(&mut budget);
        self.0 -= given - budget.left();
        result
    }
}

impl Rules {
    /// The rules of a schema; none if it has none. An error is the rule and what is wrong with it.
    pub fn read(schema: &Value) -> Result<Option<Self>, (String, String)> {
        let written = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        let rules: Vec<Rule> = written.map(Rule::read).collect::<Result<_, _>>()?;
        Ok((!rules.is_empty()).then_some(Self(rules)))
    }

    /// Checks a value; `old` is what it was, where that can be known.
    pub fn check<'a>(
        &'a self,
        schema: &'a Node,
        value: &'a Value,
        old: Option<&'a Value>,
        at: &str,
        left: &mut Left,
        errors: &mut Vec<FieldError>,
    ) {
        let type_name = schema.of.map_or("", Type::name);
        for rule in &self.0 {
            if old.is_none() && rule.holds.uses("oldSelf") && !rule.optional_old {
                continue;
            }
            let scope = rule.scope(schema, value, old);
            let failed = match left.spend(|budget| rule.holds.is_true(&scope, budget)) {
                Ok(true) => continue,
                Ok(false) => rule.said(&scope, type_name, at, left),
                Err(Failure::TooCostly) => {
                    let words = format!(
                        "'{}': no further validation rules will be run due to call cost exceeds limit for rule: {}",
                        Failure::TooCostly,
                        rule.holds.source()
                    );
                    errors.push(FieldError::invalid(path(at), type_name, words));
                    return;
                }
                Err(failure) => {
                    let words = format!("{failure} evaluating rule: {}", rule.holds.source());
                    FieldError::invalid(path(at), type_name, words)
                }
            };
            errors.push(failed);
        }
    }
}

impl Rule {
    fn read(written: &Value) -> Result<Self, (String, String)> {
        let text = |field: &str| written[field].as_str().unwrap_or_default().trim();
        let compile =
            |source: &str| Expression::compile(source, &NAMES).map_err(|why| (source.to_owned(), why));
        let message = Some(text("messageExpression")).filter(|source| !source.is_empty());
        Ok(Self {
            holds: compile(text("rule"))?,
            message: message.map(compile).transpose()?,
            text: match text("message") {
                "" => format!("failed rule: {}", text("rule")),
                own => own.to_owned(),
            },
            reason: text("reason").to_owned(),
            field: text("fieldPath").to_owned(),
            optional_old: written["optionalOldSelf"] == true,
        })
    }

    fn scope<'a>(&self, schema: &'a Node, value: &'a Value, old: Option<&'a Value>) -> Scope<'a> {
        let scope = Scope::new().with("self", typed::value(schema, value));
        let old = old.map(|old| typed::value(schema, old));
        match (self.optional_old, old) {
            (true, old) => scope.with("oldSelf", cel::Value::Optional(old.map(Box::new))),
            (false, Some(old)) => scope.with("oldSelf", old),
            (false, None) => scope,
        }
    }

    /// What is said when it does not hold.
    fn said<'a>(&'a self, scope: &Scope<'a>, type_name: &str, at: &str, left: &mut Left) -> FieldError {
        let field = match (at, self.field.trim_start_matches('.')) {
            (at, "") => path(at),
            ("", below) => below.to_owned(),
            (at, _) if self.field.starts_with('[') => format!("{at}{}", self.field),
            (at, below) => format!("{at}.{below}"),
        };
        let made = self.message.as_ref().and_then(|message| {
            let text = left.spend(|budget| message.text(scope, budget)).ok()?;
            // As in Kubernetes: a message of nothing, or of several lines, is none.
            Some(text.trim().to_owned()).filter(|text| !text.is_empty() && !text.contains('\n'))
        });
        let detail = made.unwrap_or_else(|| self.text.clone());
        match self.reason.as_str() {
            "FieldValueRequired" => FieldError::required(field, detail),
            "FieldValueForbidden" => FieldError::forbidden(field, detail),
            "FieldValueDuplicate" => {
                FieldError { field, mistake: Mistake::Duplicate(type_name.into()), detail: String::new() }
            }
            _ => FieldError::invalid(field, type_name, detail),
        }
    }
}

/// What is wrong with the rules of a schema: for each its number, its field, and why.
pub fn mistakes(schema: &Value) -> Vec<(usize, &'static str, String)> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    let mut mistakes = Vec::new();
    for (index, rule) in rules.enumerate() {
        for (field, kind) in [("rule", "bool"), ("messageExpression", "string")] {
            let text = rule[field].as_str().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            match Expression::compile(text, &NAMES) {
                Ok(expression) if expression.is_never(kind) => {
                    mistakes.push((index, field, format!("must evaluate to {kind}")));
                }
                Ok(_) => {}
                Err(why) => mistakes.push((index, field, format!("compilation failed: {why}"))),
            }
        }
    }
    mistakes
}

fn path(at: &str) -> String {
    if at.is_empty() { "<nil>".to_owned() } else { at.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::schema::Node;
    use super::super::validate::check;
    use super::*;
    use serde_json::json;

    fn said(rules: Value, new: Value, old: Option<Value>) -> String {
        let spec = json!({"type": "object", "x-kubernetes-validations": rules, "properties": {
            "replicas": {"type": "integer"}, "max": {"type": "integer"}, "names": {"type": "array", "items": {"type": "string"}}}});
        let schema = Node::read(&json!({"type": "object", "properties": {"spec": spec}})).unwrap();
        let (new, old) = (json!({"spec": new}), old.map(|old| json!({"spec": old})));
        let errors = check(&schema, &new, old.as_ref());
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn rules_hold_or_say_why_not() {
        let rule = json!([{"rule": "self.replicas <= self.max", "message": "too many"}]);
        assert_eq!(said(rule.clone(), json!({"replicas": 1, "max": 2}), None), "");
        assert_eq!(
            said(rule.clone(), json!({"replicas": 3, "max": 2}), None),
            "spec: Invalid value: \"object\": too many"
        );
        let error = said(rule, json!({"max": 2}), None);
        assert!(
            error.starts_with("spec: Invalid value: \"object\": ")
                && error.ends_with("evaluating rule: self.replicas <= self.max"),
            "{error}"
        );
        let plain = json!([{"rule": "self.replicas > 1"}]);
        assert_eq!(
            said(plain, json!({"replicas": 1}), None),
            "spec: Invalid value: \"object\": failed rule: self.replicas > 1"
        );
        let told = json!([{"rule": "self.replicas > 1", "messageExpression": "'not ' + string(self.replicas)",
            "fieldPath": ".replicas", "reason": "FieldValueForbidden"}]);
        assert_eq!(said(told, json!({"replicas": 1}), None), "spec.replicas: Forbidden: not 1");
    }

    #[test]
    fn transitions_are_checked_only_where_there_was_something() {
        let rule = json!([{"rule": "self.replicas >= oldSelf.replicas", "message": "only more"}]);
        assert_eq!(said(rule.clone(), json!({"replicas": 1}), None), "");
        assert_eq!(said(rule.clone(), json!({"replicas": 2}), Some(json!({"replicas": 1}))), "");
        assert_eq!(
            said(rule, json!({"replicas": 1}), Some(json!({"replicas": 2}))),
            "spec: Invalid value: \"object\": only more"
        );
    }

    #[test]
    fn rules_wait_for_what_they_rely_on() {
        let rule = json!([{"rule": "self.replicas > 1"}]);
        let error = said(rule, json!({"replicas": "x"}), None);
        assert!(error.ends_with("<nil>: Invalid value: \"null\": some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"), "{error}");
    }

    #[test]
    fn rules_are_bounded_by_what_they_cost() {
        let rule = "self.names.all(a, self.names.all(b, self.names.all(c, a != 'x' || b == c)))";
        let names: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let error = said(json!([{"rule": rule}]), json!({"names": names}), None);
        assert!(error.contains("cost limit exceeded"), "{error}");
    }

    #[test]
    fn rules_that_are_none_are_found() {
        let schema = json!({"x-kubernetes-validations": [{"rule": "self.a >"}, {"rule": "true", "messageExpression": "("}]});
        let found: Vec<(usize, &str)> =
            mistakes(&schema).iter().map(|(index, field, _)| (*index, *field)).collect();
        assert_eq!(found, [(0, "rule"), (1, "messageExpression")]);
    }

    #[test]
    fn values_have_the_types_of_their_formats_and_names_are_escaped() {
        let schema = Node::read(&json!({"type": "object", "properties": {
            "at": {"type": "string", "format": "date-time"}, "for": {"type": "string", "format": "duration"},
            "a-b": {"type": "object", "additionalProperties": {"type": "string", "format": "byte"}}},
            "x-kubernetes-validations": [
                {"rule": "self.at > timestamp('2026-01-01T00:00:00Z')", "message": "early"},
                {"rule": "self.__for__ < duration('1h')", "message": "long"},
                {"rule": "self.a__dash__b['x-y'] == b'hi'", "message": "other"},
                {"rule": "!oldSelf.hasValue() || oldSelf.value().at <= self.at", "message": "back", "optionalOldSelf": true}]}))
        .unwrap();
        let row = |value: &Value, old: Option<&Value>, expected: &str| {
            let errors = check(&schema, value, old);
            assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "), expected);
        };
        let good = json!({"at": "2026-01-01T01:00:00Z", "for": "30m", "a-b": {"x-y": "aGk="}});
        row(&good, None, "");
        let bad = json!({"at": "2025-01-01T01:00:00Z", "for": "2h", "a-b": {"x-y": "aGk="}});
        row(&bad, None, "<nil>: Invalid value: \"object\": early; <nil>: Invalid value: \"object\": long");
        let later = json!({"at": "2026-01-02T01:00:00Z", "for": "30m", "a-b": {"x-y": "aGk="}});
        row(&good, Some(&later), "<nil>: Invalid value: \"object\": back");
    }
}
