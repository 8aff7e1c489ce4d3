//! The images that a pod mounts as volumes: found or pulled before the volumes are made, and kept as long as the pod is there.

use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use k8s_openapi::api::core::v1::{ImageVolumeSource, Pod};
use tracing::warn;

use crate::images::{Credential, Image, Pin};
use crate::node::images::{Images, Way, look_up};
use crate::node::machine::ImageFailure;
use crate::node::plan::PullPolicy;

/// The images of one pod's volumes.
pub(super) struct Artifacts {
    wanted: Vec<Wanted>,
    asking: Option<BoxFuture<'static, Vec<Answer>>>,
}

struct Wanted {
    volume: String,
    name: String,
    policy: PullPolicy,
    found: Result<Artifact, String>,
}

/// An image that was found.
struct Artifact {
    root: PathBuf,
    /// Keeps it from being removed.
    _pin: Option<Pin>,
}

/// What came of looking for the image of this number.
pub(super) struct Answer {
    index: usize,
    found: Result<Image, String>,
}

impl Artifacts {
    /// None if the pod mounts no images.
    pub(super) fn of(pod: &Pod) -> Option<Self> {
        let volumes = pod.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
        let wanted = volumes.filter_map(|volume| {
            let source = volume.image.as_ref()?;
            Some(Wanted {
                volume: volume.name.clone(),
                name: source.reference.clone().unwrap_or_default(),
                policy: policy(source),
                found: Err("not pulled yet".to_owned()),
            })
        });
        let wanted: Vec<Wanted> = wanted.collect();
        (!wanted.is_empty()).then_some(Self { wanted, asking: None })
    }

    /// The files of a volume's image, or why there are none.
    pub(super) fn get(&self, volume: &str) -> Result<PathBuf, String> {
        let wanted = self.wanted.iter().find(|wanted| wanted.volume == volume);
        let found = wanted.ok_or_else(|| "not declared".to_owned())?.found.as_ref();
        found.map(|artifact| artifact.root.clone()).map_err(Clone::clone)
    }

    pub(super) fn are_missing(&self) -> bool {
        self.wanted.iter().any(|wanted| wanted.found.is_err())
    }

    pub(super) fn are_asked_for(&self) -> bool {
        self.asking.is_some()
    }

    /// Looks for those that are missing, unless it is looking already.
    pub(super) fn ask(&mut self, images: &Arc<dyn Images>, credentials: &[Credential]) {
        if self.asking.is_some() {
            return;
        }
        let missing = self.wanted.iter().enumerate().filter(|(_, wanted)| wanted.found.is_err());
        let searches: Vec<_> = missing
            .map(|(index, wanted)| {
                let (images, credentials) = (Arc::clone(images), credentials.to_vec());
                let (name, policy) = (wanted.name.clone(), wanted.policy);
                async move { Answer { index, found: find(&images, &name, policy, &credentials).await } }
            })
            .collect();
        self.asking = Some(join_all(searches).boxed());
    }

    /// What came of looking; never comes if nothing is looked for.
    pub(super) async fn answers(&mut self) -> Vec<Answer> {
        let answers = match &mut self.asking {
            Some(asking) => asking.await,
            None => pending().await,
        };
        self.asking = None;
        answers
    }

    /// Keeps what was found.
    pub(super) fn take_in(&mut self, answers: Vec<Answer>, images: &Arc<dyn Images>) {
        for Answer { index, found } in answers {
            self.wanted[index].found = found.and_then(|image| keep(&image, images));
        }
    }
}

fn policy(source: &ImageVolumeSource) -> PullPolicy {
    match source.pull_policy.as_deref() {
        Some("Always") => PullPolicy::Always,
        Some("Never") => PullPolicy::Never,
        _ => PullPolicy::IfNotPresent,
    }
}

async fn find(
    images: &Arc<dyn Images>,
    name: &str,
    policy: PullPolicy,
    credentials: &[Credential],
) -> Result<Image, String> {
    match look_up(images, name, policy) {
        Ok(Way::Present(image)) => Ok(*image),
        Ok(Way::Pull(reference)) => match images.pull(&reference, credentials).await {
            Ok(pulled) => Ok(pulled.image),
            Err(why) => Err(format!("failed to pull image {name:?}: {why}")),
        },
        Err(ImageFailure::NeverPull) => {
            Err(format!("image {name:?} is not present with pull policy of Never"))
        }
        Err(ImageFailure::InvalidName(why) | ImageFailure::NotPulled(why) | ImageFailure::Unfit(why)) => {
            Err(why)
        }
    }
}

fn keep(image: &Image, images: &Arc<dyn Images>) -> Result<Artifact, String> {
    let root = image.root.clone().ok_or_else(|| {
        format!("image \"{}\" holds a program and no files that could be mounted", image.reference)
    })?;
    let pin = images.store().map(|store| store.pin(image)).transpose();
    let pin = pin.unwrap_or_else(|error| {
        warn!(image = %image.reference, %error, "image not kept");
        None
    });
    Ok(Artifact { root, _pin: pin })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_volume_names_its_image_and_when_to_pull_it() {
        let pod = json!({"metadata": {}, "spec": {"containers": [], "volumes": [
            {"name": "a", "image": {"reference": "localhost/data", "pullPolicy": "Never"}},
            {"name": "b", "emptyDir": {}}]}});
        let pod: Pod = serde_json::from_value(pod).expect("a pod");
        let artifacts = Artifacts::of(&pod).expect("an image");
        assert_eq!((artifacts.wanted.len(), artifacts.wanted[0].policy), (1, PullPolicy::Never));
        assert!(artifacts.are_missing());
        assert_eq!(artifacts.get("a").expect_err("no image yet"), "not pulled yet");
        assert!(Artifacts::of(&Pod::default()).is_none());
    }
}
