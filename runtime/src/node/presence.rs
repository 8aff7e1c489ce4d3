//! Who is here to be talked to: the network places of pods, and the containers that run, as people find them by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::channels::Pipe;
use tokio::sync::Mutex as AsyncMutex;

use crate::engine::Commands;
use crate::logs::LogFile;
use crate::network::Interface;

/// The pods and containers of a node that can be reached. A clone is a reference.
#[derive(Clone, Default)]
pub(super) struct Presence(Arc<Mutex<Present>>);

#[derive(Default)]
struct Present {
    pods: BTreeMap<Arc<str>, Interface>,
    /// By the pod's uid and the container's name.
    containers: BTreeMap<(Arc<str>, String), Reachable>,
}

/// A container that runs.
#[derive(Clone)]
pub(super) struct Reachable {
    /// Runs commands in it, if anything can.
    pub(super) commands: Option<Arc<dyn Commands>>,
    /// Hears its output.
    pub(super) log: LogFile,
    /// Leads to its input, if it reads any.
    pub(super) stdin: Option<Input>,
    /// Whether its program was promised a terminal.
    pub(super) tty: bool,
}

/// Leads to the input of a container. A clone leads to the same.
#[derive(Clone)]
pub(super) struct Input {
    /// Those who write at the same time take turns; none once the input has ended.
    pub(super) pipe: Arc<AsyncMutex<Option<Pipe>>>,
    /// Whether the input ends with the first who wrote to it.
    pub(super) once: bool,
}

/// Keeps a pod or a container among those that can be reached, until it is dropped.
pub(super) struct Stay {
    presence: Presence,
    uid: Arc<str>,
    /// None for the pod itself.
    container: Option<String>,
}

impl Presence {
    /// Shows the place of a pod.
    pub(super) fn show_pod(&self, uid: &str, interface: Interface) -> Stay {
        let uid: Arc<str> = uid.into();
        self.lock().pods.insert(Arc::clone(&uid), interface);
        Stay { presence: self.clone(), uid, container: None }
    }

    /// Shows a container that runs.
    pub(super) fn show(&self, uid: &str, container: &str, reachable: Reachable) -> Stay {
        let uid: Arc<str> = uid.into();
        self.lock().containers.insert((Arc::clone(&uid), container.to_owned()), reachable);
        Stay { presence: self.clone(), uid, container: Some(container.to_owned()) }
    }

    /// The place of a pod.
    pub(super) fn pod(&self, uid: &str) -> Option<Interface> {
        self.lock().pods.get(uid).cloned()
    }

    /// A container that runs.
    pub(super) fn container(&self, uid: &str, name: &str) -> Option<Reachable> {
        self.lock().containers.get(&(uid.into(), name.to_owned())).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Present> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let uid = Arc::clone(&self.uid);
        let mut present = self.presence.lock();
        // What goes is dropped after the lock is given back: dropping a place touches the network.
        let _gone = match self.container.take() {
            Some(container) => (None, present.containers.remove(&(uid, container))),
            None => (present.pods.remove(&uid), None),
        };
        drop(present);
    }
}
