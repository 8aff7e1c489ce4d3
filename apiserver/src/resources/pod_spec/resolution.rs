//! How a pod finds names: what it adds to those of the cluster, and whom it asks.

use std::net::IpAddr;

use api::field::FieldError;
use k8s_openapi::api::core::v1::{PodDNSConfig, PodSpec};

use crate::names::{Form, report};
use crate::path::Path;

/// As many as a resolver looks at.
const MOST_SERVERS: usize = 3;
const MOST_SEARCHES: usize = 32;
const LONGEST_SEARCHES: usize = 2048;

const NO_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

/// Checks what a pod's specification says of names.
pub(super) fn check(spec: &PodSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let at_aliases = path.child("hostAliases");
    for (index, alias) in spec.host_aliases.iter().flatten().enumerate() {
        let path = at_aliases.index(index);
        check_address(&alias.ip, path.child("ip"), errors);
        for name in alias.hostnames.iter().flatten() {
            report(name, Form::Subdomain.mistakes(name), &path.child("hostnames"), errors);
        }
    }
    let path = path.child("dnsConfig");
    let is_alone = spec.dns_policy.as_deref() == Some("None");
    match &spec.dns_config {
        None if is_alone => {
            let words = "must provide `dnsConfig` when `dnsPolicy` is None";
            errors.push(FieldError::required(path, words));
        }
        None => {}
        Some(config) => check_config(config, is_alone, &path, errors),
    }
}

fn check_config(config: &PodDNSConfig, is_alone: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let servers = config.nameservers.as_deref().unwrap_or_default();
    let at_servers = path.child("nameservers");
    if is_alone && servers.is_empty() {
        let words = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        errors.push(FieldError::required(at_servers, words));
    }
    if servers.len() > MOST_SERVERS {
        let words = format!("must not have more than {MOST_SERVERS} nameservers");
        errors.push(FieldError::invalid(at_servers, servers.to_vec(), words));
    }
    for (index, server) in servers.iter().enumerate() {
        check_address(server, at_servers.index(index), errors);
    }
    check_searches(config.searches.as_deref().unwrap_or_default(), &path.child("searches"), errors);
    let at_options = path.child("options");
    for (index, option) in config.options.iter().flatten().enumerate() {
        if option.name.as_deref().unwrap_or_default().is_empty() {
            errors.push(FieldError::required(at_options.index(index), "must not be empty"));
        }
    }
}

fn check_searches(searches: &[String], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if searches.len() > MOST_SEARCHES {
        let words = format!("must not have more than {MOST_SEARCHES} search paths");
        errors.push(FieldError::invalid(*path, searches.to_vec(), words));
    }
    if searches.join(" ").len() > LONGEST_SEARCHES {
        let words = format!(
            "must not have more than {LONGEST_SEARCHES} characters (including spaces) in the search list"
        );
        errors.push(FieldError::invalid(*path, searches.to_vec(), words));
    }
    for (index, search) in searches.iter().enumerate().filter(|(_, search)| *search != ".") {
        // Underscores are common in names of services outside.
        let name = search.strip_suffix('.').unwrap_or(search).replace('_', "a");
        report(search, Form::Subdomain.mistakes(&name), &path.index(index), errors);
    }
}

fn check_address(address: &str, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if address.parse::<IpAddr>().is_err() {
        errors.push(FieldError::invalid(path, address, NO_ADDRESS));
    }
}
