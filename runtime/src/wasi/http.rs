//! `wasi:http`: requests from the network to instances, and from instances to the network.

mod connection;
pub mod outgoing;
mod pool;
mod server;

pub use pool::{Handler, HttpProgram};
pub use server::{Ended, serve};
