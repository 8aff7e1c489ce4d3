//! Tables of objects as scenarios print them: the columns that matter, times left out.

use api::Object;
use serde_json::Value;

/// Makes the cells of one object.
type Row = fn(&Value) -> Vec<String>;

/// A table of `objects` with the columns for their kind.
pub fn table(objects: &[Object]) -> String {
    let Some(first) = objects.first() else { return "none\n".to_owned() };
    let (head, row): (&[&str], Row) = match first.kind() {
        "Pod" => (&["NAME", "READY", "STATUS", "RESTARTS", "NODE"], pod),
        "ReplicaSet" => (&["NAME", "DESIRED", "CURRENT", "READY"], replica_set),
        "Deployment" => (&["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "CONDITIONS"], deployment),
        "Service" => (&["NAME", "TYPE", "CLUSTER-IP", "PORTS"], service),
        "EndpointSlice" => (&["SERVICE", "PORTS", "ENDPOINTS"], endpoint_slice),
        "Event" => (&["TYPE", "REASON", "OBJECT", "MESSAGE"], event),
        "Node" => (&["NAME", "STATUS"], node),
        "PersistentVolumeClaim" => (&["NAME", "STATUS", "VOLUME", "CAPACITY"], claim),
        "PersistentVolume" => (&["CAPACITY", "RECLAIM POLICY", "STATUS", "CLAIM"], volume),
        _ => (&["NAME"], |object| vec![text(&object["metadata"]["name"])]),
    };
    let head = head.iter().map(|word| (*word).to_owned()).collect();
    let mut rows: Vec<Vec<String>> = objects.iter().map(|object| row(object.value())).collect();
    rows.sort();
    rows.insert(0, head);
    align(&rows)
}

/// Lines with columns as wide as their widest cell.
fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn pod(pod: &Value) -> Vec<String> {
    let statuses = items(&pod["status"]["containerStatuses"]);
    let ready = statuses.iter().filter(|status| status["ready"] == true).count();
    let restarts: u64 = statuses.iter().filter_map(|status| status["restartCount"].as_u64()).sum();
    vec![
        text(&pod["metadata"]["name"]),
        format!("{ready}/{}", items(&pod["spec"]["containers"]).len()),
        pod_status(pod, statuses),
        restarts.to_string(),
        text(&pod["spec"]["nodeName"]),
    ]
}

/// The word kubectl shows: what a container waits for or ended with, before the phase.
fn pod_status(pod: &Value, statuses: &[Value]) -> String {
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        return "Terminating".to_owned();
    }
    let of = |state: &str| statuses.iter().find_map(|status| status["state"][state]["reason"].as_str());
    let running = statuses.iter().any(|status| !status["state"]["running"].is_null());
    match of("waiting").or_else(|| of("terminated").filter(|_| !running)) {
        Some(reason) => reason.to_owned(),
        None => text(&pod["status"]["phase"]),
    }
}

fn claim(claim: &Value) -> Vec<String> {
    vec![
        text(&claim["metadata"]["name"]),
        phase(claim),
        text(&claim["spec"]["volumeName"]),
        text(&claim["status"]["capacity"]["storage"]),
    ]
}

fn volume(volume: &Value) -> Vec<String> {
    let spec = &volume["spec"];
    vec![
        text(&spec["capacity"]["storage"]),
        text(&spec["persistentVolumeReclaimPolicy"]),
        phase(volume),
        text(&spec["claimRef"]["name"]),
    ]
}

/// As kubectl shows it.
fn phase(object: &Value) -> String {
    let is_going = !object["metadata"]["deletionTimestamp"].is_null();
    if is_going { "Terminating".to_owned() } else { text(&object["status"]["phase"]) }
}

fn replica_set(set: &Value) -> Vec<String> {
    let status = &set["status"];
    vec![
        text(&set["metadata"]["name"]),
        number(&set["spec"]["replicas"]),
        number(&status["replicas"]),
        number(&status["readyReplicas"]),
    ]
}

fn deployment(deployment: &Value) -> Vec<String> {
    let status = &deployment["status"];
    let condition = |condition: &Value| {
        format!("{}={}:{}", text(&condition["type"]), text(&condition["status"]), text(&condition["reason"]))
    };
    let mut conditions: Vec<String> = items(&status["conditions"]).iter().map(condition).collect();
    conditions.sort();
    vec![
        text(&deployment["metadata"]["name"]),
        format!("{}/{}", number(&status["readyReplicas"]), number(&deployment["spec"]["replicas"])),
        number(&status["updatedReplicas"]),
        number(&status["availableReplicas"]),
        conditions.join(","),
    ]
}

fn service(service: &Value) -> Vec<String> {
    let port = |port: &Value| match port["nodePort"].as_u64() {
        Some(node_port) => format!("{}:{node_port}/{}", port["port"], text(&port["protocol"])),
        None => format!("{}/{}", port["port"], text(&port["protocol"])),
    };
    let ports: Vec<String> = items(&service["spec"]["ports"]).iter().map(port).collect();
    vec![
        text(&service["metadata"]["name"]),
        text(&service["spec"]["type"]),
        text(&service["spec"]["clusterIP"]),
        ports.join(","),
    ]
}

fn endpoint_slice(slice: &Value) -> Vec<String> {
    let endpoint = |endpoint: &Value| {
        let conditions = &endpoint["conditions"];
        let state = match (conditions["ready"] == true, conditions["terminating"] == true) {
            (true, _) => "",
            (false, true) => "(terminating)",
            (false, false) => "(not ready)",
        };
        format!("{}{state}", text(&endpoint["targetRef"]["name"]))
    };
    let mut endpoints: Vec<String> = items(&slice["endpoints"]).iter().map(endpoint).collect();
    endpoints.sort();
    let ports: Vec<String> = items(&slice["ports"]).iter().map(|port| number(&port["port"])).collect();
    vec![
        text(&slice["metadata"]["labels"]["kubernetes.io/service-name"]),
        ports.join(","),
        endpoints.join(","),
    ]
}

fn event(event: &Value) -> Vec<String> {
    let involved = &event["involvedObject"];
    let times = event["count"].as_u64().filter(|count| *count > 1);
    let times = times.map_or(String::new(), |count| format!(" (x{count})"));
    vec![
        text(&event["type"]),
        text(&event["reason"]),
        format!("{}/{}", text(&involved["kind"]), text(&involved["name"])),
        format!("{}{times}", text(&event["message"])),
    ]
}

fn node(node: &Value) -> Vec<String> {
    let ready = items(&node["status"]["conditions"])
        .iter()
        .any(|condition| condition["type"] == "Ready" && condition["status"] == "True");
    let status = if ready { "Ready" } else { "NotReady" };
    vec![text(&node["metadata"]["name"]), status.to_owned()]
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn number(value: &Value) -> String {
    value.as_u64().unwrap_or(0).to_string()
}
