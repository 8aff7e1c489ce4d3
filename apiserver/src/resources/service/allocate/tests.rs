//! Addresses and ports are given once, and kept while they are wanted.

#![allow(clippy::unwrap_used)]
use super::super::ranges::AddressRange;
use super::*;

fn allocator() -> Allocator {
    let addresses = AddressRange::new(Ipv4Addr::new(10, 0, 0, 0), 26).unwrap();
    Allocator::new(Ranges { addresses, ports: 30_000..=30_002 })
}

fn service(kind: &str, address: &str, ports: &[u16]) -> Value {
    let ports: Vec<Value> =
        ports.iter().map(|port| json!({"port": 80, "protocol": "TCP", "nodePort": port})).collect();
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"},
        "spec": {"type": kind, "clusterIP": address, "ports": ports}});
    service["spec"]["clusterIPs"] = json!([address]);
    service
}

fn reserve(allocator: &Allocator, service: &mut Value, pick: u64) -> Result<Reservation, String> {
    allocator.reserve(service, None, pick, Vec::new).map_err(|error| error.to_string())
}

#[test]
fn what_is_given_is_free_and_in_range() {
    let allocator = allocator();
    let mut holds = Vec::new();
    let mut seen = BTreeSet::new();
    // All but the first of the usable ones.
    for pick in 0..61 {
        let mut new = service("ClusterIP", "", &[]);
        holds.push(reserve(&allocator, &mut new, pick * 7).unwrap());
        let address: Ipv4Addr = new["spec"]["clusterIP"].as_str().unwrap().parse().unwrap();
        assert!(allocator.ranges.addresses.usable().contains(&address.to_bits()));
        assert!(seen.insert(address), "{address} twice");
        assert_ne!(address, allocator.ranges.addresses.first(), "kept for the API server");
    }
    let full = reserve(&allocator, &mut service("ClusterIP", "", &[]), 0).unwrap_err();
    assert_eq!(full, "spec.clusterIPs: Invalid value: null: failed to allocate a serviceIP: range is full");
    holds.pop();
    assert!(reserve(&allocator, &mut service("ClusterIP", "", &[]), 0).is_ok());
}

#[test]
fn what_the_user_chose_is_checked() {
    let allocator = allocator();
    let _held = reserve(&allocator, &mut service("NodePort", "10.0.0.9", &[30_001]), 0).unwrap();
    let row = |address: &str, port: u16, words: &str| {
        let error = reserve(&allocator, &mut service("NodePort", address, &[port]), 0).unwrap_err();
        assert_eq!(error, words);
    };
    row(
        "10.0.0.9",
        30_000,
        r#"spec.clusterIPs: Invalid value: ["10.0.0.9"]: failed to allocate IP 10.0.0.9: provided IP is already allocated"#,
    );
    row(
        "10.0.1.9",
        30_000,
        r#"spec.clusterIPs: Invalid value: ["10.0.1.9"]: failed to allocate IP 10.0.1.9: the provided network does not match the current range, which is 10.0.0.0/26"#,
    );
    row(
        "10.0.0.8",
        30_001,
        "spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated",
    );
    row(
        "10.0.0.8",
        80,
        "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-30002",
    );
}

#[test]
fn node_ports_of_one_service_differ_and_headless_has_no_address() {
    let mut new = service("NodePort", "None", &[0, 0, 0]);
    let _held = reserve(&allocator(), &mut new, 5).unwrap();
    let ports: BTreeSet<u64> = new["spec"]["ports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|port| port["nodePort"].as_u64().unwrap())
        .collect();
    assert_eq!(ports, BTreeSet::from([30_000, 30_001, 30_002]));
    assert_eq!(new["spec"]["clusterIP"], "None");
}

#[test]
fn a_service_keeps_what_it_has() {
    let allocator = allocator();
    let old = service("NodePort", "10.0.0.9", &[30_001]);
    let stored = Object::from_value(old.clone()).unwrap();
    let mut new = old.clone();
    let reservation = allocator.reserve(&mut new, Some(&old), 0, || vec![stored]).unwrap();
    assert_eq!((new, reservation.given.clone()), (old, Taken::default()));
}
