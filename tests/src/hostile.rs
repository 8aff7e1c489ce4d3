//! Guests and clients that mean harm: the table that tests and the benchmark go through, each beside an innocent pod.

mod attack;
mod programs;

use std::sync::Arc;

use anyhow::{Context, Result};
use api::Key;
use api::resource::PODS;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::real::RealCluster;
use attack::Attack;
use programs::Program;

/// The guest of the innocent pod.
const HELLO: &[u8] = include_bytes!("../../examples/hello/hello.wasm");
const INNOCENT: &str = include_str!("../it/innocent.yaml");

/// How much memory a hostile pod may hold.
pub const MEMORY_LIMIT: u64 = 64 << 20;

/// One way to do harm.
#[derive(Clone, Copy, Debug)]
pub struct Hostile {
    /// Its name, also the pod's.
    pub name: &'static str,
    /// One container for each.
    programs: &'static [Program],
    attack: Attack,
    /// The code and the reason with which its container ends; it runs for ever if there are none.
    pub ends: Option<(i64, &'static str)>,
}

impl Hostile {
    const fn guest(name: &'static str, programs: &'static [Program]) -> Self {
        Self { name, programs, attack: Attack::None, ends: None }
    }

    const fn ending(self, code: i64, reason: &'static str) -> Self {
        Self { ends: Some((code, reason)), ..self }
    }

    const fn client(name: &'static str, programs: &'static [Program], attack: Attack) -> Self {
        Self { name, programs, attack, ends: None }
    }
}

/// All of them.
pub static ALL: [Hostile; 18] = [
    Hostile::guest("spin", &[Program::Text(programs::SPIN)]),
    Hostile::guest("trap", &[Program::Text(programs::TRAP)]).ending(134, "Error"),
    Hostile::guest("recursion", &[Program::Text(programs::RECURSION)]).ending(134, "Error"),
    Hostile::guest("memory", &[Program::Text(programs::GROW)]).ending(137, "OOMKilled"),
    Hostile::guest("memories", &[Program::Text(programs::GROW_SEVERAL)]).ending(137, "OOMKilled"),
    Hostile::guest("tables", &[Program::Text(programs::GROW_TABLES)]).ending(134, "Error"),
    Hostile::guest("fill", &[Program::Text(programs::FILL)]),
    Hostile::guest("print", &[Program::Text(programs::PRINT)]),
    Hostile::guest("handles", &[Program::Text(programs::LEAK_HANDLES)]).ending(134, "Error"),
    Hostile::guest("readdir", &[Program::Text(programs::READ_FOLDER)]),
    Hostile::guest("links", &[Program::Text(programs::SWAP_LINKS), Program::Text(programs::FOLLOW_LINKS)]),
    Hostile::guest("random", &[Program::Text(programs::RANDOM)]),
    Hostile::client("flood", &[Program::Relay], Attack::Flood),
    Hostile::client("unread-bodies", &[Program::Hello], Attack::UnreadBodies),
    Hostile::client("unread-answers", &[Program::Hello], Attack::UnreadAnswers),
    Hostile::client("slow-bodies", &[Program::Hello], Attack::SlowBodies),
    Hostile::client("slow-heads", &[Program::Hello], Attack::SlowHeads),
    Hostile::client("large-headers", &[Program::Hello], Attack::LargeHeaders),
];

/// A cluster in which an innocent pod answers.
pub struct Neighbourhood {
    /// The cluster.
    pub cluster: Arc<RealCluster>,
}

impl Neighbourhood {
    /// Starts the innocent pod.
    pub async fn start() -> Result<Self> {
        let cluster = RealCluster::start().await?;
        cluster.import("hello", HELLO)?;
        cluster.create(INNOCENT).await?;
        cluster.wait_for_endpoints("innocent").await?;
        Ok(Self { cluster: Arc::new(cluster) })
    }

    /// Asks the innocent pod; anything but its own answer is a failure.
    pub async fn ask(&self) -> Result<()> {
        let answer = self.cluster.get("innocent", 80).await?;
        anyhow::ensure!(answer.contains("hello from innocent"), "{answer}");
        Ok(())
    }

