//! Parts of objects that have documents of their own.

pub mod binding;
pub mod eviction;
pub mod pod_parts;
mod resize;
pub mod scale;
pub mod token;
