//! Changes objects: replaced as a whole, or patched, or one of their subresources.

use std::borrow::Cow;

use api::backend::{Answer, Body, Patch, Reply, WriteOptions};
use api::field::FieldError;
use api::{Object, Resource, Revision, Status, event};
use serde_json::Value;

use super::change::{Change, read, requested};
use super::create::held;
use super::decode::{self, Incoming};
use super::owners::{self, Owners};
use super::patch::{self, Way};
use super::{ATTEMPTS, Place, Registry, metadata};
use crate::admission::{Findings, Options};
use crate::builtin::Checked;
use crate::schema::Decoded;
use crate::store::{Draft, Expected, Next, Refused, Write};
use crate::subresources::pod_parts;
use crate::{subresources, tree};

/// The next state, decided on the state `old` was parsed from.
struct Decided {
    new: Value,
    owners: String,
    checked: Checked,
    removed: bool,
    hold: Option<Box<dyn std::any::Any + Send>>,
}

impl Registry {
    pub(super) async fn replace(
        &self,
        place: &Place,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Reply, Status> {
        let incoming = read(place, body, options.field_validation)?;
        self.change(place, Change::Replace(incoming), options).await
    }

    pub(super) async fn patch(
        &self,
        place: &Place,
        patch: Patch,
        options: &WriteOptions,
    ) -> Result<Reply, Status> {
        let sent = match patch {
            Patch::Merge(body) => patch::read(Way::Merge, body)?,
            Patch::Json(body) => patch::read(Way::Operations, body)?,
            Patch::Strategic(body) => patch::read(Way::Strategic, body)?,
            Patch::Apply(body) => {
                let config = decode::tree(place.version.resource(), body)?;
                return self.apply(place, config, options).await;
            }
        };
        self.change(place, Change::Patch(sent), options).await
    }

    /// Applies to the object, or creates it.
    async fn apply(&self, place: &Place, config: Decoded, options: &WriteOptions) -> Result<Reply, Status> {
        if !place.part.is_empty() || self.store.get(&place.store_key()).is_some() {
            return self.change(place, Change::Apply(config), options).await;
        }
        let (incoming, owners) = self.newly_applied(place, &config, options)?;
        match self.create_owned(place, incoming, Some(owners), options).await {
            Ok(Reply { answer: Answer::Object(object), warnings }) => {
                Ok(Reply { answer: Answer::Created(object), warnings })
            }
            // Somebody else created it first.
            Err(status) if status.is_already_exists() => {
                self.change(place, Change::Apply(config), options).await
            }
            outcome => outcome,
        }
    }

    /// The state a change leads to, and how the owners of its fields are found.
    fn wanted<'a>(
        &self,
        place: &'a Place,
        change: &Change,
        old: &Value,
        (current, before): (&'a Object, &'a str),
        options: &'a WriteOptions,
    ) -> Result<(Incoming, Owners<'a>), Status> {
        if let Change::Apply(config) = change {
            return self.applied(place, config, old, before, options);
        }
        let whole = match change.concerns_owners() {
            true => serde_json::from_slice(current.json()).map(Cow::Owned),
            false => Ok(Cow::Borrowed(old)),
        };
        let whole = whole.map_err(|error| place.unfit(&error))?;
        let mut incoming = requested(place, change, &whole, options.field_validation)?;
        let sent = owners::take_sent(&mut incoming.value);
        Ok((incoming, Owners::ByDifference { before, sent, writer: owners::writer(place, options) }))
    }

