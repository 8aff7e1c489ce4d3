//! Gives services their cluster addresses and node ports.
//!
//! What is taken follows from the services there are; what was given to a service that is not stored yet is held in a
//! reservation until it is. A reservation is made under a lock that is taken before the services are looked at, and
//! ends after its service can be seen, so nothing is given twice.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use api::Object;
use api::field::FieldError;
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use super::HEADLESS;
use super::ranges::Ranges;
use crate::tree;

/// What is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    addresses: BTreeSet<u32>,
    ports: BTreeSet<(u16, String)>,
}

impl Taken {
    fn add(&mut self, service: &Value) {
        self.addresses.extend(address_of(service));
        self.ports.extend(node_ports_of(service).map(|(port, protocol)| (port, protocol.to_owned())));
    }

    fn add_object(&mut self, service: &Object) {
        let Ok(typed) = service.typed::<Service>() else {
            return;
        };
        let Some(spec) = &typed.spec else { return };
        let address = spec.cluster_ip.as_deref().and_then(|address| address.parse().ok());
        self.addresses.extend(address.map(Ipv4Addr::to_bits));
        for port in spec.ports.iter().flatten() {
            let number = port.node_port.and_then(|number| u16::try_from(number).ok());
            let protocol = port.protocol.clone().unwrap_or_default();
            self.ports.extend(number.filter(|number| *number != 0).map(|number| (number, protocol)));
        }
    }

    fn remove(&mut self, other: &Taken) {
        self.addresses.retain(|address| !other.addresses.contains(address));
        self.ports.retain(|port| !other.ports.contains(port));
    }
}

fn address_of(service: &Value) -> Option<u32> {
    let address: Ipv4Addr = tree::text(&service["spec"], "clusterIP")?.parse().ok()?;
    Some(address.to_bits())
}

fn node_ports_of(service: &Value) -> impl Iterator<Item = (u16, &str)> {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    ports.filter_map(|port| {
        let number = u16::try_from(port["nodePort"].as_u64()?).ok().filter(|number| *number != 0)?;
        Some((number, port["protocol"].as_str().unwrap_or_default()))
    })
}

