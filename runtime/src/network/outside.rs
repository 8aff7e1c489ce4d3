//! The one place where a guest's connection could leave the cluster, for the host or the world beyond.
//!
//! Nothing may leave: a pod that tries is told so at once.

use super::connect::ConnectError;
use super::routes::Flow;
use super::stream::Stream;

/// Opens a connection to the outside if that is allowed.
pub(super) async fn connect(flow: &Flow) -> Result<Stream, ConnectError> {
    Err(ConnectError::Outside { to: flow.to })
}
