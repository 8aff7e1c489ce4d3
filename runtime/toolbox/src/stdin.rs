//! Standard input: what came is kept here until somebody reads it, so that an interrupt is heard whatever runs.
//!
//! From a terminal come lines that its host has edited, and between them two control characters: one interrupts, the other
//! ends what is read without ending the terminal.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::OnceLock;

use wasi::cli::stdin::get_stdin;
use wasi::io::poll::Pollable;
use wasi::io::streams::{InputStream, StreamError};

use crate::task;

const INTERRUPT: u8 = 3;
const END: u8 = 4;
/// As much is asked for at once.
const CHUNK_BYTES: u64 = 32 << 10;

#[derive(Default)]
struct Known {
    bytes: VecDeque<u8>,
    has_ended: bool,
}

thread_local! {
    static STREAM: InputStream = get_stdin();
    static KNOWN: RefCell<Known> = RefCell::default();
}

/// Whether somebody sits at a terminal.
pub fn is_terminal() -> bool {
    static IS_TERMINAL: OnceLock<bool> = OnceLock::new();
    *IS_TERMINAL.get_or_init(|| std::io::stdin().is_terminal())
}

/// Whether nothing will ever come again.
pub fn has_ended() -> bool {
    KNOWN.with_borrow(|known| known.has_ended)
}

/// Something to wait with until more comes.
pub fn subscribe() -> Pollable {
    STREAM.with(InputStream::subscribe)
}

/// Whether something has come.
pub fn is_ready() -> bool {
    !has_ended() && subscribe().ready()
}

/// Takes in what has come.
pub fn fill() {
    let full = KNOWN.with_borrow(|known| known.bytes.len() as u64 >= 2 * CHUNK_BYTES);
    if full && !is_terminal() {
        return;
    }
    match STREAM.with(|stream| stream.read(CHUNK_BYTES)) {
        Ok(bytes) if is_terminal() => take_typed(&bytes),
        Ok(bytes) => KNOWN.with_borrow_mut(|known| known.bytes.extend(bytes)),
        Err(StreamError::Closed | StreamError::LastOperationFailed(_)) => {
            KNOWN.with_borrow_mut(|known| known.has_ended = true);
        }
    }
    task::moved();
}

/// What was typed before an interrupt is not meant any more.
fn take_typed(bytes: &[u8]) {
    for byte in bytes {
        KNOWN.with_borrow_mut(|known| match *byte {
            INTERRUPT => known.bytes.clear(),
            byte => known.bytes.push_back(byte),
        });
        if *byte == INTERRUPT {
            task::interrupt();
        }
    }
}

/// Takes up to `most` bytes; none if there are none yet, an empty answer at the end.
pub fn take(most: usize) -> Option<Vec<u8>> {
    KNOWN.with_borrow_mut(|known| {
        if known.bytes.is_empty() {
            return known.has_ended.then(Vec::new);
        }
        let end = is_terminal().then(|| known.bytes.iter().position(|byte| *byte == END)).flatten();
        let taken: Vec<u8> = known.bytes.drain(..end.unwrap_or(known.bytes.len()).min(most)).collect();
        if taken.is_empty() {
            known.bytes.pop_front();
        }
        Some(taken)
    })
}
