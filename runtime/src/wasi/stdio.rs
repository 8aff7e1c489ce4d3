//! The standard streams of guests. What they write goes to the container's log or to a client, and waits while either wants
//! no more.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use api::channels::Pipe;
use bytes::Bytes;
use futures::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite};
use wasmtime_wasi::cli::{AsyncStdinStream, IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

use super::discipline::end_lines;
use super::feed::Feed;
use crate::logs::LogWriter;

/// How much a guest may hand over at once: what the host buffers for it.
const LARGEST_WRITE: usize = 16 << 10;

/// Where output goes. A clone leads to the same place.
#[derive(Clone, Debug)]
pub enum Sink {
    /// To the log of a container.
    Log(LogWriter),
    /// To whoever called the command.
    Client(Feed),
    /// Nowhere.
    Nowhere,
}

impl Sink {
    /// Writes, whether or not it wants more.
    pub fn write(&self, bytes: &[u8]) {
        match self {
            Self::Log(log) => log.write(bytes),
            Self::Client(feed) => feed.write(bytes),
            Self::Nowhere => {}
        }
    }

    /// Waits until it wants more.
    pub async fn ready(&self) {
        match self {
            Self::Log(log) => log.ready().await,
            Self::Client(feed) => feed.ready().await,
            Self::Nowhere => {}
        }
    }

    fn is_closed(&self) -> bool {
        matches!(self, Self::Client(feed) if feed.is_unread())
    }
}

/// What a guest reads.
pub(super) struct Input {
    stream: AsyncStdinStream,
    is_terminal: bool,
}

impl Input {
    pub(super) fn new(pipe: Pipe, is_terminal: bool) -> Self {
        Self { stream: AsyncStdinStream::new(pipe), is_terminal }
    }
}

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        self.is_terminal
    }
}

impl StdinStream for Input {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        self.stream.async_stream()
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        self.stream.p2_stream()
    }
}

/// One output of a guest.
#[derive(Clone)]
pub(super) struct Output {
    sink: Sink,
    is_terminal: bool,
    /// What may still be written before asking again. Without it, a guest that never asks would never be held back.
    permit: usize,
}

impl Output {
    pub(super) fn new(sink: Sink, is_terminal: bool) -> Self {
        Self { sink, is_terminal, permit: 0 }
    }

    fn pass(&self, bytes: &[u8]) {
        if self.is_terminal { self.sink.write(&end_lines(bytes)) } else { self.sink.write(bytes) }
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        self.is_terminal
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(AsyncOutput { output: self.clone(), waiting: Mutex::new(None) })
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let left = self.permit.checked_sub(bytes.len());
        self.permit = left.ok_or_else(|| StreamError::trap("more is written than check-write allowed"))?;
        if self.sink.is_closed() {
            return Err(StreamError::Closed);
        }
        self.pass(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if self.sink.is_closed() {
            return Err(StreamError::Closed);
        }
        if self.sink.ready().now_or_never().is_some() {
            self.permit = LARGEST_WRITE;
        }
        Ok(self.permit)
    }
}

#[wasmtime_wasi_io::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        if self.permit == 0 {
            self.sink.ready().await;
            // Kept until it is used, whoever writes to the same place in between.
            self.permit = LARGEST_WRITE;
        }
    }
}

type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The same as a stream of tokio's, which WASI 0.3 asks for.
struct AsyncOutput {
    output: Output,
    /// In a mutex only to be `Sync`; it is never contended.
    waiting: Mutex<Option<Waiting>>,
}

impl AsyncWrite for AsyncOutput {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let waiting = this.waiting.get_mut().unwrap_or_else(PoisonError::into_inner);
        let wait = waiting.get_or_insert_with(|| {
            let sink = this.output.sink.clone();
            Box::pin(async move { sink.ready().await })
        });
        ready!(wait.as_mut().poll(context));
        *waiting = None;
        if this.output.sink.is_closed() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let taken = bytes.len().min(LARGEST_WRITE);
        this.output.pass(&bytes[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use api::Clock;

    use super::*;
    use crate::logs::{LogConfig, LogFile, LogStream};

    #[tokio::test(start_paused = true)]
    async fn a_guest_that_does_not_ask_may_not_write() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().expect("a time"));
        let config = LogConfig { rate_bytes_per_second: 1024, burst_bytes: 1024, ..LogConfig::default() };
        let log = LogFile::open(folder.path().join("0.log"), config, clock.clone());
        let mut output = Output::new(Sink::Log(log.writer(LogStream::Stdout)), false);
        let write = |output: &mut Output, bytes: usize| output.write(vec![b'y'; bytes].into());
        assert!(matches!(write(&mut output, 1), Err(StreamError::Trap(_))));
        assert_eq!(output.check_write().expect("leave"), LARGEST_WRITE);
        write(&mut output, 3072).expect("written");
        write(&mut output, LARGEST_WRITE - 3072).expect("written");
        assert!(matches!(write(&mut output, 1), Err(StreamError::Trap(_))));
        assert_eq!(output.check_write().expect("no leave"), 0);
        Pollable::ready(&mut output).await;
        assert_eq!(log.held(), Duration::from_secs(15));
        assert_eq!(output.check_write().expect("leave"), LARGEST_WRITE);
    }
}
