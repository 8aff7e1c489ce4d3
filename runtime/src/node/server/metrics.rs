//! What the node and its pods use, as Prometheus reads it: the kubelet's metrics of resources.

use std::fmt::Write;

use crate::node::Node;
use crate::node::usage::Measurement;

use super::summary::total;

/// A metric: its name, its type and what it tells.
pub(super) type Described = (&'static str, &'static str, &'static str);

const NODE_CPU: Described =
    ("node_cpu_usage_seconds_total", "counter", "CPU time the node has spent, in seconds");
const NODE_MEMORY: Described =
    ("node_memory_working_set_bytes", "gauge", "Memory the node has in use, in bytes");
const POD_CPU: Described =
    ("pod_cpu_usage_seconds_total", "counter", "CPU time the pod's containers have spent, in seconds");
const POD_MEMORY: Described =
    ("pod_memory_working_set_bytes", "gauge", "Memory the pod's containers have in use, in bytes");
const CONTAINER_CPU: Described =
    ("container_cpu_usage_seconds_total", "counter", "CPU time the container has spent, in seconds");
const CONTAINER_MEMORY: Described =
    ("container_memory_working_set_bytes", "gauge", "Memory the container has in use, in bytes");
const CONTAINER_START: Described =
    ("container_start_time_seconds", "gauge", "When the container was started, in seconds since 1970");
const ERRORS: Described = ("resource_scrape_error", "gauge", "1 if something could not be measured, else 0");

impl Node {
    /// The metrics, measured now.
    pub(super) fn resource_metrics(&self) -> String {
        let (node, containers) = self.measure();
        let mut page = Page::default();
        let of_container = |one: &Measurement| {
            let (namespace, pod) = (&one.pod.namespace, &one.pod.name);
            format!("container=\"{}\",namespace=\"{namespace}\",pod=\"{pod}\"", one.name)
        };
        let each = |figure: fn(&Measurement) -> f64| {
            containers
                .iter()
                .map(move |one| (of_container(one), figure(one), one.measured.time.as_millisecond()))
        };
        page.family(CONTAINER_CPU, each(|one| one.measured.cpu_used.as_secs_f64()));
        page.family(CONTAINER_MEMORY, each(|one| one.measured.memory_bytes as f64));
        page.family(CONTAINER_START, each(|one| one.since.as_millisecond() as f64 / 1000.0));
        let now = node.time.as_millisecond();
        page.family(NODE_CPU, [(String::new(), node.cpu_used.as_secs_f64(), now)]);
        page.family(NODE_MEMORY, [(String::new(), node.memory_bytes as f64, now)]);
        let pods = || {
            containers.chunk_by(|one, next| one.uid == next.uid).map(|of_pod| {
                let pod = &of_pod[0].pod;
                (format!("namespace=\"{}\",pod=\"{}\"", pod.namespace, pod.name), total(of_pod))
            })
        };
        page.family(
            POD_CPU,
            pods().map(|(pod, sum)| (pod, sum.cpu_used.as_secs_f64(), sum.time.as_millisecond())),
        );
        page.family(
            POD_MEMORY,
            pods().map(|(pod, sum)| (pod, sum.memory_bytes as f64, sum.time.as_millisecond())),
        );
        page.family(ERRORS, [(String::new(), 0.0, now)]);
        page.into_text()
    }
}

/// A page of metrics.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Adds a metric with its lines: labels, value, and the time in milliseconds since 1970.
    pub(super) fn family(
        &mut self,
        (name, kind, help): Described,
        lines: impl IntoIterator<Item = (String, f64, i64)>,
    ) {
        let page = &mut self.0;
        let mut put = |text: std::fmt::Arguments<'_>| page.write_fmt(text).expect("a string takes all text");
        put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        for (labels, value, time) in lines {
            match labels.as_str() {
                "" => put(format_args!("{name} {value} {time}\n")),
                labels => put(format_args!("{name}{{{labels}}} {value} {time}\n")),
            }
        }
    }
}
