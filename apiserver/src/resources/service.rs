//! Services: one name and address for a set of pods.

pub mod allocate;
mod check;
mod columns;
pub mod ranges;

use std::borrow::Cow;

use api::Resource;
use api::field::FieldError;
use api::resource::SERVICES;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use serde_json::{Value, json};

use crate::builtin::{Builtin, Column, Definition};
use crate::names::Form;
use crate::tree;

/// The address of services that have none.
const HEADLESS: &str = "None";

/// The kind Service.
pub struct Services;

impl Builtin for Services {
    type Typed = Service;

    const RESOURCE: Resource = SERVICES;

    const DEFINITION: Definition = Definition {
        short_names: &["svc"],
        categories: &["all"],
        subresources: &["status"],
        names: Form::Label1035,
        fields: &["spec.clusterIP", "spec.type"],
        ..Definition::new("service")
    };

    fn set_defaults(service: &mut Value) {
        let spec = tree::object(service, "spec");
        tree::set_default_text(spec, "sessionAffinity", "None");
        if spec["sessionAffinity"] == "ClientIP" {
            let config = tree::object(tree::object(spec, "sessionAffinityConfig"), "clientIP");
            tree::set_default(config, "timeoutSeconds", 10_800);
        }
        tree::set_default_text(spec, "type", "ClusterIP");
        for port in tree::items(spec, "ports") {
            tree::set_default_text(port, "protocol", "TCP");
            let unset = |target: &Value| *target == 0 || *target == "";
            if port.get("targetPort").is_none_or(unset) {
                let number = port.get("port").cloned();
                tree::set(port, "targetPort", number);
            }
        }
        let kind = spec["type"].as_str().unwrap_or_default().to_owned();
        if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
            tree::set_default_text(spec, "externalTrafficPolicy", "Cluster");
        }
        if kind == "LoadBalancer" {
            tree::set_default(spec, "allocateLoadBalancerNodePorts", true);
        }
        if kind != "ExternalName" {
            tree::set_default_text(spec, "internalTrafficPolicy", "Cluster");
        }
        set_address_defaults(spec, &kind);
    }

    fn prepare_create(service: &mut Value) {
        tree::set(service, "status", Some(json!({"loadBalancer": {}})));
    }

    fn prepare_update(new: &mut Value, old: &Value) {
        let spec = tree::object(new, "spec");
        let old = &old["spec"];
        let kind = spec["type"].as_str().unwrap_or_default().to_owned();
        if kind == "ExternalName" {
            if old["type"] != "ExternalName" {
                let allocated =
                    ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"];
                allocated.iter().for_each(|field| tree::set(spec, field, None));
            }
            return;
        }
        if old["type"] != "ExternalName" {
            keep_addresses(spec, old);
        }
        if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
            keep_node_ports(spec, old);
        } else if old["type"] != kind.as_str() {
            // What only made sense for the old type goes with it, unless the user changed it in the same step.
            if spec.get("externalTrafficPolicy") == old.get("externalTrafficPolicy") {
                tree::set(spec, "externalTrafficPolicy", None);
            }
            tree::set(spec, "allocateLoadBalancerNodePorts", None);
            drop_node_ports(spec, old);
        }
    }

    fn check(service: &Service, errors: &mut Vec<FieldError>) {
        check::check(service, errors);
    }

    fn check_update(new: &Service, old: &Service, errors: &mut Vec<FieldError>) {
        check::check_update(new, old, errors);
    }

    fn field<'a>(service: &'a Service, field: &str) -> Option<Cow<'a, str>> {
        let spec = service.spec.as_ref()?;
        match field {
            "spec.clusterIP" => spec.cluster_ip.as_deref().map(Cow::from),
            "spec.type" => spec.type_.as_deref().map(Cow::from),
            _ => None,
        }
    }

    const COLUMNS: &'static [Column] = columns::COLUMNS;

    fn row(service: &Service, now: Timestamp) -> Vec<Value> {
        columns::row(service, now)
    }
}

/// The single address and the list of addresses say the same.
fn set_address_defaults(spec: &mut Value, kind: &str) {
    if kind == "ExternalName" {
        return;
    }
    if let Some(address) = tree::text(spec, "clusterIP").map(str::to_owned) {
        tree::set_default(spec, "clusterIPs", json!([address]));
    } else if let Some(address) = spec["clusterIPs"][0].as_str().map(str::to_owned) {
        tree::set(spec, "clusterIP", Some(address.into()));
    }
    tree::set_default_text(spec, "ipFamilyPolicy", "SingleStack");
    tree::set_default(spec, "ipFamilies", json!(["IPv4"]));
}

fn keep_addresses(spec: &mut Value, old: &Value) {
    if tree::text(spec, "clusterIP").is_none() && spec["clusterIPs"][0].is_null() {
        tree::set(spec, "clusterIP", old.get("clusterIP").cloned());
        tree::set(spec, "clusterIPs", old.get("clusterIPs").cloned());
    }
}

fn same_port(one: &Value, other: &Value) -> bool {
    ["port", "protocol"].iter().all(|field| one[field] == other[field])
}

fn keep_node_ports(spec: &mut Value, old: &Value) {
    let old: Vec<Value> = old["ports"].as_array().cloned().unwrap_or_default();
    let is_chosen = |port: &Value| port["nodePort"].as_u64().is_some_and(|number| number != 0);
    let chosen = tree::items(spec, "ports").filter(|port| is_chosen(port));
    let taken: Vec<Value> = chosen.map(|port| port["nodePort"].clone()).collect();
    for port in tree::items(spec, "ports").filter(|port| !is_chosen(port)) {
        let known = old.iter().find(|old| same_port(old, port)).and_then(|old| old.get("nodePort"));
        if let Some(number) = known.filter(|number| !taken.contains(number)) {
            tree::set(port, "nodePort", Some(number.clone()));
        }
    }
}

fn drop_node_ports(spec: &mut Value, old: &Value) {
    let old: Vec<Value> = old["ports"].as_array().cloned().unwrap_or_default();
    for port in tree::items(spec, "ports") {
        let known = old.iter().any(|old| same_port(old, port) && old.get("nodePort") == port.get("nodePort"));
        if known {
            tree::set(port, "nodePort", None);
        }
    }
}
