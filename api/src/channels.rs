//! Byte streams over one WebSocket connection, in the forms that Kubernetes' clients and nodes speak.
//!
//! In most forms a message is the number of its channel, then bytes of it. The message `[255, N]` says that nothing more
//! comes on channel N: clients of the fifth version say so, and nodes. In the bare forms there is one channel, and no number.
//!
//! Whoever uses a channel holds one end of a [`pipe`] and knows nothing of messages; [`carry`] holds the other ends. A pipe
//! is bounded: a reader that lags holds back its writer, across the connection.

mod base64;
mod merged;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig};

pub use merged::{CHUNK_BYTES, Merged};
pub use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
pub use tokio_tungstenite::tungstenite::protocol::Role;

/// Bytes on the way in each direction of a pipe; then the one who writes waits.
const PIPE_BYTES: usize = 64 << 10;

/// The largest message that is taken. Kubernetes takes 32 MiB; clients send what they read from a file or a terminal at once.
const LARGEST_MESSAGE: usize = 8 << 20;

/// What a connection buffers on its own account, in each direction.
const BUFFER_BYTES: usize = 16 << 10;

/// The message that ends a channel begins with this in place of a number.
const END: u8 = 255;

/// One end of the bytes of a channel.
pub type Pipe = DuplexStream;

/// The two ends of the bytes of a channel.
pub fn pipe() -> (Pipe, Pipe) {
    tokio::io::duplex(PIPE_BYTES)
}

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Whether a message begins with the number of its channel.
    pub numbered: bool,
    /// Whether messages are text, their bytes in base64.
    pub base64: bool,
    /// Whether the end of a channel is told. It is heard in any case: clients tell it, but take none.
    pub ends: bool,
}

impl Form {
    /// Numbered channels whose ends are told both ways, which is what nodes speak.
    pub const ENDING: Self = Self { numbered: true, base64: false, ends: true };
    /// Numbered channels: `v5.channel.k8s.io` and those before.
    pub const NUMBERED: Self = Self { numbered: true, base64: false, ends: false };
    /// The same as text: `v4.base64.channel.k8s.io`.
    pub const NUMBERED_TEXT: Self = Self { numbered: true, base64: true, ends: false };
    /// The bytes alone.
    pub const BARE: Self = Self { numbered: false, base64: false, ends: false };
    /// The same as text.
    pub const BARE_TEXT: Self = Self { numbered: false, base64: true, ends: false };
}

/// Who sends on a channel, seen from this side of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The other side.
    In,
    /// This side.
    Out,
    /// This side, once all others that it sends on have ended: what tells the outcome comes last.
    Last,
    /// Both.
    Both,
}

/// A channel and the end of its pipe.
pub struct Channel {
    /// Its number.
    pub number: u8,
    /// Who sends.
    pub way: Way,
    /// What is sent and received.
    pub pipe: Pipe,
}

/// Carries the bytes of channels over an upgraded connection.
///
/// It is over when the other side is gone. A server says goodbye once nothing more is to be sent; a client waits for that.
/// Each message of `greeting` is sent first: a channel, and what is sent on it.
pub async fn carry<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    role: Role,
    form: Form,
    channels: Vec<Channel>,
    greeting: &[(u8, Bytes)],
) {
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(0)
        .max_message_size(Some(LARGEST_MESSAGE))
        .max_frame_size(Some(LARGEST_MESSAGE));
    let socket = WebSocketStream::from_raw_socket(stream, role, Some(config)).await;
    let (sink, source) = socket.split();
    let (mut inward, mut outward, mut last) = (BTreeMap::new(), Merged::default(), None);
    for Channel { number, way, pipe } in channels {
        let (reader, writer) = tokio::io::split(pipe);
        if way == Way::In || way == Way::Both {
            inward.insert(number, writer);
        }
        match way {
            Way::Out | Way::Both => outward.add(number.into(), reader),
            Way::Last => last = Some((number.into(), reader)),
            Way::In => {}
        }
    }
    let mut receiving = pin!(receive(source, form, inward));
    let sending = send(sink, role, form, greeting, outward, last);
    tokio::select! {
        biased;
        () = receiving.as_mut() => return,
        // One that cannot be written to is gone.
        sent = sending => if sent.is_err() { return },
    }
    // Closed with something unread, the connection would be reset, and what was sent be lost.
    receiving.await;
}

