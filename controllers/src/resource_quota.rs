//! Counts what each ResourceQuota is about, and says so in its status. Nobody is held to that: what would be too much is
//! refused by the server, which counts for itself.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use api::amounts::{self, Amounts};
use api::cache::Change;
use api::clock::add;
use api::object::DecodeError;
use api::quota::{self, Counted};
use api::resource::RESOURCE_QUOTAS;
use api::{Cache, Object, Resource};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ResourceQuota;
use serde_json::{Map, Value, json};

use crate::framework::{Action, Controller, Target, Watch};
use crate::kinds::{Kinds, UNSEEN};
use crate::typed::Typed;

/// A quota is looked at again so much later, as long as there may be something that is not known.
const UNTIL_READ: Duration = Duration::from_secs(1);

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "resourcequota-controller",
    watches: &[Watch::Every(concerned)],
    reads: &[(RESOURCE_QUOTAS, None)],
    decide: |view, target| {
        Ok(observe(view.cache, target)?.map_or(vec![], |state| reconcile(&state, view.now)))
    },
    workers: 4,
    // Each look counts everything anew: a thousand pods that come together are to cost a few looks.
    pace: Duration::from_millis(100),
};

/// A quota, and what it counts.
pub struct State {
    /// The quota.
    pub quota: Typed<ResourceQuota>,
    /// How much there is now of what some kind counts for.
    pub used: Amounts,
    /// Whether all kinds that count were read.
    pub is_complete: bool,
}

/// Whom a change concerns: the quotas of the namespace of an object that came or went, or counts otherwise now.
fn concerned(cache: &Cache, _: &Kinds, resource: &Resource, change: &Change, add: &mut dyn FnMut(Target)) {
    let object = change.object();
    if *resource == RESOURCE_QUOTAS {
        add(Target::of(&RESOURCE_QUOTAS, object));
    }
    if !is_counted(resource) {
        return;
    }
    let quotas = cache.snapshot(&RESOURCE_QUOTAS);
    let mut quotas = quotas.in_namespace(object.namespace()).peekable();
    if quotas.peek().is_none() || counts_as_before(resource, change) {
        return;
    }
    quotas.for_each(|quota| add(Target::of(&RESOURCE_QUOTAS, quota)));
}

/// Whether quotas count objects of a resource at all. Events come and go by themselves.
fn is_counted(resource: &Resource) -> bool {
    resource.namespaced && !UNSEEN.contains(resource)
}

fn counts_as_before(resource: &Resource, change: &Change) -> bool {
    let (Some(old), Some(new)) = (&change.old, &change.new) else { return false };
    match (Counted::stored(resource, old), Counted::stored(resource, new)) {
        (Some(old), Some(new)) => new.is_as(&old),
        (old, new) => old.is_none() && new.is_none(),
    }
}

/// Looks up a quota and counts what it is about.
pub fn observe(cache: &Cache, target: &Target) -> Result<Option<State>, DecodeError> {
    let Some(object) = cache.get(&target.resource, &target.key) else { return Ok(None) };
    let quota = Typed::<ResourceQuota>::new(object)?;
    let spec = quota.spec.clone().unwrap_or_default();
    let hard: Vec<&String> = spec.hard.iter().flat_map(BTreeMap::keys).collect();
    let mut used = Amounts::new();
    let mut is_complete = true;
    cache.each(|resource, snapshot| {
        let counted: Vec<&String> =
            hard.iter().copied().filter(|name| quota::is_counted(resource, name)).collect();
        if counted.is_empty() || !is_counted(resource) {
            return;
        }
        is_complete &= cache.has_read(resource);
        for name in &counted {
            used.entry((*name).clone()).or_default();
        }
        let objects = snapshot.in_namespace(&target.key.namespace);
        let chosen = objects
            .filter_map(|object| Counted::stored(resource, object))
            .filter(|object| quota::chooses(&spec, object));
        for object in chosen {
            let mut more = object.amounts();
            more.retain(|name, _| counted.contains(&name));
            amounts::add(&mut used, &more);
        }
    });
    Ok(Some(State { quota, used, is_complete }))
}

/// Decides whether the status is to say something else.
pub fn reconcile(state: &State, now: Timestamp) -> Vec<Action> {
    if !state.is_complete {
        return vec![Action::WakeAt(add(now, UNTIL_READ))];
    }
    let spec = state.quota.spec.as_ref();
    let status = state.quota.status.as_ref();
    let hard = amounts::read(spec.and_then(|spec| spec.hard.as_ref()));
    let said_hard = status.and_then(|status| status.hard.as_ref());
    let said_used = status.and_then(|status| status.used.as_ref());
    // What no kind counts for any more stays as it was last.
    let mut used = amounts::read(said_used);
    used.extend(state.used.clone());
    used.retain(|name, _| hard.contains_key(name));
    let is_said = said_hard.is_some() && said_used.is_some();
    if is_said && amounts::read(said_hard) == hard && amounts::read(said_used) == used {
        return vec![];
    }
    let said = &state.quota.object().value()["status"];
    let status = json!({"hard": over(&said["hard"], &hard), "used": over(&said["used"], &used)});
    vec![patch(state.quota.object(), status)]
}

fn patch(quota: &Object, status: Value) -> Action {
    Action::patch(&RESOURCE_QUOTAS, quota, "status", json!({"status": status}))
}

/// Amounts as they are laid over what was said: what is not among them goes.
fn over(said: &Value, amounts: &Amounts) -> Value {
    let gone = said.as_object().into_iter().flat_map(Map::keys).map(|name| (name.clone(), Value::Null));
    let now = amounts.iter().map(|(name, amount)| (name.clone(), json!(amount)));
    gone.chain(now).collect::<Map<String, Value>>().into()
}
