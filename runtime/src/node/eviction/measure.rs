//! What this machine has left, and what a pod has on its disk.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::local::DiskUse;
use super::threshold::{Observation, Observations, Signal};

/// Finds out what is left on a node. Tests give their own.
pub trait Vitals: Send + Sync + 'static {
    /// What there is now; what cannot be found out is left out.
    fn observe(&self) -> Observations;
}

/// What this machine, or the control group this process is in, has left.
#[derive(Clone, Debug)]
pub struct MachineVitals {
    /// The folder whose disk counts.
    pub folder: PathBuf,
}

impl Vitals for MachineVitals {
    fn observe(&self) -> Observations {
        let mut found = Observations::new();
        let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| of_machine(&text));
        let memory = [machine, of_group(Path::new("/sys/fs/cgroup"))];
        if let Some(memory) = memory.into_iter().flatten().min_by_key(|memory| memory.available) {
            found.insert(Signal::MemoryAvailable, memory);
        }
        let Some(disk) = self.folder.ancestors().find_map(|folder| rustix::fs::statvfs(folder).ok()) else {
            return found;
        };
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        let room = Observation { available: bytes(disk.f_bavail), capacity: bytes(disk.f_blocks) };
        found.insert(Signal::NodefsAvailable, room);
        // Some file systems make inodes as they need them and say that they have none.
        if disk.f_files > 0 {
            let inodes = Observation { available: disk.f_favail, capacity: disk.f_files };
            found.insert(Signal::NodefsInodesFree, inodes);
        }
        found
    }
}

fn of_machine(meminfo: &str) -> Option<Observation> {
    let bytes = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    };
    Some(Observation { available: bytes("MemAvailable:")?, capacity: bytes("MemTotal:")? })
}

/// Of a control group with a limit. Files it has read and not used lately can be forgotten, so they count as available.
fn of_group(folder: &Path) -> Option<Observation> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let (capacity, current) = (number("memory.max")?, number("memory.current")?);
    let stat = read("memory.stat").unwrap_or_default();
    let inactive = stat.lines().find_map(|line| line.strip_prefix("inactive_file ")?.parse::<u64>().ok());
    let used = current.saturating_sub(inactive.unwrap_or(0));
    Some(Observation { available: capacity.saturating_sub(used), capacity })
}

/// How many files are looked at for one pod at most: one that has more is taken to have what was found until then.
const MOST_FILES: usize = 200_000;

/// What a pod has on the disk: its own folder, and its logs, in a folder for each container.
pub(super) fn disk_use(pod: &Path, logs: &Path) -> DiskUse {
    let mut left = MOST_FILES;
    let mut containers: BTreeMap<String, u64> = BTreeMap::new();
    let mut total = size(pod, &mut left).unwrap_or(0);
    for container in fs::read_dir(logs).into_iter().flatten().flatten() {
        let bytes = size(&container.path(), &mut left).unwrap_or(0);
        total += bytes;
        containers.insert(container.file_name().to_string_lossy().into_owned(), bytes);
    }
    for (container, layer) in layers(pod) {
        let mut left = MOST_FILES;
        *containers.entry(container).or_default() += size(&layer, &mut left).unwrap_or(0);
    }
    DiskUse { total, containers }
}

/// The root layers of the pod's containers.
fn layers(pod: &Path) -> Vec<(String, PathBuf)> {
    let folders = fs::read_dir(pod.join("roots")).into_iter().flatten().flatten();
    folders.map(|folder| (folder.file_name().to_string_lossy().into_owned(), folder.path())).collect()
}

/// What is below a folder on the same disk, in bytes of the disk. Links are not followed, and a file with several names counts
/// once for each: guests cannot make use of that.
fn size(folder: &Path, left: &mut usize) -> io::Result<u64> {
    let device = fs::symlink_metadata(folder)?.dev();
    let (mut bytes, mut folders) = (0, vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        // It may have gone meanwhile.
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        for entry in entries {
            if *left == 0 {
                return Ok(bytes);
            }
            *left -= 1;
            let metadata = entry.metadata().ok().filter(|metadata| metadata.dev() == device);
            let Some(metadata) = metadata else { continue };
            bytes += metadata.blocks() * 512;
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_that_of_the_machine_or_of_the_group() {
        let meminfo = "MemTotal: 16 kB\nMemFree: 1 kB\nMemAvailable:    4 kB\n";
        assert_eq!(of_machine(meminfo), Some(Observation { available: 4096, capacity: 16_384 }));
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("a file");
        write("memory.current", "700\n");
        write("memory.max", "max\n");
        assert_eq!(of_group(folder.path()), None);
        write("memory.max", "1000\n");
        assert_eq!(of_group(folder.path()), Some(Observation { available: 300, capacity: 1000 }));
        write("memory.stat", "anon 500\ninactive_file 150\n");
        assert_eq!(of_group(folder.path()), Some(Observation { available: 450, capacity: 1000 }));
    }

    #[test]
    fn this_machine_has_something_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let found = MachineVitals { folder: folder.path().join("to/be/made") }.observe();
        for signal in [Signal::MemoryAvailable, Signal::NodefsAvailable] {
            assert!(found[&signal].available > 0, "{signal:?}");
            assert!(found[&signal].available <= found[&signal].capacity, "{signal:?}");
        }
    }

    #[test]
    fn a_pod_has_its_folder_and_its_logs() {
        let folder = tempfile::tempdir().expect("a folder");
        let (pod, logs) = (folder.path().join("pod"), folder.path().join("logs"));
        let write = |path: PathBuf, bytes: usize| {
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, vec![b'x'; bytes]).expect("written");
        };
        assert_eq!(disk_use(&pod, &logs), DiskUse::default());
        write(pod.join("volumes/work/deep/file"), 1 << 20);
        std::os::unix::fs::symlink("/", pod.join("volumes/work/link")).expect("a link");
        write(logs.join("a/0.log"), 100_000);
        write(logs.join("b/0.log"), 1);
        write(pod.join("roots/b/file"), 50_000);
        let used = disk_use(&pod, &logs);
        assert!((1_200_000..1_300_000).contains(&used.total), "{used:?}");
        assert!((100_000..110_000).contains(&used.containers["a"]), "{used:?}");
        assert!((50_000..70_000).contains(&used.containers["b"]), "{used:?}");
    }
}
