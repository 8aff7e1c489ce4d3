//! The server's side of a connection: streams that the client opens become pipes.
//!
//! ```text
//! client ──frames──▶ reading ──▶ pipe ──▶ whoever took the stream
//!                       │ replies, pings                │
//! client ◀──frames── sending ◀── pipe ◀────────────────┘
//! ```

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use api::channels::{CHUNK_BYTES, Merged, Pipe, pipe};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter, ReadHalf, WriteHalf,
};
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::frame::{self, Control, FrameError, HEAD_BYTES, Head, Reset};
use super::header::{Headers, Packer, Unpacker};

/// Streams at once: a client that forwards ports has two for each connection.
const MOST_STREAMS: usize = 1000;

/// What the reading side wants sent: beyond, it waits, and with it the client.
const ORDERS: usize = 64;

/// A stream that the client has opened.
pub struct Arrival {
    /// What it is for.
    pub headers: Headers,
    /// Its bytes.
    pub pipe: Pipe,
}

/// Serves a connection. Streams that `admits` takes arrive; those it refuses are reset.
///
/// When nobody takes arrivals any more and all streams have ended, the client is told goodbye. It is over when the client
/// has gone.
pub async fn serve<S: AsyncRead + AsyncWrite>(
    io: S,
    admits: impl Fn(&Headers) -> bool,
    arrivals: mpsc::Sender<Arrival>,
) {
    let (reader, writer) = tokio::io::split(io);
    let (orders, ordered) = mpsc::channel(ORDERS);
    let places = Arc::new(Semaphore::new(MOST_STREAMS));
    let sending = Sending {
        io: BufWriter::new(writer),
        packer: Packer::new(),
        streams: Merged::default(),
        places: BTreeMap::new(),
        last: 0,
    };
    let reading = Reading {
        io: BufReader::new(reader),
        unpacker: Unpacker::default(),
        admits,
        arrivals: arrivals.clone(),
        orders,
        streams: BTreeMap::new(),
        places,
        last: 0,
        buffer: vec![0; CHUNK_BYTES],
    };
    let mut reading = pin!(reading.run());
    let sent = select! {
        biased;
        _ = reading.as_mut() => return,
        sent = sending.run(ordered, arrivals) => sent,
    };
    if sent.is_ok() {
        // Closed with something unread, the connection would be reset, and what was sent be lost.
        let _ = reading.await;
    }
}

/// What the reading side wants of the sending side.
enum Order {
    Send(Vec<u8>),
    Take(u32, ReadHalf<Pipe>, OwnedSemaphorePermit),
    Forget(u32),
}

struct Reading<R, A> {
    io: BufReader<R>,
    unpacker: Unpacker,
    admits: A,
    arrivals: mpsc::Sender<Arrival>,
    orders: mpsc::Sender<Order>,
    /// Those on which the client still sends.
    streams: BTreeMap<u32, WriteHalf<Pipe>>,
    places: Arc<Semaphore>,
    last: u32,
    buffer: Vec<u8>,
}

impl<R: AsyncRead + Unpin, A: Fn(&Headers) -> bool> Reading<R, A> {
    async fn run(mut self) -> io::Result<()> {
        let mut head = [0; HEAD_BYTES];
        loop {
            self.io.read_exact(&mut head).await?;
            match Head::read(head).map_err(broken)? {
                Head::Data { stream, is_last, length } => self.data(stream, is_last, length).await?,
                Head::Control { kind, flags, length } => {
                    let mut body = vec![0; length as usize];
                    self.io.read_exact(&mut body).await?;
                    let control = frame::control(kind, flags, &body, &mut self.unpacker).map_err(broken)?;
                    self.control(control).await?;
                }
            }
        }
    }

    async fn data(&mut self, stream: u32, is_last: bool, length: u32) -> io::Result<()> {
        let mut left = length as usize;
        while left > 0 {
            let chunk = &mut self.buffer[..left.min(CHUNK_BYTES)];
            self.io.read_exact(chunk).await?;
            left -= chunk.len();
            if let Some(pipe) = self.streams.get_mut(&stream)
                && pipe.write_all(chunk).await.is_err()
            {
                // Nobody reads it any more; what comes is left.
                self.streams.remove(&stream);
            }
        }
        if is_last {
            self.finish(stream).await;
        }
        Ok(())
    }

