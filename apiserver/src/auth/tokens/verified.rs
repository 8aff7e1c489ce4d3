//! Remembers tokens whose signature was found good, so that it is not computed for every request.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use api::backend::User;
use ring::digest::{SHA256, digest};

use super::Rejected;
use super::claims::Claims;

/// So many tokens are remembered: more than clients are at work at once, at about 1 KiB each.
const MOST: usize = 4_096;

/// A token of ours: what it says, and whose it is.
pub struct Verified {
    pub claims: Claims,
    pub user: Arc<User>,
}

/// Not the tokens themselves, which are secrets.
type Hash = [u8; 32];

/// The tokens; the oldest are forgotten first. Only good signatures get in, so that nobody else can crowd them out.
#[derive(Default)]
pub struct VerifiedTokens(Mutex<Known>);

#[derive(Default)]
struct Known {
    tokens: HashMap<Hash, Arc<Verified>>,
    order: VecDeque<Hash>,
}

impl VerifiedTokens {
    /// What is known of a token, or what `verify` finds out.
    pub fn get_or_insert(
        &self,
        token: &str,
        verify: impl FnOnce() -> Result<Verified, Rejected>,
    ) -> Result<Arc<Verified>, Rejected> {
        let hash = hash(token);
        if let Some(known) = self.lock().tokens.get(&hash) {
            return Ok(Arc::clone(known));
        }
        let verified = Arc::new(verify()?);
        self.lock().insert(hash, &verified);
        Ok(verified)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn insert(&mut self, hash: Hash, verified: &Arc<Verified>) {
        if self.tokens.insert(hash, Arc::clone(verified)).is_some() {
            return;
        }
        self.order.push_back(hash);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.tokens.remove(&oldest);
        }
    }
}

fn hash(token: &str) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}
