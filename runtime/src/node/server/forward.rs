//! One connection to a port of a pod, from within the pod: what listens on its loopback address is reached too.

use std::net::{Ipv4Addr, SocketAddr};

use api::channels::{Channel, Pipe, Way, pipe};
use http::StatusCode;
use tokio::io::{AsyncWriteExt, copy};
use tokio::select;

use super::Refusal;
use super::query::Query;
use super::upgrade::Work;
use crate::network::{ConnectError, Stream};
use crate::node::Node;

const DATA: u8 = 0;
const ERROR: u8 = 1;

impl Node {
    /// Connects to a port.
    pub(super) fn forward(&self, namespace: &str, pod: &str, query: &Query) -> Result<Work, Refusal> {
        let port: u16 = query
            .read("port")?
            .filter(|port| *port > 0)
            .ok_or_else(|| Refusal::new(StatusCode::BAD_REQUEST, "query parameter \"port\" is required"))?;
        let uid = self.uid_of(namespace, pod)?;
        let whole = format!("{pod}_{namespace}");
        let missing =
            || Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, format!("pod not found ({whole:?})"));
        let interface = self.0.presence.pod(&uid).ok_or_else(missing)?;
        let ((data, far_data), (error, mut far_error)) = (pipe(), pipe());
        let channels = vec![
            Channel { number: DATA, way: Way::Both, pipe: data },
            Channel { number: ERROR, way: Way::Last, pipe: error },
        ];
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let pod = pod.to_owned();
        let work = async move {
            match interface.connect(to).await {
                Ok(stream) => join(far_data, stream).await,
                Err(why) => {
                    let words = format!(
                        "error forwarding port {port} to pod {pod}, uid {uid}: {}",
                        words(port, &why)
                    );
                    drop(far_data);
                    // Who has gone need not know.
                    let _ = far_error.write_all(words.as_bytes()).await;
                }
            }
        };
        Ok(Work { channels, work: Box::pin(work) })
    }
}

/// Carries bytes both ways until the pod has nothing more to say.
async fn join(client: Pipe, pod: Stream) {
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_pod, mut to_pod) = tokio::io::split(pod);
    let there = async {
        // Either has gone; the other is told by the end of its own direction.
        let _ = copy(&mut from_client, &mut to_pod).await;
        let _ = to_pod.shutdown().await;
        std::future::pending::<()>().await;
    };
    let back = async {
        let _ = copy(&mut from_pod, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    select! {
        biased;
        () = back => {}
        () = there => {}
    }
}

/// In the words of a container runtime.
fn words(port: u16, error: &ConnectError) -> String {
    let why = match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        std::io::ErrorKind::TimedOut => "i/o timeout".to_owned(),
        _ => error.to_string(),
    };
    format!(
        "failed to connect to localhost:{port} inside the pod: dial tcp4 127.0.0.1:{port}: connect: {why}"
    )
}