    /// The client sends nothing more on a stream.
    async fn finish(&mut self, stream: u32) {
        if let Some(mut pipe) = self.streams.remove(&stream) {
            // Whoever read it may have gone.
            let _ = pipe.shutdown().await;
        }
    }

    async fn control(&mut self, control: Control) -> io::Result<()> {
        match control {
            Control::Open { stream, is_last, headers } => {
                let opened = self.open(stream, headers).await?;
                if opened && is_last {
                    self.finish(stream).await;
                }
                Ok(())
            }
            Control::Reset(stream) => {
                self.streams.remove(&stream);
                self.order(Order::Forget(stream)).await
            }
            // Those that the server asked for have even numbers, and it asks none.
            Control::Ping(number) if number % 2 == 1 => self.order(Order::Send(frame::ping(number))).await,
            Control::More { stream, is_last: true } => {
                self.finish(stream).await;
                Ok(())
            }
            Control::Ping(_) | Control::GoAway | Control::More { .. } | Control::Nothing => Ok(()),
        }
    }

    /// Opens a stream, or resets it; tells which.
    async fn open(&mut self, stream: u32, headers: Headers) -> io::Result<bool> {
        if stream.is_multiple_of(2) || stream <= self.last {
            return self.refuse(stream, Reset::Protocol).await;
        }
        self.last = stream;
        if !(self.admits)(&headers) {
            return self.refuse(stream, Reset::Cancel).await;
        }
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return self.refuse(stream, Reset::Refused).await;
        };
        let (near, far) = pipe();
        let (reader, writer) = tokio::io::split(near);
        self.streams.insert(stream, writer);
        self.order(Order::Take(stream, reader, place)).await?;
        // If nobody takes it, its other end is dropped, and so it ends at once.
        let _ = self.arrivals.send(Arrival { headers, pipe: far }).await;
        Ok(true)
    }

    async fn refuse(&mut self, stream: u32, why: Reset) -> io::Result<bool> {
        self.order(Order::Send(frame::reset(stream, why))).await?;
        Ok(false)
    }

    /// Has something sent. Once nothing more is sent, there is nothing to be said.
    async fn order(&mut self, order: Order) -> io::Result<()> {
        let _ = self.orders.send(order).await;
        Ok(())
    }
}

fn broken(error: FrameError) -> io::Error {
    tracing::debug!(%error, "a SPDY connection failed");
    io::Error::new(io::ErrorKind::InvalidData, error)
}

struct Sending<W> {
    io: BufWriter<W>,
    packer: Packer,
    /// Those on which the server still sends.
    streams: Merged,
    places: BTreeMap<u32, OwnedSemaphorePermit>,
    last: u32,
}

impl<W: AsyncWrite + Unpin> Sending<W> {
    async fn run(
        mut self,
        mut orders: mpsc::Receiver<Order>,
        arrivals: mpsc::Sender<Arrival>,
    ) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(CHUNK_BYTES);
        let mut is_open = true;
        while is_open || !self.streams.is_empty() {
            select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.carry_out(order).await?,
                    // The client has gone.
                    None => return Ok(()),
                },
                Some(stream) = self.streams.next(&mut buffer), if !self.streams.is_empty() => {
                    let is_last = buffer.is_empty();
                    if is_last {
                        self.places.remove(&stream);
                    }
                    self.io.write_all(&frame::data(stream, buffer.len(), is_last)).await?;
                    self.io.write_all(&buffer).await?;
                }
                () = arrivals.closed(), if is_open => is_open = false,
            }
            self.io.flush().await?;
        }
        self.io.write_all(&frame::go_away(self.last)).await?;
        self.io.shutdown().await
    }

    async fn carry_out(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Send(frame) => self.io.write_all(&frame).await,
            Order::Take(stream, reader, place) => {
                self.last = stream;
                self.places.insert(stream, place);
                self.streams.add(stream, reader);
                let reply = frame::reply(stream, &mut self.packer).map_err(io::Error::other)?;
                self.io.write_all(&reply).await
            }
            Order::Forget(stream) => {
                self.streams.remove(stream);
                self.places.remove(&stream);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
