//! Images: what they are called, how they are built, the store they lie in, and the registries they come from.

mod compression;
mod convention;
mod copy;
mod credentials;
mod digest;
mod image;
mod manifest;
mod pull;
mod reference;
mod registry;
mod store;
mod tar;
mod unpack;

pub use copy::copy_root;
pub use credentials::{Credential, DockerConfig, NoCredentials};
pub use digest::{Digest, InvalidDigest};
pub use image::{Image, ImageKind, LARGEST_PROGRAM};
pub use manifest::{BadManifest, ImageConfig};
pub use pull::{Progress, PullError, Puller, RegistryConfig};
pub use reference::{InvalidReference, Reference};
pub use registry::RegistryError;
pub use store::{ImageStore, ImportError, Pin, Removal, Swept};
pub use unpack::UnpackError;
