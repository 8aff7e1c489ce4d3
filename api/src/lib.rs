//! The vocabulary of Peapod and the door to its API: objects, selectors, errors, clocks, and the client every component uses.

pub mod amounts;
pub mod backend;
pub mod cache;
#[cfg(feature = "channels")]
pub mod channels;
pub mod client;
pub mod clock;
pub mod cron;
pub mod dialer;
pub mod event;
pub mod field;
pub mod kinds;
pub mod manifest;
pub mod object;
pub mod quantity;
pub mod quota;
pub mod resource;
pub mod selector;
pub mod status;
pub mod storage;
pub mod watch;

pub use backend::{Backend, Reply, Request, User, Verb};
pub use cache::Cache;
pub use client::Client;
pub use clock::Clock;
pub use object::{Key, Object, Revision};
pub use resource::Resource;
pub use status::Status;
