//! Carries out what a controller decided, and waits until the cache shows it.

use std::collections::BTreeMap;

use api::backend::{Answer, Body, DeleteOptions, ListOptions, Verb, WriteOptions};
use api::event::{Occurrence, Recorder, Severity};
use api::{Cache, Client, Clock, Key, Object, Resource, Revision, Status};
use futures::StreamExt;
use jiff::Timestamp;
use tracing::debug;

use super::{Action, Create, Refusal, Report};

/// Writes of one object's controller that are under way at once. The store commits what has gathered as one group, so
/// more make a group larger and not the single write slower.
const IN_FLIGHT: usize = 256;

/// Neighbouring writes begin with a single one and grow by this factor while all succeed, so that a thousand
/// that must fail, over quota for instance, cost one attempt.
const GROWTH: usize = 4;

/// Writes told per look. Kubernetes lets a burst of 25 events per object through and drops the rest.
const TOLD: usize = 25;

/// Writes in the name of one controller.
pub(super) struct Applier<'a> {
    pub(super) client: &'a Client,
    pub(super) cache: &'a Cache,
    pub(super) recorder: &'a Recorder,
    pub(super) clock: &'a Clock,
}

/// What was written.
#[derive(Default)]
struct Written {
    reached: BTreeMap<Resource, Revision>,
    told: usize,
    /// The first refusal that its owner answers.
    refused: Option<(Refusal, Status)>,
}

/// One write.
#[derive(Clone)]
enum Write<'a> {
    Create(&'a Create),
    Other(&'a Action),
}

impl Applier<'_> {
    /// Carries out the actions and waits until the cache shows them. Returns when to look again.
    pub(super) async fn apply(&self, actions: &[Action]) -> Result<Option<Timestamp>, Status> {
        let mut written = Written::default();
        let outcome = self.all(actions, &mut written).await;
        if let Some((refusal, status)) = written.refused.take() {
            self.answer(&refusal, &status, &mut written).await;
        }
        for (resource, revision) in &written.reached {
            self.cache.reach(resource, *revision).await;
        }
        outcome.map(|()| wake(actions))
    }

    async fn all(&self, actions: &[Action], written: &mut Written) -> Result<(), Status> {
        for stage in actions.chunk_by(|one, other| sort(one) == sort(other)) {
            let writes: Vec<Write<'_>> = stage.iter().flat_map(writes).collect();
            self.stage(writes, written).await?;
            for action in stage {
                if let Action::Event(occurrence) = action {
                    self.recorder.record(occurrence.clone());
                }
            }
        }
        Ok(())
    }

    /// An owner tells of a refusal. That this fails as well is not worth more than the next try.
    async fn answer(&self, refusal: &Refusal, status: &Status, written: &mut Written) {
        if let Some(action) = (refusal.answer)(&refusal.owner, status, self.clock.now())
            && let Err(error) = self.all(&[action], written).await
        {
            debug!(%error, "refusal not told");
        }
    }

    async fn stage(&self, writes: Vec<Write<'_>>, written: &mut Written) -> Result<(), Status> {
        let mut rest = writes.as_slice();
        let mut size = 1;
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(size.min(rest.len()));
            rest = later;
            size = size.saturating_mul(GROWTH);
            let mut attempts = Vec::with_capacity(batch.len());
            for write in batch {
                attempts.push(async move { (write, self.write(write).await) });
            }
            let mut answers = futures::stream::iter(attempts).buffer_unordered(IN_FLIGHT);
            let mut failure = None;
            while let Some((write, answer)) = answers.next().await {
                if let Err(status) = self.note(write, answer, written) {
                    failure.get_or_insert(status);
                }
            }
            failure.map_or(Ok(()), Err)?;
        }
        Ok(())
    }

    fn note(
        &self,
        write: &Write<'_>,
        answer: Result<Option<Object>, Status>,
        written: &mut Written,
    ) -> Result<(), Status> {
        if let Some(report) = write.report()
            && written.told < TOLD
        {
            written.told += 1;
            self.recorder.record(tell(report, write, &answer));
        }
        if let (Err(status), Some(refusal)) = (&answer, write.refusal()) {
            written.refused.get_or_insert_with(|| (refusal.clone(), status.clone()));
        }
        let (Some(object), Some(resource)) = (answer?, write.resource()) else {
            return Ok(());
        };
        let reached = written.reached.entry(resource.clone()).or_default();
        *reached = object.revision().max(*reached);
        Ok(())
    }

    async fn write(&self, write: &Write<'_>) -> Result<Option<Object>, Status> {
        let client = self.client;
        match write {
            Write::Create(create) => self.create(create).await.map(Some),
            Write::Other(Action::Patch { target, subresource, merge }) => {
                let patched = client.patch(&target.resource, &target.key, subresource, merge.clone());
                patched.await.map(Some)
            }
            Write::Other(Action::Replace { target, subresource, value }) => {
                let verb = Verb::Update(Body::Value(value.clone()), WriteOptions::default());
                let call = client.call(&target.resource, target.key.clone(), subresource, verb);
                call.await.map(object)
            }
            Write::Other(Action::Delete { target, options, .. }) => {
                match client.delete(&target.resource, &target.key, options.clone()).await {
                    Err(status) if status.is_not_found() => Ok(None),
                    answer => answer.map(Some),
                }
            }
            Write::Other(Action::DeleteAll { resource, namespace }) => {
                let verb = Verb::DeleteCollection(ListOptions::default(), DeleteOptions::default());
                let call = client.call(resource, Key::new(namespace.as_str(), ""), "", verb);
                call.await.map(|_| None)
            }
            Write::Other(Action::ExpectAbsent { target, uid }) => {
                match client.get(&target.resource, &target.key).await {
                    Ok(object) if object.uid() == uid => {
                        let why = "the cache has not seen it yet";
                        Err(Status::conflict(&target.resource, object.name(), why))
                    }
                    Err(status) if !status.is_not_found() => Err(status),
                    _ => Ok(None),
                }
            }
            Write::Other(Action::Create(_) | Action::Event(_) | Action::WakeAt(_)) => Ok(None),
        }
    }

    async fn create(&self, create: &Create) -> Result<Object, Status> {
        let name = create.value["metadata"]["name"].as_str().unwrap_or_default();
        let key = Key::new(create.namespace.as_str(), name);
        let verb = Verb::Create(Body::Value(create.value.clone()), WriteOptions::default());
        let reply = self.client.call(&create.resource, key, "", verb).await?;
        object(reply).ok_or_else(|| Status::internal("a create was answered with no object"))
    }
}

