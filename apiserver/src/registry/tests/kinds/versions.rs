//! Kinds in other versions than their own, as old manifests have them.

use super::*;
use api::backend::Answer;
use api::resource::DAEMON_SETS;

fn of(group: &'static str, version: &'static str, plural: &'static str, kind: &'static str) -> Resource {
    Resource::new(group, version, plural, kind, true)
}

#[tokio::test(start_paused = true)]
async fn an_old_deployment_becomes_one_of_today_with_a_warning() {
    let world = start().await;
    let old = of("extensions", "v1beta1", "deployments", "Deployment");
    let mut manifest = deployment("d");
    manifest["apiVersion"] = "extensions/v1beta1".into();
    manifest["kind"] = "Deployment".into();
    manifest["spec"]["selector"] = Value::Null;
    let verb = Verb::Create(Body::Json(manifest.to_string().into()), WriteOptions::default());
    let reply = world.client.call(&old, Key::new("default", ""), "", verb).await.unwrap();
    let warning =
        "extensions/v1beta1 Deployment is deprecated in v1.9+, unavailable in v1.16+; use apps/v1 Deployment";
    assert_eq!(reply.warnings, [warning]);
    let Answer::Object(shown) = reply.answer else { panic!() };
    assert_eq!(
        (shown.api_version(), shown.value()["spec"]["replicas"].as_i64()),
        ("extensions/v1beta1", Some(1))
    );
    let stored = world.get(&DEPLOYMENTS, "d").await.unwrap();
    assert_contains(
        &stored,
        &json!({"apiVersion": "apps/v1", "spec": {"selector": {"matchLabels": {"app": "a"}}}}),
        "",
    );
    // It is one object, whichever way it is changed.
    let changed = world.merge(&old, "d", "", json!({"spec": {"replicas": 3}})).await.unwrap();
    assert_eq!(changed["apiVersion"], "extensions/v1beta1");
    assert_eq!(world.get(&DEPLOYMENTS, "d").await.unwrap()["spec"]["replicas"], 3);
    let scaled = world
        .merge(
            &of("apps", "v1beta2", "deployments", "Deployment"),
            "d",
            "scale",
            json!({"spec": {"replicas": 2}}),
        )
        .await;
    assert_eq!(scaled.unwrap()["apiVersion"], "autoscaling/v1");
    let strategic = Verb::Patch(
        Patch::Strategic(Body::Value(
            json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "app:2"}]}}}}),
        )),
        WriteOptions::default(),
    );
    let patched =
        world.call(&of("apps", "v1beta1", "deployments", "Deployment"), "d", "", strategic).await.unwrap();
    assert_eq!(patched.value()["spec"]["template"]["spec"]["containers"][0]["image"], "app:2");
    assert_eq!(world.get(&DEPLOYMENTS, "d").await.unwrap()["spec"]["replicas"], 2);
    // Mistakes are those of today's kind.
    let mut wrong = deployment("e");
    wrong["spec"]["replicas"] = json!(-1);
    let error = world.create(&old, wrong).await.unwrap_err();
    assert!(error.contains("spec.replicas: Invalid value: -1"), "{error}");
    let mut daemons = deployment("f");
    daemons["spec"]["templateGeneration"] = json!(4);
    let created =
        world.create(&of("extensions", "v1beta1", "daemonsets", "DaemonSet"), daemons).await.unwrap();
    assert_eq!(created["spec"].get("templateGeneration"), None);
    assert!(world.get(&DAEMON_SETS, "f").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_old_ingress_is_seen_as_a_new_one_and_the_other_way_round() {
    let world = start().await;
    let (old, new) = (
        of("networking.k8s.io", "v1beta1", "ingresses", "Ingress"),
        of("networking.k8s.io", "v1", "ingresses", "Ingress"),
    );
    let manifest = json!({"metadata": {"name": "i"}, "spec": {"rules": [{"host": "h.example.com", "http": {
        "paths": [{"path": "/", "backend": {"serviceName": "web", "servicePort": 80}}]}}]}});
    let created = world.create(&old, manifest.clone()).await.unwrap();
    let path = |ingress: &Value| ingress["spec"]["rules"][0]["http"]["paths"][0].clone();
    assert_eq!(path(&created)["backend"], json!({"serviceName": "web", "servicePort": 80}));
    assert_eq!(
        path(&world.get(&new, "i").await.unwrap()),
        json!({"path": "/", "pathType": "ImplementationSpecific",
            "backend": {"service": {"name": "web", "port": {"number": 80}}}})
    );
    let mut again = created.clone();
    again["spec"]["rules"][0]["http"]["paths"][0]["backend"]["servicePort"] = json!("http");
    world.update(&old, "i", "", again).await.unwrap();
    let changed = world.get(&new, "i").await.unwrap();
    assert_eq!(path(&changed)["backend"]["service"]["port"], json!({"name": "http"}));
    let mut nameless = manifest;
    nameless["metadata"]["name"] = "j".into();
    nameless["spec"]["rules"][0]["http"]["paths"][0]["backend"] = json!({"servicePort": 80});
    let error = world.create(&old, nameless).await.unwrap_err();
    assert!(error.contains("backend.service.name: Required value"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn events_are_read_and_selected_in_both_groups() {
    let world = start().await;
    let new = of("events.k8s.io", "v1", "events", "Event");
    let event = json!({"metadata": {"name": "e"}, "regarding": {"kind": "Pod", "name": "web", "namespace": "default"},
        "reason": "Started", "note": "started", "type": "Normal", "reportingController": "kubelet",
        "reportingInstance": "n1", "action": "Start", "eventTime": "2026-01-01T00:00:00.000000Z"});
    let created = world.create(&new, event.clone()).await.unwrap();
    assert_contains(&created, &event, "");
    let core = world.get(&EVENTS, "e").await.unwrap();
    let expected =
        json!({"message": "started", "involvedObject": {"name": "web"}, "reportingComponent": "kubelet"});
    assert_contains(&core, &expected, "");
    let count = async |resource: &Resource, fields: &str| {
        let options = ListOptions { fields: fields.parse().unwrap(), ..ListOptions::default() };
        let reply = world.client.call(resource, Key::new("default", ""), "", Verb::List(options)).await;
        match reply.unwrap().answer {
            Answer::List(list) => list.items.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(count(&new, "regarding.name=web").await, 1);
    assert_eq!(count(&new, "regarding.name=db").await, 0);
    assert_eq!(count(&EVENTS, "involvedObject.name=web,reason=Started").await, 1);
}

#[tokio::test(start_paused = true)]
async fn an_autoscaler_of_version_1_is_one_of_version_2() {
    let world = start().await;
    let (one, two) = (
        of("autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
        of("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    );
    let target = json!({"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"});
    let autoscaler = json!({"metadata": {"name": "a"}, "spec": {"scaleTargetRef": target, "maxReplicas": 5,
        "targetCPUUtilizationPercentage": 70}});
    let created = world.create(&one, autoscaler).await.unwrap();
    assert_eq!(created["spec"]["targetCPUUtilizationPercentage"], 70);
    let stored = world.get(&two, "a").await.unwrap();
    let metric = json!({"type": "Resource", "resource": {"name": "cpu",
        "target": {"type": "Utilization", "averageUtilization": 70}}});
    assert_eq!(stored["spec"]["metrics"], json!([metric]));
    world.merge(&one, "a", "", json!({"spec": {"targetCPUUtilizationPercentage": 30}})).await.unwrap();
    let stored = world.get(&two, "a").await.unwrap();
    assert_eq!(stored["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 30);
}
