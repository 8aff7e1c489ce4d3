//! The room on a node: what it has, what its pods asked for, and whether one more fits.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use api::quantity::{Format, Quantity};
use k8s_openapi::api::core::v1::Pod;
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

impl Rooms {
    pub(super) fn new(capacity: &Capacity) -> Self {
        Self {
            capacity: [capacity.pods.into(), capacity.cpu_millis, capacity.memory_bytes],
            used: Arc::default(),
        }
    }

    /// Takes what the pod asks for, or says what there is too little of.
    pub(super) fn take(&self, pod: &Pod) -> Result<Room, Refusal> {
        let amounts = asked(pod);
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, (name, reason)) in NAMES.into_iter().enumerate() {
            let (asked, used, capacity) = (amounts[index], used[index], self.capacity[index]);
            if asked > 0 && asked > capacity.saturating_sub(used) {
                let message = format!(
                    "Node didn't have enough resource: {name}, requested: {asked}, used: {used}, capacity: {capacity}"
                );
                return Err(Refusal { reason, message });
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

fn asked(pod: &Pod) -> Amounts {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let requests = containers.filter_map(|container| container.resources.as_ref()?.requests.as_ref());
    let mut amounts = [1, 0, 0];
    for requests in requests {
        let amount = |name| requests.get(name).and_then(|amount| Quantity::try_from(amount).ok());
        let unsigned = |amount: i64| u64::try_from(amount).unwrap_or(0);
        amounts[1] += amount("cpu").map_or(0, |cpu| unsigned(cpu.millis()));
        amounts[2] += amount("memory").map_or(0, |memory| unsigned(memory.value()));
    }
    amounts
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
