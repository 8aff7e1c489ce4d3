//! The summary a node gives of what it and its pods use, in the kubelet's form.

use serde::Deserialize;
use serde_json::{Value, json};

/// What a node says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Summary {
    pub node: Usage,
    pub pods: Vec<PodUsage>,
}

/// What a pod uses.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PodUsage {
    pub pod_ref: PodRef,
    pub containers: Vec<Usage>,
}

/// Which pod is meant.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodRef {
    pub uid: String,
}

/// What a container, or a node as a whole, uses.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// The container; empty for a node.
    pub name: String,
    cpu: Cpu,
    memory: Memory,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Cpu {
    time: String,
    usage_nano_cores: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Memory {
    working_set_bytes: Option<u64>,
}

impl Usage {
    /// When it was measured.
    pub fn time(&self) -> &str {
        &self.cpu.time
    }

    /// The amounts as quantities; none before both were measured.
    pub fn shown(&self) -> Option<Value> {
        let cpu = self.cpu.usage_nano_cores?;
        let memory = self.memory.working_set_bytes?;
        Some(json!({"cpu": nano_cores(cpu), "memory": kibibytes(memory)}))
    }
}

fn nano_cores(amount: u64) -> String {
    if amount == 0 { "0".to_owned() } else { format!("{amount}n") }
}

fn kibibytes(bytes: u64) -> String {
    if bytes == 0 { "0".to_owned() } else { format!("{}Ki", bytes.div_ceil(1024)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_what_was_measured_is_shown() {
        let row = |text: &str, expected: Option<Value>| {
            assert_eq!(serde_json::from_str::<Usage>(text).unwrap().shown(), expected, "{text}");
        };
        row(
            r#"{"name":"c","cpu":{"time":"t","usageNanoCores":1500,"usageCoreNanoSeconds":9},"memory":{"workingSetBytes":2049}}"#,
            Some(json!({"cpu": "1500n", "memory": "3Ki"})),
        );
        row(
            r#"{"cpu":{"usageNanoCores":0},"memory":{"workingSetBytes":0}}"#,
            Some(json!({"cpu": "0", "memory": "0"})),
        );
        row(r#"{"cpu":{"usageCoreNanoSeconds":9},"memory":{"workingSetBytes":2048}}"#, None);
        row("{}", None);
    }
}
