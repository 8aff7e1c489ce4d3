//! A connection as its user sees it: in memory, or a socket that the host accepted and handed over.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop;

use super::pipe::Pipe;

/// One end of a connection. Shutting it down ends only its own direction; dropping it closes both.
pub struct Stream {
    way: Way,
    local: SocketAddr,
    peer: SocketAddr,
}

enum Way {
    Memory(Pipe),
    Host(TcpStream),
}

impl Stream {
    /// Both ends of a new connection in memory; the first belongs to `near`.
    pub fn pair(near: SocketAddr, far: SocketAddr) -> (Self, Self) {
        let (near_pipe, far_pipe) = Pipe::pair();
        let near_stream = Self { way: Way::Memory(near_pipe), local: near, peer: far };
        let far_stream = Self { way: Way::Memory(far_pipe), local: far, peer: near };
        (near_stream, far_stream)
    }

    /// A connection accepted by the host.
    pub(super) fn host(socket: TcpStream, local: SocketAddr, peer: SocketAddr) -> Self {
        Self { way: Way::Host(socket), local, peer }
    }

    /// The address of this end.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The address of the other end, as this end knows it.
    pub fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    /// Ends the connection at once: what is on the way is lost, and the other end sees a reset.
    pub fn reset(self) {
        match self.way {
            Way::Memory(pipe) => pipe.reset(),
            // If the option cannot be set, the socket is closed with a plain end instead.
            Way::Host(socket) => drop(socket.set_zero_linger()),
        }
    }

    /// The same connection as the pod behind a service sees it: at the pod's own address.
    pub(super) fn at(mut self, local: SocketAddr) -> Self {
        self.local = local;
        self
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Memory(pipe) => fairly(context, |context| pipe.poll_read(context, buffer)),
            Way::Host(socket) => Pin::new(socket).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.way {
            Way::Memory(pipe) => fairly(context, |context| pipe.poll_write(context, parts)),
            Way::Host(socket) => Pin::new(socket).poll_write_vectored(context, parts),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Memory(_) => Poll::Ready(Ok(())),
            Way::Host(socket) => Pin::new(socket).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.way {
            Way::Memory(pipe) => {
                pipe.finish();
                Poll::Ready(Ok(()))
            }
            Way::Host(socket) => Pin::new(socket).poll_shutdown(context),
        }
    }
}

/// Lets a task whose pipe never makes it wait yield to others after its share of operations, as sockets do.
fn fairly<T>(
    context: &mut Context<'_>,
    operate: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<T>>,
) -> Poll<io::Result<T>> {
    let share = ready!(coop::poll_proceed(context));
    let result = operate(context);
    if result.is_ready() {
        share.made_progress();
    }
    result
}

impl fmt::Debug for Stream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match self.way {
            Way::Memory(_) => "memory",
            Way::Host(_) => "host",
        };
        write!(formatter, "Stream({} <-> {}, {way})", self.local, self.peer)
    }
}
