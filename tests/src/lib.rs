//! Whole clusters in one process, scenarios as text, and the rule on things a test needs from outside.

pub mod figures;
pub mod hostile;
pub mod https;
pub mod load;
pub mod real;
pub mod registry;
pub mod require;
pub mod scenario;
pub mod script;
pub mod served;
pub mod session;
pub mod show;
pub mod simulated;
pub mod streaming;
pub mod transcript;
