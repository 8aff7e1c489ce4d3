//! Fuel as guests burn it: the tank of a store is filled with what is left of the container's budget, and read at each turn.

use api::Clock;
use jiff::Timestamp;
use wasmtime::{Store, StoreContextMut, Trap, UpdateDeadline};

use crate::limits::cpu::{Currency, FuelExhausted, FuelGauge, Metering};

/// The state of a store whose guest may be charged in fuel.
pub trait Fueled: Send + 'static {
    /// What follows the store's tank.
    fn fuel(&mut self) -> &mut FuelGauge;
}

/// Fills the tank of a store before a call, if its guest pays in fuel.
pub fn fill<T: Fueled>(store: &mut Store<T>) -> wasmtime::Result<()> {
    let gauge = store.data_mut().fuel();
    if gauge.meter().currency() == Currency::Time {
        return Ok(());
    }
    let fuel = gauge.fill();
    store.set_fuel(fuel)
}

/// Charges what a call has burnt since the last look, if its guest pays in fuel. Nobody waits for it here: the next call does.
pub fn settle<T: Fueled>(store: &mut Store<T>, now: Timestamp) {
    if store.data_mut().fuel().meter().currency() == Currency::Time {
        return;
    }
    if let Ok(left) = store.get_fuel() {
        // If nothing is left, the call has failed of it, or needs no more.
        let _ = store.data_mut().fuel().read(left, now);
    }
}

/// Charges at each turn, and lets the guest wait for its share where it stands.
///
/// The fuel that is seen here is exact when the guest has just yielded for fuel: only then, and before calls, does compiled
/// code write it back. As guests yield once in so many units, no more than that escapes a look.
pub fn charge_at_each_turn<T: Fueled>(store: &mut Store<T>, metering: &Metering, clock: &Clock) {
    let (metering, clock) = (metering.clone(), clock.clone());
    store.epoch_deadline_callback(move |mut store: StoreContextMut<'_, T>| {
        let left = store.get_fuel()?;
        let gauge = store.data_mut().fuel();
        let Some(span) = gauge.read(left, clock.now())? else {
            return Ok(UpdateDeadline::Continue(1));
        };
        let (metering, meter) = (metering.clone(), gauge.meter().clone());
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(async move { metering.hold(&meter, span).await })))
    });
}

/// Whether a call failed because the budget is spent.
pub fn is_exhausted(error: &wasmtime::Error) -> bool {
    error.is::<FuelExhausted>() || error.downcast_ref::<Trap>() == Some(&Trap::OutOfFuel)
}
