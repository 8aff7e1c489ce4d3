//! What the parts of a cluster count, for Prometheus, under the names Kubernetes' own metrics have.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use apiserver::store::Histogram;
use controllers::Controllers;
use controllers::framework::{BOUNDS_SECONDS, Latencies, Load};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use runtime::node;

use crate::cluster::Cluster;

/// The labels of one line.
type Labels<'a> = [(&'static str, &'a str)];

/// Reads figures when they are asked for; nothing is counted twice.
pub struct Figures<F>(pub F);

impl<F> Debug for Figures<F> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("Figures")
    }
}

impl<F: Fn(&mut Page<'_>) -> fmt::Result + Send + Sync + 'static> Collector for Figures<F> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Page(encoder))
    }
}

/// Where metrics are written.
pub struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    /// A metric with a line for each set of labels.
    fn family<'l, V>(
        &mut self,
        (name, help): (&str, &str),
        kind: MetricType,
        lines: impl IntoIterator<Item = (Vec<(&'static str, &'l str)>, V)>,
        write: impl Fn(MetricEncoder<'_>, V) -> fmt::Result,
    ) -> fmt::Result {
        let mut metric = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in lines {
            let labels: &Labels<'_> = &labels;
            write(metric.encode_family(&labels)?, value)?;
        }
        Ok(())
    }

    /// Numbers that go up and down.
    pub fn gauges<'l>(
        &mut self,
        described: (&str, &str),
        lines: impl IntoIterator<Item = (Vec<(&'static str, &'l str)>, f64)>,
    ) -> fmt::Result {
        self.family(described, MetricType::Gauge, lines, |mut line, value| line.encode_gauge(&value))
    }

    /// Numbers that only go up; `_total` is added to the name.
    pub fn counters<'l>(
        &mut self,
        described: (&str, &str),
        lines: impl IntoIterator<Item = (Vec<(&'static str, &'l str)>, u64)>,
    ) -> fmt::Result {
        self.family(described, MetricType::Counter, lines, |mut line, value| {
            line.encode_counter::<NoLabelSet, _, u64>(&value, None)
        })
    }

    /// Durations by magnitude.
    pub fn latencies<'l>(
        &mut self,
        described: (&str, &str),
        lines: impl IntoIterator<Item = (Vec<(&'static str, &'l str)>, Latencies)>,
    ) -> fmt::Result {
        self.family(described, MetricType::Histogram, lines, |mut line, value| {
            line.encode_histogram::<NoLabelSet>(value.sum_seconds, value.count, &buckets(&value), None)
        })
    }
}

impl Page<'_> {
    /// Values by magnitude.
    fn histogram(&mut self, described: (&str, &str), values: &Histogram) -> fmt::Result {
        let bounds = values.bounds.iter().copied().chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(values.counts.iter().copied()).collect();
        self.family(described, MetricType::Histogram, [(Vec::new(), values)], |mut line, values| {
            line.encode_histogram::<NoLabelSet>(values.sum, values.count(), &buckets, None)
        })
    }
}

/// How many fell between one bound and the next; the last bucket has no bound.
fn buckets(latencies: &Latencies) -> Vec<(f64, u64)> {
    let mut before = 0;
    let mut own = |within: u64| within - std::mem::replace(&mut before, within);
    let mut buckets: Vec<(f64, u64)> = BOUNDS_SECONDS
        .into_iter()
        .zip(latencies.within)
        .map(|(bound, within)| (bound, own(within)))
        .collect();
    buckets.push((f64::MAX, own(latencies.count)));
    buckets
}

