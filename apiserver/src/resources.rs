//! The built-in kinds, one file each, and what several of them share.

pub mod config_map;
pub mod deployment;
pub mod endpoint_slice;
pub mod endpoints;
pub mod event;
pub mod job;
pub mod lease;
pub mod namespace;
pub mod node;
pub mod pod;
pub mod pod_spec;
pub mod replica_set;
pub mod secret;
pub mod service;
pub mod service_account;
pub mod template;
