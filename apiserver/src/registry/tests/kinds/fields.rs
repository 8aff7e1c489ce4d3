//! The fields by which objects can be selected.

use super::*;
use api::resource::{ENDPOINTS, JOBS, SECRETS, SERVICE_ACCOUNTS};

impl World {
    /// The names of the objects of all namespaces that a field selector chooses.
    async fn chosen(&self, resource: &Resource, selector: &str) -> Result<Vec<String>, Status> {
        let options = ListOptions { fields: selector.parse().unwrap(), ..ListOptions::default() };
        let list = self.client.list(resource, "", options).await?;
        Ok(list.items.iter().map(|object| object.name().to_owned()).collect())
    }
}

#[tokio::test(start_paused = true)]
async fn objects_are_selected_by_their_fields() {
    let world = start().await;
    let mut host = pod("p");
    crate::patch::merge(
        &mut host["spec"],
        json!({"hostNetwork": true, "nodeName": "n", "schedulerName": "mine", "restartPolicy": "Never"}),
    );
    world.create(&PODS, host).await.unwrap();
    world.create(&PODS, pod("q")).await.unwrap();
    let status = json!({"status": {"phase": "Running", "podIP": "10.128.0.9", "nominatedNodeName": "m",
        "podIPs": [{"ip": "10.128.0.9"}]}});
    world.merge(&PODS, "p", "status", status).await.unwrap();
    world.create(&NODES, json!({"metadata": {"name": "n"}, "spec": {"unschedulable": true}})).await.unwrap();
    world.create(&NODES, json!({"metadata": {"name": "m"}})).await.unwrap();
    let event = json!({"metadata": {"name": "e"}, "reason": "Started", "type": "Normal",
        "source": {"component": "kubelet"}, "reportingComponent": "agent",
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p", "uid": "u", "apiVersion": "v1",
            "resourceVersion": "7", "fieldPath": "spec.containers{c}"}});
    world.create(&EVENTS, event).await.unwrap();
    world.create(&SECRETS, json!({"metadata": {"name": "s"}})).await.unwrap();
    let service =
        json!({"metadata": {"name": "v"}, "spec": {"clusterIP": "10.96.0.9", "ports": [{"port": 80}]}});
    world.create(&SERVICES, service).await.unwrap();
    world.create(&REPLICA_SETS, deployment("r")).await.unwrap();
    let job = json!({"metadata": {"name": "j"}, "spec": {"template": {"spec": {"restartPolicy": "Never",
        "containers": [{"name": "c", "image": "app:1"}]}}}});
    world.create(&JOBS, job).await.unwrap();
    let rows: [(&Resource, &str, &[&str]); 34] = [
        (&PODS, "metadata.name=p", &["p"]),
        (&PODS, "metadata.namespace=other", &[]),
        (&PODS, "spec.nodeName=n", &["p"]),
        (&PODS, "spec.nodeName=", &["q"]),
        (&PODS, "spec.restartPolicy=Never", &["p"]),
        (&PODS, "spec.schedulerName!=mine", &["q"]),
        (&PODS, "spec.serviceAccountName=default", &["p", "q"]),
        (&PODS, "spec.hostNetwork=true", &["p"]),
        (&PODS, "spec.hostNetwork=false", &["q"]),
        (&PODS, "status.phase=Running", &["p"]),
        (&PODS, "status.phase!=Running,metadata.name!=p", &["q"]),
        (&PODS, "status.podIP=10.128.0.9", &["p"]),
        (&PODS, "status.podIPs=10.128.0.9", &["p"]),
        (&PODS, "status.nominatedNodeName=m", &["p"]),
        (&NODES, "spec.unschedulable=true", &["n"]),
        (&NODES, "spec.unschedulable=false", &["m"]),
        (&EVENTS, "involvedObject.kind=Pod,involvedObject.name=p", &["e"]),
        (&EVENTS, "involvedObject.namespace=default", &["e"]),
        (&EVENTS, "involvedObject.uid=u", &["e"]),
        (&EVENTS, "involvedObject.apiVersion=v1", &["e"]),
        (&EVENTS, "involvedObject.resourceVersion=7", &["e"]),
        (&EVENTS, "involvedObject.fieldPath=spec.containers{c}", &["e"]),
        (&EVENTS, "reason=Started", &["e"]),
        (&EVENTS, "reportingComponent=agent", &["e"]),
        (&EVENTS, "source=kubelet", &["e"]),
        (&EVENTS, "type=Warning", &[]),
        (&NAMESPACES, "status.phase=Active,metadata.name=default", &["default"]),
        (&NAMESPACES, "status.phase=Terminating", &[]),
        (&SECRETS, "type=Opaque", &["s"]),
        (&SECRETS, "type=kubernetes.io/tls", &[]),
        (&SERVICES, "spec.clusterIP=10.96.0.9", &["v"]),
        (&SERVICES, "spec.type=NodePort", &[]),
        (&REPLICA_SETS, "status.replicas=0", &["r"]),
        (&JOBS, "status.successful=0", &["j"]),
    ];
    for (resource, selector, names) in rows {
        assert_eq!(world.chosen(resource, selector).await.unwrap(), names, "{resource} {selector}");
    }
}

#[tokio::test(start_paused = true)]
async fn fields_nobody_keeps_an_eye_on_are_refused() {
    let world = start().await;
    for resource in [&PODS, &NODES, &SERVICE_ACCOUNTS, &ENDPOINTS, &JOBS, &SECRETS, &NAMESPACES] {
        let status = world.chosen(resource, "spec.colour=red").await.unwrap_err();
        assert_eq!((status.code, status.message.as_str()), (400, "field label not supported: spec.colour"));
    }
    let status = world.chosen(&NODES, "metadata.namespace=default").await.unwrap_err();
    assert_eq!(status.code, 400, "nodes have no namespace");
}
