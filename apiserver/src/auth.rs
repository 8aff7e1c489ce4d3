//! Who a client is, and who may do what.

pub mod account;
mod authenticate;
pub mod authority;
mod certificate;
mod jwt;
mod question;
mod standard;
pub mod tokens;

use api::backend::{Request, User};
use api::{Key, Resource, Status};
use serde_json::{Value, json};

pub use authenticate::{Authenticator, Until};
pub use certificate::Certified;
pub use question::Question;
pub use standard::{AlwaysAllow, Standard};

/// The group whose members may do everything; the components of the cluster belong to it.
const MASTERS: &str = "system:masters";

/// The group of everybody who said who they are.
const AUTHENTICATED: &str = "system:authenticated";

/// The group of everybody else.
const UNAUTHENTICATED: &str = "system:unauthenticated";

/// The one user of that group.
const ANONYMOUS: &str = "system:anonymous";

/// Decides whether a request is allowed.
pub trait Authorizer: Send + Sync {
    /// Refuses in Kubernetes' words what is not allowed.
    fn authorize(&self, request: &Request) -> Result<(), Status>;

    /// The same for a path that is no resource, such as `/metrics`; `verb` is `get` or `post`.
    fn authorize_path(&self, user: &User, verb: &str, path: &str) -> Result<(), Status>;

    /// Whether the user may act as another: a user, a group, or a service account; or as one with a uid, or with a value of
    /// an extra field, which is the `part`.
    fn authorize_impersonation(
        &self,
        user: &User,
        other: &Resource,
        part: &str,
        key: &Key,
    ) -> Result<(), Status> {
        standard::authorize_impersonation(user, other, part, key)
    }

    /// Everything a user may do in a namespace, as the status of a review says it.
    fn rules(&self, _user: &User, _namespace: &str) -> Value {
        json!({"resourceRules": [], "nonResourceRules": [], "incomplete": true,
            "evaluationError": "the authorizer does not list rules"})
    }
}
