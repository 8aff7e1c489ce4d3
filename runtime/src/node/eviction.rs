//! Lets pods go when the node runs short of memory or disk, one at a time, and those that exceed what they may have on the
//! disk. Decides as the kubelet does and with its words.

mod choose;
mod local;
mod measure;
mod pressure;
mod threshold;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::event::{Involved, Occurrence, Severity};
use api::resource::{NODES, PODS};
use api::{Key, Object};
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;
use tracing::warn;

pub use measure::{MachineVitals, Vitals};
pub(super) use pressure::Pressure;
pub use threshold::{Lack, Least, Observation, Observations, Signal, Threshold, ThresholdError};

use super::Shared;
use super::machine::{Eviction, Phase, Refusal};
use super::post::{Post, is_on};
use super::status::class;
use choose::{CRITICAL, Part, Tenant, choose};
use local::{DiskUse, exceeded, has_limit, requested};
use pressure::{Due, Watch};

/// How often the node is looked at, as by the kubelet.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long a pod that goes at once may still take, as with the kubelet.
const AT_ONCE: Duration = Duration::from_secs(1);
/// How often to look whether a pod that was let go has ended, and how many times before the next may go.
const AFTERWARDS: Duration = Duration::from_secs(1);
const PATIENCE_AFTERWARDS: u32 = 30;

/// When pods have to go.
#[derive(Clone)]
pub struct EvictionConfig {
    /// How little may be left.
    pub thresholds: Vec<Threshold>,
    /// What is left; none to look at nothing, not even at the limits of disk.
    pub vitals: Option<Arc<dyn Vitals>>,
    /// How long a pod may take to end when it goes because of a soft threshold.
    pub soft_grace: Duration,
}

impl EvictionConfig {
    /// Nobody ever has to go.
    pub fn none() -> Self {
        Self { thresholds: Vec::new(), vitals: None, soft_grace: Duration::ZERO }
    }
}

impl fmt::Debug for EvictionConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EvictionConfig").field("thresholds", &self.thresholds).finish_non_exhaustive()
    }
}

/// The pods of the node that can be told to go, and the pressure the node is under.
pub(super) struct Evictions {
    posts: Mutex<BTreeMap<Arc<str>, Post>>,
    pressure: watch::Sender<Pressure>,
}

impl Evictions {
    pub(super) fn new(since: jiff::Timestamp) -> Self {
        Self { posts: Mutex::default(), pressure: watch::Sender::new(Pressure::none(since)) }
    }

    /// Knows how to reach the worker of a pod.
    pub(super) fn know(&self, uid: &Arc<str>, post: &Post) {
        self.lock().insert(Arc::clone(uid), post.clone());
    }

