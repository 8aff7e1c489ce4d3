//! The logs of the containers on this node: found by pod, and announced as they appear.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::Key;
use tokio::sync::watch;

use crate::logs::{LogFile, LogLine, tail};

/// The logs kept for the containers of this node's pods. A clone is a reference.
#[derive(Clone, Debug, Default)]
pub struct Output(Arc<Inside>);

#[derive(Debug, Default)]
struct Inside {
    /// In the order in which they appeared.
    logs: Mutex<BTreeMap<u64, ContainerLog>>,
    /// The number of the next one.
    next: watch::Sender<u64>,
}

/// The log of one run of a container.
#[derive(Clone, Debug)]
pub struct ContainerLog {
    /// The pod.
    pub pod: Key,
    /// The pod's uid.
    pub uid: Arc<str>,
    /// The container's name.
    pub container: Arc<str>,
    /// Which run it is, from 0.
    pub run: u32,
    /// What it writes.
    pub file: LogFile,
}

impl Output {
    /// Yields the logs there are and each that appears.
    pub fn subscribe(&self) -> Logs {
        Logs { output: self.clone(), appeared: self.0.next.subscribe(), next: 0 }
    }

    /// The last `count` lines of the last run of a container; of the run before it as well, if that one has said less.
    pub fn tail(&self, pod: &Key, container: &str, count: usize) -> Vec<LogLine> {
        let runs: Vec<LogFile> = {
            let logs = self.0.lock();
            let of_container =
                logs.values().rev().filter(|log| log.pod == *pod && *log.container == *container);
            of_container.map(|log| log.file.clone()).collect()
        };
        let mut lines = Vec::new();
        for file in runs {
            let mut earlier = tail(file.path(), count - lines.len());
            earlier.append(&mut lines);
            lines = earlier;
            if lines.len() >= count {
                break;
            }
        }
        lines
    }

    /// The logs kept of a container of the pod with this uid, in the order of its runs.
    pub(super) fn runs(&self, uid: &str, container: &str) -> Vec<ContainerLog> {
        let logs = self.0.lock();
        let of_container = logs.values().filter(|log| *log.uid == *uid && *log.container == *container);
        of_container.cloned().collect()
    }

    /// Adds the log of a run that begins; returns its number.
    pub(super) fn add(&self, log: ContainerLog) -> u64 {
        let mut logs = self.0.lock();
        let number = *self.0.next.borrow();
        logs.insert(number, log);
        drop(logs);
        self.0.next.send_modify(|next| *next += 1);
        number
    }

    /// Forgets a log whose file is going to be removed.
    pub(super) fn remove(&self, number: u64) -> Option<ContainerLog> {
        self.0.lock().remove(&number)
    }
}

impl Inside {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, ContainerLog>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The logs of a node, one after the other as they appear.
pub struct Logs {
    output: Output,
    appeared: watch::Receiver<u64>,
    next: u64,
}

impl Logs {
    /// The next log; none once the node is gone. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<ContainerLog> {
        loop {
            self.appeared.borrow_and_update();
            let found = {
                let logs = self.output.0.lock();
                logs.range(self.next..).next().map(|(number, log)| (*number, log.clone()))
            };
            if let Some((number, log)) = found {
                self.next = number + 1;
                return Some(log);
            }
            self.appeared.changed().await.ok()?;
        }
    }
}
