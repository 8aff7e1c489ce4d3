//! Values that have nothing but functions, which somebody else carries out: the authorizer and what it makes.

use std::fmt::Debug;

use super::{Failure, Value};

/// The functions that only receivers have, and the types of what they make.
pub const FUNCTIONS: [(&str, &str); 14] = [
    ("allowed", "bool"),
    ("check", "kubernetes.authorization.Decision"),
    ("error", "string"),
    ("errored", "bool"),
    ("fieldSelector", "kubernetes.authorization.ResourceCheck"),
    ("group", "kubernetes.authorization.GroupCheck"),
    ("labelSelector", "kubernetes.authorization.ResourceCheck"),
    ("name", "kubernetes.authorization.ResourceCheck"),
    ("namespace", "kubernetes.authorization.ResourceCheck"),
    ("path", "kubernetes.authorization.PathCheck"),
    ("reason", "string"),
    ("resource", "kubernetes.authorization.ResourceCheck"),
    ("serviceAccount", "kubernetes.authorization.Authorizer"),
    ("subresource", "kubernetes.authorization.ResourceCheck"),
];

/// To ask whether somebody may do something costs so much, as in Kubernetes.
const COST_OF_CHECK: u64 = 350_000;

/// A value whose functions somebody else carries out.
pub trait Receiver: Debug + Send + Sync {
    /// As messages name its type.
    fn kind(&self) -> &'static str;

    /// A field of it; none if it has none of this name.
    fn field(&self, name: &str) -> Option<Value<'static>>;

    /// Calls a function; none if it has none of this name for such arguments.
    fn call(&self, name: &str, arguments: &[Value<'_>]) -> Option<Result<Value<'static>, Failure>>;
}

/// What a call costs besides its own step; none if it is no function of receivers.
pub fn cost(name: &str) -> Option<u64> {
    let is_one = FUNCTIONS.iter().any(|(known, _)| *known == name);
    is_one.then_some(if name == "check" { COST_OF_CHECK } else { 0 })
}
