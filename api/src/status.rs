//! The errors of the API, as Kubernetes' Status object has them: a code, a reason that clients check, and words.

use std::fmt;

use serde_json::{Value, json};

use crate::field::FieldError;
use crate::object::Revision;
use crate::resource::Resource;

/// Why a request failed. Displayed as its message; [`Status::to_value`] gives the object clients read.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// The HTTP status code.
    pub code: u16,
    /// The reason clients check.
    pub reason: Reason,
    /// What happened, in one line.
    pub message: String,
    /// The object concerned and the causes. Boxed to keep results small.
    pub details: Option<Box<Details>>,
    /// How a list can go on, though not as things were when it began.
    pub continue_token: Option<Box<str>>,
}

/// The object an error is about.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Details {
    /// The object's name.
    pub name: String,
    /// The resource's group.
    pub group: String,
    /// The resource, or the kind for invalid objects.
    pub kind: String,
    /// The object's uid, if it is known.
    pub uid: String,
    /// One entry per mistake.
    pub causes: Vec<Cause>,
    /// How long a client should wait before it tries again.
    pub retry_after_seconds: Option<u32>,
}

/// One of several causes of an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Cause {
    /// What clients check.
    pub reason: String,
    /// What people read.
    pub message: String,
    /// The field path; empty if it is not about a field.
    pub field: String,
}

/// Machine-readable reasons of failed requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are Kubernetes' own")]
pub enum Reason {
    /// None was given, as by webhooks.
    Unknown,
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    AlreadyExists,
    Conflict,
    Expired,
    RequestEntityTooLarge,
    UnsupportedMediaType,
    Invalid,
    TooManyRequests,
    InternalError,
    ServerTimeout,
    ServiceUnavailable,
    Timeout,
}

impl Reason {
    const ALL: [Self; 17] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::AlreadyExists,
        Self::Conflict,
        Self::Expired,
        Self::RequestEntityTooLarge,
        Self::UnsupportedMediaType,
        Self::Invalid,
        Self::TooManyRequests,
        Self::InternalError,
        Self::ServerTimeout,
        Self::ServiceUnavailable,
        Self::Timeout,
    ];

    /// The reason with this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| format!("{reason:?}") == name)
    }

    fn code(self) -> u16 {
        match self {
            Reason::Unknown | Reason::BadRequest => 400,
            Reason::Unauthorized => 401,
            Reason::Forbidden => 403,
            Reason::NotFound => 404,
            Reason::MethodNotAllowed => 405,
            Reason::NotAcceptable => 406,
            Reason::AlreadyExists | Reason::Conflict => 409,
            Reason::Expired => 410,
            Reason::RequestEntityTooLarge => 413,
            Reason::UnsupportedMediaType => 415,
            Reason::Invalid => 422,
            Reason::TooManyRequests => 429,
            Reason::InternalError | Reason::ServerTimeout => 500,
            Reason::ServiceUnavailable => 503,
            Reason::Timeout => 504,
        }
    }
}

