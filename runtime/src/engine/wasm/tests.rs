//! Real guests run, end with the right codes, and are held to their limits.

#![allow(clippy::unwrap_used)]

mod bench;
mod commands;
mod escape;
mod exec;
mod fuel;
mod hostile;
mod http;
mod toolbox;
mod workloads;
