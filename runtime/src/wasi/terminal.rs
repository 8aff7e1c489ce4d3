//! Carries what is typed at a terminal to a guest, through the terminal's line discipline.

use std::convert::Infallible;

use api::channels::{Pipe, pipe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::discipline::{Discipline, Signals};
use super::stdio::Sink;

/// As much is taken at once.
const CHUNK_BYTES: usize = 4096;

/// The guest was interrupted at its terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupted;

/// What a guest reads of a terminal at which `typed` is typed, and the work of carrying it there. The work ends only with an
/// interrupt.
pub fn edit(typed: Pipe, echo: Sink, signals: Signals) -> (Pipe, impl Future<Output = Interrupted> + Send) {
    let (near, far) = pipe();
    (far, carry(typed, near, echo, signals))
}

async fn carry(mut typed: Pipe, mut read: Pipe, echo: Sink, signals: Signals) -> Interrupted {
    let mut discipline = Discipline::new(signals);
    let mut keys = vec![0; CHUNK_BYTES];
    // Whoever typed has gone, or the guest reads no more: either way there is nothing left to carry.
    while let Ok(count @ 1..) = typed.read(&mut keys).await {
        let taken = discipline.take(&keys[..count]);
        echo.write(&taken.echo);
        // One who types and reads nothing is waited for.
        echo.ready().await;
        if taken.interrupts {
            return Interrupted;
        }
        if read.write_all(&taken.input).await.is_err() || taken.ends {
            break;
        }
    }
    drop(read);
    match std::future::pending::<Infallible>().await {}
}