type Writer = WriteHalf<Pipe>;
type Reader = ReadHalf<Pipe>;

/// Gives each channel what comes for it, until the other side ends or breaks the rules.
async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
    mut source: SplitStream<WebSocketStream<S>>,
    form: Form,
    mut channels: BTreeMap<u8, Writer>,
) {
    while let Some(Ok(message)) = source.next().await {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            // Some clients send everything as text.
            Message::Text(text) => Bytes::from(text),
            Message::Close(_) => {
                // The goodbye is answered on the way to the end.
                let _ = source.next().await;
                return;
            }
            _ => continue,
        };
        let Some((number, bytes)) = read(form, bytes) else {
            continue;
        };
        if number == END && form.numbered {
            let ended = bytes.first().and_then(|number| channels.remove(number));
            if let Some(mut writer) = ended {
                // Whoever read it may have gone.
                let _ = writer.shutdown().await;
            }
        } else if let Some(writer) = channels.get_mut(&number)
            && writer.write_all(&bytes).await.is_err()
        {
            // Nobody reads it any more; what comes is left.
            channels.remove(&number);
        }
    }
}

/// The channel and the bytes of a message; none if there are none.
fn read(form: Form, bytes: Bytes) -> Option<(u8, Bytes)> {
    let (number, bytes) = match (form.numbered, form.base64) {
        (false, _) => (0, bytes),
        (true, false) => (*bytes.first()?, bytes.slice(1..)),
        (true, true) => (bytes.first()?.wrapping_sub(b'0'), bytes.slice(1..)),
    };
    let bytes = if form.base64 { base64::decode(&bytes)? } else { bytes };
    Some((number, bytes))
}

/// Sends what the channels have, fairly, then says goodbye.
async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    mut sink: SplitSink<WebSocketStream<S>, Message>,
    role: Role,
    form: Form,
    greeting: &[(u8, Bytes)],
    mut channels: Merged,
    mut last: Option<(u32, Reader)>,
) -> io::Result<()> {
    for (number, bytes) in greeting {
        sink.send(write(form, *number, bytes)).await.map_err(io::Error::other)?;
    }
    let mut buffer = Vec::with_capacity(CHUNK_BYTES);
    loop {
        let Some(number) = channels.next(&mut buffer).await else {
            match last.take() {
                Some((number, reader)) => channels.add(number, reader),
                None => break,
            }
            continue;
        };
        let number = u8::try_from(number).unwrap_or(END);
        let message = match (buffer.is_empty(), form.ends) {
            (true, true) => write(form, END, &[number]),
            (true, false) => continue,
            (false, _) => write(form, number, &buffer),
        };
        sink.send(message).await.map_err(io::Error::other)?;
    }
    match role {
        Role::Server => {
            // Clients take an end without a code for a failure.
            let goodbye = CloseFrame { code: CloseCode::Normal, reason: "".into() };
            sink.send(Message::Close(Some(goodbye))).await.map_err(io::Error::other)
        }
        // Nothing more to send is no reason to go.
        Role::Client => Ok(()),
    }
}

fn write(form: Form, number: u8, bytes: &[u8]) -> Message {
    let mut text = String::new();
    if form.base64 {
        if form.numbered {
            text.push(char::from(number.wrapping_add(b'0')));
        }
        base64::encode(bytes, &mut text);
        return Message::text(text);
    }
    let mut message = Vec::with_capacity(bytes.len() + 1);
    if form.numbered {
        message.push(number);
    }
    message.extend_from_slice(bytes);
    Message::binary(message)
}
