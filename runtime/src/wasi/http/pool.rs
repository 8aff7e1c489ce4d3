//! The instances of one `wasi:http` container: each serves one request at a time and is used again for the next.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use api::Clock;
use futures::FutureExt;
use hyper::body::Incoming;
use jiff::Timestamp;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use wasmtime::{PoolConcurrencyLimitError, Store};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
use wasmtime_wasi_http::p2::body::{HostOutgoingBody, HyperOutgoingBody};

use crate::limits::ContainerLimits;
use crate::limits::cpu::Metering;
use crate::limits::memory::Charge;
use crate::wasi::{Guest, Sink, fuel};

use super::outgoing::WRITE_AHEAD_BYTES;

/// How many instances of a container work at once. More would only add memory: a guest that computes is bound by the
/// cores, and one that waits on others is bound by them.
const MOST_INSTANCES: usize = 64;
/// How many requests wait for an instance; those after them are answered 503.
const MOST_WAITING: usize = 1024;
/// An instance is replaced after this many requests, so that what its guest leaks is bounded.
const MOST_REQUESTS: u32 = 1000;
/// An instance that has had nothing to do for this long is dropped, its memory freed.
pub(super) const IDLE_TIME: Duration = Duration::from_secs(5);

/// A program that answers requests.
#[derive(Clone)]
pub struct HttpProgram {
    /// Makes instances.
    pub proxy: ProxyPre<Guest>,
    /// Whether they serve one request each and no more.
    pub serves_once: bool,
}

/// How to serve requests: the program and what its instances share.
pub struct Handler {
    /// Makes instances.
    pub program: HttpProgram,
    /// Makes the store of a new instance.
    pub new_store: Box<dyn Fn() -> wasmtime::Result<Store<Guest>> + Send + Sync>,
    /// Leave for instances beside a container's first, shared by all containers: so one that is asked much leaves room for
    /// the others to start.
    pub further: Arc<Semaphore>,
    /// Charges their time.
    pub metering: Metering,
    /// What all of them may use.
    pub limits: ContainerLimits,
    /// The time.
    pub clock: Clock,
    /// Where traps are told.
    pub stderr: Sink,
}

pub(super) type Answer = Result<http::Response<HyperOutgoingBody>, ErrorCode>;

/// Why a request did not reach a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too many wait already.
    Overloaded,
}

pub(super) struct Pool {
    handler: Handler,
    slots: Arc<Semaphore>,
    waiting: AtomicUsize,
    idle: Mutex<Vec<Instance>>,
    /// One at a time is made: two at once could refuse each other the memory that is enough for one.
    making: Semaphore,
    /// Instances that exist, idle or at work.
    living: AtomicUsize,
    /// One permit per instance that became idle or ended.
    returned: Notify,
    /// An instance became idle.
    pub(super) rested: Notify,
    /// The container failed as a whole.
    pub(super) out_of_memory: Notify,
    pub(super) out_of_fuel: Notify,
}

struct Instance {
    store: Store<Guest>,
    proxy: Proxy,
    served: u32,
    idle_since: Timestamp,
    _room: Room,
    _alive: Alive,
}

/// What an instance occupies besides its own memory.
struct Room {
    _buffers: Charge,
    _further: Option<OwnedSemaphorePermit>,
}

/// Counts an instance among the living until it is dropped.
struct Alive(Weak<Pool>);

impl Drop for Alive {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.living.fetch_sub(1, Ordering::Relaxed);
            pool.returned.notify_one();
        }
    }
}

impl Pool {
    pub(super) fn new(handler: Handler) -> Arc<Self> {
        Arc::new(Self {
            handler,
            slots: Arc::new(Semaphore::new(MOST_INSTANCES)),
            waiting: AtomicUsize::new(0),
            idle: Mutex::default(),
            making: Semaphore::new(1),
            living: AtomicUsize::new(0),
            returned: Notify::new(),
            rested: Notify::new(),
            out_of_memory: Notify::new(),
            out_of_fuel: Notify::new(),
        })
    }