    /// Starts a hostile pod, its service and those who attack it, until what comes back is dropped.
    pub async fn let_in(&self, hostile: &Hostile, cpu_limit: Option<&str>) -> Result<JoinSet<()>> {
        for (index, program) in hostile.programs.iter().enumerate() {
            self.cluster.import(&image(hostile, index), &program.bytes()?)?;
        }
        let client = &self.cluster.cluster.client;
        client.create(&PODS, "default", &pod(hostile, cpu_limit)).await?;
        let has_begun = |pod: Option<&Value>| pod.is_some_and(|pod| pod["status"]["phase"] != "Pending");
        self.cluster.wait(&PODS, hostile.name, has_begun).await?;
        let mut attackers = JoinSet::new();
        if !matches!(hostile.attack, Attack::None) {
            let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": hostile.name},
                "spec": {"selector": {"app": hostile.name}, "ports": [{"port": 80, "targetPort": 8080}]}});
            client.create(&api::resource::SERVICES, "default", &service).await?;
            self.cluster.wait_for_endpoints(hostile.name).await?;
            hostile.attack.begin(&self.cluster, hostile.name, &mut attackers);
        }
        Ok(attackers)
    }

    /// Waits until the first container of a hostile pod has ended, and gives its code and reason.
    pub async fn end_of(&self, hostile: &Hostile) -> Result<(i64, String)> {
        let has_ended = |pod: Option<&Value>| pod.is_some_and(|pod| end(pod).is_some());
        let pod = self.cluster.wait(&PODS, hostile.name, has_ended).await?.context("the hostile pod")?;
        end(pod.value()).context("an end")
    }

    /// What the hostile pod holds.
    pub fn memory_of(&self, hostile: &Hostile) -> u64 {
        let usage = self.cluster.cluster.node.usage(&Key::new("default", hostile.name));
        usage.iter().map(|container| container.memory_bytes).sum()
    }

    /// Whether a container of the hostile pod has ended, and how.
    pub fn has_ended(&self, hostile: &Hostile) -> Option<(i64, String)> {
        let pod = self.cluster.cluster.cache.get(&PODS, &Key::new("default", hostile.name))?;
        end(pod.value())
    }

    /// Ends the hostile pod and waits until it is gone.
    pub async fn throw_out(&self, hostile: &Hostile) -> Result<()> {
        self.cluster.delete(&PODS, hostile.name, 5).await?;
        self.cluster.wait(&PODS, hostile.name, |pod| pod.is_none()).await?;
        Ok(())
    }
}

fn image(hostile: &Hostile, index: usize) -> String {
    format!("{}-{index}", hostile.name)
}

fn end(pod: &Value) -> Option<(i64, String)> {
    let containers = pod["status"]["containerStatuses"].as_array().into_iter().flatten();
    containers.map(|container| &container["state"]["terminated"]).find_map(|ended| {
        Some((ended["exitCode"].as_i64()?, ended["reason"].as_str().unwrap_or_default().to_owned()))
    })
}

fn pod(hostile: &Hostile, cpu_limit: Option<&str>) -> Value {
    let each = MEMORY_LIMIT / hostile.programs.len() as u64;
    let mut limits = json!({"memory": each.to_string()});
    if let Some(cpu) = cpu_limit {
        limits["cpu"] = cpu.into();
    }
    let containers: Vec<Value> = (0..hostile.programs.len())
        .map(|index| {
            json!({
                "name": format!("main-{index}"),
                "image": format!("localhost/{}", image(hostile, index)),
                "env": [{"name": "TARGET", "value": format!("http://{}/", hostile.name)}],
                "ports": if index == 0 { json!([{"containerPort": 8080}]) } else { json!([]) },
                "resources": {"limits": limits},
                "volumeMounts": [{"name": "work", "mountPath": "/work"}],
            })
        })
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": hostile.name, "labels": {"app": hostile.name}},
        "spec": {
            "restartPolicy": "Never",
            "containers": containers,
            "volumes": [{"name": "work", "emptyDir": {}}],
        },
    })
}
