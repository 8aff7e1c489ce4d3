//! The room on a node: what it has, what its pods asked for, and whether one more fits.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use api::quantity::{Format, Quantity};
use k8s_openapi::api::core::v1::{Container, Pod};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as ApiQuantity;

use super::machine::Refusal;

/// What a node has for its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Thousandths of a core.
    pub cpu_millis: u64,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Bytes of disk below the data directory; none if that is not known.
    pub storage_bytes: Option<u64>,
    /// How many pods.
    pub pods: u32,
}

impl Capacity {
    /// What this machine, or the control group this process is in, has.
    pub fn of_this_machine(pods: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
        let limit = limit.and_then(|text| text.trim().parse().ok());
        let machine = fs::read_to_string("/proc/meminfo").ok();
        let machine = machine.and_then(|text| memory_total(&text));
        Self {
            cpu_millis: cores * 1000,
            memory_bytes: limit.into_iter().chain(machine).min().unwrap_or(UNKNOWN_MEMORY),
            storage_bytes: None,
            pods,
        }
    }

    /// With the storage there is below `folder`, if it is not set yet and can be found out.
    #[must_use]
    pub fn with_storage_of(mut self, folder: &Path) -> Self {
        let found = || {
            // The folder itself may still have to be made.
            let disk = folder.ancestors().find_map(|folder| rustix::fs::statvfs(folder).ok())?;
            disk.f_blocks.checked_mul(disk.f_frsize)
        };
        self.storage_bytes = self.storage_bytes.or_else(found);
        self
    }

    /// As a node's status has it.
    pub(super) fn amounts(&self) -> BTreeMap<String, ApiQuantity> {
        let bytes = |bytes: u64| Quantity::from_units(signed(bytes), Format::BinarySi);
        let mut amounts = BTreeMap::from([
            ("cpu".to_owned(), Quantity::from_millis(signed(self.cpu_millis)).into()),
            ("memory".to_owned(), bytes(self.memory_bytes).into()),
            ("pods".to_owned(), Quantity::from_units(self.pods.into(), Format::DecimalSi).into()),
        ]);
        if let Some(storage) = self.storage_bytes {
            amounts.insert("ephemeral-storage".to_owned(), bytes(storage).into());
        }
        amounts
    }
}

/// Assumed where the machine does not tell.
const UNKNOWN_MEMORY: u64 = 1 << 30;

fn memory_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// The amounts a pod asks for, in the order in which they are checked.
type Amounts = [u64; 3];

const NAMES: [(&str, &str); 3] = [("pods", "OutOfpods"), ("cpu", "OutOfcpu"), ("memory", "OutOfmemory")];

/// Counts what the pods of a node asked for.
#[derive(Debug)]
pub(super) struct Rooms {
    capacity: Amounts,
    used: Arc<Mutex<Amounts>>,
}

/// A pod's share of the node, given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    amounts: Amounts,
    used: Arc<Mutex<Amounts>>,
}

/// Why a pod that runs is not given more.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shortage {
    /// The node never has that much.
    Ever(String),
    /// Other pods have it.
    Now(String),
}

impl Rooms {
    pub(super) fn new(capacity: &Capacity) -> Self {
        Self {
            capacity: [capacity.pods.into(), capacity.cpu_millis, capacity.memory_bytes],
            used: Arc::default(),
        }
    }

    /// Takes what the pod asks for now in place of what it took, or says what there is too little of.
    pub(super) fn resize(&self, room: &mut Room, pod: &Pod) -> Result<(), Shortage> {
        let amounts = asked(pod);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let others: Amounts = std::array::from_fn(|index| used[index].saturating_sub(room.amounts[index]));
        for (index, (name, _)) in NAMES.into_iter().enumerate() {
            let (asked, used, capacity) = (amounts[index], others[index], self.capacity[index]);
            if asked > capacity {
                let message = format!(
                    "Node didn't have enough capacity: {name}, requested: {asked}, capacity: {capacity}"
                );
                return Err(Shortage::Ever(message));
            }
            // What is given back is never refused.
            if asked > room.amounts[index] && asked > capacity.saturating_sub(used) {
                return Err(Shortage::Now(short(name, asked, used, capacity)));
            }
        }
        *used = std::array::from_fn(|index| others[index].saturating_add(amounts[index]));
        room.amounts = amounts;
        Ok(())
    }

    /// Takes what the pod asks for, or says what there is too little of.
    pub(super) fn take(&self, pod: &Pod) -> Result<Room, Refusal> {
        let amounts = asked(pod);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, (name, reason)) in NAMES.into_iter().enumerate() {
            let (asked, used, capacity) = (amounts[index], used[index], self.capacity[index]);
            if asked > 0 && asked > capacity.saturating_sub(used) {
                return Err(Refusal { reason, message: short(name, asked, used, capacity) });
            }
        }
        for (used, asked) in used.iter_mut().zip(amounts) {
            *used = used.saturating_add(asked);
        }
        drop(used);
        Ok(Room { amounts, used: Arc::clone(&self.used) })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        for (used, given) in used.iter_mut().zip(self.amounts) {
            *used = used.saturating_sub(given);
        }
    }
}

