//! Puts a cluster together and runs it for people: the commands of `peapod`.

pub mod backup;
pub mod cluster;
pub mod data_dir;
pub mod https;
pub mod image;
pub mod kubeconfig;
pub mod registries;
pub mod run;
pub mod serve;
mod signals;
pub mod span;
pub mod terminal;
