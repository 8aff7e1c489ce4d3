//! Parts of objects that have documents of their own.

pub mod binding;
pub mod scale;
pub mod token;
