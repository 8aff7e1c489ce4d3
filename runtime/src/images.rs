//! Images: what they are called, and the store of content-addressed files they lie in.

mod reference;
mod store;

pub use reference::{InvalidReference, Reference};
pub use store::{Image, ImageKind, ImageStore, ImportError};
