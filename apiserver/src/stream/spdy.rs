//! SPDY/3.1 as Kubernetes' clients speak it: frames, compressed headers, and the server's side of a connection.
//!
//! There is no flow control besides that of the connection: the one implementation among clients, moby/spdystream, neither
//! announces windows nor heeds them. So what is on the way is bounded by pipes, and a stream whose reader lags holds back
//! the connection, as it does there.

mod connection;
mod dictionary;
pub mod frame;
pub mod header;

pub use connection::{Arrival, serve};
pub use header::Headers;