    pub(super) fn handler(&self) -> &Handler {
        &self.handler
    }

    /// Waits for leave to serve one request.
    pub(super) async fn admit(&self) -> Result<OwnedSemaphorePermit, Refused> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(slot);
        }
        let _queued = Queued::join(&self.waiting)?;
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        slot.map_err(|_| Refused::Overloaded)
    }

    /// Serves one request. What goes wrong is told to the log; the client sees that `answer` is dropped.
    pub(super) async fn serve(
        self: Arc<Self>,
        _slot: OwnedSemaphorePermit,
        request: http::Request<Incoming>,
        answer: oneshot::Sender<Answer>,
    ) {
        let mut instance = match self.instance().await {
            Ok(instance) => instance,
            Err(error) => return self.report(&error.error, error.out_of_memory),
        };
        let handler = &self.handler;
        if let Err(error) = fuel::fill(&mut instance.store) {
            return self.report(&error, false);
        }
        let called = call(&mut instance, request, answer);
        let called = handler.metering.run(handler.limits.cpu(), called).await;
        fuel::settle(&mut instance.store, handler.clock.now());
        match called {
            Ok(()) => self.rest(instance),
            Err(error) => {
                let out_of_memory = instance.store.data_mut().memory().denied();
                self.report(&error, out_of_memory);
            }
        }
    }

    async fn instance(self: &Arc<Self>) -> Result<Instance, NoInstance> {
        let mut has_waited = false;
        loop {
            match self.rested_or_new().await {
                Err(failure) if failure.is_shortage && self.living.load(Ordering::Relaxed) > 0 => {
                    self.returned.notified().await;
                    has_waited = true;
                }
                outcome => {
                    // Two may have returned at once and left one permit: let the next one look too.
                    if has_waited {
                        self.returned.notify_one();
                    }
                    return outcome;
                }
            }
        }
    }

    async fn rested_or_new(self: &Arc<Self>) -> Result<Instance, NoInstance> {
        if let Some(instance) = self.rested_instance() {
            return Ok(instance);
        }
        let _turn = self.making.acquire().await;
        match self.rested_instance() {
            Some(instance) => Ok(instance),
            None => self.instantiate().await,
        }
    }

    fn rested_instance(&self) -> Option<Instance> {
        lock(&self.idle).pop()
    }

    async fn instantiate(self: &Arc<Self>) -> Result<Instance, NoInstance> {
        let handler = &self.handler;
        let room = self.room_for_another().ok_or_else(NoInstance::no_room)?;
        let mut store = (handler.new_store)().map_err(NoInstance::failed)?;
        let instantiating = handler.program.proxy.instantiate_async(&mut store);
        let instantiated = handler.metering.run(handler.limits.cpu(), instantiating).await;
        fuel::settle(&mut store, handler.clock.now());
        let proxy = match instantiated {
            Ok(proxy) => proxy,
            Err(error) => {
                let out_of_memory = store.data_mut().memory().denied();
                return Err(NoInstance {
                    is_shortage: out_of_memory || error.is::<PoolConcurrencyLimitError>(),
                    out_of_memory,
                    error,
                });
            }
        };
        self.living.fetch_add(1, Ordering::Relaxed);
        Ok(Instance {
            store,
            proxy,
            served: 0,
            idle_since: Timestamp::UNIX_EPOCH,
            _room: room,
            _alive: Alive(Arc::downgrade(self)),
        })
    }

    /// Makes room for an instance, if there is any.
    ///
    /// Where others exist already, a part of the memory limit is left to them for what their requests need.
    fn room_for_another(&self) -> Option<Room> {
        let memory = self.handler.limits.memory();
        let living = self.living.load(Ordering::Relaxed) as u64;
        if let Some(limit) = memory.limit().filter(|_| living > 0) {
            let used = memory.used();
            if used + used / living > limit - limit / 4 {
                return None;
            }
        }
        let further = match living {
            0 => None,
            _ => Some(Arc::clone(&self.handler.further).try_acquire_owned().ok()?),
        };
        Some(Room { _buffers: Charge::new(memory, WRITE_AHEAD_BYTES as u64)?, _further: further })
    }

    /// Keeps the instance for the next request, unless it has served enough or holds on to a reply: then only its end
    /// lets the client see that no more will come.
    fn rest(&self, mut instance: Instance) {
        instance.served += 1;
        let guest = instance.store.data_mut();
        let holds_reply = guest.table.iter_mut().any(|entry| entry.is::<HostOutgoingBody>());
        if self.handler.program.serves_once || instance.served >= MOST_REQUESTS || holds_reply {
            return;
        }
        guest.memory.forget();
        instance.idle_since = self.handler.clock.now();
        lock(&self.idle).push(instance);
        self.returned.notify_one();
        self.rested.notify_one();
    }

    /// Drops an idle instance to free its memory; says whether there was one.
    pub(super) fn drop_one(&self) -> bool {
        self.rested_instance().is_some()
    }

    /// Drops instances that have been idle for too long; says whether idle ones are left.
    pub(super) fn drop_idle(&self) -> bool {
        let now = self.handler.clock.now();
        let mut dropped = Vec::new();
        let mut idle = lock(&self.idle);
        // The longest idle lie first, as the last used is used next.
        let fresh = idle.partition_point(|instance| api::clock::add(instance.idle_since, IDLE_TIME) <= now);
        dropped.extend(idle.drain(..fresh));
        !idle.is_empty()
    }

    fn report(&self, error: &wasmtime::Error, out_of_memory: bool) {
        if out_of_memory {
            self.out_of_memory.notify_one();
        } else if fuel::is_exhausted(error) {
            self.out_of_fuel.notify_one();
        }
        // Requests come from others: those that fail may not fill the log faster than the guest itself may.
        let stderr = &self.handler.stderr;
        if stderr.ready().now_or_never().is_some() {
            stderr.write(format!("request failed: {error:#}\n").as_bytes());
        }
    }
}