    /// Forgets a pod.
    pub(super) fn forget(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// The conditions of the node.
    pub(super) fn pressure(&self) -> watch::Receiver<Pressure> {
        self.pressure.subscribe()
    }

    /// Under pressure a node takes no new pods but critical ones; for lack of memory alone only those that asked for none and
    /// do not tolerate it are refused.
    pub(super) fn admit(&self, pod: &Pod) -> Result<(), Refusal> {
        let names = self.pressure.borrow().names();
        let may_stay = match names[..] {
            [] => true,
            ["MemoryPressure"] => quality(pod) != "BestEffort" || tolerates_lack_of_memory(pod),
            _ => false,
        };
        if may_stay || priority(pod) >= CRITICAL {
            return Ok(());
        }
        let message = format!("The node had condition: [{}]. ", names.join(" "));
        Err(Refusal { reason: "Evicted", message })
    }

    fn tell(&self, uid: &str, eviction: Eviction) {
        if let Some(post) = self.lock().get(uid) {
            post.send_modify(|mail| mail.must_go(eviction));
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Post>> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the node again and again.
pub(super) async fn keep_watch(shared: Arc<Shared>) {
    let config = shared.config.eviction.clone();
    let Some(vitals) = config.vitals else { return };
    let mut watch = Watch::new(config.thresholds);
    loop {
        let found = off_thread({
            let vitals = Arc::clone(&vitals);
            move || vitals.observe()
        })
        .await;
        let gone = shared.look(&mut watch, &found).await;
        shared.wait_for_end(&gone).await;
        shared.config.clock.sleep(INTERVAL).await;
    }
}

impl Shared {
    /// Looks at the node once, and says who had to go.
    async fn look(&self, watch: &mut Watch, found: &Observations) -> Vec<Arc<str>> {
        let now = self.config.clock.now();
        let due = watch.observe(found, now);
        self.evictions.pressure.send_if_modified(|pressure| {
            let before = *pressure;
            pressure.turn(watch.is_under(Lack::Memory, now), watch.is_under(Lack::Disk, now), now);
            *pressure != before
        });
        let over = self.evict_those_over_their_limits().await;
        match due {
            Some(due) if over.is_empty() => self.evict_one(&due).await.into_iter().collect(),
            _ => over,
        }
    }

    async fn evict_those_over_their_limits(&self) -> Vec<Arc<str>> {
        let mut gone = Vec::new();
        for pod in self.active_pods() {
            let Ok(typed) = pod.typed::<Pod>() else { continue };
            if !has_limit(typed) || priority(typed) >= CRITICAL {
                continue;
            }
            if let Some(message) = exceeded(typed, &self.disk_use(&pod).await) {
                let eviction = Eviction { message, grace: AT_ONCE, is_for_the_node: false };
                self.evictions.tell(pod.uid(), eviction);
                gone.push(pod.uid().into());
            }
        }
        gone
    }

    async fn evict_one(&self, due: &Due) -> Option<Arc<str>> {
        self.announce(due);
        let tenants = self.tenants(due.threshold.signal).await;
        let Some(tenant) = choose(&tenants) else {
            warn!(threshold = %due.threshold, "the node runs short and there is no pod to evict");
            return None;
        };
        let is_hard = due.threshold.patience.is_zero();
        let grace = if is_hard { AT_ONCE } else { self.config.eviction.soft_grace };
        let eviction = Eviction { message: choose::message(due, tenant), grace, is_for_the_node: true };
        self.evictions.tell(&tenant.uid, eviction);
        Some(Arc::clone(&tenant.uid))
    }

    fn announce(&self, due: &Due) {
        let Some(node) = self.config.cache.get(&NODES, &Key::cluster(self.config.name.as_str())) else {
            return;
        };
        self.config.recorder.record(Occurrence {
            involved: Involved::object(&node),
            severity: Severity::Warning,
            reason: "EvictionThresholdMet".into(),
            message: format!("Attempting to reclaim {}", due.threshold.signal.resource()).into(),
        });
    }

    /// The pods that may have to go, with what they have of what is short.
    async fn tenants(&self, signal: Signal) -> Vec<Tenant> {
        let (_, running) = self.usage.measure(self.config.clock.now());
        let mut tenants = Vec::new();
        for pod in self.active_pods() {
            let Ok(typed) = pod.typed::<Pod>() else { continue };
            let disk = match signal.lack() {
                Lack::Memory => DiskUse::default(),
                Lack::Disk => self.disk_use(&pod).await,
            };
            let containers = typed.spec.iter().flat_map(|spec| &spec.containers);
            let parts: Vec<Part> = containers
                .map(|container| {
                    let of_it =
                        running.iter().filter(|one| *one.uid == *pod.uid() && *one.name == *container.name);
                    let used = match signal.lack() {
                        Lack::Memory => of_it.map(|one| one.measured.memory_bytes).sum(),
                        Lack::Disk => disk.containers.get(&container.name).copied().unwrap_or(0),
                    };
                    let requested = requested(container, signal.resource());
                    Part { name: container.name.as_str().into(), requested, used }
                })
                .collect();
            tenants.push(Tenant {
                key: pod.key(),
                uid: pod.uid().into(),
                priority: priority(typed),
                requested: parts.iter().map(|part| part.requested).sum(),
                used: match signal.lack() {
                    Lack::Memory => parts.iter().map(|part| part.used).sum(),
                    Lack::Disk => disk.total,
                },
                containers: parts,
            });
        }
        tenants
    }

    /// The pods here that have not ended.
    fn active_pods(&self) -> Vec<Object> {
        let has_ended = |pod: &Object| {
            let phase = |pod: &Pod| pod.status.as_ref().and_then(|status| status.phase.clone());
            pod.typed::<Pod>().ok().and_then(phase).is_some_and(|phase| Phase::named(&phase).is_final())
        };
        let pods = self.config.cache.snapshot(&PODS);
        let ours = pods.iter().filter(|pod| is_on(pod, &self.config.name) && !has_ended(pod));
        ours.filter(|pod| self.evictions.lock().contains_key(pod.uid())).cloned().collect()
    }

    async fn disk_use(&self, pod: &Object) -> DiskUse {
        let (folder, logs) = (self.folder_of_pod(pod.uid()), self.folder_of_logs(&pod.key(), pod.uid()));
        off_thread(move || measure::disk_use(&folder, &logs)).await
    }

    /// Waits until those that had to go have ended, though not for ever.
    async fn wait_for_end(&self, gone: &[Arc<str>]) {
        for _ in 0..PATIENCE_AFTERWARDS {
            let active = self.active_pods();
            if !active.iter().any(|pod| gone.iter().any(|uid| **uid == *pod.uid())) {
                return;
            }
            self.config.clock.sleep(AFTERWARDS).await;
        }
    }
}

fn quality(pod: &Pod) -> String {
    let told = pod.status.as_ref().and_then(|status| status.qos_class.clone());
    told.unwrap_or_else(|| class(pod).to_owned())
}

fn tolerates_lack_of_memory(pod: &Pod) -> bool {
    let mut tolerations = pod.spec.iter().flat_map(|spec| spec.tolerations.iter().flatten());
    tolerations.any(|toleration| {
        let exists = toleration.operator.as_deref() == Some("Exists");
        let effect = toleration.effect.as_deref().unwrap_or_default();
        let has_key = match toleration.key.as_deref() {
            None | Some("") => exists,
            Some(key) => key == "node.kubernetes.io/memory-pressure",
        };
        let has_value = exists || toleration.value.as_deref().unwrap_or_default().is_empty();
        ["", "NoSchedule"].contains(&effect) && has_key && has_value
    })
}

fn priority(pod: &Pod) -> i32 {
    pod.spec.as_ref().and_then(|spec| spec.priority).unwrap_or(0)
}

/// Runs what reads the disk where it may block.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(found) => found,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime shuts down, and this task with it.
            Err(_) => std::future::pending().await,
        },
    }
}
