//! Probes and lifecycle hooks: what a container's spec asks for, when it is asked, and how.
//!
//! [`Probes`] and [`Hooks`] are read from the spec, a [`Prober`] decides for one run of a container, and [`ask`] and
//! [`run_hook`] do what is to be done. Connections come to a pod from its node, as a kubelet's do.

mod ask;
mod command;
mod figures;
mod grpc;
mod hook;
mod http;
mod outcome;
mod plan;
mod prober;
#[cfg(test)]
mod tests;

pub use ask::{Target, ask};
pub use figures::{Counted, ProbeFigures};
pub use hook::run_hook;
pub use outcome::Outcome;
pub use plan::{Check, Hook, Hooks, HttpGet, Port, Probe, Probes};
pub use prober::{ProbeKind, Prober, Turn};
