//! Tells the API server that the node exists, what it has, and that it lives.

use std::sync::Arc;
use std::time::Duration;

use api::clock::add;
use api::event::seconds;
use api::resource::{LEASES, NODES};
use api::{Key, Status};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tracing::{info, warn};

use super::eviction::Pressure;
use super::{NodeConfig, Shared};
use crate::images::{Image, ImageStore};

/// How often the node says that it lives, as the kubelet does.
const BEAT: Duration = Duration::from_secs(10);
/// How long others believe it.
const LEASE_SECONDS: u32 = 40;
/// How often it reports its whole status though nothing has changed, as the kubelet does.
const REPORT: Duration = Duration::from_secs(300);
/// How long it waits after a failed attempt to register.
const RETRY: Duration = Duration::from_secs(1);

const LEASE_NAMESPACE: &str = "kube-node-lease";

/// Registers the node, then renews its lease and its status for ever.
pub(super) async fn keep_alive(shared: Arc<Shared>) {
    let config = &shared.config;
    let ready_since = config.clock.now();
    let mut pressure = shared.evictions.pressure();
    let pressure_now = |pressure: &mut watch::Receiver<Pressure>| *pressure.borrow_and_update();
    while let Err(error) = register(config, pressure_now(&mut pressure), ready_since).await {
        warn!(node = config.name, %error, "node not registered");
        config.clock.sleep(RETRY).await;
    }
    info!(node = config.name, "node registered");
    let mut next_report = add(config.clock.now(), REPORT);
    let mut reported_images = images(config);
    loop {
        if let Err(error) = renew(config).await {
            warn!(node = config.name, %error, "node lease not renewed");
        }
        let has_turned = tokio::select! {
            biased;
            Ok(()) = pressure.changed() => true,
            () = config.clock.sleep(BEAT) => false,
        };
        let images = images(config);
        if has_turned || config.clock.now() >= next_report || images != reported_images {
            next_report = add(config.clock.now(), REPORT);
            reported_images = images;
            let pressure = pressure_now(&mut pressure);
            let reported = match report(config, pressure, ready_since).await {
                // Somebody deleted it though it lives.
                Err(error) if error.is_not_found() => register(config, pressure, ready_since).await,
                reported => reported,
            };
            if let Err(error) = reported {
                warn!(node = config.name, %error, "node status not reported");
            }
        }
    }
}

/// Adds the node, or takes over the one a former process registered.
async fn register(config: &NodeConfig, pressure: Pressure, ready_since: Timestamp) -> Result<(), Status> {
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": config.name, "labels": labels(config)},
        "spec": {"podCIDR": config.pod_cidr, "podCIDRs": [config.pod_cidr]},
        "status": status(config, pressure, ready_since),
    });
    match config.client.create(&NODES, "", &node).await {
        Err(refusal) if refusal.is_already_exists() => {
            let key = Key::cluster(config.name.as_str());
            let patch = json!({"metadata": {"labels": labels(config)}});
            config.client.patch(&NODES, &key, "", patch).await?;
        }
        created => drop(created?),
    }
    // Servers may drop the status of a new object.
    report(config, pressure, ready_since).await
}

async fn report(config: &NodeConfig, pressure: Pressure, ready_since: Timestamp) -> Result<(), Status> {
    let key = Key::cluster(config.name.as_str());
    let patch = json!({"status": status(config, pressure, ready_since)});
    config.client.patch(&NODES, &key, "status", patch).await.map(drop)
}

async fn renew(config: &NodeConfig) -> Result<(), Status> {
    let key = Key::new(LEASE_NAMESPACE, config.name.as_str());
    let renewed = json!({"spec": {
        "holderIdentity": config.name,
        "leaseDurationSeconds": LEASE_SECONDS,
        "renewTime": format!("{:.6}", config.clock.now()),
    }});
    match config.client.patch(&LEASES, &key, "", renewed.clone()).await {
        Err(refusal) if refusal.is_not_found() => {
            let lease = json!({
                "apiVersion": LEASES.api_version(),
                "kind": LEASES.kind,
                "metadata": {"name": config.name, "namespace": LEASE_NAMESPACE},
                "spec": renewed["spec"],
            });
            config.client.create(&LEASES, LEASE_NAMESPACE, &lease).await.map(drop)
        }
        patched => patched.map(drop),
    }
}

fn labels(config: &NodeConfig) -> Value {
    let mut labels = json!({
        "kubernetes.io/hostname": config.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture(),
    });
    for (key, value) in &config.labels {
        labels[key] = value.as_str().into();
    }
    labels
}

/// As Go, and so Kubernetes, calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn status(config: &NodeConfig, pressure: Pressure, ready_since: Timestamp) -> Value {
    let heartbeat = seconds(config.clock.now());
    let condition = |name: &str, holds: bool, since: Timestamp, reason: &str, message: &str| {
        json!({
            "type": name,
            "status": if holds { "True" } else { "False" },
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": heartbeat,
            "lastTransitionTime": seconds(since),
        })
    };
    let (reason, message) = match pressure.memory {
        true => ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
        false => ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    };
    let memory_pressure =
        condition("MemoryPressure", pressure.memory, pressure.memory_since, reason, message);
    let (reason, message) = match pressure.disk {
        true => ("KubeletHasDiskPressure", "kubelet has disk pressure"),
        false => ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    };
    let disk_pressure = condition("DiskPressure", pressure.disk, pressure.disk_since, reason, message);
    json!({
        "capacity": config.capacity.amounts(),
        "allocatable": config.capacity.amounts(),
        "addresses": [
            {"type": "InternalIP", "address": config.address.to_string()},
            {"type": "Hostname", "address": config.name},
        ],
        "conditions": [
            memory_pressure,
            disk_pressure,
            condition("PIDPressure", false, ready_since, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            condition("Ready", true, ready_since, "KubeletReady", "kubelet is posting ready status"),
        ],
        "images": images(config),
        "nodeInfo": {
            "architecture": architecture(),
            "operatingSystem": "linux",
            "osImage": "Peapod",
            "kernelVersion": kernel(),
            "containerRuntimeVersion": concat!("peapod://", env!("CARGO_PKG_VERSION")),
            "kubeletVersion": concat!("v1.35.0+peapod-", env!("CARGO_PKG_VERSION")),
            "kubeProxyVersion": "",
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
        },
    })
}

/// The images there are, the largest first, as many as the kubelet reports.
fn images(config: &NodeConfig) -> Vec<Value> {
    const MOST: usize = 50;
    let mut images = config.images.store().map(ImageStore::list).unwrap_or_default();
    images.sort_by_key(|image| std::cmp::Reverse(image.size_bytes));
    let shown = |image: &Image| {
        let by_digest = format!("{}@{}", image.reference.repository(), image.digest);
        json!({"names": [by_digest, image.reference.to_string()], "sizeBytes": image.size_bytes})
    };
    images.iter().take(MOST).map(shown).collect()
}

fn kernel() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().to_owned()
}
