//! Refuses what would exceed a ResourceQuota of its namespace.
//!
//! What is used follows from the objects there are, not from the quota's status: so a quota holds without a controller
//! that counts, and at once after something was deleted. What was agreed to and is not stored yet is kept in a ledger. It
//! is looked at under a lock that is taken before the objects are, and an entry ends after its object can be seen, so
//! nothing passes unseen, and nothing counts twice.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::amounts::{self, Amounts};
use api::quota::{self, Counted};
use api::resource::RESOURCE_QUOTAS;
use api::{Key, Revision, Status};
use k8s_openapi::api::core::v1::ResourceQuota;
use serde_json::Value;

use super::{Attributes, Findings, Operation, Surroundings};
use crate::store::{Collection, Snapshot};

/// What was agreed to and is not stored yet. There are no more entries than writes on their way.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    next: u64,
    agreed: BTreeMap<u64, Entry>,
}

/// A change on its way to the store.
struct Entry {
    collection: Collection,
    key: Key,
    uid: String,
    /// The state that is to be changed; none if the object is new.
    seen: Option<Revision>,
    new: Counted<'static>,
    old: Option<Counted<'static>>,
}

impl Entry {
    /// Whether its object is not stored yet, as far as can be seen.
    fn is_on_its_way(&self, snapshot: &Snapshot) -> bool {
        match snapshot.get(&self.key) {
            Some(found) if found.uid() == self.uid => self.seen == Some(found.revision()),
            _ => self.seen.is_none(),
        }
    }
}

impl Ledger {
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends an entry when it is dropped.
struct Held {
    ledger: Ledger,
    number: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.ledger.lock().agreed.remove(&self.number);
    }
}

/// Agrees to a change, or refuses it. What is agreed to counts until `findings` are dropped.
pub(super) fn check(
    around: &Surroundings<'_>,
    attributes: &Attributes<'_>,
    findings: &mut Findings,
) -> Result<(), Status> {
    let namespace = &*attributes.key.namespace;
    let is_part = !attributes.subresource.is_empty() && attributes.subresource != "resize";
    let Some(object) = attributes.object.as_deref().filter(|_| !namespace.is_empty() && !is_part) else {
        return Ok(());
    };
    let (quotas, _) = around.store.snapshot(&Collection::from(&RESOURCE_QUOTAS));
    let mut quotas =
        quotas.range(namespace, None).filter_map(|object| object.typed::<ResourceQuota>().ok()).peekable();
    if quotas.peek().is_none() {
        return Ok(());
    }
    let count = |object| Counted::new(attributes.resource, object).map_err(Status::internal);
    let new = count(object)?;
    let old = attributes.old.map(count).transpose()?;
    let more = new.more_than(old.as_ref());
    if more.is_empty() {
        return Ok(());
    }
    let mut ledger = around.quotas.lock();
    let collection = Collection::from(attributes.resource);
    let (snapshot, _) = around.store.snapshot(&collection);
    let entry = Entry {
        seen: snapshot.get(attributes.key).filter(|_| old.is_some()).map(|object| object.revision()),
        key: attributes.key.clone(),
        uid: uid(object),
        collection,
        new,
        old,
    };
    let is_new = attributes.operation == Operation::Create;
    for quota in quotas {
        let mut check = Check { quota, more: &more, entry: &entry, ledger: &ledger, snapshot: &snapshot };
        let refuse = |words: String| Status::forbidden(attributes.resource, &attributes.key.name, &words);
        check.run(is_new).map_err(refuse)?;
    }
    if !attributes.is_dry_run() {
        findings.holds.push(hold(around.quotas, &mut ledger, entry));
    }
    Ok(())
}

fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().unwrap_or_default().to_owned()
}

fn hold(ledger: &Ledger, entries: &mut Entries, entry: Entry) -> Box<dyn Any + Send> {
    let number = entries.next;
    entries.next += 1;
    entries.agreed.insert(number, entry);
    Box::new(Held { ledger: ledger.clone(), number })
}

/// Whether one quota has room for a change.
struct Check<'a> {
    quota: &'a ResourceQuota,
    more: &'a Amounts,
    entry: &'a Entry,
    ledger: &'a Entries,
    snapshot: &'a Snapshot,
}

impl Check<'_> {
    fn run(&mut self, is_new: bool) -> Result<(), String> {
        let name = self.quota.metadata.name.as_deref().unwrap_or_default();
        let spec = self.quota.spec.clone().unwrap_or_default();
        let hard = amounts::read(spec.hard.as_ref());
        if !quota::chooses(&spec, &self.entry.new) {
            return Ok(());
        }
        if is_new && let Some(words) = self.entry.new.lacks(&hard) {
            return Err(format!("failed quota: {name}: must specify {words}"));
        }
        let asked = self.more.iter().filter(|(resource, _)| hard.contains_key(*resource));
        let asked: Amounts = asked.map(|(resource, amount)| (resource.clone(), *amount)).collect();
        if asked.is_empty() {
            return Ok(());
        }
        let used = self.used(&asked);
        let exceeds = |resource: &&String| {
            let of = |amounts: &Amounts| amounts.get(*resource).copied().unwrap_or_default();
            of(&used).saturating_add(of(&asked)) > of(&hard)
        };
        let exceeded: Vec<&String> = asked.keys().filter(exceeds).collect();
        if exceeded.is_empty() {
            return Ok(());
        }
        let shown = |amounts: &Amounts| {
            let shown = exceeded.iter().map(|resource| {
                let amount = amounts.get(*resource).copied().unwrap_or_default();
                format!("{resource}={amount}")
            });
            shown.collect::<Vec<_>>().join(",")
        };
        Err(format!(
            "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
            shown(&asked),
            shown(&used),
            shown(&hard)
        ))
    }

    /// How much of the resources is used, as far as this quota counts it.
    fn used(&self, asked: &Amounts) -> Amounts {
        let spec = self.quota.spec.clone().unwrap_or_default();
        let mut used = Amounts::new();
        let mut count = |amounts: Amounts| {
            let counts = |resource: &String| asked.contains_key(resource);
            let amounts = amounts.into_iter().filter(|(resource, _)| counts(resource)).collect();
            amounts::add(&mut used, &amounts);
        };
        let namespace = &*self.entry.key.namespace;
        for object in self.snapshot.range(namespace, None) {
            let stored = self.entry.new.of_same_kind(object);
            if let Some(stored) = stored.filter(|stored| quota::chooses(&spec, stored)) {
                count(stored.amounts());
            }
        }
        for entry in self.ledger.agreed.values() {
            let is_here = entry.collection == self.entry.collection && *entry.key.namespace == *namespace;
            if is_here && entry.is_on_its_way(self.snapshot) && quota::chooses(&spec, &entry.new) {
                count(entry.new.more_than(entry.old.as_ref()));
            }
        }
        used
    }
}
