//! What the node and its pods use, in the form of the kubelet's summary.

use std::time::Duration;

use api::event::seconds;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::node::Node;
use crate::node::usage::{Measured, Measurement};

impl Node {
    /// The node's own usage and that of its pods, measured now.
    pub(super) fn summary(&self) -> Value {
        let (node, containers) = self.measure();
        let mut pods: Vec<Value> = Vec::new();
        for of_pod in containers.chunk_by(|one, next| one.uid == next.uid) {
            let first = &of_pod[0];
            let sum = total(of_pod);
            let containers: Vec<Value> = of_pod
                .iter()
                .map(|container| {
                    let mut shown = amounts(&container.measured);
                    shown["name"] = json!(container.name);
                    shown["startTime"] = seconds(container.since).into();
                    shown
                })
                .collect();
            let mut pod = amounts(&sum);
            pod["podRef"] =
                json!({"name": first.pod.name, "namespace": first.pod.namespace, "uid": first.uid});
            pod["startTime"] = seconds(first.since).into();
            pod["containers"] = containers.into();
            pods.push(pod);
        }
        let mut shown = amounts(&node);
        shown["nodeName"] = self.name().into();
        shown["startTime"] = seconds(self.0.started).into();
        let capacity = self.0.config.capacity.memory_bytes;
        shown["memory"]["availableBytes"] = capacity.saturating_sub(node.memory_bytes).into();
        json!({"node": shown, "pods": pods})
    }
}

/// What the containers of a pod use together.
pub(super) fn total(containers: &[Measurement]) -> Measured {
    let mut sum =
        Measured { time: Timestamp::MIN, cpu_used: Duration::ZERO, nano_cores: None, memory_bytes: 0 };
    for container in containers {
        let one = &container.measured;
        sum.time = sum.time.max(one.time);
        sum.cpu_used = sum.cpu_used.saturating_add(one.cpu_used);
        sum.nano_cores = match (sum.nano_cores, one.nano_cores) {
            (Some(sum), Some(one)) => Some(sum.saturating_add(one)),
            (sum, one) => sum.or(one),
        };
        sum.memory_bytes = sum.memory_bytes.saturating_add(one.memory_bytes);
    }
    sum
}

fn amounts(measured: &Measured) -> Value {
    let time = seconds(measured.time);
    let used = u64::try_from(measured.cpu_used.as_nanos()).unwrap_or(u64::MAX);
    let mut cpu = json!({"time": time, "usageCoreNanoSeconds": used});
    if let Some(nano_cores) = measured.nano_cores {
        cpu["usageNanoCores"] = nano_cores.into();
    }
    let bytes = measured.memory_bytes;
    let memory = json!({"time": time, "usageBytes": bytes, "workingSetBytes": bytes, "rssBytes": bytes});
    json!({"cpu": cpu, "memory": memory})
}
