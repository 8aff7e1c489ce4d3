//! Takes requests through priority and fairness, before anything is done for them.

use std::sync::Arc;
use std::time::Duration;

use api::Status;
use api::backend::User;
use api::status::{Details, Reason};
use axum::response::Response;
use http::HeaderValue;
use http::header::HeaderName;

use super::path::{Address, Target};
use super::query::Query;
use super::route::Action;
use super::{Server, verb_of};
use crate::fairness::{Asked, Flow, Permit, What};
use crate::store::Collection;

/// The answer says which objects decided about it.
const FLOW_SCHEMA: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
const LEVEL: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");

/// Requests for these last as long as the client likes, and would hold their seats so long.
const LASTING: [&str; 5] = ["attach", "exec", "log", "portforward", "proxy"];

/// So many objects are one seat's work.
const OBJECTS_PER_SEAT: usize = 100;

/// The most seats of one request.
const MOST_SEATS: usize = 10;

/// Of the time a request may take, it waits for one part in so many at most.
const PATIENCE: u32 = 4;

/// When a client that was refused is to come back.
const RETRY_AFTER_SECONDS: u32 = 1;

/// What flow control has to know of a request.
pub(super) struct Request<'a> {
    pub user: &'a User,
    pub method: &'a http::Method,
    pub target: &'a Target,
    pub query: &'a Query,
    /// How long it may take in all.
    pub limit: Duration,
}

/// Waits for the request's turn. It has its seats until the permit is dropped; requests that last have none.
pub(super) async fn wait(
    server: &Server,
    request: &Request<'_>,
    flow: &mut Option<Arc<Flow>>,
) -> Result<Option<Permit>, Status> {
    let Request { user, method, target, query, limit } = request;
    let path;
    let method_name = verb_of(method);
    let (verb, what, seats) = match target {
        Target::Resource(address) if LASTING.contains(&address.part.as_str()) => return Ok(None),
        Target::Resource(address) => {
            let action = Action::of(method, address, query).ok();
            let verb = action.map_or(method_name.as_str(), |action| action.name());
            let seats = if action == Some(Action::List) { list_seats(server, address, query) } else { 1 };
            (verb, resource(address), seats)
        }
        Target::Other(segments) => {
            path = format!("/{}", segments.join("/"));
            (method_name.as_str(), What::Path(&path), 1)
        }
    };
    let asked = Asked { user, verb, what };
    let (found, permit) = server.fairness.begin(&asked, seats, *limit / PATIENCE).await;
    *flow = Some(found);
    permit.map(Some).map_err(|_| refused())
}

fn resource(address: &Address) -> What<'_> {
    let namespace = match (&address.namespace, &address.name) {
        (Some(namespace), _) => namespace.as_str(),
        // A namespace is in itself.
        (None, Some(name)) if address.plural == "namespaces" && address.group.is_empty() => name,
        _ => "",
    };
    What::Resource { group: &address.group, plural: &address.plural, part: &address.part, namespace }
}

/// A list is the work of as many requests as it has hundreds of objects, up to a bound.
fn list_seats(server: &Server, address: &Address, query: &Query) -> u32 {
    let served = server.api.registry.served();
    let count = served.any_version(&address.group, &address.plural).map_or(0, |version| {
        let collection = Collection::from(version.kind().resource());
        server.api.registry.store().snapshot(&collection).0.len()
    });
    let limit = query.integer("limit").ok().flatten().and_then(|limit| usize::try_from(limit).ok());
    seats_for(count, limit)
}

fn seats_for(count: usize, limit: Option<usize>) -> u32 {
    let shown = limit.filter(|limit| *limit > 0).map_or(count, |limit| limit.min(count));
    let seats = shown.div_ceil(OBJECTS_PER_SEAT).clamp(1, MOST_SEATS);
    u32::try_from(seats).unwrap_or(1)
}

fn refused() -> Status {
    let details = Details { retry_after_seconds: Some(RETRY_AFTER_SECONDS), ..Details::default() };
    let status = Status::new(Reason::TooManyRequests, "Too many requests, please try again later.");
    Status { details: Some(Box::new(details)), ..status }
}

/// Says in an answer which objects decided about its request.
pub(super) fn tell(response: &mut Response, flow: &Flow) {
    for (name, uid) in [(FLOW_SCHEMA, &flow.schema_uid), (LEVEL, &flow.level_uid)] {
        if let Some(uid) = HeaderValue::from_str(uid).ok().filter(|uid| !uid.is_empty()) {
            response.headers_mut().insert(name, uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::seats_for;

    #[test]
    fn large_lists_take_more_seats() {
        let row = |count: usize, limit: Option<usize>, expected: u32| {
            assert_eq!(seats_for(count, limit), expected, "{count} {limit:?}");
        };
        row(0, None, 1);
        row(100, None, 1);
        row(101, None, 2);
        row(5_000, None, 10);
        row(5_000, Some(500), 5);
        row(5_000, Some(0), 10);
        row(3, Some(500), 1);
    }
}
