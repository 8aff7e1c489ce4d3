//! Deletes objects: at once, or after their grace and their finalizers.

use api::backend::{Answer, DeleteOptions, ListOptions, Propagation, Reply};
use api::resource::{JOBS, NAMESPACES, PODS};
use api::{Object, Resource, Status, clock, event};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde_json::Value;
use std::time::Duration;

use super::{ATTEMPTS, Place, Registry, metadata};
use crate::admission::Findings;
use crate::builtin::{Builtin, Dependents};
use crate::resources::priority_class::PriorityClasses;
use crate::resources::{namespace, pod, priority_class};
use crate::store::{Draft, Expected, Next, Refused, Write};
use crate::tree;

/// The finalizers by which the garbage collector learns what to do with what the object owns.
const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

const JOBS_ORPHAN: &str = "child pods are preserved by default when jobs are deleted; set \
    propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning";

/// So many objects of a collection are deleted together: they share the writes to the disk.
const AT_ONCE: usize = 64;

/// More grace than this is cut: it would end after the last date there is.
const LONGEST_GRACE: u64 = i32::MAX as u64;

/// What becomes of an object that is to be deleted.
enum Step {
    /// It is gone.
    Remove,
    /// It terminates, in this state.
    Mark(Value),
    /// It terminates already, and nothing changes.
    Wait,
}

impl Registry {
    pub(super) async fn delete(&self, place: &Place, options: &DeleteOptions) -> Result<Reply, Status> {
        let mut findings = Findings::default();
        let answer = self.delete_by(place, options, Some(&mut findings)).await?;
        let warnings = warning(place, options).into_iter().chain(findings.warnings);
        Ok(Reply { answer, warnings: warnings.collect() })
    }

    /// Deletes an object when admission has agreed to that already, as a part of something else.
    pub(crate) async fn delete_agreed(
        &self,
        place: &Place,
        options: &DeleteOptions,
    ) -> Result<Answer, Status> {
        self.delete_by(place, options, None).await
    }

    async fn delete_by(
        &self,
        place: &Place,
        options: &DeleteOptions,
        mut findings: Option<&mut Findings>,
    ) -> Result<Answer, Status> {
        for _ in 0..ATTEMPTS {
            let current = self.current(place)?;
            check_preconditions(place, options, &current)?;
            let old: Value = serde_json::from_slice(current.json()).map_err(|error| place.unfit(&error))?;
            if let Some(findings) = &mut findings {
                **findings = Findings::default();
                let seen = self.in_version(place, current.clone()).await?;
                let is_other = seen.api_version() != current.api_version();
                let seen = is_other.then(|| serde_json::from_slice(seen.json())).transpose();
                let seen: Option<Value> = seen.map_err(|error| place.unfit(&error))?;
                self.admit_deletion(place, options, seen.as_ref().unwrap_or(&old), findings).await?;
            }
            let step = next_step(place, &old, options, self.clock.now());
            let expected = Expected::At(current.revision());
            let write = |next| Write { key: place.store_key(), expected, next, hold: None };
            let outcome = match step {
                Step::Wait => return Ok(Answer::Object(current)),
                Step::Remove if options.dry_run => return Ok(Answer::Deleted(current)),
                Step::Remove => {
                    let last = Draft::new(&old, current.metadata().clone());
                    self.commit(write(Next::Remove(last))).await.map(Answer::Deleted)
                }
                Step::Mark(new) => {
                    let checked = place.kind.decode(&new).map_err(|error| place.unfit(&error))?;
                    if options.dry_run {
                        return Ok(Answer::Object(Draft::preview(&new, checked.metadata)));
                    }
                    let draft = Draft::new(&new, checked.metadata);
                    self.commit(write(Next::Put(draft))).await.map(Answer::Object)
                }
            };
            match outcome {
                Ok(answer) => return Ok(answer),
                // Preconditions are checked again on the newest state.
                Err(Refused::Conflict(Some(_))) => {}
                Err(refused) => return Err(place.refused(&refused)),
            }
        }
        Err(Status::modified(place.resource(), &place.key.name))
    }

    pub(super) async fn delete_collection(
        &self,
        place: &Place,
        list: ListOptions,
        options: &DeleteOptions,
    ) -> Result<Reply, Status> {
        let mut list = self.list(place, list).await?;
        let items = std::mem::take(&mut list.items).into_iter();
        let deletions = stream::iter(items).map(async |item| {
            let place = place.with_key(item.key());
            match self.delete(&place, options).await {
                Ok(Reply { answer: Answer::Object(object) | Answer::Deleted(object), warnings }) => {
                    Ok((object, warnings))
                }
                Err(status) if !status.is_not_found() => Err(status),
                _ => Ok((item, Vec::new())),
            }
        });
        let deleted: Vec<_> = deletions.buffered(AT_ONCE).try_collect().await?;
        let (items, warnings): (Vec<_>, Vec<_>) = deleted.into_iter().unzip();
        list.items = items;
        let mut warnings = warnings.concat();
        warnings.dedup();
        Ok(Reply { answer: Answer::List(list), warnings })
    }
}

/// What the one who deletes should know.
fn warning(place: &Place, options: &DeleteOptions) -> Option<String> {
    let is_warned = *place.resource() == JOBS && options.propagation.is_none();
    is_warned.then(|| JOBS_ORPHAN.to_owned())
}

