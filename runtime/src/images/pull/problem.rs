//! Why an image could not be pulled.

use std::io;

use super::super::{BadManifest, Reference, RegistryError, UnpackError};

/// An image could not be pulled. In the words of container runtimes, as people search for them.
#[derive(Debug, thiserror::Error)]
#[error("{}", .problem.words(.reference))]
pub struct PullError {
    reference: Box<Reference>,
    problem: Problem,
}

impl PullError {
    pub(super) fn new(reference: &Reference, problem: Problem) -> Self {
        Self { reference: Box::new(reference.clone()), problem }
    }
}

/// Why an image could not be pulled.
#[derive(Debug)]
pub(super) enum Problem {
    /// Its registry does not have it, or does not let us know.
    Unresolved(RegistryError),
    /// The same, and only another program knows the credentials.
    Helped(RegistryError),
    /// What is known of it cannot be used.
    Bad(BadManifest),
    /// A part of it did not come.
    NotBrought(RegistryError),
    /// Its files cannot be unpacked.
    NotUnpacked(UnpackError),
    /// The disk refused.
    Disk(io::Error),
}

impl Problem {
    fn words(&self, reference: &Reference) -> String {
        let resolve = format!("failed to resolve reference \"{reference}\"");
        let unpack = format!("failed to pull and unpack image \"{reference}\"");
        match self {
            Self::Unresolved(RegistryError::NotFound) => format!("{resolve}: {reference}: not found"),
            Self::Unresolved(cause) => format!("{resolve}: {cause}"),
            Self::Helped(cause) => format!(
                "{resolve}: {cause}; the Docker configuration leaves its credentials to a helper program, which Peapod \
                 does not run"
            ),
            Self::Bad(cause) => format!("{unpack}: {cause}"),
            Self::NotBrought(cause) => format!("{unpack}: failed to copy: {cause}"),
            Self::NotUnpacked(cause) => format!("{unpack}: failed to extract layer: {cause}"),
            Self::Disk(cause) => format!("{unpack}: write the image store: {cause}"),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(cause: io::Error) -> Self {
        Self::Disk(cause)
    }
}

impl From<BadManifest> for Problem {
    fn from(cause: BadManifest) -> Self {
        Self::Bad(cause)
    }
}
