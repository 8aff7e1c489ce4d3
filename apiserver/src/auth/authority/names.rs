//! The names and addresses under which clients reach the server, as its certificate has them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::names::Form;

/// What pods and people on this machine call the server.
const USUAL: [&str; 5] = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
];

/// Where Linux tells the name of the machine.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// The names and addresses of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerNames {
    pub(super) names: BTreeSet<String>,
    pub(super) addresses: BTreeSet<IpAddr>,
}

/// A server cannot be called so.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an IP address nor a DNS name")]
pub struct NotAName(String);

impl ServerNames {
    /// The names every cluster has; `service` is the address of the service `kubernetes`, the first of the range.
    pub fn new(service: Ipv4Addr) -> Self {
        Self {
            names: USUAL.map(str::to_owned).into(),
            addresses: [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into(), service.into()].into(),
        }
    }

    /// One more address. The unspecified one stands for no address in particular and adds none.
    #[must_use]
    pub fn with_address(mut self, address: IpAddr) -> Self {
        if !address.is_unspecified() {
            self.addresses.insert(address);
        }
        self
    }

    /// One more name or address, as a user gave it.
    pub fn with(mut self, name: &str) -> Result<Self, NotAName> {
        if let Ok(address) = name.parse() {
            return Ok(self.with_address(address));
        }
        let lower = name.to_ascii_lowercase();
        if !Form::Subdomain.mistakes(&lower).is_empty() {
            return Err(NotAName(name.to_owned()));
        }
        self.names.insert(lower);
        Ok(self)
    }

    /// The name of this machine, if it has one that a certificate can hold.
    #[must_use]
    pub fn with_host_name(self) -> Self {
        let name = std::fs::read_to_string(HOST_NAME).unwrap_or_default();
        self.clone().with(name.trim()).unwrap_or(self)
    }

    pub(super) fn contains_only(&self, names: &BTreeSet<String>, addresses: &BTreeSet<IpAddr>) -> bool {
        self.names == *names && self.addresses == *addresses
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_and_addresses_are_told_apart_and_checked() {
        let usual = ServerNames::new(Ipv4Addr::new(10, 96, 0, 1));
        let more = usual.clone().with("192.0.2.7").unwrap().with("Edge-1.Example.com").unwrap();
        assert_eq!(more.names.len(), usual.names.len() + 1);
        assert!(more.names.contains("edge-1.example.com"));
        assert!(more.addresses.contains(&"192.0.2.7".parse().unwrap()));
        assert_eq!(usual.clone().with("0.0.0.0").unwrap(), usual, "listening everywhere is no address");
        let refused = usual.with("not a name").unwrap_err();
        assert_eq!(refused.to_string(), r#""not a name" is neither an IP address nor a DNS name"#);
    }
}
