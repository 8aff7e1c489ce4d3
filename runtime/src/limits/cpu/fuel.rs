//! Fuel: the gauge of one store, which tells its container's meter what the store's guest has burnt.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{CpuMeter, Currency};

/// The budget of fuel is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the budget of {budget} units of fuel is spent")]
pub struct FuelExhausted {
    /// What there was.
    pub budget: u64,
}

/// Follows the fuel in the tank of one store.
#[derive(Debug)]
pub struct FuelGauge {
    meter: Arc<CpuMeter>,
    /// What was in the tank when it was looked at last.
    left: u64,
}

impl FuelGauge {
    /// A gauge for a new store.
    pub fn new(meter: &Arc<CpuMeter>) -> Self {
        Self { meter: Arc::clone(meter), left: 0 }
    }

    /// The meter that is told.
    pub fn meter(&self) -> &Arc<CpuMeter> {
        &self.meter
    }

    /// How much to fill into the tank now: all that is left of the budget.
    pub fn fill(&mut self) -> u64 {
        self.left = self.meter.fuel_left();
        self.left
    }

    /// Takes a look: `left` is in the tank now. Says how long the guest has to wait, or that it has to end, which is so when
    /// others have spent of the same budget.
    pub fn read(&mut self, left: u64, now: Timestamp) -> Result<Option<Duration>, FuelExhausted> {
        let burnt = self.left.saturating_sub(left);
        self.left = left;
        let wait = self.meter.burn(burnt, now).filter(|_| self.meter.currency == Currency::Fuel);
        match self.meter.budget {
            Some(budget) if self.meter.fuel_left() == 0 => Err(FuelExhausted { budget }),
            _ => Ok(wait),
        }
    }
}
