//! Custom kinds: declared by CustomResourceDefinitions, served as soon as they are established.
//!
//! A [`Declared`](declared::Declared) is read from each definition: a kind for every version, with its schema compiled
//! once. What is served follows the definitions through the [`keeper`], which also sets their conditions and removes the
//! objects of those that are deleted.

pub mod body;
pub mod columns;
pub mod conversion;
pub mod declared;
pub mod defaults;
pub mod format;
pub mod json_path;
pub mod keeper;
pub mod kind;
pub mod names;
pub mod prune;
pub mod rules;
pub mod scale;
pub mod schema;
pub mod validate;
