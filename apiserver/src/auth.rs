//! Who a client is, and who may do what.

mod authenticate;
pub mod authority;
mod certificate;
mod jwt;
mod standard;
pub mod tokens;

use api::Status;
use api::backend::{Request, User};

pub use authenticate::{Authenticator, Until};
pub use certificate::Certified;
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
}
