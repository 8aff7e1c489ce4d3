//! Expressions about a request: its variables, and the conditions under which somebody is asked.

use api::Object;
use serde::Deserialize;
use serde_json::Value as Json;

use super::authority::Authority;
use super::review;
use super::rules::namespace;
use super::shown::Shown;
use super::{Attributes, Surroundings};
use crate::auth::Question;
use crate::cel::{Budget, COST_OF_ALL, Expression, Failure, Names, Scope, Value};

/// The variables that all expressions about a request have.
pub const VARIABLES: [&str; 4] = ["authorizer", "object", "oldObject", "request"];

/// A condition with its name.
#[derive(Debug)]
pub struct Condition {
    name: String,
    expression: Expression,
}

/// As it is written.
#[derive(Deserialize)]
struct Written {
    name: String,
    expression: String,
}

/// Whether somebody is asked.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All conditions hold.
    Asked,
    /// One does not.
    NotAsked,
    /// That could not be found out.
    Failed(String),
}

/// Compiles `matchConditions`.
pub fn compile(written: &Json, names: &Names<'_>) -> Result<Vec<Condition>, String> {
    let written = Option::<Vec<Written>>::deserialize(written).map_err(|error| error.to_string())?;
    let condition = |Written { name, expression }| {
        let expression = Expression::compile(&expression, names)
            .map_err(|error| format!("compilation error: compilation failed: {error}"))?;
        Ok(Condition { name, expression })
    };
    written.unwrap_or_default().into_iter().map(condition).collect()
}

/// What expressions see of a request.
pub struct Seen {
    request: Json,
    namespace: Option<Object>,
    authorizer: Value<'static>,
}

impl Seen {
    /// What can be seen of this request.
    pub fn new(around: &Surroundings<'_>, shown: &Shown<'_>) -> Self {
        let name = &*shown.attributes.key.namespace;
        let authority = Authority {
            authorizer: around.authorizer.clone(),
            served: around.served.clone(),
            user: shown.attributes.user.clone(),
            request: Some(question(shown.attributes)),
        };
        Self {
            request: review::request(shown, String::new()),
            namespace: if name.is_empty() { None } else { namespace(around.store, name) },
            authorizer: authority.into_value(),
        }
    }

    /// The variables.
    pub fn scope<'a>(&'a self, shown: &'a Shown<'_>) -> Scope<'a> {
        let value = |json: Option<&'a Json>| json.map_or(Value::Null, Value::json);
        Scope::new()
            .with("authorizer", self.authorizer.clone())
            .with("object", value(shown.object()))
            .with("oldObject", value(shown.old()))
            .with("request", Value::json(&self.request))
            .with("namespaceObject", value(self.namespace.as_ref().map(Object::value)))
    }
}

/// What the request is about.
fn question(attributes: &Attributes<'_>) -> Question {
    Question {
        group: attributes.requested.group.to_string(),
        version: attributes.requested.version.to_string(),
        plural: attributes.requested.plural.to_string(),
        part: attributes.subresource.to_owned(),
        namespace: attributes.key.namespace.to_string(),
        name: attributes.key.name.to_string(),
    }
}

/// Whether all conditions hold. One that does not hold decides, whatever is wrong with the others.
pub fn outcome<'a>(conditions: &'a [Condition], scope: &Scope<'a>) -> Outcome {
    let mut budget = Budget::new(COST_OF_ALL / 4);
    let mut failed = None;
    for Condition { name, expression } in conditions {
        match budget.on_one(|budget| expression.is_true(scope, budget)) {
            Ok(true) => {}
            Ok(false) => return Outcome::NotAsked,
            Err(Failure::TooCostly) => {
                return Outcome::Failed("validation failed due to running out of cost budget, no further validation rules will be run".to_owned());
            }
            Err(failure) => {
                let source = expression.source();
                let words = format!("expression '{source}' resulted in error: {failure}");
                failed.get_or_insert_with(|| format!("match condition {name:?}: {words}"));
            }
        }
    }
    failed.map_or(Outcome::Asked, Outcome::Failed)
}
