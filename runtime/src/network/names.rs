//! The cluster's names, answered as cluster DNS and a pod's resolver do together: search domains, services, pods.

use std::net::{IpAddr, Ipv4Addr};

use api::Key;

use super::hosts::HostNames;
use super::routes::{Kind, PortId, Routes, Service};

/// A name with fewer dots is looked up in the search domains first, as pods' resolvers are configured.
const NDOTS: usize = 5;

/// Names that point to names are followed this far, which is what resolvers do about loops.
const LONGEST_CHAIN: usize = 8;

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// The name does not exist.
    #[error(
        "resolve `{name}`: NXDOMAIN: no service or pod of the cluster has this name, and names of the outside are not looked up"
    )]
    NoSuchName {
        /// The name that was asked for.
        name: String,
    },
    /// The name stands for endpoints, and there are none.
    #[error("resolve `{name}`: service {service} has no ready endpoints")]
    NoEndpoints {
        /// The name that was asked for.
        name: String,
        /// The headless service.
        service: Key,
    },
    /// The name points to a name of the outside.
    #[error("resolve `{name}`: it points to `{target}`, and names of the outside are not looked up")]
    Outside {
        /// The name that was asked for.
        name: String,
        /// Where it points.
        target: String,
    },
    /// The text is not a name.
    #[error("resolve `{name}`: not a host name")]
    NotAName {
        /// The text that was asked for.
        name: String,
    },
}

/// Who asks for which name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    /// The name as the guest gave it.
    pub(super) name: &'a str,
    /// The namespace whose names need no domain.
    pub(super) namespace: &'a str,
    /// The cluster's domain, `cluster.local`.
    pub(super) domain: &'a str,
    /// The names the asking pod knows by itself, and its address.
    pub(super) own: Option<(&'a HostNames, IpAddr)>,
}

/// The addresses of a name, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) addresses: Vec<IpAddr>,
    /// Set if they are endpoints, of which each asker should try another first.
    pub(super) headless: Option<PortId>,
}

impl Answer {
    fn one(address: IpAddr) -> Self {
        Self { addresses: vec![address], headless: None }
    }
}

/// What one full name means.
enum Found {
    Addresses(Answer),
    Alias(String),
    NoEndpoints(Key),
}

/// Answers a question.
pub(super) fn resolve(routes: &Routes, question: &Question<'_>) -> Result<Answer, ResolveError> {
    let name = question.name.to_ascii_lowercase();
    if let Ok(address) = name.trim_start_matches('[').trim_end_matches(']').parse() {
        return Ok(Answer::one(address));
    }
    if !is_host_name(&name) {
        return Err(ResolveError::NotAName { name: question.name.to_owned() });
    }
    if let Some(answer) = in_hosts_file(&name, question) {
        return Ok(answer);
    }
    let mut without_endpoints = None;
    for full_name in full_names(&name, question) {
        match look_up(routes, full_name, question)? {
            Some(Found::Addresses(answer)) => return Ok(answer),
            Some(Found::NoEndpoints(service)) => drop(without_endpoints.get_or_insert(service)),
            Some(Found::Alias(_)) | None => {}
        }
    }
    let name = question.name.to_owned();
    Err(match without_endpoints {
        Some(service) => ResolveError::NoEndpoints { name, service },
        None => ResolveError::NoSuchName { name },
    })
}

/// Looks a full name up and follows it where it points to another.
fn look_up(
    routes: &Routes,
    mut full_name: String,
    question: &Question<'_>,
) -> Result<Option<Found>, ResolveError> {
    for _ in 0..LONGEST_CHAIN {
        match record(routes, &full_name, question.domain) {
            Some(Found::Alias(target)) if within(&target, question.domain).is_some() => full_name = target,
            Some(Found::Alias(target)) => {
                let name = question.name.to_owned();
                return target.parse().map_or(Err(ResolveError::Outside { name, target }), |address| {
                    Ok(Some(Found::Addresses(Answer::one(address))))
                });
            }
            found => return Ok(found),
        }
    }
    Ok(None)
}

/// The full names that a name may stand for, without the final dot, in the order to try them.
fn full_names(name: &str, question: &Question<'_>) -> Vec<String> {
    if let Some(full_name) = name.strip_suffix('.') {
        return vec![full_name.to_owned()];
    }
    let Question { namespace, domain, .. } = question;
    let mut names = vec![
        format!("{name}.{namespace}.svc.{domain}"),
        format!("{name}.svc.{domain}"),
        format!("{name}.{domain}"),
    ];
    let dots = name.matches('.').count();
    names.insert(if dots >= NDOTS { 0 } else { names.len() }, name.to_owned());
    names
}

/// What a pod's hosts file says.
fn in_hosts_file(name: &str, question: &Question<'_>) -> Option<Answer> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name == "localhost" || name.ends_with(".localhost") {
        return Some(Answer::one(Ipv4Addr::LOCALHOST.into()));
    }
    let (names, address) = question.own?;
    if names.own.iter().any(|own| own == name) {
        return Some(Answer::one(address));
    }
    let addresses = names.aliases_of(name);
    (!addresses.is_empty()).then_some(Answer { addresses, headless: None })
}

fn within<'a>(full_name: &'a str, domain: &str) -> Option<&'a str> {
    full_name.strip_suffix(domain)?.strip_suffix('.')
}

/// What the cluster's domain says about a full name.
fn record(routes: &Routes, full_name: &str, domain: &str) -> Option<Found> {
    let labels: Vec<&str> = within(full_name, domain)?.split('.').collect();
    match labels[..] {
        [service, namespace, "svc"] => {
            let service = routes.service(&Key::new(namespace, service))?;
            Some(service_record(service))
        }
        [host, service, namespace, "svc"] => {
            let service = routes.service(&Key::new(namespace, service))?;
            endpoint_record(service, host)
        }
        [address, _namespace, "pod"] => {
            let address: Ipv4Addr = address.replace('-', ".").parse().ok()?;
            Some(Found::Addresses(Answer::one(address.into())))
        }
        _ => None,
    }
}

fn service_record(service: &Service) -> Found {
    match &service.kind {
        Kind::Cluster(addresses) => Found::Addresses(Answer { addresses: addresses.clone(), headless: None }),
        Kind::External(name) => Found::Alias(name.trim_end_matches('.').to_ascii_lowercase()),
        Kind::Headless => {
            endpoints(service, |_| true).unwrap_or_else(|| Found::NoEndpoints(service.key.clone()))
        }
    }
}

/// The endpoints with this host name; an endpoint without one is named by its address, as `10-128-0-1`.
fn endpoint_record(service: &Service, host: &str) -> Option<Found> {
    endpoints(service, |endpoint| match &endpoint.hostname {
        Some(hostname) => hostname == host,
        None => endpoint.address.to_string().replace(['.', ':'], "-") == host,
    })
}

fn endpoints(service: &Service, wanted: impl Fn(&super::routes::Endpoint) -> bool) -> Option<Found> {
    let endpoints = service.endpoints.iter().filter(|endpoint| wanted(endpoint));
    let mut addresses: Vec<IpAddr> = endpoints.map(|endpoint| endpoint.address).collect();
    addresses.dedup();
    let port = PortId { service: service.key.clone(), port: "".into() };
    (!addresses.is_empty()).then_some(Found::Addresses(Answer { addresses, headless: Some(port) }))
}

fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        let mut letters = label.bytes();
        (1..=63).contains(&label.len())
            && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'-' || letter == b'_')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests;