fn short(name: &str, asked: u64, used: u64, capacity: u64) -> String {
    format!(
        "Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {capacity}"
    )
}

/// What all containers together ask for at the same time: those that come first one after the other, the others beside them.
fn asked(pod: &Pod) -> Amounts {
    let Some(spec) = &pod.spec else {
        return [1, 0, 0];
    };
    let add = |a: Amounts, b: Amounts| std::array::from_fn(|index| a[index].saturating_add(b[index]));
    let (mut beside, mut most): (Amounts, Amounts) = ([0; 3], [0; 3]);
    for first in spec.init_containers.iter().flatten() {
        let own = requests(first);
        let now: Amounts = add(beside, own);
        most = std::array::from_fn(|index| most[index].max(now[index]));
        if first.restart_policy.as_deref() == Some("Always") {
            beside = now;
        }
    }
    let together: Amounts = spec.containers.iter().map(requests).fold(beside, add);
    let [_, cpu, memory] = std::array::from_fn(|index| most[index].max(together[index]));
    [1, cpu, memory]
}

fn requests(container: &Container) -> Amounts {
    let requests = container.resources.as_ref().and_then(|resources| resources.requests.as_ref());
    let amount = |name| requests.and_then(|requests| Quantity::try_from(requests.get(name)?).ok());
    let unsigned = |amount: i64| u64::try_from(amount).unwrap_or(0);
    let cpu = amount("cpu").map_or(0, |cpu| unsigned(cpu.millis()));
    [0, cpu, amount("memory").map_or(0, |memory| unsigned(memory.value()))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_is_refused_when_there_is_no_room_and_room_comes_back() {
        let rooms =
            Rooms::new(&Capacity { cpu_millis: 1000, memory_bytes: 1 << 20, storage_bytes: None, pods: 2 });
        let pod = |cpu: &str| -> Pod {
            let resources = json!({"requests": {"cpu": cpu}});
            serde_json::from_value(
                json!({"metadata": {}, "spec": {"containers": [{"name": "a", "resources": resources}]}}),
            )
            .expect("a pod")
        };
        let first = rooms.take(&pod("600m")).expect("room");
        let refusal = rooms.take(&pod("500m")).expect_err("no room");
        assert_eq!(refusal.reason, "OutOfcpu");
        assert_eq!(
            refusal.message,
            "Node didn't have enough resource: cpu, requested: 500, used: 600, capacity: 1000"
        );
        let _second = rooms.take(&pod("0")).expect("room");
        assert_eq!(rooms.take(&pod("0")).expect_err("no room").reason, "OutOfpods");
        drop(first);
        rooms.take(&pod("500m")).expect("room");
    }

    #[test]
    fn a_pod_is_given_more_while_there_is_room() {
        let capacity = Capacity { cpu_millis: 1000, memory_bytes: 1 << 20, storage_bytes: None, pods: 9 };
        let rooms = Rooms::new(&capacity);
        let pod = |first: &str, cpu: &str| -> Pod {
            let container = |cpu: &str| json!({"name": "a", "resources": {"requests": {"cpu": cpu}}});
            let spec = json!({"initContainers": [container(first)], "containers": [container(cpu)]});
            serde_json::from_value(json!({"metadata": {}, "spec": spec})).expect("a pod")
        };
        let mut room = rooms.take(&pod("300m", "200m")).expect("room");
        let _other = rooms.take(&pod("0", "500m")).expect("room");
        assert_eq!(rooms.take(&pod("0", "300m")).expect_err("no room").reason, "OutOfcpu");
        let words = "Node didn't have enough resource: cpu, requested: 600, used: 500, capacity: 1000";
        assert_eq!(rooms.resize(&mut room, &pod("300m", "600m")), Err(Shortage::Now(words.to_owned())));
        let words = "Node didn't have enough capacity: cpu, requested: 2000, capacity: 1000";
        assert_eq!(rooms.resize(&mut room, &pod("300m", "2")), Err(Shortage::Ever(words.to_owned())));
        assert_eq!(rooms.resize(&mut room, &pod("300m", "100m")), Ok(()));
        assert_eq!(rooms.resize(&mut room, &pod("0", "100m")), Ok(()));
        rooms.take(&pod("0", "400m")).expect("room");
    }

    #[test]
    fn storage_is_that_of_the_disk_on_which_the_folder_will_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let none = Capacity { cpu_millis: 1, memory_bytes: 1, storage_bytes: None, pods: 1 };
        let there = none.with_storage_of(folder.path()).storage_bytes;
        assert!(there.is_some());
        assert_eq!(none.with_storage_of(&folder.path().join("to/be/made")).storage_bytes, there);
        let set = Capacity { storage_bytes: Some(7), ..none };
        assert_eq!(set.with_storage_of(folder.path()).storage_bytes, Some(7));
    }

    #[test]
    fn memory_is_read_from_the_system() {
        assert_eq!(memory_total("MemTotal:       16 kB\nMemFree: 1 kB\n"), Some(16384));
        assert!(Capacity::of_this_machine(10).memory_bytes > 0);
    }
}
