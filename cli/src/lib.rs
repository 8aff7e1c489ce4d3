//! Puts a cluster together and runs it for people: the commands of `peapod`.

pub mod cluster;
pub mod image;
pub mod run;
pub mod span;
pub mod terminal;