impl Status {
    /// An error with the code that goes with its reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { code: reason.code(), reason, message: message.into(), details: None, continue_token: None }
    }

    fn about(reason: Reason, message: String, resource: &Resource, name: &str) -> Self {
        let details = Details {
            name: name.to_owned(),
            group: resource.group.to_string(),
            kind: resource.plural.to_string(),
            ..Details::default()
        };
        Self { details: Some(Box::new(details)), ..Self::new(reason, message) }
    }

    /// `pods "x" not found`.
    pub fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{resource} {name:?} not found");
        Self::about(Reason::NotFound, message, resource, name)
    }

    /// `pods "x" already exists`.
    pub fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{resource} {name:?} already exists");
        Self::about(Reason::AlreadyExists, message, resource, name)
    }

    /// The object was changed since the caller read it.
    pub fn modified(resource: &Resource, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// `Operation cannot be fulfilled on pods "x": why`.
    pub fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
        Self::about(Reason::Conflict, message, resource, name)
    }

    /// `pods "x" is forbidden: why`.
    pub fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = if name.is_empty() {
            format!("{resource} is forbidden: {why}")
        } else {
            format!("{resource} {name:?} is forbidden: {why}")
        };
        Self::about(Reason::Forbidden, message, resource, name)
    }

    /// `Deployment.apps "x" is invalid: ` and every mistake.
    pub fn invalid(resource: &Resource, name: &str, errors: &[FieldError]) -> Self {
        let words: Vec<String> = errors.iter().map(FieldError::to_string).collect();
        let words = match words.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} {name:?} is invalid: {words}", resource.group_kind());
        let mut status = Self::about(Reason::Invalid, message, resource, name);
        if let Some(details) = &mut status.details {
            details.kind = resource.kind.to_string();
            details.causes = errors.iter().map(Cause::from).collect();
        }
        status
    }

    /// The request makes no sense.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(Reason::BadRequest, message)
    }

    /// The history asked for is gone; the caller lists again.
    pub fn too_old(asked: Revision, oldest: Revision) -> Self {
        Self::new(Reason::Expired, format!("too old resource version: {asked} ({oldest})"))
    }

    /// The server failed; the words are for the one who must act.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Reason::InternalError, format!("Internal error occurred: {message}"))
    }

    /// Whether the object does not exist.
    pub fn is_not_found(&self) -> bool {
        self.reason == Reason::NotFound
    }

    /// Whether the object exists already.
    pub fn is_already_exists(&self) -> bool {
        self.reason == Reason::AlreadyExists
    }

    /// Whether somebody else changed the object first.
    pub fn is_conflict(&self) -> bool {
        self.reason == Reason::Conflict
    }

    /// Whether the history asked for is gone.
    pub fn is_expired(&self) -> bool {
        self.reason == Reason::Expired
    }

    /// The Status object clients read.
    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "apiVersion": "v1",
            "kind": "Status",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if self.reason != Reason::Unknown {
            value["reason"] = format!("{:?}", self.reason).into();
        }
        if let Some(details) = &self.details {
            value["details"] = details.to_value();
        }
        if let Some(token) = &self.continue_token {
            value["metadata"]["continue"] = token.as_ref().into();
        }
        value
    }
}

impl Details {
    fn to_value(&self) -> Value {
        let mut value = json!({});
        let texts = [("name", &self.name), ("group", &self.group), ("kind", &self.kind), ("uid", &self.uid)];
        for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            value[key] = text.as_str().into();
        }
        if !self.causes.is_empty() {
            value["causes"] = self.causes.iter().map(Cause::to_value).collect();
        }
        if let Some(seconds) = self.retry_after_seconds {
            value["retryAfterSeconds"] = seconds.into();
        }
        value
    }
}

impl Cause {
    fn to_value(&self) -> Value {
        let mut value = json!({"reason": self.reason, "message": self.message});
        if !self.field.is_empty() {
            value["field"] = self.field.as_str().into();
        }
        value
    }
}

impl From<&FieldError> for Cause {
    fn from(error: &FieldError) -> Self {
        Self { reason: error.reason().to_owned(), message: error.sentence(), field: error.field.clone() }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::{DEPLOYMENTS, PODS};

    #[test]
    fn messages_are_those_clients_check() {
        assert_eq!(Status::not_found(&PODS, "a").to_string(), r#"pods "a" not found"#);
        assert_eq!(
            Status::already_exists(&DEPLOYMENTS, "a").to_string(),
            r#"deployments.apps "a" already exists"#
        );
        let errors = [FieldError::required("spec.a", ""), FieldError::required("spec.b", "")];
        let status = Status::invalid(&DEPLOYMENTS, "a", &errors);
        assert_eq!(
            status.to_string(),
            r#"Deployment.apps "a" is invalid: [spec.a: Required value, spec.b: Required value]"#
        );
        let value = status.to_value();
        assert_eq!(value["code"], 422);
        assert_eq!(value["details"]["causes"][1]["field"], "spec.b");
    }
}
