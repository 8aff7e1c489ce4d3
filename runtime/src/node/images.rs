//! Where the node finds the image a container names.

use std::sync::Arc;

use super::machine::ImageFailure;
use super::plan::PullPolicy;
use crate::engine::scripted::ScriptedEngine;
use crate::images::{Image, ImageStore, Reference};

/// Knows images by name: the store on disk, or a test's table.
pub trait Images: Send + Sync + 'static {
    /// The image of that name.
    fn find(&self, reference: &Reference) -> Option<Image>;

    /// How many names it knows.
    fn count(&self) -> usize;
}

impl Images for ImageStore {
    fn find(&self, reference: &Reference) -> Option<Image> {
        Self::find(self, reference)
    }

    fn count(&self) -> usize {
        Self::count(self)
    }
}

impl Images for ScriptedEngine {
    fn find(&self, reference: &Reference) -> Option<Image> {
        self.image(reference)
    }

    fn count(&self) -> usize {
        Self::count(self)
    }
}

/// Finds the image of that name if the policy lets it be used.
pub(super) fn look_up(
    images: &Arc<dyn Images>,
    name: &str,
    policy: PullPolicy,
) -> Result<Image, ImageFailure> {
    let reference: Reference = name.parse().map_err(|error| ImageFailure::InvalidName(format!("{error}")))?;
    let found = images.find(&reference);
    match (found, policy) {
        (Some(image), PullPolicy::IfNotPresent | PullPolicy::Never) => Ok(image),
        (Some(image), PullPolicy::Always) if reference.is_local() => Ok(image),
        (None, PullPolicy::Never) if !reference.is_local() => Err(ImageFailure::NeverPull),
        (None, _) if reference.is_local() => Err(ImageFailure::NotPulled(absent(&reference))),
        _ => Err(ImageFailure::NotPulled(format!(
            "pulling from {} is not supported yet; import the image as localhost/{} and use that name",
            reference.host(),
            reference.short_name()
        ))),
    }
}

fn absent(reference: &Reference) -> String {
    let name = reference.to_string();
    let short = name.strip_prefix("localhost/").unwrap_or(&name);
    format!(
        "image \"{name}\" is not in the image store; import it with: peapod image import FILE --as {short}"
    )
}
