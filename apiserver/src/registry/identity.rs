//! Uids and the endings of generated names: random, but the same for the same seed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Letters and digits that neither form words nor are mistaken for each other, as in Kubernetes.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Letters of a generated ending.
const ENDING: usize = 5;

/// The longest name that is generated, so that it is a label.
const LONGEST_GENERATED: usize = 63;

/// SplitMix64: a counter and a mixing function, so that no lock is needed.
pub struct Identity(AtomicU64);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// So far away that a process never gets there step by step.
const ASIDE: u64 = 1 << 63;

impl Identity {
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// Draws from elsewhere until it goes back to where it was, which it returns.
    pub fn go_aside(&self) -> u64 {
        self.0.fetch_xor(ASIDE, Ordering::Relaxed)
    }

    /// Draws as if it had never gone aside.
    pub fn go_back(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }

    pub fn number(&self) -> u64 {
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A UUID of version 4.
    pub fn uid(&self) -> String {
        let (high, low) = (self.number(), self.number());
        let high = high & !0xf000 | 0x4000;
        let low = low & !(0b11 << 62) | 0b10 << 62;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xffff,
            low >> 48,
            low & 0xffff_ffff_ffff
        )
    }

    /// `prefix` with a random ending.
    pub fn name(&self, prefix: &str) -> String {
        let room = LONGEST_GENERATED - ENDING;
        let end =
            prefix.char_indices().map(|(at, _)| at).chain([prefix.len()]).filter(|at| *at <= room).max();
        let mut name = prefix[..end.unwrap_or(0)].to_owned();
        let mut number = self.number();
        for _ in 0..ENDING {
            let letters = LETTERS.len() as u64;
            name.push(char::from(LETTERS[(number % letters) as usize]));
            number /= letters;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_names() {
        let (one, other) = (Identity::new(7), Identity::new(7));
        assert_eq!((one.uid(), one.name("web-")), (other.uid(), other.name("web-")));
        assert_ne!(one.uid(), one.uid());
        let uid = one.uid();
        assert_eq!((uid.len(), &uid[14..15]), (36, "4"));
        assert!("89ab".contains(&uid[19..20]));
        assert_eq!(one.name(&"a".repeat(80)).len(), 63);
    }

    #[test]
    fn what_is_drawn_aside_changes_nothing_later() {
        let (one, other) = (Identity::new(7), Identity::new(7));
        let was = one.go_aside();
        let aside = one.uid();
        one.go_back(was);
        let next = one.uid();
        assert_eq!(next, other.uid());
        assert_ne!(next, aside);
    }
}
