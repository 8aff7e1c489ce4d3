//! Passes requests on to the servers of other API groups, with the name of the user.

use std::fmt::Write;
use std::sync::Arc;

use api::backend::User;
use api::dialer::Connection;
use api::{Key, Status};
use axum::body::Body;
use axum::response::Response;
use http::header::{HeaderName, HeaderValue, UPGRADE};
use http::{HeaderMap, Request, StatusCode};

use super::metrics::About;
use super::passing::{self, Going};
use super::path::{Address, Target};
use super::route::{Action, scope};
use super::{Call, LONGEST_REQUEST, Notes, OTHER, Server, in_time, permission, reply, verb_of};
use crate::aggregation::Remote;
use crate::outgoing::Secured;

const REMOTE_USER: HeaderName = HeaderName::from_static("x-remote-user");
const REMOTE_UID: HeaderName = HeaderName::from_static("x-remote-uid");
const REMOTE_GROUP: HeaderName = HeaderName::from_static("x-remote-group");
const REMOTE_EXTRA: &str = "x-remote-extra-";

/// Who answers at a path, if it is another server.
pub(super) fn find(server: &Server, path: &str) -> Option<Arc<Remote>> {
    let remotes = server.api.registry.remotes();
    if remotes.is_empty() {
        return None;
    }
    let mut segments = path.trim_start_matches('/').split('/');
    let (root, is_schema) = match segments.next()? {
        "openapi" => {
            (segments.next().filter(|version| *version == "v3").and_then(|_| segments.next())?, true)
        }
        root => (root, false),
    };
    let (group, version) = (segments.next()?, segments.next()?);
    let found = remotes.get(group, version).filter(|_| root == "apis")?;
    // A document that the other server does not have is not there.
    let is_there = !is_schema || found.offered.openapi.is_some() && segments.next().is_none();
    is_there.then(|| found.clone())
}

/// Passes a request on to another server, if the user may send it.
pub(super) async fn answer(
    server: &Server,
    remote: &Remote,
    user: &Arc<User>,
    target: &Target,
    call: Call,
    notes: &mut Notes,
) -> Result<Response, Status> {
    let action = authorize(server, user, target, &call)?;
    let upgrade = call.upgrade.filter(|_| call.headers.contains_key(UPGRADE));
    notes.is_long = upgrade.is_some() || action == Some(Action::Watch);
    if let (Target::Resource(address), Some(action)) = (target, action) {
        notes.about = about(remote, address, action);
    }
    let asked = call.query.timeout()?.filter(|limit| !limit.is_zero());
    // A watch begins at once; only following it takes its time.
    let limit = asked.filter(|_| !notes.is_long).unwrap_or(LONGEST_REQUEST).min(LONGEST_REQUEST);
    let running = match notes.is_long {
        true => server.api.metrics.long_running(&notes.about),
        false => server.api.metrics.running(!matches!(call.method.as_str(), "GET" | "HEAD")),
    };
    if !remote.is_available {
        return Ok(unavailable("service unavailable"));
    }
    let trust = match &*remote.trust {
        Ok(trust) => trust,
        Err(words) => return Ok(reply::text(StatusCode::INTERNAL_SERVER_ERROR, format!("{words}\n"))),
    };
    let outgoing = server.api.registry.outgoing();
    let Some(outgoing) = outgoing.filter(|_| remote.target.place(server.api.registry.store()).is_ok()) else {
        return Ok(unavailable("service unavailable"));
    };
    let query = call.raw_query.map(|query| format!("?{query}")).unwrap_or_default();
    let mut request = Request::builder().method(call.method).uri(format!("{}{query}", call.path));
    if let Some(headers) = request.headers_mut() {
        *headers = passing::headers(&call.headers, upgrade.is_some(), &remote.target.authority())?;
        name_user(headers, user)?;
    }
    let request = request.body(call.body).map_err(Status::internal)?;
    let going = Going { upgrade, until: call.until, running };
    in_time(server, limit, async {
        let passed = match outgoing.connect(&remote.target, trust).await {
            Ok(secured) => pass(server, secured, request, going).await,
            Err(words) => Err(words),
        };
        Ok(passed.unwrap_or_else(|words| unavailable(&format!("error trying to reach service: {words}"))))
    })
    .await
}

