//! What clients do to a hostile pod, so that it costs others as much as it can.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::real::RealCluster;

/// How many clients attack at once.
const ATTACKERS: usize = 64;
/// How long a slow client rests between two bytes.
const REST: Duration = Duration::from_millis(50);

/// What a client sends, again and again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Attack {
    None,
    /// Requests, one after the other.
    Flood,
    /// Requests with large bodies that the guest does not read.
    UnreadBodies,
    /// Requests on one connection, whose answers are never read.
    UnreadAnswers,
    /// Bodies that come a byte at a time.
    SlowBodies,
    /// Heads that come a byte at a time.
    SlowHeads,
    /// More headers than anybody takes.
    LargeHeaders,
}

impl Attack {
    /// Lets clients attack a service until `attackers` is dropped.
    pub(super) fn begin(
        self,
        cluster: &Arc<RealCluster>,
        service: &'static str,
        attackers: &mut JoinSet<()>,
    ) {
        for _ in 0..ATTACKERS {
            let cluster = Arc::clone(cluster);
            attackers.spawn(async move {
                loop {
                    // Being refused is what an attacker must expect.
                    if self.once(&cluster, service).await.is_err() {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                }
            });
        }
    }

    async fn once(self, cluster: &RealCluster, service: &str) -> Result<()> {
        let mut stream = cluster.cluster.network.connect_from_host_by_name("default", service, 80).await?;
        let head = |method: &str, more: &str| format!("{method} / HTTP/1.1\r\nhost: test\r\n{more}\r\n");
        match self {
            Self::None => {}
            Self::Flood => {
                stream.write_all(head("GET", "connection: close\r\n").as_bytes()).await?;
                stream.read_to_end(&mut Vec::new()).await?;
            }
            Self::UnreadBodies => {
                stream.write_all(head("POST", "content-length: 1000000000\r\n").as_bytes()).await?;
                loop {
                    stream.write_all(&[b'x'; 64 << 10]).await?;
                }
            }
            Self::UnreadAnswers => loop {
                stream.write_all(head("GET", "").as_bytes()).await?;
            },
            Self::SlowBodies => {
                stream.write_all(head("POST", "content-length: 1000000000\r\n").as_bytes()).await?;
                loop {
                    stream.write_all(b"x").await?;
                    tokio::time::sleep(REST).await;
                }
            }
            Self::SlowHeads => loop {
                stream.write_all(b"G").await?;
                tokio::time::sleep(REST).await;
            },
            Self::LargeHeaders => {
                stream.write_all(b"GET / HTTP/1.1\r\nhost: test\r\n").await?;
                let line = format!("x: {}\r\n", "y".repeat(1 << 10));
                loop {
                    stream.write_all(line.as_bytes()).await?;
                }
            }
        }
        Ok(())
    }
}
