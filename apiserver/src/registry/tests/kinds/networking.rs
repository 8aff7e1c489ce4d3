//! Ingresses, network policies, and the addresses of services.

use super::*;

fn of(group: &'static str, plural: &'static str, kind: &'static str, namespaced: bool) -> Resource {
    Resource::new(group, "v1", plural, kind, namespaced)
}

fn ingresses() -> Resource {
    of("networking.k8s.io", "ingresses", "Ingress", true)
}

#[tokio::test(start_paused = true)]
async fn ingresses_and_policies_are_filled_in() {
    let world = start().await;
    let row = async |resource: &Resource, mut object: Value, expected: Value| {
        object["metadata"] = json!({"name": "a"});
        let created = world.create(resource, object).await.unwrap();
        assert_contains(&created, &expected, "");
        assert_eq!(world.update(resource, "a", "", created.clone()).await.unwrap(), created, "twice");
    };
    let policies = of("networking.k8s.io", "networkpolicies", "NetworkPolicy", true);
    let classes = of("networking.k8s.io", "ingressclasses", "IngressClass", false);
    let backend = json!({"service": {"name": "web", "port": {"number": 80}}});
    let status = json!({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}});
    row(
        &ingresses(),
        json!({"spec": {"defaultBackend": backend}, "status": status}),
        json!({"metadata": {"generation": 1}, "status": {"loadBalancer": {"ingress": null}}}),
    )
    .await;
    row(
        &policies,
        json!({"spec": {"egress": [{"ports": [{"port": 80}]}]}}),
        json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"],
            "egress": [{"ports": [{"port": 80, "protocol": "TCP"}]}]}}),
    )
    .await;
    let parameters = json!({"kind": "Parameters", "name": "p"});
    row(
        &classes,
        json!({"spec": {"controller": "example.com/c", "parameters": parameters}}),
        json!({"spec": {"parameters": {"scope": "Cluster"}}}),
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_ingresses_are_named() {
    let world = start().await;
    let base = json!({"metadata": {"name": "a"}});
    let row = async |spec: Value, words: &str| {
        refuse(&world, &ingresses(), &base, json!({"spec": spec}), words).await;
    };
    let service = |port: Value| json!({"service": {"name": "web", "port": port}});
    let good = || service(json!({"name": "http"}));
    let path = |text: &str, kind: &str, backend: Value| json!({"rules": [{"http": {"paths": [{"path": text, "pathType": kind, "backend": backend}]}}]});
    let at = "spec.rules[0].http.paths[0]";
    row(json!({}), "spec: Invalid value: null: either `defaultBackend` or `rules` must be specified").await;
    row(path("x", "Prefix", good()), &format!(r#"{at}.path: Invalid value: "x": must be an absolute path"#))
        .await;
    row(
        path("/a//b", "Exact", good()),
        &format!(r#"{at}.path: Invalid value: "/a//b": must not contain '//'"#),
    )
    .await;
    row(
        path("/", "Regex", good()),
        &format!(
            r#"{at}.pathType: Unsupported value: "Regex": supported values: "Exact", "ImplementationSpecific", "Prefix""#
        ),
    )
    .await;
    row(path("/", "", good()), &format!("{at}.pathType: Required value: pathType must be specified")).await;
    row(
        path("/", "Prefix", service(json!({}))),
        &format!("{at}.backend: Required value: port name or number is required"),
    )
    .await;
    row(
        path("/", "Prefix", service(json!({"name": "http", "number": 80}))),
        &format!(r#"{at}.backend: Invalid value: "": cannot set both port name & port number"#),
    )
    .await;
    row(
        json!({"defaultBackend": {}}),
        r#"spec.defaultBackend: Invalid value: "": resource or service backend is required"#,
    )
    .await;
    let host = |host: &str| json!({"rules": [{"host": host}]});
    row(
        host("10.0.0.1"),
        r#"spec.rules[0].host: Invalid value: "10.0.0.1": must be a DNS name, not an IP address"#,
    )
    .await;
    let resource = ingresses();
    let starred = world.create(&resource, json!({"metadata": {"name": "b"}, "spec": host("*.example.com")}));
    assert!(starred.await.is_ok());
    let annotated = json!({"metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}},
        "spec": {"ingressClassName": "b", "defaultBackend": good()}});
    refuse(
        &world,
        &ingresses(),
        &base,
        annotated,
        "annotations.kubernetes.io/ingress.class: Invalid value: \"a\": must match `ingressClassName` when both are specified",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_policies_and_addresses_are_named() {
    let world = start().await;
    let row = async |plural: &'static str, kind: &'static str, object: Value, words: &str| {
        let resource = of("networking.k8s.io", plural, kind, plural == "networkpolicies");
        refuse(&world, &resource, &json!({"metadata": {"name": "10.0.0.1"}}), object, words).await;
    };
    let policy = |rule: Value| json!({"spec": {"ingress": [rule]}});
    let at = "spec.ingress[0]";
    let rows = [
        (json!({"from": [{}]}), format!("{at}.from[0]: Required value: must specify a peer")),
        (
            json!({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}),
            format!(
                r#"{at}.from[0].ipBlock.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`"#
            ),
        ),
        (
            json!({"from": [{"ipBlock": {"cidr": "::/0"}, "podSelector": {}}]}),
            format!("{at}.from[0]: Forbidden: may not specify both ipBlock and another peer"),
        ),
        (
            json!({"ports": [{"port": 80, "endPort": 70}]}),
            format!("{at}.ports[0].endPort: Invalid value: 70: must be greater than or equal to `port`"),
        ),
        (
            json!({"ports": [{"port": "http", "endPort": 70}]}),
            format!(
                "{at}.ports[0].endPort: Invalid value: 70: may not be specified when `port` is non-numeric"
            ),
        ),
        (
            json!({"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}]}),
            format!(
                "{at}.from[0].podSelector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"
            ),
        ),
    ];
    for (rule, words) in rows {
        row("networkpolicies", "NetworkPolicy", policy(rule), &words).await;
    }
    row("ingressclasses", "IngressClass", json!({}), "spec.controller: Required value").await;
    let parent = json!({"spec": {"parentRef": {"resource": "services", "name": "a"}}});
    let mut badly_named = parent.clone();
    badly_named["metadata"] = json!({"name": "10.0.0"});
    row(
        "ipaddresses",
        "IPAddress",
        badly_named,
        "metadata.name: Invalid value: \"10.0.0\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
    )
    .await;
    row("servicecidrs", "ServiceCIDR", json!({}), "spec.cidrs: Required value: at least one CIDR required")
        .await;
    row(
        "servicecidrs",
        "ServiceCIDR",
        json!({"spec": {"cidrs": ["10.0.0.0/16", "10.1.0.0/16"]}}),
        "spec.cidrs: Invalid value: [\"10.0.0.0/16\",\"10.1.0.0/16\"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
    )
    .await;
    let addresses = of("networking.k8s.io", "ipaddresses", "IPAddress", false);
    let mut address = parent;
    address["metadata"] = json!({"name": "10.0.0.1"});
    world.create(&addresses, address).await.unwrap();
    let other = json!({"spec": {"parentRef": {"name": "b"}}});
    let error = world.merge(&addresses, "10.0.0.1", "", other).await.unwrap_err();
    assert!(error.ends_with(": field is immutable"), "{error}");
}
