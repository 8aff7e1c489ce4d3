//! Who may do what.

use api::backend::{Request, User};
use api::{Resource, Status};

/// Decides whether a request is allowed.
pub trait Authorizer: Send + Sync {
    /// Refuses in Kubernetes' words what is not allowed.
    fn authorize(&self, request: &Request) -> Result<(), Status>;
}

/// The group whose members may do everything; the components of the cluster belong to it.
const MASTERS: &str = "system:masters";

/// Allows everything to the members of `system:masters`, and nothing to anybody else.
#[derive(Clone, Copy, Debug, Default)]
pub struct MastersOnly;

impl Authorizer for MastersOnly {
    fn authorize(&self, request: &Request) -> Result<(), Status> {
        match request.user.groups.iter().any(|group| group == MASTERS) {
            true => Ok(()),
            false => Err(forbidden(&request.user, request)),
        }
    }
}

fn forbidden(user: &User, request: &Request) -> Status {
    let Resource { group, plural, .. } = &request.resource;
    let resource = match request.subresource {
        "" => plural.to_string(),
        part => format!("{plural}/{part}"),
    };
    let scope = match &*request.key.namespace {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let words = format!(
        "User {:?} cannot {} resource {resource:?} in API group {group:?} {scope}",
        user.name,
        request.verb.name()
    );
    Status::forbidden(&request.resource, &request.key.name, &words)
}
