//! Memory: accounts that add up, within one another, and the limiter that charges what a wasm instance grows by.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

/// A sum with a limit, perhaps within a larger one: a container's within its pod's.
#[derive(Debug)]
pub struct Account {
    /// `UNLIMITED` for none.
    limit: AtomicU64,
    used: AtomicU64,
    parent: Option<Arc<Account>>,
}

const UNLIMITED: u64 = u64::MAX;

impl Account {
    /// An account of its own; `None` is without limit.
    pub fn new(limit: Option<u64>) -> Arc<Self> {
        Self::of(limit, None)
    }

    /// An account whose charges count in `parent` too.
    pub fn within(parent: &Arc<Account>, limit: Option<u64>) -> Arc<Self> {
        Self::of(limit, Some(Arc::clone(parent)))
    }

    fn of(limit: Option<u64>, parent: Option<Arc<Account>>) -> Arc<Self> {
        Arc::new(Self { limit: AtomicU64::new(limit.unwrap_or(UNLIMITED)), used: AtomicU64::new(0), parent })
    }

    /// The bytes charged now.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// The limit of this account itself.
    pub fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit != UNLIMITED)
    }

    /// Another limit from now on, perhaps less than what is in use.
    pub fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(UNLIMITED), Ordering::Relaxed);
    }

    /// Charges `bytes` here and in every account around it, or nowhere.
    fn charge(&self, bytes: u64) -> bool {
        let limit = self.limit.load(Ordering::Relaxed);
        let grown = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= limit);
        if self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown).is_err() {
            return false;
        }
        if self.parent.as_ref().is_none_or(|parent| parent.charge(bytes)) {
            return true;
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        false
    }

    fn release(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(parent) = &self.parent {
            parent.release(bytes);
        }
    }
}

/// Bytes charged to an account, given back when dropped.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    bytes: u64,
}

impl Charge {
    /// An empty charge that can grow.
    pub fn none(account: &Arc<Account>) -> Self {
        Self { account: Arc::clone(account), bytes: 0 }
    }

    /// Charges `bytes`, or nothing if that would pass a limit.
    pub fn new(account: &Arc<Account>, bytes: u64) -> Option<Self> {
        let mut charge = Self::none(account);
        charge.grow(bytes).then_some(charge)
    }

    /// Charges `bytes` more; says whether it was allowed.
    pub fn grow(&mut self, bytes: u64) -> bool {
        let allowed = self.account.charge(bytes);
        if allowed {
            self.bytes += bytes;
        }
        allowed
    }

    /// Charges so many bytes in all, or leaves the charge as it is; says whether it was allowed.
    pub fn set(&mut self, bytes: u64) -> bool {
        if bytes < self.bytes {
            self.shrink(self.bytes - bytes);
            return true;
        }
        self.grow(bytes - self.bytes)
    }

    fn shrink(&mut self, bytes: u64) {
        self.account.release(bytes);
        self.bytes -= bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.release(self.bytes);
    }
}

/// Charges what the instances of one store grow by, and remembers whether it ever had to refuse.
#[derive(Debug)]
pub struct MemoryLimiter {
    charge: Charge,
    /// The last growth allowed, to be given back if the growth fails after all.
    last: u64,
    denied: bool,
}

/// What a table costs per element.
const TABLE_ELEMENT_BYTES: u64 = size_of::<usize>() as u64;

impl MemoryLimiter {
    /// A limiter for a new store.
    pub fn new(account: &Arc<Account>) -> Self {
        Self { charge: Charge::none(account), last: 0, denied: false }
    }

    /// Whether a growth was refused for lack of memory. If the guest failed afterwards, it failed of that.
    pub fn denied(&self) -> bool {
        self.denied
    }

    /// Forgets earlier refusals: what follows is another request, which they have nothing to do with.
    pub fn forget(&mut self) {
        self.denied = false;
    }

