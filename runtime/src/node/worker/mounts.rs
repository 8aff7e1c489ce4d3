//! The volumes of a worker's pod: made once what they show is there, and kept up to date.

use std::sync::Arc;

use api::resource::{CONFIG_MAPS, SECRETS};
use api::{Cache, Key, Object};
use k8s_openapi::api::core::v1::Pod;
use tracing::warn;

use super::Worker;
use super::tokens::{Answer, Tokens};
use crate::node::machine::{Event, MountFailure};
use crate::volumes::{Allocatable, PodVolumes, Source, Sources, TokenSpec, VolumeError};

/// What the volumes and variables of a pod may show.
pub(super) struct OfPod<'a> {
    cache: &'a Cache,
    namespace: &'a Arc<str>,
    tokens: Option<&'a Tokens>,
    allocatable: Allocatable,
}

impl Sources for OfPod<'_> {
    fn find(&self, source: Source, name: &str) -> Option<Object> {
        let resource = match source {
            Source::ConfigMap => &CONFIG_MAPS,
            Source::Secret => &SECRETS,
        };
        self.cache.get(resource, &Key::new(Arc::clone(self.namespace), name))
    }

    fn token(&self, spec: &TokenSpec) -> Result<Arc<str>, String> {
        let missing = || Err("failed to fetch token: the pod has ended".to_owned());
        self.tokens.map_or_else(missing, |tokens| tokens.get(spec))
    }

    fn allocatable(&self) -> Allocatable {
        self.allocatable
    }
}

impl Worker {
    /// Makes the volumes; if they show tokens that are not there, asks for these first and answers later.
    pub(super) fn begin_set_up(&mut self) -> Option<Event> {
        if self.volumes.is_none() {
            let folder = self.node.folder_of_pod(self.object.uid());
            let volumes = match PodVolumes::new(folder, self.pod()) {
                Ok(volumes) => volumes,
                Err(error) => return Some(Event::Mounted(Err(failure(&error)))),
            };
            let tokens = volumes.tokens();
            self.tokens = (!tokens.is_empty()).then(|| Box::new(Tokens::new(tokens, self.object.uid())));
            self.volumes = Some(volumes);
        }
        if self.tokens.as_ref().is_some_and(|tokens| tokens.are_missing()) {
            self.ask_for_tokens();
            return None;
        }
        Some(self.set_up())
    }

    fn set_up(&self) -> Event {
        let made = self.with_sources(|volumes, pod, sources| volumes.set_up(pod, sources));
        Event::Mounted(made.map_err(|error| failure(&error)))
    }

    /// Keeps tokens that came. If the volumes waited for them, they are made now; else they show the new ones.
    pub(super) fn take_tokens(&mut self, answers: Vec<Answer>) -> Option<Event> {
        let now = self.now();
        if let Some(tokens) = &mut self.tokens {
            tokens.take_in(answers, now);
        }
        if self.machine.is_mounting() {
            return Some(self.set_up());
        }
        self.refresh();
        None
    }

    /// Asks for tokens that are to be renewed.
    pub(super) fn renew_tokens(&mut self) {
        if self.machine.is_running() {
            self.ask_for_tokens();
        }
    }

    fn ask_for_tokens(&mut self) {
        let now = self.now();
        if let Some(tokens) = &mut self.tokens {
            tokens.ask(&self.node.config.client, &self.object, now);
        }
    }

    /// Lets running containers see what changed.
    pub(super) fn refresh(&self) {
        if !self.machine.is_running() {
            return;
        }
        if let Err(error) = self.with_sources(|volumes, pod, sources| volumes.refresh(pod, sources)) {
            warn!(%error, "volume not refreshed");
        }
    }

    /// Lets running containers see what changed in the pod's own object.
    pub(super) fn refresh_if_told(&self, before: &Object) {
        let (old, new) = (before.metadata(), self.object.metadata());
        let changed = old.labels != new.labels || old.annotations != new.annotations;
        if changed && self.volumes.as_ref().is_some_and(PodVolumes::show_pod) {
            self.refresh();
        }
    }

    fn with_sources(
        &self,
        act: impl FnOnce(&PodVolumes, &Pod, &dyn Sources) -> Result<(), VolumeError>,
    ) -> Result<(), VolumeError> {
        let Some(volumes) = &self.volumes else {
            return Ok(());
        };
        let key = self.object.key();
        act(volumes, self.pod(), &self.sources(&key))
    }

    pub(super) fn sources<'a>(&'a self, key: &'a Key) -> OfPod<'a> {
        let capacity = &self.node.config.capacity;
        OfPod {
            cache: &self.node.config.cache,
            namespace: &key.namespace,
            tokens: self.tokens.as_deref(),
            allocatable: Allocatable {
                cpu_millis: capacity.cpu_millis,
                memory_bytes: capacity.memory_bytes,
                storage_bytes: capacity.storage_bytes.unwrap_or(0),
            },
        }
    }
}

fn failure(error: &VolumeError) -> MountFailure {
    MountFailure { message: error.to_string(), is_final: error.is_final() }
}
