//! Answers how the parts of the control plane are, by the checks of the server's health.

use std::borrow::Cow;

use api::backend::{Answer, ObjectList, Reply};
use api::status::Reason;
use api::{Object, Status};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::accept::{self, Offer};
use super::health::HealthCheck;
use super::path::Address;
use super::query::Query;
use super::reply::View;
use super::resources::respond;
use super::route::{Action, not_allowed, not_found};
use super::table::Layout;
use super::{Server, options};
use crate::builtin::COMPONENT_STATUSES;
use crate::served::{KindHandle, Version};

/// The parts by the names they have in Kubernetes, in the order of lists, each with its check.
const COMPONENTS: [(&str, &str); 3] =
    [("controller-manager", "controllers"), ("etcd-0", "store"), ("scheduler", "scheduler")];

const DEPRECATED: &str = "v1 ComponentStatus is deprecated in v1.19+";

/// Whether the address is that of the resource.
pub(super) fn is_at(address: &Address) -> bool {
    let Address { group, version, plural, .. } = address;
    group.is_empty() && version == "v1" && *plural == *COMPONENT_STATUSES.resource().plural
}

/// Looks at the parts.
pub(super) fn answer(
    server: &Server,
    address: &Address,
    action: Action,
    query: &Query,
    headers: &HeaderMap,
) -> Result<Response, Status> {
    if address.namespace.is_some() || !address.part.is_empty() {
        return Err(not_found());
    }
    let wanted = accept::wanted(headers, query, Offer { has_protobuf: true, is_watch: false })?;
    let version = Version::new(KindHandle::Builtin(COMPONENT_STATUSES)).into();
    let view = View { layout: Layout { version, is_scale: false, now: server.api.clock.now() }, wanted };
    let checks = &server.api.health;
    let answer = match (action, address.name.as_deref()) {
        (Action::Get, Some(name)) => {
            let found = COMPONENTS.into_iter().find(|(component, _)| *component == name);
            let words = format!("Component not found: {name}");
            let missing = || Status { code: 500, ..Status::new(Reason::Unknown, words) };
            let (name, check) = found.ok_or_else(missing)?;
            Answer::Object(component(checks, name, check)?)
        }
        (Action::List, None) => Answer::List(list(checks, query)?),
        _ => return Err(not_allowed()),
    };
    respond(&view, StatusCode::OK, Reply { answer, warnings: vec![DEPRECATED.to_owned()] })
}

fn list(checks: &[HealthCheck], query: &Query) -> Result<ObjectList, Status> {
    let options = options::list(query)?;
    let all = COMPONENTS.into_iter().map(|(name, check)| component(checks, name, check));
    let mut items: Vec<Object> = all.collect::<Result<_, _>>()?;
    items.retain(|item| {
        let field = |field: &str| (field == "metadata.name").then(|| Cow::from(item.name()));
        options.labels.matches(None) && options.fields.matches(field)
    });
    Ok(ObjectList { items, ..ObjectList::default() })
}

fn component(checks: &[HealthCheck], name: &str, check: &str) -> Result<Object, Status> {
    let value = json!({"apiVersion": "v1", "kind": "ComponentStatus", "metadata": {"name": name},
        "conditions": [condition(checks.iter().find(|known| known.name == check))]});
    Object::from_value(value).map_err(Status::internal)
}

fn condition(check: Option<&HealthCheck>) -> Value {
    let condition =
        |status: &str, message: String| json!({"type": "Healthy", "status": status, "message": message});
    match check.map(|check| (check.look)()) {
        Some(Ok(())) => condition("True", "ok".to_owned()),
        Some(Err(why)) => condition("False", why),
        None => json!({"type": "Healthy", "status": "Unknown", "error": "it is not part of this process"}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_not_well_says_why() {
        let failing = HealthCheck::new("scheduler", || Err("it has ended".to_owned()));
        let said = json!({"type": "Healthy", "status": "False", "message": "it has ended"});
        assert_eq!(condition(Some(&failing)), said);
    }
}
