//! Runs pods: limits, images, volumes, the virtual network, WASI, the engines, and the node agent that uses them all.
//!
//! A module uses only those named before it. The blank lines keep the order from being sorted.

pub mod limits;

pub mod images;

pub mod volumes;

pub mod network;

pub mod logs;

pub mod wasi;

pub mod engine;

pub mod node;
