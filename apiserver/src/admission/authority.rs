//! The authorizer, as expressions ask it: `authorizer.group('apps').resource('deployments').check('create').allowed()`.

use std::fmt;
use std::sync::Arc;

use api::backend::User;

use crate::auth::{Authorizer, Question, account};
use crate::cel::{Failure, Receiver, Value};
use crate::names::Form;
use crate::served::Served;

/// What is asked, as whom, and by what was known of resources at that moment.
#[derive(Clone)]
pub struct Authority {
    /// Who decides.
    pub authorizer: Arc<dyn Authorizer>,
    /// Which resources there are.
    pub served: Arc<Served>,
    /// About whom.
    pub user: Arc<User>,
    /// What the request itself is about; none once another user is asked about.
    pub request: Option<Question>,
}

/// How far a question has come.
#[derive(Clone, Debug)]
enum Step {
    Authorizer,
    Path(String),
    Group(String),
    Resource(Question),
    /// The decision; a refusal has a reason.
    Decision(Result<(), String>),
}

/// A question on its way.
struct Asked {
    by: Authority,
    step: Step,
}

impl fmt::Debug for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Asked").field("user", &self.by.user).field("step", &self.step).finish()
    }
}

impl Authority {
    /// The value that expressions begin with.
    pub fn into_value(self) -> Value<'static> {
        value(self, Step::Authorizer)
    }
}

fn value(by: Authority, step: Step) -> Value<'static> {
    Value::Receiver(Arc::new(Asked { by, step }))
}

impl Asked {
    fn to(&self, step: Step) -> Value<'static> {
        value(self.by.clone(), step)
    }

    fn resource(&self, question: &Question, change: impl FnOnce(&mut Question)) -> Value<'static> {
        let mut question = question.clone();
        change(&mut question);
        self.to(Step::Resource(question))
    }

    fn decided(&self, outcome: Result<(), api::Status>) -> Value<'static> {
        self.to(Step::Decision(outcome.map_err(|status| status.message)))
    }

    fn of_account(&self, namespace: &str, name: &str) -> Result<Value<'static>, Failure> {
        if !Form::Subdomain.mistakes(name).is_empty() {
            return failed("Invalid service account name");
        }
        if !Form::Label.mistakes(namespace).is_empty() {
            return failed("Invalid service account namespace");
        }
        let user = Arc::new(account::user(namespace, name));
        let by = Authority { user, request: None, ..self.by.clone() };
        Ok(by.into_value())
    }
}

impl Receiver for Asked {
    fn kind(&self) -> &'static str {
        match self.step {
            Step::Authorizer => "kubernetes.authorization.Authorizer",
            Step::Path(_) => "kubernetes.authorization.PathCheck",
            Step::Group(_) => "kubernetes.authorization.GroupCheck",
            Step::Resource(_) => "kubernetes.authorization.ResourceCheck",
            Step::Decision(_) => "kubernetes.authorization.Decision",
        }
    }

    fn field(&self, name: &str) -> Option<Value<'static>> {
        match (&self.step, name, &self.by.request) {
            (Step::Authorizer, "requestResource", Some(request)) => {
                Some(self.to(Step::Resource(request.clone())))
            }
            _ => None,
        }
    }

    fn call(&self, name: &str, arguments: &[Value<'_>]) -> Option<Result<Value<'static>, Failure>> {
        let Authority { authorizer, served, user, .. } = &self.by;
        let value = match (&self.step, name, arguments) {
            (Step::Authorizer, "path", [Value::Text(path)]) if path.trim().is_empty() => {
                return Some(failed("path must not be empty"));
            }
            (Step::Authorizer, "path", [Value::Text(path)]) => self.to(Step::Path(path.to_string())),
            (Step::Authorizer, "group", [Value::Text(group)]) => self.to(Step::Group(group.to_string())),
            (Step::Authorizer, "serviceAccount", [Value::Text(namespace), Value::Text(name)]) => {
                return Some(self.of_account(namespace, name));
            }
            (Step::Group(_), "resource", [Value::Text(plural)]) if plural.trim().is_empty() => {
                return Some(failed("resource must not be empty"));
            }
            (Step::Group(group), "resource", [Value::Text(plural)]) => {
                let (group, plural) = (group.clone(), plural.to_string());
                self.to(Step::Resource(Question {
                    group,
                    plural,
                    version: ANY.to_owned(),
                    ..Question::default()
                }))
            }
            (Step::Resource(question), "subresource", [Value::Text(part)]) => {
                self.resource(question, |question| question.part = part.to_string())
            }
            (Step::Resource(question), "namespace", [Value::Text(namespace)]) => {
                self.resource(question, |question| question.namespace = namespace.to_string())
            }
            (Step::Resource(question), "name", [Value::Text(name)]) => {
                self.resource(question, |question| question.name = name.to_string())
            }
            // No authorizer here looks at what is selected.
            (Step::Resource(question), "fieldSelector" | "labelSelector", [Value::Text(_)]) => {
                self.resource(question, |_| ())
            }
            (Step::Resource(question), "check", [Value::Text(verb)]) => {
                self.decided(question.ask(&**authorizer, served, user, verb))
            }
            (Step::Path(path), "check", [Value::Text(verb)]) => {
                self.decided(authorizer.authorize_path(user, verb, path))
            }
            (Step::Decision(decision), "allowed", []) => Value::Bool(decision.is_ok()),
            (Step::Decision(decision), "reason", []) => {
                Value::text(decision.as_ref().err().cloned().unwrap_or_default())
            }
            // To decide always succeeds here.
            (Step::Decision(_), "errored", []) => Value::Bool(false),
            (Step::Decision(_), "error", []) => Value::text(""),
            _ => return None,
        };
        Some(Ok(value))
    }
}

/// The version in questions that name none.
const ANY: &str = "*";

fn failed<T>(words: &str) -> Result<T, Failure> {
    Err(Failure::Failed(words.to_owned()))
}
