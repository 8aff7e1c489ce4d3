//! Subresources, and what services are given.

use super::*;

#[tokio::test(start_paused = true)]
async fn status_and_specification_have_lives_of_their_own() {
    let world = start().await;
    let mut new = deployment("d");
    new["status"] = json!({"replicas": 7});
    let created = world.create(&DEPLOYMENTS, new).await.unwrap();
    assert_eq!((&created["status"], &created["metadata"]["generation"]), (&json!({}), &json!(1)));
    let both = json!({"spec": {"replicas": 3}, "status": {"replicas": 2}});
    let specified = world.merge(&DEPLOYMENTS, "d", "", both.clone()).await.unwrap();
    assert_eq!(specified["status"], json!({}));
    assert_eq!(
        (&specified["spec"]["replicas"], &specified["metadata"]["generation"]),
        (&json!(3), &json!(2))
    );
    let mut reported = specified.clone();
    reported["spec"]["replicas"] = 9.into();
    reported["metadata"]["labels"] = json!({"no": "no"});
    reported["status"] = json!({"replicas": 2});
    let reported = world.update(&DEPLOYMENTS, "d", "status", reported).await.unwrap();
    assert_eq!((&reported["spec"]["replicas"], &reported["status"]["replicas"]), (&json!(3), &json!(2)));
    assert!(reported["metadata"].get("labels").is_none());
    assert_eq!(reported["metadata"]["generation"], 2);
    let labelled =
        world.merge(&DEPLOYMENTS, "d", "", json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    assert_eq!(labelled["metadata"]["generation"], 2);
    let node = json!({"metadata": {"name": "n"}, "status": {"capacity": {"cpu": "2"}}});
    let node = world.create(&NODES, node).await.unwrap();
    assert_eq!(node["status"]["allocatable"]["cpu"], "2", "nodes register with their status");
}

#[tokio::test(start_paused = true)]
async fn scale_shows_and_sets_replicas() {
    let world = start().await;
    world.create(&DEPLOYMENTS, deployment("d")).await.unwrap();
    let scale = world.call(&DEPLOYMENTS, "d", "scale", Verb::Get).await.unwrap();
    assert_eq!((scale.kind(), scale.api_version()), ("Scale", "autoscaling/v1"));
    assert_eq!(scale.value()["spec"]["replicas"], 1);
    assert_eq!(scale.value()["status"]["selector"], "app=a");
    let scaled = world.merge(&DEPLOYMENTS, "d", "scale", json!({"spec": {"replicas": 5}})).await.unwrap();
    assert_eq!(scaled["spec"]["replicas"], 5);
    assert_eq!(world.get(&DEPLOYMENTS, "d").await.unwrap()["metadata"]["generation"], 2);
    let mut down = scaled;
    down["spec"] = json!({});
    world.update(&DEPLOYMENTS, "d", "scale", down).await.unwrap();
    assert_eq!(world.get(&DEPLOYMENTS, "d").await.unwrap()["spec"]["replicas"], 0);
    let error = world.merge(&DEPLOYMENTS, "d", "scale", json!({"spec": {"replicas": -1}})).await.unwrap_err();
    assert!(
        error.ends_with("spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        "{error}"
    );
    let error = world.call(&PODS, "d", "scale", Verb::Get).await.unwrap_err();
    assert_eq!(error.to_string(), "the server could not find the requested resource");
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_bound_once() {
    let world = start().await;
    world.create(&PODS, pod("p")).await.unwrap();
    let bind = async |node: &str| {
        let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": node}});
        world.client.create_subresource(&PODS, &Key::new("default", "p"), "binding", &binding).await
    };
    assert!(bind("").await.unwrap_err().to_string().contains("target.name: Required value"));
    let other = async |metadata: Value| {
        let binding = json!({"metadata": metadata, "target": {"kind": "Node", "name": "n1"}});
        let key = Key::new("default", "p");
        world.client.create_subresource(&PODS, &key, "binding", &binding).await.unwrap_err().code
    };
    assert_eq!(other(json!({"name": "other"})).await, 400);
    assert_eq!(other(json!({"name": "p", "namespace": "other"})).await, 400);
    assert_eq!(other(json!({"name": "p", "uid": "other"})).await, 409);
    assert_eq!(other(json!({"name": "p", "resourceVersion": "1"})).await, 409);
    let bound = bind("n1").await.unwrap();
    assert_eq!(bound.value()["spec"]["nodeName"], "n1");
    assert_eq!(
        bound.value()["status"]["conditions"],
        json!([{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}])
    );
    let error = bind("n2").await.unwrap_err();
    assert_eq!(
        (error.code, error.to_string().as_str()),
        (409, r#"Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1""#)
    );
}

#[tokio::test(start_paused = true)]
async fn services_are_given_addresses_and_ports_that_nobody_else_has() {
    let world = start().await;
    let service = |name: &str| json!({"metadata": {"name": name}, "spec": {"type": "NodePort", "ports": [{"port": 80}]}});
    let (world, service) = (&world, &service);
    let made =
        (0..20).map(|number| async move { world.create(&SERVICES, service(&format!("s{number}"))).await });
    let made = futures::future::join_all(made).await;
    let field = |field: fn(&Value) -> String| {
        let values: std::collections::BTreeSet<String> =
            made.iter().map(|service| field(service.as_ref().unwrap())).collect();
        values.len()
    };
    assert_eq!(field(|service| service["spec"]["clusterIP"].to_string()), 20);
    assert_eq!(field(|service| service["spec"]["ports"][0]["nodePort"].to_string()), 20);
    let first = made[0].clone().unwrap();
    let applied = world.update(&SERVICES, "s0", "", service("s0")).await.unwrap();
    assert_eq!(applied, first, "what was given stays when the same is applied again");
    let again = world.create(&SERVICES, first_without_revision(&first)).await.unwrap_err();
    assert_eq!(again, r#"services "s0" already exists"#, "not that its own port is taken");
    let row = async |ports: Value| {
        let ports = json!({"spec": {"ports": ports}});
        let patched = world.merge(&SERVICES, "s0", "", ports.clone()).await.unwrap();
        assert_eq!(patched["spec"]["clusterIP"], first["spec"]["clusterIP"]);
        assert_eq!(patched["spec"]["ports"][0]["nodePort"], first["spec"]["ports"][0]["nodePort"], "{ports}");
    };
    row(json!([{"port": 80}])).await;
    row(json!([{"port": 80, "nodePort": 0}])).await;
    row(json!([{"port": 80, "name": "http"}, {"port": 81, "name": "more"}])).await;
    row(json!([{"port": 80, "targetPort": 8080}])).await;
    let mut moved = world.get(&SERVICES, "s0").await.unwrap();
    moved["spec"]["clusterIP"] = "10.96.0.7".into();
    moved["spec"]["clusterIPs"] = json!(["10.96.0.7"]);
    let error = world.update(&SERVICES, "s0", "", moved).await.unwrap_err();
    assert!(
        error.ends_with(r#"spec.clusterIPs[0]: Invalid value: ["10.96.0.7"]: may not change once set"#),
        "{error}"
    );
    let inner = world.merge(&SERVICES, "s0", "", json!({"spec": {"type": "ClusterIP"}})).await.unwrap();
    assert_eq!(inner["spec"]["ports"][0].get("nodePort"), None);
    assert_eq!(inner["spec"]["clusterIP"], first["spec"]["clusterIP"]);
    assert_eq!(inner["spec"].get("externalTrafficPolicy"), None);
    let named = json!({"spec": {"type": "ExternalName", "externalName": "example.com"}});
    let named = world.merge(&SERVICES, "s0", "", named).await.unwrap();
    assert_eq!(named["spec"].get("clusterIP"), None);
    let mut taken = service("t");
    taken["spec"]["clusterIP"] = made[1].clone().unwrap()["spec"]["clusterIP"].clone();
    let error = world.create(&SERVICES, taken).await.unwrap_err();
    assert!(error.ends_with("provided IP is already allocated"), "{error}");
}

/// A service as a manifest would have it, with the address and the port it was given.
fn first_without_revision(service: &Value) -> Value {
    json!({"metadata": {"name": service["metadata"]["name"]}, "spec": service["spec"]})
}

#[tokio::test(start_paused = true)]
async fn a_template_applied_again_without_its_defaults_changes_nothing() {
    let world = start().await;
    let full = json!({"spec": {"replicas": 2, "template": {"spec": {
        "containers": [{"name": "c", "image": "app:1", "ports": [{"containerPort": 80}],
            "env": [{"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "resources": {"requests": {"cpu": 0.5}, "limits": {"memory": "1024Ki"}},
            "readinessProbe": {"httpGet": {"port": 80}}}],
        "volumes": [{"name": "v", "configMap": {"name": "m"}}, {"name": "e"}]}}}});
    world.create(&DEPLOYMENTS, deployment("d")).await.unwrap();
    let first = world.merge(&DEPLOYMENTS, "d", "", full.clone()).await.unwrap();
    assert_eq!(first["metadata"]["generation"], 2);
    assert_eq!(world.merge(&DEPLOYMENTS, "d", "", full).await.unwrap(), first);
}