    /// Decides on the newest state and commits, until no other write comes between.
    async fn change(&self, place: &Place, change: Change, options: &WriteOptions) -> Result<Reply, Status> {
        let how = match change {
            Change::Replace(_) => Options::Update(options),
            _ => Options::Patch(options),
        };
        for _ in 0..ATTEMPTS {
            let current = self.in_version(place, self.current(place)?).await?;
            let (old, before) = owners::apart(&current).map_err(|error| place.unfit(&error))?;
            let (Incoming { value: given, mut warnings }, owners) =
                self.wanted(place, &change, &old, (&current, before), options)?;
            check_preconditions(place, &given, &current)?;
            let mut findings = Findings::default();
            let known = (&current, before, owners);
            let decided = self.decide(place, how, given, &old, known, &mut findings).await?;
            warnings.append(&mut findings.warnings);
            let Some(decided) = decided else {
                return Ok(Reply { answer: shown(place, current)?, warnings });
            };
            let Decided { new, owners, checked, removed, hold } = decided;
            let hold = held(hold, findings.holds);
            if options.dry_run {
                let object = Draft::preview_owned(&new, checked.metadata, &owners);
                return Ok(Reply { answer: shown(place, object)?, warnings });
            }
            let draft = self.to_store(place, &new, checked.metadata, &owners).await?;
            let next = if removed { Next::Remove(draft) } else { Next::Put(draft) };
            let expected = Expected::At(current.revision());
            match self.commit(Write { key: place.store_key(), expected, next, hold }).await {
                Ok(object) if removed => {
                    return Ok(Reply { answer: Answer::Deleted(object), warnings });
                }
                Ok(object) => {
                    return Ok(Reply { answer: shown(place, object)?, warnings });
                }
                // Preconditions are checked again on the newest state.
                Err(Refused::Conflict(Some(_))) => {}
                Err(refused) => return Err(place.refused(&refused)),
            }
        }
        Err(Status::modified(place.resource(), &place.key.name))
    }

    /// The next state; none if nothing changes.
    async fn decide(
        &self,
        place: &Place,
        how: Options<'_>,
        mut given: Value,
        old: &Value,
        (current, before, owners): (&Object, &str, Owners<'_>),
        findings: &mut Findings,
    ) -> Result<Option<Decided>, Status> {
        let definition = place.kind.definition();
        let mut errors = Vec::new();
        let is_scale = place.part == "scale";
        let shown = is_scale.then(|| subresources::scale::of_value(&place.kind, old));
        if is_scale {
            self.admit(place, how, (&mut given, None), (shown.as_ref(), ""), findings).await?;
        }
        let mut wanted = shown.is_some().then(|| given.clone());
        let before_all = match &shown {
            Some(shown) => (Some(shown), ""),
            None => (Some(old), before),
        };
        let mut new = project(place, given, old)?;
        metadata::keep_identity(&mut new, old, &mut errors);
        if place.part.is_empty() || pod_parts::is_one(place.part) {
            place.kind.set_defaults(&mut new);
        }
        // What others add or take away from here on is not the writer's doing.
        let now = event::seconds(self.clock.now());
        let said = owners.after(place, &self.served(), old, &new, &now);
        owners.check(&said, &mut errors);
        let mut owners = said;
        if !is_scale {
            self.admit(place, how, (&mut new, Some(&mut owners)), (Some(old), before), findings).await?;
        }
        if findings.changed && !is_scale {
            new = project(place, new, old)?;
        }
        if place.part.is_empty() {
            place.kind.prepare_update(&mut new, old);
            // What preparing took away may have a default again.
            place.kind.set_defaults(&mut new);
        }
        if !place.part.is_empty() {
            place.kind.prepare_part(place.part, &mut new, old, self.clock.now());
        }
        metadata::count_generation(&mut new, old, &*place.kind);
        let finished = metadata::is_terminating(&new)
            && metadata::finalizers(&new).next().is_none()
            && new["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(0) == 0
            && !place.kind.is_held(&new);
        let is_same = new == *old && owners::is_same_but_times(&owners, before);
        if is_same && errors.is_empty() && !finished {
            let states = states(&mut wanted, &mut new, &mut owners);
            self.agree(place, how, states, before_all, findings).await?;
            return Ok(None);
        }
        let hold = self.allocate(place, &mut new, Some(old))?;
        // What a subresource does not change was checked when it was written, maybe by older rules.
        let checked = match place.part {
            "status" | "finalize" | "approval" => place.kind.check_part(&new, current),
            part if pod_parts::is_one(part) => check_pod_part(place, &new, old, current),
            _ => place.kind.check_update(&new, current),
        };
        let (checked, found) = checked.map_err(|error| place.unfit(&error))?;
        metadata::check(&checked.metadata, definition, &mut errors);
        metadata::check_finalizers_stay(&new, old, &mut errors);
        errors.extend(found);
        if !place.part.is_empty() {
            place.kind.check_part_update(place.part, &new, old, &mut errors);
        }
        if !errors.is_empty() {
            return Err(Status::invalid(place.resource(), &place.key.name, &errors));
        }
        let states = states(&mut wanted, &mut new, &mut owners);
        self.agree(place, how, states, before_all, findings).await?;
        Ok(Some(Decided { new, owners, checked, removed: finished, hold }))
    }
}

/// What those who agree are shown: the document that stands for a part, or the object with its owners.
fn states<'s>(
    document: &'s mut Option<Value>,
    object: &'s mut Value,
    owners: &'s mut String,
) -> (&'s mut Value, Option<&'s mut String>) {
    match document {
        Some(document) => (document, None),
        None => (object, Some(owners)),
    }
}

/// Refuses a change meant for another object or another state.
pub(crate) fn check_preconditions(place: &Place, given: &Value, current: &Object) -> Result<(), Status> {
    let resource = place.resource();
    let metadata = &given["metadata"];
    let name = tree::text(metadata, "name").unwrap_or(&place.key.name);
    if *name != *place.key.name {
        return Err(Status::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            place.key.name
        )));
    }
    let namespace = tree::text(metadata, "namespace").unwrap_or(&place.key.namespace);
    if resource.namespaced && *namespace != *place.key.namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if let Some(uid) = tree::text(metadata, "uid") {
        check_uid(resource, uid, current)?;
    }
    match tree::text(metadata, "resourceVersion") {
        None => Ok(()),
        Some(text) => match text.parse().map(Revision) {
            Err(_) => Err(Status::bad_request(format!("invalid resourceVersion {text:?}: it is a number"))),
            Ok(Revision(0)) => Ok(()),
            Ok(revision) if revision == current.revision() => Ok(()),
            Ok(_) => Err(Status::modified(resource, current.name())),
        },
    }
}

