//! The clocks of guests, told by the one clock of the process.

use std::time::Duration;

use api::Clock;
use jiff::Timestamp;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtxBuilder};

/// Gives the guest the time of `clock`.
pub(super) fn set(builder: &mut WasiCtxBuilder, clock: &Clock) {
    builder.wall_clock(Wall(clock.clone()));
    // Wall time steps, so real guests keep the system's monotonic clock; virtual time never does.
    if clock.is_virtual() {
        builder.monotonic_clock(Monotonic { clock: clock.clone(), start: clock.now() });
    }
}

struct Wall(Clock);

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.0.now().duration_since(Timestamp::UNIX_EPOCH).try_into().unwrap_or_default()
    }
}

struct Monotonic {
    clock: Clock,
    start: Timestamp,
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        let passed = self.clock.now().duration_since(self.start);
        u64::try_from(passed.as_nanos()).unwrap_or(0)
    }
}
