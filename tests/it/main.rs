//! The one integration binary: what the whole repository and whole clusters must hold.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod clients;
mod fuel;
mod guests;
mod hello;
mod hostile;
mod kubectl;
mod mistakes;
mod operator;
mod power;
mod probes;
mod registry;
mod relay;
mod scenarios;
mod serve;
mod strangers;
mod streams;
mod tidy;
mod volumes;
mod workloads;

/// The guest of the example.
const HELLO: &[u8] = include_bytes!("../../examples/hello/hello.wasm");