/// Refuses a change meant for another object of the same name.
pub(crate) fn check_uid(resource: &Resource, uid: &str, current: &Object) -> Result<(), Status> {
    if uid == current.uid() {
        return Ok(());
    }
    let words =
        format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {}", current.uid());
    Err(Status::conflict(resource, current.name(), &words))
}

/// Decodes the next state of a pod of which a part of the specification changed, and checks that.
fn check_pod_part(
    place: &Place,
    new: &Value,
    old: &Value,
    current: &Object,
) -> Result<(Checked, Vec<FieldError>), serde_json::Error> {
    let (checked, mut errors) = place.kind.check_part(new, current)?;
    errors.extend(pod_parts::check(place.part, new, old)?);
    Ok((checked, errors))
}

/// The whole object with the part changed that may be changed here.
fn project(place: &Place, given: Value, old: &Value) -> Result<Value, Status> {
    let mut given = given;
    let with_old = |field: &str, value: Option<Value>| {
        let mut new = old.clone();
        tree::set(&mut new, field, value);
        new
    };
    Ok(match place.part {
        "status" => with_old("status", given.get_mut("status").map(Value::take)),
        "scale" => subresources::scale::apply(&place.kind, old.clone(), &given)
            .map_err(|error| Status::invalid(&subresources::scale::RESOURCE, &place.key.name, &[error]))?,
        "approval" => {
            let conditions = given["status"].get("conditions").cloned();
            let mut status = old.get("status").cloned().unwrap_or_else(|| serde_json::json!({}));
            tree::set(&mut status, "conditions", conditions);
            with_old("status", Some(status))
        }
        part if pod_parts::is_one(part) => pod_parts::project(part, &given, old),
        "finalize" => {
            let mut spec = old["spec"].clone();
            tree::set(&mut spec, "finalizers", given["spec"].get("finalizers").cloned());
            with_old("spec", Some(spec))
        }
        _ => {
            if place.kind.definition().has("status") {
                tree::set(&mut given, "status", old.get("status").cloned());
            }
            given
        }
    })
}

fn shown(place: &Place, object: Object) -> Result<Answer, Status> {
    match place.part {
        "scale" => Ok(Answer::Object(subresources::scale::of(&place.kind, &object)?)),
        _ => Ok(Answer::Object(object)),
    }
}
