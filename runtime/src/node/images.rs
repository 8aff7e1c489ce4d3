//! Where the node finds the image a container names, or pulls it from.

mod garbage;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;

pub(super) use garbage::keep_collecting;

use super::machine::ImageFailure;
use super::plan::PullPolicy;
use crate::engine::scripted::ScriptedEngine;
use crate::images::{Credential, Image, ImageStore, Puller, Reference};

/// Knows images by name: the store on disk with the registries behind it, or a test's table.
pub trait Images: Send + Sync + 'static {
    /// The image of that name, if it need not be pulled.
    fn find(&self, reference: &Reference) -> Option<Image>;

    /// Brings the image of that name as it is in its registry now. Says why not in a sentence.
    fn pull<'a>(
        &'a self,
        reference: &'a Reference,
        credentials: &'a [Credential],
    ) -> BoxFuture<'a, Result<PulledImage, String>>;

    /// How many names it knows.
    fn count(&self) -> usize;

    /// The store on disk, if there is one.
    fn store(&self) -> Option<&ImageStore> {
        None
    }
}

/// An image that was pulled.
#[derive(Clone, Debug)]
pub struct PulledImage {
    /// The image.
    pub image: Image,
    /// How long it took once it was its turn.
    pub took: Duration,
}

impl Images for Puller {
    fn find(&self, reference: &Reference) -> Option<Image> {
        Puller::store(self).find(reference)
    }

    fn pull<'a>(
        &'a self,
        reference: &'a Reference,
        credentials: &'a [Credential],
    ) -> BoxFuture<'a, Result<PulledImage, String>> {
        Box::pin(async move {
            match Self::pull(self, reference, credentials, &|_| {}).await {
                Ok((image, took)) => Ok(PulledImage { image, took }),
                Err(error) => Err(error.to_string()),
            }
        })
    }

    fn count(&self) -> usize {
        Puller::store(self).count()
    }

    fn store(&self) -> Option<&ImageStore> {
        Some(Puller::store(self))
    }
}

impl Images for ScriptedEngine {
    fn find(&self, reference: &Reference) -> Option<Image> {
        self.image(reference)
    }

    fn pull<'a>(
        &'a self,
        reference: &'a Reference,
        _credentials: &'a [Credential],
    ) -> BoxFuture<'a, Result<PulledImage, String>> {
        Box::pin(async {
            let (image, took) = self.pull_image(reference).await?;
            Ok(PulledImage { image, took })
        })
    }

    fn count(&self) -> usize {
        Self::count(self)
    }
}

/// How a container comes to its image.
pub(super) enum Way {
    /// It is there.
    Present(Box<Image>),
    /// It is to be pulled.
    Pull(Reference),
}

/// Finds the image of that name, or says that it is to be pulled, as the policy wants it.
pub(super) fn look_up(images: &Arc<dyn Images>, name: &str, policy: PullPolicy) -> Result<Way, ImageFailure> {
    let reference: Reference = name.parse().map_err(|error| ImageFailure::InvalidName(format!("{error}")))?;
    if policy == PullPolicy::Always && !reference.is_local() {
        return Ok(Way::Pull(reference));
    }
    match images.find(&reference) {
        Some(image) => Ok(Way::Present(Box::new(image))),
        None if reference.is_local() => Err(ImageFailure::NotPulled(absent(&reference))),
        None if policy == PullPolicy::Never => Err(ImageFailure::NeverPull),
        None => Ok(Way::Pull(reference)),
    }
}

fn absent(reference: &Reference) -> String {
    let name = reference.to_string();
    let short = name.strip_prefix("localhost/").unwrap_or(&name);
    format!(
        "image \"{name}\" is not in the image store; import it with: peapod image import FILE --as {short}"
    )
}