fn object(reply: api::Reply) -> Option<Object> {
    match reply.answer {
        Answer::Object(object) | Answer::Created(object) | Answer::Deleted(object) => Some(object),
        _ => None,
    }
}

/// Actions of one sort may run together.
fn sort(action: &Action) -> u8 {
    match action {
        Action::Create(_) => 0,
        Action::Patch { subresource: "", .. } => 1,
        Action::Patch { .. } => 8,
        Action::Replace { .. } => 2,
        Action::Delete { .. } => 3,
        Action::DeleteAll { .. } => 4,
        Action::ExpectAbsent { .. } => 5,
        Action::Event(_) => 6,
        Action::WakeAt(_) => 7,
    }
}

fn writes(action: &Action) -> Vec<Write<'_>> {
    match action {
        Action::Create(create) => vec![Write::Create(create); create.times],
        Action::Event(_) | Action::WakeAt(_) => vec![],
        other => vec![Write::Other(other)],
    }
}

fn wake(actions: &[Action]) -> Option<Timestamp> {
    let times = actions.iter().filter_map(|action| match action {
        Action::WakeAt(time) => Some(*time),
        _ => None,
    });
    times.min()
}

impl Write<'_> {
    fn resource(&self) -> Option<&Resource> {
        match self {
            Write::Create(create) => Some(&create.resource),
            Write::Other(
                Action::Patch { target, .. } | Action::Replace { target, .. } | Action::Delete { target, .. },
            ) => Some(&target.resource),
            Write::Other(_) => None,
        }
    }

    fn refusal(&self) -> Option<&Refusal> {
        match self {
            Write::Create(create) => create.refusal.as_ref(),
            Write::Other(_) => None,
        }
    }

    fn report(&self) -> Option<&Report> {
        match self {
            Write::Create(create) => create.report.as_ref(),
            Write::Other(Action::Delete { report, .. }) => report.as_ref(),
            Write::Other(_) => None,
        }
    }

    fn name(&self) -> &str {
        match self {
            Write::Other(Action::Delete { target, .. }) => &target.key.name,
            _ => "",
        }
    }
}

fn tell(report: &Report, write: &Write<'_>, answer: &Result<Option<Object>, Status>) -> Occurrence {
    let (making, made, doing) = match write {
        Write::Create(_) => ("Create", "Created", "creating"),
        Write::Other(_) => ("Delete", "Deleted", "deleting"),
    };
    let (severity, reason, message) = match answer {
        Ok(object) => {
            let name = object.as_ref().map_or(write.name(), Object::name);
            let message = format!("{made} {}: {name}", report.noun);
            (Severity::Normal, format!("Successful{making}"), message)
        }
        Err(status) => {
            let message = format!("Error {doing}: {status}");
            (Severity::Warning, format!("Failed{making}"), message)
        }
    };
    Occurrence { involved: report.involved.clone(), severity, reason: reason.into(), message: message.into() }
}
