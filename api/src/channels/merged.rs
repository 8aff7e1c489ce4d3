//! Reads several pipes as one, each chunk with the number of its pipe.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf, ReadHalf};

use super::Pipe;

/// The most that is read of a pipe at once.
pub const CHUNK_BYTES: usize = 16 << 10;

/// Pipes that are read in turn.
#[derive(Default)]
pub struct Merged(VecDeque<(u32, ReadHalf<Pipe>)>);

impl Merged {
    /// Also reads this pipe.
    pub fn add(&mut self, number: u32, pipe: ReadHalf<Pipe>) {
        self.0.push_back((number, pipe));
    }

    /// No longer reads this pipe.
    pub fn remove(&mut self, number: u32) {
        self.0.retain(|(known, _)| *known != number);
    }

    /// Whether there is no pipe.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the next bytes of any pipe into the buffer, and tells the pipe. No bytes mean that it has ended, and is read no
    /// more. None if there is no pipe. Nothing is lost when the future is dropped.
    pub async fn next(&mut self, buffer: &mut Vec<u8>) -> Option<u32> {
        poll_fn(|context| self.poll_next(context, buffer)).await
    }

    fn poll_next(&mut self, context: &mut Context<'_>, buffer: &mut Vec<u8>) -> Poll<Option<u32>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        for place in 0..self.0.len() {
            let (number, pipe) = &mut self.0[place];
            let number = *number;
            buffer.resize(CHUNK_BYTES, 0);
            let mut filled = ReadBuf::new(buffer);
            let read = Pin::new(pipe).poll_read(context, &mut filled);
            let Poll::Ready(read) = read else {
                continue;
            };
            let length = if read.is_ok() { filled.filled().len() } else { 0 };
            buffer.truncate(length);
            let served = self.0.remove(place);
            // Whoever was served waits for the others.
            if length > 0 {
                self.0.extend(served);
            }
            return Poll::Ready(Some(number));
        }
        buffer.clear();
        Poll::Pending
    }
}
