//! Gives each pod a node: a pure [`place`], a [`Board`] that keeps what it needs up to date, and the binding around them.
//!
//! A pod that was given to a node counts as being there at once, so that the next ones are placed without waiting for
//! the API; if the binding fails it is taken back.

mod board;
mod demand;
mod filter;
mod meter;
mod node;
mod place;
mod queue;
mod run;
mod score;
mod storage;
#[cfg(test)]
mod tests;

pub use board::{Board, Decision};
pub use demand::{Amounts, Demand, HostPort, Term};
pub use filter::Refusal;
pub use meter::Load;
pub(crate) use meter::Meter;
pub use node::{Facts, Node, Nodes};
pub use place::{Placement, Refused, place};
pub use queue::{Pending, Waiting};
pub(crate) use run::start;
pub use storage::{Choice, ClaimUse, Outlook, Storage, Wants};
