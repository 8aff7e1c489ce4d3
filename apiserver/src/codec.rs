//! How objects are written on the wire, besides JSON.

pub mod protobuf;
