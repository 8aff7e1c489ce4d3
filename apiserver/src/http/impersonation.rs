//! Lets those who may act as somebody else: the request is carried out as that user, and may do what that user may.

use std::sync::Arc;

use api::backend::User;
use api::resource::SERVICE_ACCOUNTS;
use api::{Key, Resource, Status};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::query::decode;
use crate::auth::{Authorizer, account};

const USER: &str = "impersonate-user";
const GROUP: &str = "impersonate-group";
const UID: &str = "impersonate-uid";
const EXTRA: &str = "impersonate-extra-";
const ANY: &str = "impersonate-";

const USERS: Resource = Resource::new("", "v1", "users", "User", false);
const GROUPS: Resource = Resource::new("", "v1", "groups", "Group", false);
const UIDS: Resource = Resource::new("authentication.k8s.io", "v1", "uids", "UID", false);
const EXTRAS: Resource = Resource::new("authentication.k8s.io", "v1", "userextras", "UserExtra", false);

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
    let asked = |(name, value): (&HeaderName, &HeaderValue)| {
        (name.as_str().starts_with(ANY) && !value.is_empty()).then(|| name.as_str().to_owned())
    };
    let asked: Vec<String> = headers.iter().filter_map(asked).collect();
    if asked.is_empty() {
        return Ok(Arc::clone(sender));
    }
    let Some(user) = named(headers) else {
        let words = format!("requested {asked:?} without impersonating a user");
        return Err(Status::bad_request(words));
    };
    let account = account(&user.name);
    let may = |resource: &Resource, part: &str, key: Key| {
        authorizer.authorize_impersonation(sender, resource, part, &key)
    };
    match account {
        Some((namespace, account)) => may(&SERVICE_ACCOUNTS, "", Key::new(namespace, account))?,
        None => may(&USERS, "", Key::cluster(user.name.as_str()))?,
    }
    for group in &user.groups {
        may(&GROUPS, "", Key::cluster(group.as_str()))?;
    }
    for (key, value) in
        user.extra.iter().flat_map(|(key, values)| values.iter().map(move |value| (key, value)))
    {
        may(&EXTRAS, key, Key::cluster(value.as_str()))?;
    }
    if !user.uid.is_empty() {
        may(&UIDS, "", Key::cluster(user.uid.as_str()))?;
    }
    let groups = with_own(&user.name, account, user.groups.clone());
    Ok(Arc::new(User { groups, ..user }))
}

/// Whom the headers name; none if they name no user.
fn named(headers: &HeaderMap) -> Option<User> {
    let values = |name: &HeaderName| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.filter(|value| !value.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let texts = |name| values(&HeaderName::from_static(name));
    let extra = headers.keys().filter_map(|name| {
        let key = name.as_str().strip_prefix(EXTRA)?;
        Some((decode(key, false), values(name))).filter(|(_, values)| !values.is_empty())
    });
    Some(User {
        name: texts(USER).into_iter().next()?,
        groups: texts(GROUP),
        uid: texts(UID).into_iter().next().unwrap_or_default(),
        extra: extra.collect(),
    })
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
    use api::backend::Request;
    use serde_json::json;

    fn ask(group: &str, headers: &[(&'static str, &'static str)]) -> Result<Arc<User>, Status> {
        ask_of(&Standard, group, headers)
    }

    fn ask_of(
        authorizer: &dyn Authorizer,
        group: &str,
        headers: &[(&'static str, &'static str)],
    ) -> Result<Arc<User>, Status> {
        let sender =
            Arc::new(User { name: "bob".to_owned(), groups: vec![group.to_owned()], ..User::default() });
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        user_of(authorizer, &sender, &map)
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
            &[("impersonate-uid", "7")],
            400,
            r#"requested ["impersonate-uid"] without impersonating a user"#,
        );
    }

    /// Lets everybody be anybody, but nobody have a uid or an extra value.
    struct NamesOnly;

    impl Authorizer for NamesOnly {
        fn authorize(&self, _: &Request) -> Result<(), Status> {
            Ok(())
        }

        fn authorize_path(&self, _: &User, _: &str, _: &str) -> Result<(), Status> {
            Ok(())
        }

        fn authorize_impersonation(
            &self,
            user: &User,
            other: &Resource,
            part: &str,
            key: &Key,
        ) -> Result<(), Status> {
            if other.group.is_empty() {
                Ok(())
            } else {
                Standard.authorize_impersonation(user, other, part, key)
            }
        }
    }

    #[test]
    fn uids_and_extra_values_are_rights_of_their_own() {
        let headers = [
            ("impersonate-user", "jane"),
            ("impersonate-uid", "7"),
            ("impersonate-extra-scopes", "view"),
            ("impersonate-extra-scopes", "edit"),
            ("impersonate-extra-example.com%2fteam", "a"),
        ];
        let user = ask("system:masters", &headers).unwrap();
        assert_eq!(
            user.info(),
            json!({"username": "jane", "groups": ["system:authenticated"], "uid": "7",
                "extra": {"example.com/team": ["a"], "scopes": ["view", "edit"]}})
        );
        let row = |headers: &[(&'static str, &'static str)], words: &str| {
            let refused = ask_of(&NamesOnly, "staff", headers).unwrap_err();
            assert_eq!((refused.code, refused.message.as_str()), (403, words));
        };
        row(
            &headers[..2],
            r#"uids.authentication.k8s.io "7" is forbidden: User "bob" cannot impersonate resource "uids" in API group "authentication.k8s.io" at the cluster scope"#,
        );
        row(
            &[headers[0], headers[2]],
            r#"userextras.authentication.k8s.io "view" is forbidden: User "bob" cannot impersonate resource "userextras/scopes" in API group "authentication.k8s.io" at the cluster scope"#,
        );
    }
}