async fn pass(
    server: &Server,
    secured: Secured,
    request: Request<Body>,
    going: Going,
) -> Result<Response, String> {
    let connection: Box<dyn Connection> = Box::new(secured);
    passing::pass(server, connection, request, going).await.map_err(|error| error.to_string())
}

/// Refuses what the user may not do. Answers with what is to be done, if it is about a resource.
fn authorize(
    server: &Server,
    user: &Arc<User>,
    target: &Target,
    call: &Call,
) -> Result<Option<Action>, Status> {
    let authorizer = &server.api.authorizer;
    match target {
        Target::Other(segments) => {
            let path = format!("/{}", segments.join("/"));
            authorizer.authorize_path(user, &verb_of(&call.method), &path)?;
            Ok(None)
        }
        Target::Resource(address) => {
            let action = Action::of(&call.method, address, &call.query)?;
            let served = server.api.registry.served();
            permission::question(address).ask(&**authorizer, &served, user, action.name())?;
            Ok(Some(action))
        }
    }
}

/// What the metrics say of it. Only names that the server has told of are shown.
fn about(remote: &Remote, address: &Address, action: Action) -> About {
    if !remote.offered.names.contains(&address.plural) {
        return OTHER;
    }
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let key = Key::new(text(&address.namespace), text(&address.name));
    About {
        verb: action.label(),
        group: remote.group.clone().into(),
        version: remote.version.clone().into(),
        resource: address.plural.clone().into(),
        subresource: "",
        scope: scope(&key),
    }
}

/// Kubernetes' answer, which is no Status.
fn unavailable(words: &str) -> Response {
    reply::text(StatusCode::SERVICE_UNAVAILABLE, format!("{words}\n"))
}

/// Says in the headers who asks, and nothing else of the kind that may stand there.
fn name_user(headers: &mut HeaderMap, user: &User) -> Result<(), Status> {
    let is_about_user = |name: &HeaderName| {
        let name = name.as_str();
        name.starts_with("impersonate-")
            || name.starts_with(REMOTE_EXTRA)
            || [&REMOTE_USER, &REMOTE_UID, &REMOTE_GROUP].iter().any(|known| known.as_str() == name)
    };
    let given: Vec<HeaderName> = headers.keys().filter(|name| is_about_user(name)).cloned().collect();
    given.iter().for_each(|name| drop(headers.remove(name)));
    let value = |text: &str| HeaderValue::try_from(text).map_err(Status::internal);
    headers.insert(REMOTE_USER, value(&user.name)?);
    for group in &user.groups {
        headers.append(REMOTE_GROUP, value(group)?);
    }
    if !user.uid.is_empty() {
        headers.insert(REMOTE_UID, value(&user.uid)?);
    }
    for (key, values) in &user.extra {
        let name =
            HeaderName::try_from(format!("{REMOTE_EXTRA}{}", escaped(key))).map_err(Status::internal)?;
        for text in values {
            headers.append(name.clone(), value(text)?);
        }
    }
    Ok(())
}

/// A key as the name of a header can hold it.
fn escaped(key: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte);
    key.bytes().fold(String::new(), |mut escaped, byte| {
        match is_plain(byte) {
            true => escaped.push(char::from(byte)),
            // Writing to a string cannot fail.
            false => drop(write!(escaped, "%{byte:02X}")),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nobody_but_the_server_says_who_asks() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-remote-user", "root"),
            ("x-remote-group", "system:masters"),
            ("x-remote-extra-scopes", "all"),
            ("x-remote-uid", "0"),
            ("impersonate-user", "root"),
            ("accept", "application/json"),
        ] {
            headers.append(name, value.parse().unwrap());
        }
        let user = User {
            name: "jane".to_owned(),
            groups: vec!["a".to_owned(), "b".to_owned()],
            extra: [("example.com/x".to_owned(), vec!["1".to_owned(), "2".to_owned()])].into(),
            ..User::default()
        };
        name_user(&mut headers, &user).unwrap();
        let mut found: Vec<String> =
            headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        found.sort();
        let expected = [
            "accept: application/json",
            "x-remote-extra-example.com%2fx: 1",
            "x-remote-extra-example.com%2fx: 2",
            "x-remote-group: a",
            "x-remote-group: b",
            "x-remote-user: jane",
        ];
        assert_eq!(found, expected);
    }
}
