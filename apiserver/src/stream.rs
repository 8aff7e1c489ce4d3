//! Byte streams to clients: what connections become once they are upgraded, over WebSocket and SPDY/3.1.

pub mod negotiate;
pub mod spdy;
pub mod upgrade;
