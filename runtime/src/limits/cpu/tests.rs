//! The bookkeeping of CPU time: periods, debt, waits.

#![allow(clippy::unwrap_used)]

use super::*;
use std::sync::atomic::AtomicUsize;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap()
}

/// Spends per row `(at, spent)` and returns the waits, all in milliseconds.
fn waits(millis: u32, rows: &[(i64, u64)]) -> Vec<u64> {
    let meter = CpuMeter::new(Some(millis));
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
fn a_pod_holds_its_containers_together() {
    let pod = CpuMeter::new(Some(100));
    let first = CpuMeter::within(&pod, None);
    let second = CpuMeter::within(&pod, Some(1000));
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
    let metering = Metering::by_thread_time(clock.clone(), Arc::new(script));
    let meter = CpuMeter::new(Some(100));
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
    let metering = Metering::by_thread_time(clock.clone(), Arc::new(script));
    let meter = CpuMeter::new(Some(100));
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
    metering.run(&CpuMeter::new(None), slices(11)).await;
    assert_eq!(clock.now(), at(10));
}
