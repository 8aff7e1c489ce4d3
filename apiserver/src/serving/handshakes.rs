//! Who is still shaking hands: a bounded number, of which the one that has taken longest gives way to a newcomer.
//!
//! So whoever opens connections and says nothing keeps out only others like him.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The handshakes under way. A clone is a reference.
#[derive(Clone)]
pub struct Handshakes {
    most: usize,
    under_way: Arc<Mutex<UnderWay>>,
}

#[derive(Default)]
struct UnderWay {
    next: u64,
    by_age: BTreeMap<u64, oneshot::Sender<()>>,
}

/// A handshake under way; dropped when it is over.
pub struct Ticket {
    number: u64,
    handshakes: Handshakes,
    given_up: oneshot::Receiver<()>,
}

impl Handshakes {
    /// At most `most` at a time.
    pub fn new(most: usize) -> Self {
        Self { most, under_way: Arc::default() }
    }

    /// One more; the oldest gives way if there are too many.
    pub fn begin(&self) -> Ticket {
        let (give_up, given_up) = oneshot::channel();
        let mut under_way = self.lock();
        while under_way.by_age.len() >= self.most {
            under_way.by_age.pop_first();
        }
        let number = under_way.next;
        under_way.next += 1;
        under_way.by_age.insert(number, give_up);
        Ticket { number, handshakes: self.clone(), given_up }
    }

    /// The oldest gives way.
    pub fn give_up_oldest(&self) {
        self.lock().by_age.pop_first();
    }

    /// All give way.
    pub fn give_up_all(&self) {
        self.lock().by_age.clear();
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        // Nothing panics while it is held.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// Waits until this handshake must give way.
    pub async fn given_up(&mut self) {
        // Nothing is ever sent; the sender is dropped.
        let _ = (&mut self.given_up).await;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.handshakes.lock().by_age.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn the_oldest_gives_way() {
        let handshakes = Handshakes::new(2);
        let mut tickets = [handshakes.begin(), handshakes.begin(), handshakes.begin()];
        let waits = |ticket: &mut Ticket| ticket.given_up().now_or_never().is_none();
        assert_eq!(tickets.each_mut().map(waits), [false, true, true]);
        let [first, second, mut third] = tickets;
        drop((first, second));
        let mut fourth = handshakes.begin();
        assert!(waits(&mut third) && waits(&mut fourth), "those that are over do not count");
        handshakes.give_up_oldest();
        assert!(!waits(&mut third) && waits(&mut fourth));
        handshakes.give_up_all();
        assert!(!waits(&mut fourth));
    }
}
