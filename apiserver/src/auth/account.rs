//! Service accounts as users.

use api::backend::User;

/// The user that a service account is, in the groups of all and of its namespace.
pub fn user(namespace: &str, name: &str) -> User {
    User { name: format!("system:serviceaccount:{namespace}:{name}"), groups: groups(namespace).to_vec() }
}

/// The groups of the service accounts of a namespace.
pub fn groups(namespace: &str) -> [String; 2] {
    ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
}