    fn growing(&mut self, current: u64, desired: u64, maximum: Option<u64>) -> bool {
        self.last = 0;
        if maximum.is_some_and(|maximum| desired > maximum) {
            return false;
        }
        let bytes = desired.saturating_sub(current);
        let allowed = self.charge.grow(bytes);
        if allowed {
            self.last = bytes;
        } else {
            self.denied = true;
        }
        allowed
    }

    fn give_back(&mut self) {
        self.charge.shrink(std::mem::take(&mut self.last));
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.growing(current as u64, desired as u64, maximum.map(|maximum| maximum as u64)))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.give_back();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes = |elements: usize| (elements as u64).saturating_mul(TABLE_ELEMENT_BYTES);
        Ok(self.growing(bytes(current), bytes(desired), maximum.map(bytes)))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.give_back();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 65_536;

    #[test]
    fn growth_is_allowed_up_to_the_smallest_limit_around_it() {
        let check = |container: Option<u64>, pod: Option<u64>, wanted: usize, allowed: bool| {
            let pod = Account::new(pod);
            let account = Account::within(&pod, container);
            let mut limiter = MemoryLimiter::new(&account);
            assert_eq!(limiter.memory_growing(0, wanted, None).expect("an answer"), allowed);
            assert_eq!(limiter.denied(), !allowed);
            let used = if allowed { wanted as u64 } else { 0 };
            assert_eq!((account.used(), pod.used()), (used, used));
            drop(limiter);
            assert_eq!((account.used(), pod.used()), (0, 0));
        };
        check(None, None, PAGE, true);
        check(Some(PAGE as u64), None, PAGE, true);
        check(Some(PAGE as u64 - 1), None, PAGE, false);
        check(None, Some(PAGE as u64 - 1), PAGE, false);
        check(Some(0), Some(0), PAGE, false);
        check(Some(0), Some(0), 0, true);
    }

    #[test]
    fn a_limit_can_change_and_what_is_held_stays() {
        let account = Account::new(None);
        let mut held = Charge::new(&account, 100).expect("no limit");
        account.set_limit(Some(50));
        assert!(!held.grow(1));
        account.set_limit(Some(101));
        assert!(held.grow(1));
        account.set_limit(None);
        assert!(held.grow(1 << 40));
    }

    #[test]
    fn containers_of_a_pod_count_together() {
        let pod = Account::new(Some(100));
        let first = Account::within(&pod, Some(80));
        let second = Account::within(&pod, Some(80));
        let held = Charge::new(&first, 80).expect("room for the first");
        assert!(Charge::new(&second, 21).is_none());
        let rest = Charge::new(&second, 20).expect("room for the rest");
        drop(held);
        assert_eq!((pod.used(), first.used(), second.used()), (20, 0, 20));
        drop(rest);
        assert_eq!(pod.used(), 0);
    }

    #[test]
    fn a_charge_follows_what_is_measured() {
        let account = Account::new(Some(100));
        let mut charge = Charge::none(&account);
        for (bytes, allowed, used) in [(60, true, 60), (20, true, 20), (101, false, 20), (100, true, 100)] {
            assert_eq!((charge.set(bytes), account.used()), (allowed, used), "{bytes}");
        }
    }

    #[test]
    fn a_growth_past_the_own_maximum_is_no_lack_of_memory() {
        let account = Account::new(Some(u64::MAX));
        let mut limiter = MemoryLimiter::new(&account);
        let allowed = limiter.memory_growing(PAGE, 3 * PAGE, Some(2 * PAGE));
        assert!(!allowed.expect("an answer"));
        assert!(!limiter.denied());
        assert_eq!(account.used(), 0);
    }

    #[test]
    fn a_growth_that_fails_after_all_is_given_back() {
        let account = Account::new(None);
        let mut limiter = MemoryLimiter::new(&account);
        assert!(limiter.memory_growing(0, PAGE, None).expect("an answer"));
        assert!(limiter.table_growing(0, 10, None).expect("an answer"));
        limiter.table_grow_failed(wasmtime::Error::msg("no room")).expect("taken back");
        assert_eq!(account.used(), PAGE as u64);
    }
}
