//! The addresses and ports of Endpoints: ports that the same addresses answer for stand together.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, EndpointSubset, Pod, Service, ServicePort};

use crate::endpointslice::{Port, addresses, is_headless, port_of};
use crate::pod;
use crate::typed::Typed;

/// Addresses of one Service at most, as in Kubernetes.
const CAPACITY: usize = 1000;

/// An address by which it is told from others, and the pod that has it.
type Place<'a> = (&'a str, &'a str);

/// Which addresses answer for a port, and whether each is ready.
type Places<'a> = BTreeMap<Place<'a>, bool>;

/// What the Endpoints of a Service say, and whether that is less than there is.
pub(super) fn of(service: &Typed<Service>, pods: &[Typed<Pod>]) -> (Vec<EndpointSubset>, bool) {
    let always = always_ready(service);
    let mut known: BTreeMap<Place<'_>, &Typed<Pod>> = BTreeMap::new();
    let mut by_port: BTreeMap<Option<Port>, Places<'_>> = BTreeMap::new();
    for pod in pods {
        let Some(address) = address(service, pod, always) else {
            continue;
        };
        let place = (address, pod.object().uid());
        known.insert(place, pod);
        for port in ports(service, pod) {
            by_port.entry(port).or_default().insert(place, always || pod::is_ready(pod));
        }
    }
    let mut by_places: BTreeMap<Places<'_>, Vec<Option<Port>>> = BTreeMap::new();
    for (port, places) in by_port {
        by_places.entry(places).or_default().push(port);
    }
    let shares = Shares::of(by_places.keys());
    let subset = |(places, ports): (Places<'_>, Vec<Option<Port>>)| {
        let take = |ready: bool, share: usize| {
            let places = places.iter().filter(|(_, is)| **is == ready).take(share);
            let addresses = places.map(|(place, _)| endpoint(service, place.0, known[place]));
            Some(addresses.collect::<Vec<_>>()).filter(|addresses| !addresses.is_empty())
        };
        let counts = count(&places);
        EndpointSubset {
            addresses: take(true, shares.ready(counts.0)),
            not_ready_addresses: take(false, shares.not_ready(counts.1)),
            ports: Some(ports.into_iter().flatten().map(endpoint_port).collect::<Vec<_>>())
                .filter(|ports| !ports.is_empty()),
        }
    };
    (by_places.into_iter().map(subset).collect(), shares.truncate())
}

fn always_ready(service: &Service) -> bool {
    let spec = service.spec.as_ref();
    spec.and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false)
}

/// The pod's address in the Service's first family, if the Endpoints tell of the pod at all.
fn address<'a>(service: &Service, pod: &'a Pod, always: bool) -> Option<&'a str> {
    if pod::is_finished(pod) || pod::is_terminating(pod) && !always {
        return None;
    }
    let families = service.spec.as_ref().and_then(|spec| spec.ip_families.as_deref());
    let six = families.and_then(<[String]>::first).is_some_and(|family| family == "IPv6");
    addresses(pod).into_iter().find(|address| address.contains(':') == six)
}

/// The ports the pod answers for; one that is none for a headless Service without ports.
fn ports(service: &Service, pod: &Pod) -> Vec<Option<Port>> {
    let ports: &[ServicePort] =
        service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default();
    if ports.is_empty() && is_headless(service) {
        return vec![None];
    }
    ports.iter().filter_map(|port| port_of(port, pod)).map(Some).collect()
}

fn count(places: &Places<'_>) -> (usize, usize) {
    let ready = places.values().filter(|ready| **ready).count();
    (ready, places.len() - ready)
}

/// What part of the addresses is told: all, or as many as there is room for, those that are ready first.
struct Shares {
    ready: usize,
    not_ready: usize,
}

impl Shares {
    fn of<'a>(subsets: impl Iterator<Item = &'a Places<'a>>) -> Self {
        let counts = subsets.map(count);
        let (ready, not_ready) = counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Self { ready, not_ready }
    }

    fn truncate(&self) -> bool {
        self.ready + self.not_ready > CAPACITY
    }

    fn ready(&self, count: usize) -> usize {
        share(count, self.ready, CAPACITY)
    }

    fn not_ready(&self, count: usize) -> usize {
        share(count, self.not_ready, CAPACITY.saturating_sub(self.ready))
    }
}

/// The part of `room` that goes to `count` of `all`.
fn share(count: usize, all: usize, room: usize) -> usize {
    if all <= room { count } else { count * room / all }
}

fn endpoint(service: &Typed<Service>, ip: &str, pod: &Typed<Pod>) -> EndpointAddress {
    EndpointAddress {
        hostname: pod::hostname_at(pod, service.object().name()),
        ip: ip.to_owned(),
        node_name: Some(pod::node_name(pod).to_owned()).filter(|name| !name.is_empty()),
        target_ref: Some(pod::reference(pod.object())),
    }
}

fn endpoint_port(port: Port) -> EndpointPort {
    EndpointPort {
        app_protocol: port.app_protocol,
        name: Some(port.name).filter(|name| !name.is_empty()),
        port: port.port,
        protocol: Some(port.protocol),
    }
}
