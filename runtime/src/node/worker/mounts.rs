//! The volumes of a worker's pod: made once what they show is there, and kept up to date.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;

use api::resource::{CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, SECRETS};
use api::{Cache, Key, Object};
use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};
use tracing::warn;

use super::Worker;
use super::artifacts::{self, Artifacts};
use super::sizes::Sizes;
use super::tokens::{Answer, Tokens};
use crate::node::env::expand;
use crate::node::machine::{Event, MountFailure, StartFailure};
use crate::volumes::{Allocatable, PodVolumes, Source, Sources, TokenSpec, VolumeError};

/// What the volumes and variables of a pod may show.
pub(super) struct OfPod<'a> {
    cache: &'a Cache,
    namespace: &'a Arc<str>,
    tokens: Option<&'a Tokens>,
    artifacts: Option<&'a Artifacts>,
    allocatable: Allocatable,
}

impl Sources for OfPod<'_> {
    fn find(&self, source: Source, name: &str) -> Option<Object> {
        let resource = match source {
            Source::ConfigMap => &CONFIG_MAPS,
            Source::Secret => &SECRETS,
            Source::Claim => &PERSISTENT_VOLUME_CLAIMS,
        };
        self.cache.get(resource, &Key::new(Arc::clone(self.namespace), name))
    }

    fn volume(&self, name: &str) -> Option<Object> {
        self.cache.get(&PERSISTENT_VOLUMES, &Key::cluster(name))
    }

    fn token(&self, spec: &TokenSpec) -> Result<Arc<str>, String> {
        let missing = || Err("failed to fetch token: the pod has ended".to_owned());
        self.tokens.map_or_else(missing, |tokens| tokens.get(spec))
    }

    fn image(&self, volume: &str) -> Result<PathBuf, String> {
        let missing = || Err("the pod has ended".to_owned());
        self.artifacts.map_or_else(missing, |artifacts| artifacts.get(volume))
    }

    fn allocatable(&self) -> Allocatable {
        self.allocatable
    }
}

impl Worker {
    /// Makes the volumes; if they show tokens or images that are not there, asks for these first and answers later.
    pub(super) fn begin_set_up(&mut self) -> Option<Event> {
        if self.volumes.is_none() {
            let folder = self.node.folder_of_pod(self.object.uid());
            let places = Arc::clone(&self.node.places);
            let volumes = match PodVolumes::new(folder, places, self.pod()) {
                Ok(volumes) => volumes,
                Err(error) => return Some(Event::Mounted(Err(failure(&error)))),
            };
            let tokens = volumes.tokens();
            self.tokens = (!tokens.is_empty()).then(|| Box::new(Tokens::new(tokens, self.object.uid())));
            self.artifacts = Artifacts::of(self.pod()).map(Box::new);
            self.volumes = Some(volumes);
        }
        let lacks_tokens = self.tokens.as_ref().is_some_and(|tokens| tokens.are_missing());
        if lacks_tokens {
            self.ask_for_tokens();
        }
        let lacks_images = self.artifacts.as_ref().is_some_and(|artifacts| artifacts.are_missing());
        if lacks_images {
            self.ask_for_artifacts();
        }
        if lacks_tokens || lacks_images { None } else { Some(self.set_up()) }
    }

    fn ask_for_artifacts(&mut self) {
        let (credentials, _) = self.pull_secrets();
        if let Some(artifacts) = &mut self.artifacts {
            artifacts.ask(&self.node.config.images, &credentials);
        }
    }

    /// Keeps images that came. The volumes are made when all they waited for has come.
    pub(super) fn take_artifacts(&mut self, answers: Vec<artifacts::Answer>) -> Option<Event> {
        if let Some(artifacts) = &mut self.artifacts {
            artifacts.take_in(answers, &self.node.config.images);
        }
        self.set_up_when_complete()
    }

    fn set_up_when_complete(&mut self) -> Option<Event> {
        let tokens_come = self.tokens.as_ref().is_some_and(|tokens| tokens.are_asked_for());
        let images_come = self.artifacts.as_ref().is_some_and(|artifacts| artifacts.are_asked_for());
        (self.machine.is_mounting() && !tokens_come && !images_come).then(|| self.set_up())
    }

    fn set_up(&mut self) -> Event {
        let Some(mut volumes) = self.volumes.take() else {
            return Event::Mounted(Ok(()));
        };
        let key = self.object.key();
        let made = volumes.set_up(self.pod(), &self.sources(&key));
        if made.is_ok() {
            self.sizes = Sizes::new(&volumes, self.pod(), &self.limits, self.now()).map(Box::new);
        }
        self.volumes = Some(volumes);
        Event::Mounted(made.map_err(|error| failure(&error)))
    }

    /// Looks how much the volumes take, if it is time.
    pub(super) fn measure_volumes(&mut self) {
        let now = self.now();
        if let Some(sizes) = &mut self.sizes {
            sizes.begin(now);
        }
    }

    /// Keeps tokens that came. If the volumes waited for them, they are made now; else they show the new ones.
    pub(super) fn take_tokens(&mut self, answers: Vec<Answer>) -> Option<Event> {
        let now = self.now();
        if let Some(tokens) = &mut self.tokens {
            tokens.take_in(answers, now);
        }
        if self.machine.is_mounting() {
            return self.set_up_when_complete();
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
            artifacts: self.artifacts.as_deref(),
            allocatable: Allocatable {
                cpu_millis: capacity.cpu_millis,
                memory_bytes: capacity.memory_bytes,
                storage_bytes: capacity.storage_bytes.unwrap_or(0),
            },
        }
    }
}

/// What a container mounts, with the variables in its paths replaced.
pub(super) fn wanted_mounts(
    container: &Container,
    env: &[(String, String)],
) -> Result<Vec<VolumeMount>, StartFailure> {
    let mut mounts = container.volume_mounts.clone().unwrap_or_default();
    for mount in &mut mounts {
        let Some(written) = mount.sub_path_expr.as_deref().filter(|written| !written.is_empty()) else {
            continue;
        };
        let missing = Cell::new(None);
        let sub_path = expand(written, |name| {
            let value = env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            if value.is_none() {
                missing.set(Some(name.to_owned()));
            }
            value
        });
        if let Some(name) = missing.into_inner() {
            return Err(StartFailure::Config(format!("missing value for {name:?}")));
        }
        mount.sub_path = Some(sub_path);
    }
    Ok(mounts)
}

fn failure(error: &VolumeError) -> MountFailure {
    MountFailure { message: error.to_string(), is_final: error.is_final() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_may_hold_variables() {
        let check = |written: &str, expected: Result<&str, &str>| {
            let mounts = json!([{"name": "v", "mountPath": "/v", "subPathExpr": written}, {"name": "w", "mountPath": "/w"}]);
            let container = json!({"name": "c", "volumeMounts": mounts});
            let container: Container = serde_json::from_value(container).expect("a container");
            let env = [("POD".to_owned(), "web-0".to_owned())];
            match (wanted_mounts(&container, &env), expected) {
                (Ok(mounts), Ok(path)) => {
                    assert_eq!(mounts[0].sub_path.as_deref(), Some(path));
                    assert_eq!(mounts[1].sub_path, None);
                }
                (Err(StartFailure::Config(why)), Err(words)) => assert_eq!(why, words),
                (got, _) => panic!("{written}: {got:?}"),
            }
        };
        check("logs/$(POD)", Ok("logs/web-0"));
        check("$$(POD)", Ok("$(POD)"));
        check("$(POD)/$(NONE)", Err("missing value for \"NONE\""));
    }
}