struct NoInstance {
    error: wasmtime::Error,
    out_of_memory: bool,
    /// Another instance's end may help.
    is_shortage: bool,
}

impl NoInstance {
    fn no_room() -> Self {
        Self {
            error: wasmtime::Error::msg("the container's memory limit leaves no room for an instance"),
            out_of_memory: true,
            is_shortage: true,
        }
    }

    fn failed(error: wasmtime::Error) -> Self {
        Self { error, out_of_memory: false, is_shortage: false }
    }
}

async fn call(
    instance: &mut Instance,
    request: http::Request<Incoming>,
    answer: oneshot::Sender<Answer>,
) -> wasmtime::Result<()> {
    let store = &mut instance.store;
    // Its last turn may be long ago; it has a whole one from now.
    store.set_epoch_deadline(1);
    // Shared so that it can be dropped here if the guest returns without an answer but keeps the handle.
    let answer = Arc::new(Mutex::new(Some(answer)));
    let give = Arc::clone(&answer);
    let mut view = store.data_mut().http();
    let request = view.new_incoming_request(Scheme::Http, request)?;
    let outparam = view.new_response_outparam_from_callback(move |reply| {
        if let Some(answer) = lock(&give).take() {
            // The client may have gone.
            drop(answer.send(reply));
        }
    })?;
    let handler = instance.proxy.wasi_http_incoming_handler();
    let called = handler.call_handle(store, request, outparam).await;
    drop(lock(&answer).take());
    called
}

/// A place in the queue for an instance.
struct Queued<'a>(&'a AtomicUsize);

impl<'a> Queued<'a> {
    fn join(waiting: &'a AtomicUsize) -> Result<Self, Refused> {
        if waiting.fetch_add(1, Ordering::Relaxed) >= MOST_WAITING {
            waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(Refused::Overloaded);
        }
        Ok(Self(waiting))
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
