//! Lets those who may act as somebody else: the request is carried out as that user, and may do what that user may.

use std::sync::Arc;

use api::backend::User;
use api::resource::SERVICE_ACCOUNTS;
use api::{Key, Resource, Status};
use http::HeaderMap;

use crate::auth::{Authorizer, account};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const ANY: &str = "impersonate-";

const USERS: Resource = Resource::new("", "v1", "users", "User", false);
const GROUPS: Resource = Resource::new("", "v1", "groups", "Group", false);

const ANONYMOUS: &str = "system:anonymous";
const AUTHENTICATED: &str = "system:authenticated";
const UNAUTHENTICATED: &str = "system:unauthenticated";
const ACCOUNT: &str = "system:serviceaccount:";

/// Who the request is to be carried out as: who sent it, or whom it names if that is allowed.
pub(super) fn user_of(
    authorizer: &dyn Authorizer,
    sender: &Arc<User>,
    headers: &HeaderMap,
) -> Result<Arc<User>, Status> {
    let named = |name: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.filter(|value| !value.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let asked = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().starts_with(ANY) && !value.is_empty()).then(|| name.as_str().to_owned())
    };
    let asked: Vec<String> = headers.iter().filter_map(asked).collect();
    if asked.is_empty() {
        return Ok(Arc::clone(sender));
    }
    let groups = named(GROUP);
    let Some(name) = named(USER).into_iter().next() else {
        let words = format!("requested {asked:?} without impersonating a user");
        return Err(Status::bad_request(words));
    };
    // What is left out of a user would be a right or a restriction that is not seen.
    if let Some(other) = asked.iter().find(|header| ![USER, GROUP].contains(&header.as_str())) {
        let words = format!("{other} is not supported: users have a name and groups, use {USER} and {GROUP}");
        return Err(Status::bad_request(words));
    }
    let account = account(&name);
    match account {
        Some((namespace, account)) => {
            let key = Key::new(namespace, account);
            authorizer.authorize_impersonation(sender, &SERVICE_ACCOUNTS, &key)?;
        }
        None => authorizer.authorize_impersonation(sender, &USERS, &Key::cluster(name.as_str()))?,
    }
    for group in &groups {
        authorizer.authorize_impersonation(sender, &GROUPS, &Key::cluster(group.as_str()))?;
    }
    let groups = with_own(&name, account, groups);
    Ok(Arc::new(User { name, groups }))
}

/// The namespace and the name of a service account.
fn account(name: &str) -> Option<(&str, &str)> {
    let (namespace, account) = name.strip_prefix(ACCOUNT)?.split_once(':')?;
    (!namespace.is_empty() && !account.is_empty() && !account.contains(':')).then_some((namespace, account))
}

/// The groups a user is in without being asked.
fn with_own(name: &str, account: Option<(&str, &str)>, mut groups: Vec<String>) -> Vec<String> {
    if let Some((namespace, _)) = account.filter(|_| groups.is_empty()) {
        groups.extend(account::groups(namespace));
    }
    let is_in = |group: &str| groups.iter().any(|own| own == group);
    let own = if name == ANONYMOUS { UNAUTHENTICATED } else { AUTHENTICATED };
    if !is_in(own) && !is_in(UNAUTHENTICATED) {
        groups.push(own.to_owned());
    }
    groups
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::auth::Standard;

    fn ask(group: &str, headers: &[(&'static str, &'static str)]) -> Result<Arc<User>, Status> {
        let sender = Arc::new(User { name: "bob".to_owned(), groups: vec![group.to_owned()] });
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        user_of(&Standard, &sender, &map)
    }

    #[test]
    fn masters_act_as_whom_they_name() {
        let row = |headers: &[(&'static str, &'static str)], name: &str, groups: &[&str]| {
            let user = ask("system:masters", headers).unwrap();
            assert_eq!(
                (user.name.as_str(), user.groups.as_slice()),
                (name, &groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>()[..])
            );
        };
        row(&[], "bob", &["system:masters"]);
        row(&[("impersonate-user", "")], "bob", &["system:masters"]);
        row(&[("impersonate-user", "jane")], "jane", &["system:authenticated"]);
        row(
            &[("impersonate-user", "jane"), ("impersonate-group", "a"), ("impersonate-group", "b")],
            "jane",
            &["a", "b", "system:authenticated"],
        );
        row(&[("impersonate-user", "system:anonymous")], "system:anonymous", &["system:unauthenticated"]);
        row(
            &[("impersonate-user", "system:serviceaccount:default:robot")],
            "system:serviceaccount:default:robot",
            &["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
        );
    }

    #[test]
    fn others_are_refused_in_kubernetes_words() {
        let row = |group: &str, headers: &[(&'static str, &'static str)], code: u16, words: &str| {
            let refused = ask(group, headers).unwrap_err();
            assert_eq!((refused.code, refused.message.as_str()), (code, words));
        };
        row(
            "system:authenticated",
            &[("impersonate-user", "jane")],
            403,
            r#"users "jane" is forbidden: User "bob" cannot impersonate resource "users" in API group "" at the cluster scope"#,
        );
        row(
            "system:authenticated",
            &[("impersonate-user", "system:serviceaccount:default:robot")],
            403,
            r#"serviceaccounts "robot" is forbidden: User "bob" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "default""#,
        );
        row(
            "system:masters",
            &[("impersonate-group", "a")],
            400,
            r#"requested ["impersonate-group"] without impersonating a user"#,
        );
        row(
            "system:masters",
            &[("impersonate-user", "jane"), ("impersonate-uid", "7")],
            400,
            "impersonate-uid is not supported: users have a name and groups, use impersonate-user and impersonate-group",
        );
    }
}
