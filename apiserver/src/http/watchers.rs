//! Counts the watches under way: a bound on them all, and one for each user, so that one alone cannot take all. And when
//! there are many, each takes its turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use api::Status;
use api::status::{Details, Reason};

/// The most watches: each is a cursor and a stream of a connection, some KiB together.
const MOST: usize = 20_000;

/// The most of one user: a thousand controllers with ten each.
const MOST_OF_ONE: usize = 10_000;

/// About what it takes to send one watch an event: system calls, encryption, waking a task.
const SENDING: Duration = Duration::from_micros(5);

/// No timer is finer, and so short a rest would spare nothing.
const SHORTEST_REST: Duration = Duration::from_millis(1);

/// When a client that was refused is to come back.
const RETRY_AFTER_SECONDS: u32 = 1;

/// The watches under way.
#[derive(Default)]
pub(super) struct Watchers(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    all: usize,
    by_user: BTreeMap<String, usize>,
}

/// A watch under way, until it is dropped.
pub(super) struct Watching {
    watchers: Arc<Watchers>,
    user: String,
}

impl Watching {
    /// How long to wait after something was sent before more is: as long as it takes to send every watch something. Thus
    /// what a thousand watches are told a thousand times a second goes to each in few pieces. None while they are few.
    pub fn rest(&self) -> Option<Duration> {
        let count = self.watchers.with(|counts| counts.all);
        let round = SENDING * u32::try_from(count).unwrap_or(u32::MAX);
        (round >= SHORTEST_REST).then_some(round)
    }
}

impl Watchers {
    /// One more watch of a user, if there may be more.
    pub fn begin(self: &Arc<Self>, user: &str) -> Result<Watching, Status> {
        self.with(|counts| {
            let own = counts.by_user.get(user).copied().unwrap_or_default();
            if own >= MOST_OF_ONE {
                return Err(too_many(&format!("too many watches of user {user:?}: at most {MOST_OF_ONE}")));
            }
            if counts.all >= MOST {
                return Err(too_many(&format!("too many watches: at most {MOST}")));
            }
            counts.all += 1;
            counts.by_user.insert(user.to_owned(), own + 1);
            Ok(())
        })?;
        Ok(Watching { watchers: Arc::clone(self), user: user.to_owned() })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Counts) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let user = &self.user;
        self.watchers.with(|counts| {
            counts.all -= 1;
            match counts.by_user.get_mut(user) {
                Some(own) if *own > 1 => *own -= 1,
                _ => drop(counts.by_user.remove(user)),
            }
        });
    }
}

fn too_many(words: &str) -> Status {
    let details = Details { retry_after_seconds: Some(RETRY_AFTER_SECONDS), ..Details::default() };
    Status { details: Some(Box::new(details)), ..Status::new(Reason::TooManyRequests, words) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_user_cannot_take_all_and_all_have_a_bound() {
        let watchers = Arc::<Watchers>::default();
        let mut ann: Vec<Watching> = (0..MOST_OF_ONE).map(|_| watchers.begin("ann").unwrap()).collect();
        let refused = watchers.begin("ann").err().unwrap();
        assert_eq!(
            (refused.code, refused.message.as_str()),
            (429, "too many watches of user \"ann\": at most 10000")
        );
        let bob: Vec<Watching> = (0..MOST_OF_ONE).map(|_| watchers.begin("bob").unwrap()).collect();
        assert_eq!(watchers.begin("eve").err().unwrap().message, "too many watches: at most 20000");
        drop(ann.pop());
        let eve = watchers.begin("eve").unwrap();
        assert_eq!(eve.rest(), Some(Duration::from_millis(100)));
        drop((ann, bob));
        assert_eq!(eve.rest(), None);
        drop(eve);
        watchers.with(|counts| assert_eq!((counts.all, counts.by_user.len()), (0, 0)));
    }
}
