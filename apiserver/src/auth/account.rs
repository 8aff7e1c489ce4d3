//! Service accounts as users.

use api::backend::User;

/// The user that a service account is, in the groups of all and of its namespace.
pub fn user(namespace: &str, name: &str) -> User {
    let name = format!("system:serviceaccount:{namespace}:{name}");
    User { name, groups: groups(namespace).to_vec(), ..User::default() }
}

/// The groups of the service accounts of a namespace.
pub fn groups(namespace: &str) -> [String; 2] {
    ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]
}
