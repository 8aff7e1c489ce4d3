//! The hosts file of a pod: there for its containers if its specification adds names.

use std::fs;
use std::io;
use std::path::PathBuf;

use k8s_openapi::api::core::v1::Pod;

use super::Worker;
use crate::engine::Mount;
use crate::network::Interface;
use crate::node::machine::StartFailure;

impl Worker {
    /// The hosts file, to be seen at `/etc/hosts`. A pod that adds no names needs none: names are looked up without it.
    pub(super) fn hosts_file(&self, pod: &Pod, interface: &Interface) -> Result<Option<Mount>, StartFailure> {
        let adds = pod.spec.as_ref().and_then(|spec| spec.host_aliases.as_ref());
        if adds.is_none_or(Vec::is_empty) {
            return Ok(None);
        }
        let host_path = self.write_hosts(interface);
        let host_path =
            host_path.map_err(|error| StartFailure::Create(format!("write the hosts file: {error}")))?;
        Ok(Some(Mount { host_path, guest_path: "/etc/hosts".to_owned(), read_only: true }))
    }

    fn write_hosts(&self, interface: &Interface) -> io::Result<PathBuf> {
        let folder = self.node.folder_of_pod(self.object.uid());
        fs::create_dir_all(&folder)?;
        let path = fs::canonicalize(folder)?.join("etc-hosts");
        fs::write(&path, interface.names().file(interface.address()).to_string())?;
        Ok(path)
    }
}