fn check_preconditions(place: &Place, options: &DeleteOptions, current: &Object) -> Result<(), Status> {
    let resource = place.resource();
    // Kubernetes names the kind here where it names the resource elsewhere.
    let conflict = |words: String| {
        let kind = Resource { plural: resource.kind.clone(), ..resource.clone() };
        Err(Status::conflict(&kind, current.name(), &words))
    };
    if let Some(uid) = options.uid.as_ref().filter(|uid| *uid != current.uid()) {
        return conflict(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been \
             deleted and then recreated",
            current.uid()
        ));
    }
    if let Some(revision) = options.revision.filter(|revision| *revision != current.revision()) {
        return conflict(format!(
            "the ResourceVersion in the precondition ({revision}) does not match the ResourceVersion in record ({}). \
             The object might have been modified",
            current.revision()
        ));
    }
    if *resource == NAMESPACES && namespace::IMMORTAL.contains(&current.name()) {
        return Err(Status::forbidden(resource, current.name(), "this namespace may not be deleted"));
    }
    if *resource == PriorityClasses::RESOURCE && priority_class::is_immortal(current.name()) {
        let words = "this is a system priority class and cannot be deleted";
        return Err(Status::forbidden(resource, current.name(), words));
    }
    Ok(())
}

/// Decides the next step of an object's end. A deadline, once set, only comes closer.
fn next_step(place: &Place, old: &Value, options: &DeleteOptions, now: Timestamp) -> Step {
    let mut new = old.clone();
    set_propagation(&mut new, dependents(place), options.propagation);
    let grace = if metadata::is_terminating(old) {
        shorten(&mut new, options.grace_seconds)
    } else {
        let grace = match *place.resource() == PODS {
            true => pod::grace_seconds(old, options.grace_seconds),
            false => 0,
        };
        mark(&mut new, grace, now);
        place.kind.prepare_delete(&mut new);
        grace
    };
    // What is prepared may hold it, too.
    let kept = metadata::finalizers(&new).next().is_some() || place.kind.is_held(&new);
    if grace == 0 && !kept {
        Step::Remove
    } else if new == *old {
        Step::Wait
    } else {
        Step::Mark(new)
    }
}

fn mark(new: &mut Value, grace: u64, now: Timestamp) {
    let grace = grace.min(LONGEST_GRACE);
    let deadline = clock::add(now, Duration::from_secs(grace));
    let metadata = tree::object(new, "metadata");
    tree::set(metadata, "deletionTimestamp", Some(event::seconds(deadline).into()));
    tree::set(metadata, "deletionGracePeriodSeconds", Some(grace.into()));
    if let Some(generation) = metadata["generation"].as_i64() {
        tree::set(metadata, "generation", Some((generation + 1).into()));
    }
}

/// Brings the deadline closer if less time is asked for; returns the time the object has.
fn shorten(new: &mut Value, asked: Option<u64>) -> u64 {
    let metadata = tree::object(new, "metadata");
    let given = metadata["deletionGracePeriodSeconds"].as_u64().unwrap_or(0);
    let Some(asked) = asked.filter(|asked| *asked < given) else {
        return given;
    };
    let deadline = metadata["deletionTimestamp"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    if let Some(deadline) = deadline {
        let earlier = deadline.checked_sub(Duration::from_secs(given - asked)).unwrap_or(deadline);
        tree::set(metadata, "deletionTimestamp", Some(event::seconds(earlier).into()));
    }
    tree::set(metadata, "deletionGracePeriodSeconds", Some(asked.into()));
    asked
}

/// What becomes of what an object owns if nothing is said, in the version in which it is deleted.
fn dependents(place: &Place) -> Dependents {
    match place.version.resource().api_version().as_str() {
        "extensions/v1beta1" | "apps/v1beta1" | "apps/v1beta2" => Dependents::Orphaned,
        _ => place.kind.definition().dependents,
    }
}

/// Sets the finalizer by which the garbage collector learns what to do: as asked, or else as the object says, or else as
/// is usual for its kind.
fn set_propagation(new: &mut Value, usual: Dependents, asked: Option<Propagation>) {
    let mut finalizers: Vec<String> = metadata::finalizers(new).map(str::to_owned).collect();
    let is_known = |finalizer: &String| [ORPHAN, FOREGROUND].contains(&finalizer.as_str());
    let own = finalizers.iter().find(|finalizer| is_known(finalizer));
    let wanted = match (usual, asked) {
        (Dependents::None, _) | (_, Some(Propagation::Background)) => None,
        (_, Some(Propagation::Foreground)) => Some(FOREGROUND.to_owned()),
        (_, Some(Propagation::Orphan)) => Some(ORPHAN.to_owned()),
        (Dependents::Orphaned, None) => Some(own.cloned().unwrap_or_else(|| ORPHAN.to_owned())),
        (Dependents::Deleted, None) => own.cloned(),
    };
    if wanted.as_ref() == own && finalizers.iter().filter(|finalizer| is_known(finalizer)).count() < 2 {
        return;
    }
    finalizers.retain(|finalizer| !is_known(finalizer));
    finalizers.extend(wanted);
    let finalizers = (!finalizers.is_empty()).then(|| finalizers.into());
    tree::set(tree::object(new, "metadata"), "finalizers", finalizers);
}
