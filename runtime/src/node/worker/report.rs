//! Writes a pod's status to the API: only when it has changed, and one write for several changes close together.

use std::future::pending;
use std::net::IpAddr;
use std::time::Duration;

use api::backend::DeleteOptions;
use api::clock::add;
use api::resource::PODS;
use api::status::Reason;
use api::{Client, Key, Status};
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use serde_json::json;
use tracing::{debug, error, warn};

use crate::node::allocation::Allocation;
use crate::node::machine::{Event, PodMachine};
use crate::node::status::status;

/// How long a pod may be on its way, such as from bound to running, before what it does meanwhile is worth a write.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long to wait after a failed write.
const RETRY: Duration = Duration::from_secs(1);

/// What has been written, what is being written, and when to look again.
pub(super) struct Reporter {
    written: PodStatus,
    writing: Option<BoxFuture<'static, Reply>>,
    /// Whether anything has happened since the status was looked at.
    is_stale: bool,
    /// The end of patience with a pod on its way.
    patience: Option<Timestamp>,
    retry: Option<Timestamp>,
    removal: Removal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Removal {
    No,
    Wanted,
    Asked,
}

/// A write that is due.
pub(super) enum Write {
    Status(Box<PodStatus>),
    Removal,
}

/// The answer to a write.
pub(super) struct Reply {
    write: Write,
    result: Result<(), Status>,
}

impl Reporter {
    /// Begins with the status the pod's object has.
    pub(super) fn new(written: PodStatus) -> Self {
        Self { written, writing: None, is_stale: true, patience: None, retry: None, removal: Removal::No }
    }

    /// Something has happened to the pod.
    pub(super) fn touch(&mut self) {
        self.is_stale = true;
    }

    /// Asks for the pod's object to be removed once its last status is written.
    pub(super) fn remove(&mut self) {
        self.removal = Removal::Wanted;
    }

    /// When to look again though nothing happens.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        let waiting = self.writing.is_none();
        self.patience.into_iter().chain(self.retry).min().filter(|_| waiting)
    }

    /// What to write now; of what is not settled, nothing until patience ends.
    pub(super) fn next(
        &mut self,
        machine: &PodMachine,
        is_settled: bool,
        pod: &Pod,
        allocation: &Allocation,
        host_address: IpAddr,
        now: Timestamp,
    ) -> Option<Write> {
        if self.writing.is_some() || self.retry.is_some_and(|retry| now < retry) {
            return None;
        }
        self.retry = None;
        if self.is_stale {
            if !is_settled && now < *self.patience.get_or_insert_with(|| add(now, PATIENCE)) {
                return None;
            }
            self.patience = None;
            self.is_stale = false;
            let status = status(machine, pod, allocation, host_address);
            if status != self.written {
                return Some(Write::Status(Box::new(status)));
            }
        }
        (self.removal == Removal::Wanted).then_some(Write::Removal)
    }

    /// Begins a write.
    pub(super) fn begin(&mut self, write: Write, client: Client, key: Key, uid: String) {
        self.writing = Some(
            async move {
                let result = match &write {
                    Write::Status(status) => {
                        // The uid keeps the status of this pod from another of the same name.
                        let patch = json!({"metadata": {"uid": uid}, "status": status});
                        client.patch(&PODS, &key, "status", patch).await.map(drop)
                    }
                    Write::Removal => {
                        let options = DeleteOptions {
                            grace_seconds: Some(0),
                            uid: Some(uid),
                            ..DeleteOptions::default()
                        };
                        client.delete(&PODS, &key, options).await.map(drop)
                    }
                };
                Reply { write, result }
            }
            .boxed(),
        );
    }

    /// The answer to the write that is under way; never comes if there is none.
    pub(super) async fn answer(&mut self) -> Reply {
        let reply = match &mut self.writing {
            Some(writing) => writing.await,
            None => pending().await,
        };
        self.writing = None;
        reply
    }

    /// Takes in an answer. The machine must know if it shows that the pod's object is gone.
    pub(super) fn answered(&mut self, reply: Reply, now: Timestamp) -> Option<Event> {
        match (reply.result, reply.write) {
            (Ok(()), Write::Status(status)) => {
                self.written = *status;
                None
            }
            (Ok(()), Write::Removal) => {
                self.removal = Removal::Asked;
                None
            }
            // Gone, or another pod has the name by now.
            (Err(error), _) if error.is_not_found() => {
                debug!(%error, "pod is gone");
                Some(Event::Gone)
            }
            (Err(error), Write::Removal) if error.is_conflict() => Some(Event::Gone),
            (Err(error), Write::Status(status)) if is_final(&error) => {
                error!(%error, "pod status refused");
                self.written = *status;
                None
            }
            (Err(error), _) => {
                warn!(%error, "pod status not written");
                self.is_stale = true;
                self.retry = Some(add(now, RETRY));
                None
            }
        }
    }
}

/// Whether the same write would be refused again, so that trying would only hold back what comes after it.
fn is_final(error: &Status) -> bool {
    matches!(error.reason, Reason::Invalid | Reason::BadRequest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_refused_for_good_is_not_written_again() {
        let wakes_after = |error: Status| {
            let mut reporter = Reporter::new(PodStatus::default());
            let status = PodStatus { message: Some("new".to_owned()), ..PodStatus::default() };
            let reply = Reply { write: Write::Status(Box::new(status)), result: Err(error) };
            assert!(reporter.answered(reply, Timestamp::UNIX_EPOCH).is_none());
            reporter.wake_at().is_some()
        };
        assert!(!wakes_after(Status::bad_request("no such field")));
        assert!(wakes_after(Status::internal("the disk is full")));
    }
}