/// Fills in what the service lacks, beginning the search at `pick`; checks what the user chose. `old` is what the
/// service has already.
fn allocate(
    service: &mut Value,
    old: &Taken,
    taken: &Taken,
    ranges: &Ranges,
    pick: u64,
) -> Result<(), FieldError> {
    let spec = tree::object(service, "spec");
    let kind = spec["type"].as_str().unwrap_or_default().to_owned();
    if kind == "ExternalName" {
        return Ok(());
    }
    match tree::text(spec, "clusterIP").map(str::to_owned) {
        Some(headless) if headless == HEADLESS => {}
        Some(chosen) => check_chosen_address(&chosen, old, taken, ranges)?,
        None => {
            let address = free_address(taken, ranges, pick).ok_or_else(|| {
                let words = "failed to allocate a serviceIP: range is full";
                FieldError::invalid("spec.clusterIPs", Value::Null, words)
            })?;
            let address = Ipv4Addr::from(address).to_string();
            tree::set(spec, "clusterIPs", Some(json!([address])));
            tree::set(spec, "clusterIP", Some(address.into()));
        }
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") && spec["allocateLoadBalancerNodePorts"] != false
    {
        allocate_ports(spec, old, taken, ranges, pick)?;
    }
    Ok(())
}

fn check_chosen_address(chosen: &str, old: &Taken, taken: &Taken, ranges: &Ranges) -> Result<(), FieldError> {
    // An address that is none was or will be reported by the checks.
    let Ok(address) = chosen.parse::<Ipv4Addr>() else {
        return Ok(());
    };
    let failed = |why: String| {
        let words = format!("failed to allocate IP {chosen}: {why}");
        Err(FieldError::invalid("spec.clusterIPs", json!([chosen]), words))
    };
    let bits = address.to_bits();
    if old.addresses.contains(&bits) {
        Ok(())
    } else if !ranges.addresses.usable().contains(&bits) {
        let range = ranges.addresses;
        failed(format!("the provided network does not match the current range, which is {range}"))
    } else if taken.addresses.contains(&bits) {
        failed("provided IP is already allocated".to_owned())
    } else {
        Ok(())
    }
}

fn free_address(taken: &Taken, ranges: &Ranges, pick: u64) -> Option<u32> {
    let all = ranges.addresses.usable();
    let (from, to) = ranges.addresses.chosen_by_server().into_inner();
    let start = from + u32::try_from(pick % u64::from(to - from + 1)).ok()?;
    let low = *all.start()..=from - 1;
    let mut candidates = (start..=to).chain(from..start).chain(low);
    candidates.find(|address| !taken.addresses.contains(address))
}

fn allocate_ports(
    spec: &mut Value,
    old: &Taken,
    taken: &Taken,
    ranges: &Ranges,
    pick: u64,
) -> Result<(), FieldError> {
    let mut taken = taken.clone();
    let (from, to) = (*ranges.ports.start(), *ranges.ports.end());
    for (index, port) in tree::items(spec, "ports").enumerate() {
        let path = format!("spec.ports[{index}].nodePort");
        let protocol = port["protocol"].as_str().unwrap_or_default().to_owned();
        match port["nodePort"].as_u64().filter(|number| *number != 0) {
            Some(number) => {
                let chosen = u16::try_from(number).ok().map(|number| (number, protocol));
                if chosen.as_ref().is_some_and(|chosen| old.ports.contains(chosen)) {
                    continue;
                }
                let Some(chosen) = chosen.filter(|(number, _)| ranges.ports.contains(number)) else {
                    let words = format!(
                        "provided port is not in the valid range. The range of valid ports is {from}-{to}"
                    );
                    return Err(FieldError::invalid(path, number, words));
                };
                if !taken.ports.insert(chosen) {
                    return Err(FieldError::invalid(path, number, "provided port is already allocated"));
                }
            }
            None => {
                let start = from + (pick % (u64::from(to - from) + 1)) as u16;
                let mut candidates = (start..=to).chain(from..start);
                let free = candidates.find(|number| !taken.ports.contains(&(*number, protocol.clone())));
                let number = free.ok_or_else(|| {
                    let words = "failed to allocate a nodePort: range is full";
                    FieldError::invalid(path, Value::Null, words)
                })?;
                taken.ports.insert((number, protocol));
                tree::set(port, "nodePort", Some(number.into()));
            }
        }
    }
    Ok(())
}

/// Gives out addresses and ports. A clone gives from the same.
#[derive(Clone, Debug)]
pub struct Allocator {
    ranges: Ranges,
    reserved: Arc<Mutex<Taken>>,
}

/// What a service that is being written has been given.
#[derive(Debug)]
pub struct Reservation {
    given: Taken,
    reserved: Arc<Mutex<Taken>>,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        lock(&self.reserved).remove(&self.given);
    }
}

/// The service of the API server itself has the first address, which nobody else is given, also while it is away.
fn is_own(service: &Value) -> bool {
    let metadata = &service["metadata"];
    metadata["namespace"] == "default" && metadata["name"] == "kubernetes"
}

fn lock(reserved: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    reserved.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Allocator {
    /// Gives from `ranges`.
    pub fn new(ranges: Ranges) -> Self {
        Self { ranges, reserved: Arc::default() }
    }

    /// Fills in what `service` lacks, and reserves it. `services` is called under the lock and reads all there are.
    pub fn reserve<S, I>(
        &self,
        service: &mut Value,
        old: Option<&Value>,
        pick: u64,
        services: S,
    ) -> Result<Reservation, FieldError>
    where
        S: FnOnce() -> I,
        I: IntoIterator<Item = Object>,
    {
        let mut had = Taken::default();
        if let Some(old) = old {
            had.add(old);
        }
        let mut reserved = lock(&self.reserved);
        let mut taken = reserved.clone();
        services().into_iter().for_each(|service| taken.add_object(&service));
        if !is_own(service) {
            taken.addresses.insert(self.ranges.addresses.first().to_bits());
        }
        allocate(service, &had, &taken, &self.ranges, pick)?;
        let mut given = Taken::default();
        given.add(service);
        given.remove(&had);
        reserved.addresses.extend(&given.addresses);
        reserved.ports.extend(given.ports.iter().cloned());
        Ok(Reservation { given, reserved: Arc::clone(&self.reserved) })
    }
}

#[cfg(test)]
mod tests;
