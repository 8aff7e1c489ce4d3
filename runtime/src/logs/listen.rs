//! Hears output as it is written, byte by byte, for those who join a container while it runs.

use tokio::select;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

use super::{LogFile, LogStream, Output, Progress};
use bytes::Bytes;

/// Pieces of output kept for a listener that lags; what is more is lost for it, as no guest waits for its listeners.
const KEPT: usize = 256;

/// Hears what is written from now on.
pub struct LogListener {
    heard: broadcast::Receiver<Output>,
    progress: watch::Receiver<Progress>,
}

impl LogFile {
    /// Hears all output from now on.
    pub fn listen(&self) -> LogListener {
        let heard = self.0.heard.get_or_init(|| broadcast::Sender::new(KEPT)).subscribe();
        LogListener { heard, progress: self.0.progress.subscribe() }
    }
}

impl LogListener {
    /// The next output; none when there are no writers any more and all was heard.
    pub async fn next(&mut self) -> Option<(LogStream, Bytes)> {
        loop {
            let received = select! {
                biased;
                received = self.heard.recv() => received,
                _ = self.progress.wait_for(|progress| progress.writers == 0) => match self.heard.try_recv() {
                    Ok(output) => Ok(output),
                    Err(TryRecvError::Lagged(count)) => Err(RecvError::Lagged(count)),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => Err(RecvError::Closed),
                },
            };
            match received {
                Ok(output) => return Some(output),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use api::Clock;

    use super::super::LogConfig;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn output_is_heard_as_it_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().expect("a time"));
        let log = LogFile::open(folder.path().join("0.log"), LogConfig::default(), clock);
        let (stdout, stderr) = (log.writer(LogStream::Stdout), log.writer(LogStream::Stderr));
        stdout.write(b"before");
        let mut listener = log.listen();
        stdout.write(b"prompt> ");
        stderr.write(b"oops\n");
        drop((stdout, stderr));
        assert_eq!(listener.next().await, Some((LogStream::Stdout, Bytes::from_static(b"prompt> "))));
        assert_eq!(listener.next().await, Some((LogStream::Stderr, Bytes::from_static(b"oops\n"))));
        assert_eq!(listener.next().await, None);
    }
}
