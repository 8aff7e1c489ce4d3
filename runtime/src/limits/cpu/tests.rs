//! The bookkeeping of CPU time: periods, debt, waits.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::AtomicUsize;

use api::Clock;

use super::bucket::PERIOD;
use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

/// Spends per row `(at, spent)` and returns the waits, all in milliseconds.
fn waits(millis: u32, rows: &[(i64, u64)]) -> Vec<u64> {
    let meter = CpuMeter::new(Currency::Time, Some(millis));
    rows.iter()
        .map(|(now, spent)| {
            meter.spend(Duration::from_millis(*spent), at(*now)).map_or(0, |wait| wait.as_millis() as u64)
        })
        .collect()
}

#[test]
fn a_container_waits_for_the_period_that_pays_its_debt() {
    let check = |millis: u32, rows: &[(i64, u64)], expected: &[u64]| {
        assert_eq!(waits(millis, rows), expected, "{millis}m of {rows:?}");
    };
    // Within its share it never waits; exactly used up, it waits for the next period.
    check(250, &[(0, 5), (5, 5), (10, 5)], &[0, 0, 0]);
    check(250, &[(0, 25)], &[100]);
    check(250, &[(0, 5), (40, 20)], &[0, 60]);
    // A long bulk operation is owed over as many periods as it takes.
    check(100, &[(0, 10)], &[100]);
    check(100, &[(0, 19)], &[100]);
    check(100, &[(0, 20)], &[200]);
    check(100, &[(50, 105)], &[1000]);
    // What is left over is lost; debt is not.
    check(500, &[(0, 1), (1000, 50)], &[0, 100]);
    check(500, &[(0, 120), (250, 29), (250, 1)], &[200, 0, 50]);
    // Two cores are two shares.
    check(2000, &[(0, 199), (0, 1)], &[0, 100]);
    // The clock is set back: it goes on from there.
    check(100, &[(10_000, 5), (0, 4), (0, 1)], &[0, 0, 100]);
}

#[test]
fn periods_are_counted_once_each() {
    let check = |rows: &[(i64, u64)], expected: (u64, u64)| {
        let meter = CpuMeter::new(Currency::Time, Some(100));
        for (now, spent) in rows {
            meter.spend(Duration::from_millis(*spent), at(*now));
        }
        let Periods { all, throttled } = meter.periods();
        assert_eq!((all, throttled), expected, "{rows:?}");
    };
    check(&[], (0, 0));
    check(&[(0, 5), (50, 4)], (1, 0));
    check(&[(0, 5), (950, 4)], (2, 0));
    check(&[(0, 10), (100, 10)], (2, 2));
    // A debt holds back over as many periods as it takes, whoever looks meanwhile.
    check(&[(0, 39)], (3, 3));
    check(&[(0, 39), (250, 0), (399, 0), (400, 5)], (5, 3));
}

#[test]
fn another_limit_holds_at_once() {
    let meter = CpuMeter::new(Currency::Time, None);
    let spend = |spent: u64, now: i64| meter.spend(Duration::from_millis(spent), at(now));
    assert_eq!(spend(500, 0), None);
    meter.set_limit(Some(100));
    assert_eq!(spend(9, 0), None);
    meter.set_limit(Some(200));
    assert_eq!(spend(10, 10), None);
    meter.set_limit(Some(100));
    assert_eq!(spend(0, 20), Some(Duration::from_millis(80)));
    meter.set_limit(None);
    assert_eq!((spend(500, 30), meter.limit_millis()), (None, None));
}

#[test]
fn over_many_periods_a_guest_gets_its_share_and_one_overshoot_at_most() {
    let check = |currency: Currency, millis: u32, turn: u64| {
        let meter = CpuMeter::new(currency, Some(millis));
        let (mut now, mut spent) = (Timestamp::UNIX_EPOCH, 0);
        let end = at(100_000);
        while now < end {
            spent += turn;
            let wait = match currency {
                Currency::Time => meter.spend(Duration::from_nanos(turn), now),
                Currency::Fuel => meter.burn(turn, now),
            };
            now = api::clock::add(now, wait.unwrap_or(Duration::from_nanos(1)));
        }
        let periods = 100_000 / PERIOD.as_millis() as u64;
        let share = PERIOD.as_nanos() as u64 * u64::from(millis) / 1000;
        let allowed = periods * share;
        assert!((allowed..allowed + turn).contains(&spent), "{spent} of {allowed} in turns of {turn}");
        let used =
            if currency == Currency::Fuel { meter.used_fuel() } else { meter.used().as_nanos() as u64 };
        assert_eq!(used, spent);
    };
    for currency in [Currency::Time, Currency::Fuel] {
        for turn in [1_000_000, 999_983, 5_000_000, 77_777_777] {
            check(currency, 50, turn);
            check(currency, 250, turn);
            check(currency, 1500, turn);
        }
    }
}

