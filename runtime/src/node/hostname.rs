//! What a pod is called among hosts: by its guests, and in its hosts file.

use std::net::IpAddr;

use k8s_openapi::api::core::v1::{HostAlias, Pod};

use crate::network::HostNames;

/// Longer ones are cut, as in Kubernetes: it is one label of a name.
const LONGEST_LABEL: usize = 63;

/// What a host may be called on Linux.
const LONGEST_NAME: usize = 64;

/// The host name of a pod.
#[derive(Debug, PartialEq, Eq)]
pub struct Hostname<'a> {
    short: &'a str,
    /// With its domain, if it has one.
    full: Option<String>,
    is_called_in_full: bool,
}

impl<'a> Hostname<'a> {
    /// Reads it from the pod's object.
    pub fn of(pod: &'a Pod, cluster_domain: &str) -> Self {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let spec = pod.spec.as_ref();
        let is_set = |field: &&str| !field.is_empty();
        let given = spec.and_then(|spec| spec.hostname_override.as_deref()).filter(is_set);
        if let Some(short) = given {
            return Self { short, full: None, is_called_in_full: false };
        }
        let cut = name[..name.floor_char_boundary(LONGEST_LABEL)].trim_end_matches(['-', '.']);
        let short = spec.and_then(|spec| spec.hostname.as_deref()).filter(is_set).unwrap_or(cut);
        let subdomain = spec.and_then(|spec| spec.subdomain.as_deref()).filter(is_set);
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        Self {
            short,
            full: subdomain.map(|subdomain| format!("{short}.{subdomain}.{namespace}.svc.{cluster_domain}")),
            is_called_in_full: spec.is_some_and(|spec| spec.set_hostname_as_fqdn == Some(true)),
        }
    }

    /// What its guests are told, or why a host cannot be called so.
    pub fn told(&self) -> Result<&str, String> {
        let Some(full) = self.full.as_deref().filter(|_| self.is_called_in_full) else {
            return Ok(self.short);
        };
        let length = full.len();
        if length > LONGEST_NAME {
            return Err(format!(
                "Failed to construct FQDN from Pod hostname and cluster domain, FQDN {full} is too long ({LONGEST_NAME} \
                 characters is the max, {length} characters requested)"
            ));
        }
        Ok(full)
    }

    /// All names the pod knows by itself.
    pub fn names(&self, pod: &Pod) -> HostNames {
        let aliases = pod.spec.iter().flat_map(|spec| spec.host_aliases.iter().flatten());
        HostNames {
            own: self.full.iter().cloned().chain([self.short.to_owned()]).collect(),
            aliases: aliases.filter_map(alias).collect(),
        }
    }
}

fn alias(alias: &HostAlias) -> Option<(IpAddr, Vec<String>)> {
    Some((alias.ip.parse().ok()?, alias.hostnames.clone().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_pod_is_called_by_its_name_unless_it_says_otherwise() {
        let check = |name: &str, spec: Value, told: Result<&str, &str>, own: &[&str]| {
            let pod = json!({"metadata": {"name": name, "namespace": "n"}, "spec": spec});
            let pod: Pod = serde_json::from_value(pod).expect("a pod");
            let hostname = Hostname::of(&pod, "cluster.local");
            assert_eq!(hostname.told(), told.map_err(str::to_owned));
            assert_eq!(hostname.names(&pod).own, own);
        };
        let none: Vec<Value> = Vec::new();
        check("web", json!({"containers": none}), Ok("web"), &["web"]);
        let long = format!("{}-{}", "a".repeat(62), "b".repeat(20));
        check(&long, json!({"containers": none}), Ok(&long[..62]), &[&long[..62]]);
        let spec = json!({"containers": none, "hostname": "h", "subdomain": "s"});
        check("web", spec, Ok("h"), &["h.s.n.svc.cluster.local", "h"]);
        let spec = json!({"containers": none, "subdomain": "s", "setHostnameAsFQDN": true});
        check("web", spec, Ok("web.s.n.svc.cluster.local"), &["web.s.n.svc.cluster.local", "web"]);
        let spec = json!({"containers": none, "hostnameOverride": "me.example"});
        check("web", spec, Ok("me.example"), &["me.example"]);
        let name = "w".repeat(60);
        let full = format!("{name}.s.n.svc.cluster.local");
        let words = format!(
            "Failed to construct FQDN from Pod hostname and cluster domain, FQDN {full} is too long (64 characters is the \
             max, 82 characters requested)"
        );
        let spec = json!({"containers": none, "subdomain": "s", "setHostnameAsFQDN": true});
        check(&name, spec, Err(&words), &[&full, &name]);
    }
}
