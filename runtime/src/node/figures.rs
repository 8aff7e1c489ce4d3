//! Plain numbers about a node, for metrics.

use std::collections::BTreeMap;

use api::resource::PODS;
use k8s_openapi::api::core::v1::Pod;

use super::Node;
use super::machine::Phase;
use super::post::is_on;
use super::usage::{Measured, Measurement};

/// What a node has and has done since its process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The pods bound to it, by phase; every phase has its entry.
    pub pods: BTreeMap<Phase, usize>,
    /// Containers that run.
    pub running_containers: usize,
    /// The memory they use.
    pub memory_bytes: u64,
    /// Starts of containers.
    pub started_containers: u64,
    /// Starts of containers that had run before.
    pub restarts: u64,
    /// Images that can be run without pulling.
    pub images: usize,
}

impl Node {
    /// The node's name.
    pub fn name(&self) -> &str {
        &self.0.config.name
    }

    /// Numbers about the node as it is now.
    pub fn figures(&self) -> Figures {
        let config = &self.0.config;
        let phases = [Phase::Pending, Phase::Running, Phase::Succeeded, Phase::Failed];
        let mut pods: BTreeMap<Phase, usize> = phases.into_iter().map(|phase| (phase, 0)).collect();
        let known = config.cache.snapshot(&PODS);
        for pod in known.iter().filter(|pod| is_on(pod, &config.name)) {
            let status = pod.typed::<Pod>().ok().and_then(|pod| pod.status.as_ref()?.phase.as_deref());
            *pods.entry(Phase::named(status.unwrap_or_default())).or_default() += 1;
        }
        let (running_containers, started_containers, restarts) = self.0.usage.counts();
        Figures {
            pods,
            running_containers,
            memory_bytes: self.0.usage.memory_bytes(),
            started_containers,
            restarts,
            images: config.images.count(),
        }
    }

    pub(super) fn measure(&self) -> (Measured, Vec<Measurement>) {
        self.0.usage.measure(self.0.config.clock.now())
    }
}