#[test]
fn what_is_not_the_currency_is_told_and_does_not_hold_back() {
    let meter = CpuMeter::new(Currency::Fuel, Some(100));
    assert_eq!(meter.spend(Duration::from_secs(10), at(0)), None);
    assert_eq!(meter.burn(10_000_000, at(0)), Some(PERIOD));
    assert_eq!((meter.used(), meter.used_fuel()), (Duration::from_secs(10), 10_000_000));
}

#[test]
fn a_budget_is_shared_by_all_stores_of_a_container() {
    let pod = CpuMeter::new(Currency::Fuel, None);
    let meter = CpuMeter::within(&pod, None, 0, Some(1000));
    let [mut first, mut second] = [0, 1].map(|_| FuelGauge::new(&meter));
    assert_eq!((first.fill(), second.fill()), (1000, 1000));
    assert_eq!(first.read(600, at(0)), Ok(None));
    assert_eq!(second.read(500, at(0)), Ok(None));
    assert_eq!(first.read(500, at(0)), Err(FuelExhausted { budget: 1000 }));
    assert_eq!((first.fill(), meter.used_fuel()), (0, 1000));
}

#[test]
fn a_pod_holds_its_containers_together() {
    let pod = CpuMeter::new(Currency::Time, Some(100));
    let first = CpuMeter::within(&pod, None, 0, None);
    let second = CpuMeter::within(&pod, Some(1000), 0, None);
    assert_eq!(first.spend(Duration::from_millis(9), at(0)), None);
    let wait = second.spend(Duration::from_millis(1), at(20));
    assert_eq!(wait, Some(Duration::from_millis(80)));
    assert_eq!(pod.used(), Duration::from_millis(10));
}

/// Each poll is preceded and followed by a look; the second finds `step` more.
struct Script {
    looks: AtomicUsize,
    step: Duration,
}

impl ThreadTime for Script {
    fn spent(&self) -> Duration {
        let looks = self.looks.fetch_add(1, Ordering::Relaxed) as u32;
        self.step * looks.div_ceil(2)
    }
}

/// A guest that uses a slice of CPU time and yields, as many times as told.
async fn slices(count: usize) {
    for _ in 1..count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_guest_takes_as_long_as_its_limit_says() {
    let clock = Clock::virtual_from(at(0));
    let script = Script { looks: AtomicUsize::new(0), step: Duration::from_millis(5) };
    let metering = Metering::by_thread_time(clock.clone(), Arc::new(script), Weights::none());
    let meter = CpuMeter::new(Currency::Time, Some(100));
    // 200 ms of CPU time at a tenth of a core: 19 periods are waited for, the 20th ends it.
    metering.run(&meter, slices(40)).await;
    assert_eq!(clock.now(), at(1900));
    assert_eq!(meter.used(), Duration::from_millis(200));
    assert_eq!(meter.held(), Duration::from_millis(1900));
}

#[tokio::test(start_paused = true)]
async fn short_guests_pay_for_one_another() {
    let clock = Clock::virtual_from(at(0));
    let script = Script { looks: AtomicUsize::new(0), step: Duration::from_millis(5) };
    let metering = Metering::by_thread_time(clock.clone(), Arc::new(script), Weights::none());
    let meter = CpuMeter::new(Currency::Time, Some(100));
    // Each ends within one poll, as most requests do.
    for _ in 0..40 {
        metering.run(&meter, slices(1)).await;
    }
    assert_eq!(clock.now(), at(1900));
    assert_eq!(meter.held(), Duration::from_millis(1900));
}

#[tokio::test(start_paused = true)]
async fn by_poll_time_passes_with_each_poll() {
    let clock = Clock::virtual_from(at(0));
    let metering = Metering::by_poll(clock.clone(), Duration::from_millis(1));
    metering.run(&CpuMeter::new(Currency::Time, None), slices(11)).await;
    assert_eq!(clock.now(), at(10));
}
