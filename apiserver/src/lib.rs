//! The API server: the store, and everything that happens to an object on its way in and out of it.

pub mod admission;
pub mod aggregation;
pub mod auth;
pub mod builtin;
pub mod cel;
pub mod cells;
pub mod codec;
mod condition;
pub mod custom;
pub mod discovery;
mod expiry;
mod fairness;
pub mod fuzz;
pub mod http;
pub mod managed;
pub mod names;
pub mod openapi;
pub mod outgoing;
pub mod patch;
pub mod path;
mod priorities;
pub mod registry;
pub mod resources;
pub mod schema;
pub mod served;
pub mod serving;
mod start;
pub mod store;
pub mod stream;
mod subresources;
mod tree;

pub use registry::Registry;
pub use start::{Apiserver, Config, StartError, Storage};
