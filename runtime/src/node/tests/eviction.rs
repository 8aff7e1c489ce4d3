//! Pods go when the node runs short, one at a time, and when they exceed what they may have on its disk.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::cluster::Trial;
use crate::node::eviction::{EvictionConfig, Observation, Observations, Signal, Threshold, Vitals};

/// Says what a test wants to be left.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Observations>>);

impl Vitals for Told {
    fn observe(&self) -> Observations {
        self.0.lock().unwrap().clone()
    }
}

impl Told {
    fn is_left(&self, signal: Signal, available: u64) {
        self.0.lock().unwrap().insert(signal, Observation { available, capacity: 1 << 30 });
    }
}

async fn trial(vitals: &Told) -> Trial {
    let eviction = EvictionConfig {
        thresholds: Threshold::defaults(),
        vitals: Some(Arc::new(vitals.clone())),
        ..EvictionConfig::none()
    };
    Trial::with_eviction("localhost/web:v1", "", eviction).await
}

fn verdict(trial: &Trial, pod: &str) -> (Value, Value, Value) {
    let status = trial.get(pod).unwrap()["status"].clone();
    (status["phase"].clone(), status["reason"].clone(), status["message"].clone())
}

#[tokio::test(start_paused = true)]
async fn under_memory_pressure_the_pod_of_least_priority_goes_and_then_the_next() {
    let vitals = Told::default();
    vitals.is_left(Signal::MemoryAvailable, 500 << 20);
    let trial = trial(&vitals).await;
    for (name, priority) in [("first", 1), ("second", 2), ("critical", 2_000_000_000)] {
        trial.create(trial.pod(name, json!({"priority": priority}))).await;
    }
    trial.wait(Duration::from_secs(15)).await;
    for name in ["first", "second", "critical"] {
        assert_eq!(verdict(&trial, name).0, "Running");
    }
    vitals.is_left(Signal::MemoryAvailable, 60 << 20);
    trial.wait(Duration::from_secs(10)).await;
    let message = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 60Mi. ";
    assert_eq!(verdict(&trial, "first"), (json!("Failed"), json!("Evicted"), json!(message)));
    assert_eq!(verdict(&trial, "second").0, "Running");
    trial.create(trial.pod("late", json!({}))).await;
    trial.settle().await;
    let refused = "Pod was rejected: The node had condition: [MemoryPressure]. ";
    assert_eq!(verdict(&trial, "late"), (json!("Failed"), json!("Evicted"), json!(refused)));
    let asking = json!({"containers": [{"name": "main", "image": "localhost/web:v1",
        "resources": {"requests": {"memory": "1Mi"}}}]});
    trial.create(trial.pod("asking", asking)).await;
    trial.settle().await;
    assert_eq!(verdict(&trial, "asking").0, "Running");
    trial.wait(Duration::from_secs(60)).await;
    assert_eq!(verdict(&trial, "second").1, "Evicted");
    assert_eq!(verdict(&trial, "critical").0, "Running");
}

#[tokio::test(start_paused = true)]
async fn the_conditions_of_the_node_tell_of_pressure_for_a_while() {
    let vitals = Told::default();
    let trial = trial(&vitals).await;
    let conditions = async |trial: &Trial| {
        trial.settle().await;
        let node = trial.stored("nodes", "", "node-1").unwrap();
        let all = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let holding = all.into_iter().filter(|condition| condition["status"] == "True");
        holding.map(|condition| condition["reason"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(conditions(&trial).await, ["KubeletReady"]);
    vitals.is_left(Signal::NodefsAvailable, 1 << 20);
    trial.wait(Duration::from_secs(11)).await;
    assert_eq!(conditions(&trial).await, ["KubeletHasDiskPressure", "KubeletReady"]);
    vitals.is_left(Signal::NodefsAvailable, 1 << 29);
    trial.wait(Duration::from_secs(240)).await;
    assert_eq!(conditions(&trial).await, ["KubeletHasDiskPressure", "KubeletReady"]);
    trial.wait(Duration::from_secs(120)).await;
    assert_eq!(conditions(&trial).await, ["KubeletReady"]);
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_writes_more_than_its_limit_goes() {
    let vitals = Told::default();
    let trial = trial(&vitals).await;
    let limited = |limit: &str| {
        json!({
            "containers": [{"name": "main", "image": "localhost/web:v1",
                "resources": {"limits": {"ephemeral-storage": limit}}}],
            "volumes": [{"name": "work", "emptyDir": {}}],
        })
    };
    trial.create(trial.pod("small", limited("1Mi"))).await;
    trial.create(trial.pod("large", limited("1Gi"))).await;
    trial.settle().await;
    for name in ["small", "large"] {
        std::fs::write(trial.volume(name, "work").join("file"), vec![b'x'; 2 << 20]).unwrap();
    }
    trial.wait(Duration::from_secs(15)).await;
    let message = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ";
    assert_eq!(verdict(&trial, "small"), (json!("Failed"), json!("Evicted"), json!(message)));
    assert_eq!(verdict(&trial, "large").0, "Running");
}