/// Lets `/metrics` show what the parts of the cluster count.
pub fn register(registry: &mut Registry, cluster: &Cluster) {
    let (all, server, node) =
        (Arc::clone(&cluster.controllers), Arc::clone(&cluster.registry), cluster.node.clone());
    registry.register_collector(Box::new(Figures(move |page: &mut Page<'_>| {
        queues(page, &all)?;
        scheduler(page, &all.scheduler())
    })));
    registry.register_collector(Box::new(Figures(move |page: &mut Page<'_>| store(page, &server.figures()))));
    registry.register_collector(Box::new(Figures(move |page: &mut Page<'_>| agent(page, &node.figures()))));
}

/// The store.
fn store(page: &mut Page<'_>, figures: &apiserver::store::Figures) -> fmt::Result {
    page.gauges(
        ("apiserver_storage_objects", "Objects in the store, by resource"),
        figures
            .objects
            .iter()
            .map(|(resource, count)| (vec![("resource", resource.as_str())], *count as f64)),
    )?;
    let results =
        [("written", figures.writes), ("conflict", figures.conflicts), ("failed", figures.failures)];
    page.counters(
        ("peapod_store_writes", "Writes, by result"),
        results.map(|(result, count)| (vec![("result", result)], count)),
    )?;
    page.histogram(("peapod_store_group_writes", "Writes made durable together"), &figures.groups)?;
    page.histogram(
        ("peapod_store_sync_duration_seconds", "How long writing and syncing took"),
        &figures.syncs,
    )?;
    page.counters(
        ("peapod_store_written_bytes", "Bytes written to disk"),
        [(Vec::new(), figures.written_bytes)],
    )?;
    page.counters(
        ("peapod_store_checkpoints", "How often what was in the log went to the base"),
        [(Vec::new(), figures.checkpoints)],
    )?;
    let sizes = [("log", figures.log_bytes), ("base", figures.base_bytes), ("files", figures.file_bytes)];
    page.gauges(
        ("peapod_store_size_bytes", "Bytes on disk: of the log in use, of the base, and of all files"),
        sizes.map(|(part, bytes)| (vec![("part", part)], bytes as f64)),
    )?;
    page.gauges(
        ("peapod_store_failed", "1 after the disk failed, until a restart: nothing is written any more"),
        [(Vec::new(), f64::from(u8::from(figures.failed)))],
    )
}

/// The agent of the node.
fn agent(page: &mut Page<'_>, figures: &node::Figures) -> fmt::Result {
    let phases: Vec<(String, usize)> =
        figures.pods.iter().map(|(phase, count)| (format!("{phase:?}"), *count)).collect();
    page.gauges(
        ("peapod_node_pods", "Pods bound to the node, by phase"),
        phases.iter().map(|(phase, count)| (vec![("phase", phase.as_str())], *count as f64)),
    )?;
    let one = |value: f64| [(Vec::new(), value)];
    page.gauges(
        ("kubelet_running_containers", "Containers that run"),
        [(vec![("container_state", "running")], figures.running_containers as f64)],
    )?;
    page.gauges(
        ("peapod_node_memory_bytes", "Memory that containers use"),
        one(figures.memory_bytes as f64),
    )?;
    page.gauges(("peapod_node_images", "Images that can be run"), one(figures.images as f64))?;
    page.counters(
        ("kubelet_started_containers", "Starts of containers"),
        [(Vec::new(), figures.started_containers)],
    )?;
    page.counters(
        ("peapod_node_container_restarts", "Starts of containers that had run before"),
        [(Vec::new(), figures.restarts)],
    )
}

fn queues(page: &mut Page<'_>, controllers: &Controllers) -> fmt::Result {
    let loads: Vec<_> = controllers.loads().collect();
    let gauge = |figure: fn(&Load) -> f64| lines(&loads, figure);
    let count = |figure: fn(&Load) -> u64| lines(&loads, figure);
    let time = |figure: fn(&Load) -> Latencies| lines(&loads, figure);
    page.gauges(("workqueue_depth", "Objects to be looked at now"), gauge(|load| load.depth as f64))?;
    page.counters(("workqueue_adds", "Objects that were to be looked at"), count(|load| load.adds))?;
    page.counters(("workqueue_retries", "Looks that failed"), count(|load| load.retries))?;
    page.gauges(
        ("workqueue_unfinished_work_seconds", "How long the looks under way have taken, all together"),
        gauge(|load| load.unfinished_seconds),
    )?;
    page.gauges(
        ("workqueue_longest_running_processor_seconds", "How long the longest look under way has taken"),
        gauge(|load| load.longest_seconds),
    )?;
    page.latencies(
        ("workqueue_queue_duration_seconds", "How long objects waited before they were looked at"),
        time(|load| load.waited),
    )?;
    page.latencies(("workqueue_work_duration_seconds", "How long looks took"), time(|load| load.worked))
}

/// A figure of every controller.
fn lines<'l, V>(
    loads: &[(&'l str, Load)],
    figure: impl Fn(&Load) -> V,
) -> Vec<(Vec<(&'static str, &'l str)>, V)> {
    loads.iter().map(|(name, load)| (vec![("name", *name)], figure(load))).collect()
}

fn scheduler(page: &mut Page<'_>, load: &controllers::scheduler::Load) -> fmt::Result {
    let pending = [("active", load.active), ("backoff", load.backoff), ("unschedulable", load.unschedulable)];
    page.gauges(
        ("scheduler_pending_pods", "Pods without a node, by queue"),
        pending.map(|(queue, pods)| (vec![("queue", queue)], pods as f64)),
    )?;
    let results = [("scheduled", load.scheduled), ("unschedulable", load.refused), ("error", load.failed)];
    page.counters(
        ("scheduler_schedule_attempts", "Attempts to find a node for a pod, by result"),
        results.map(|(result, attempts)| (vec![("result", result)], attempts)),
    )?;
    page.latencies(
        ("scheduler_scheduling_attempt_duration_seconds", "How long an attempt took"),
        [(vec![("result", "scheduled")], load.attempts)],
    )?;
    page.latencies(
        ("scheduler_pod_scheduling_sli_duration_seconds", "How long pods waited for a node"),
        [(Vec::new(), load.waited)],
    )
}
