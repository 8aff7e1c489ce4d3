//! What containers use, by the names that cAdvisor gives it and most dashboards ask for.

use super::metrics::{Described, Page};
use super::summary::total;
use crate::node::Node;
use crate::node::usage::Measurement;

const CPU: Described = ("container_cpu_usage_seconds_total", "counter", "CPU time spent, in seconds");
const PERIODS: Described =
    ("container_cpu_cfs_periods_total", "counter", "Periods in which the limit of CPU was looked at");
const THROTTLED_PERIODS: Described =
    ("container_cpu_cfs_throttled_periods_total", "counter", "Periods in which the guest was held back");
const THROTTLED: Described = (
    "container_cpu_cfs_throttled_seconds_total",
    "counter",
    "Time for which the guest was held back, in seconds",
);
const MEMORY: Described = ("container_memory_usage_bytes", "gauge", "Memory in use, in bytes");
const WORKING_SET: Described = (
    "container_memory_working_set_bytes",
    "gauge",
    "Memory in use, of which none could be taken away, in bytes",
);
const RSS: Described = ("container_memory_rss", "gauge", "Memory in use other than for files, in bytes");
const START: Described =
    ("container_start_time_seconds", "gauge", "When it was started, in seconds since 1970");
const SEEN: Described = ("container_last_seen", "gauge", "When it was looked at, in seconds since 1970");
const PERIOD: Described = ("container_spec_cpu_period", "gauge", "Length of a period, in microseconds");
const QUOTA: Described =
    ("container_spec_cpu_quota", "gauge", "Share of a period, in microseconds of CPU time");
const SHARES: Described = ("container_spec_cpu_shares", "gauge", "Weight among others, a core being 1024");
const MEMORY_LIMIT: Described =
    ("container_spec_memory_limit_bytes", "gauge", "Limit of memory, in bytes; 0 for none");
const FUEL: Described = ("peapod_container_fuel_total", "counter", "Fuel burnt, in units");
const CORES: Described = ("machine_cpu_cores", "gauge", "Cores of the machine");
const MACHINE_MEMORY: Described = ("machine_memory_bytes", "gauge", "Memory of the machine, in bytes");

/// As the kernel's scheduler has it.
const PERIOD_MICROS: f64 = 100_000.0;

impl Node {
    /// The metrics, measured now.
    pub(super) fn cadvisor_metrics(&self) -> String {
        let (node, containers) = self.measure();
        let now = node.time.as_millisecond();
        let mut page = Page::default();
        let each = |figure: fn(&Measurement) -> Option<f64>| {
            containers.iter().filter_map(move |one| Some((labels(one), figure(one)?, now)))
        };
        let of_pods = |figure: fn(&[Measurement]) -> f64| {
            let pods = containers.chunk_by(|one, next| one.uid == next.uid);
            pods.map(move |of_pod| (pod_labels(&of_pod[0]), figure(of_pod), now))
        };
        let of_cpu = each(|one| Some(one.measured.cpu_used.as_secs_f64())).map(with_cpu);
        let pods = of_pods(|of_pod| total(of_pod).cpu_used.as_secs_f64()).map(with_cpu);
        page.family(CPU, pods.chain(of_cpu));
        page.family(PERIODS, each(|one| one.limited(one.limits.cpu().periods().all as f64)));
        page.family(THROTTLED_PERIODS, each(|one| one.limited(one.limits.cpu().periods().throttled as f64)));
        page.family(THROTTLED, each(|one| one.limited(one.limits.cpu_held().as_secs_f64())));
        for family in [MEMORY, WORKING_SET, RSS] {
            let pods = of_pods(|of_pod| total(of_pod).memory_bytes as f64);
            page.family(family, pods.chain(each(|one| Some(one.measured.memory_bytes as f64))));
        }
        page.family(START, each(|one| Some(one.since.as_millisecond() as f64 / 1000.0)));
        page.family(SEEN, each(|one| Some(one.measured.time.as_second() as f64)));
        page.family(PERIOD, each(|one| one.limited(PERIOD_MICROS)));
        page.family(
            QUOTA,
            each(|one| Some(PERIOD_MICROS / 1000.0 * f64::from(one.limits.cpu().limit_millis()?))),
        );
        page.family(SHARES, each(|one| Some(f64::from(one.limits.cpu_request_millis()) * 1.024)));
        page.family(MEMORY_LIMIT, each(|one| Some(one.limits.memory_limit().unwrap_or(0) as f64)));
        page.family(
            FUEL,
            each(|one| Some(one.limits.cpu().used_fuel()).filter(|fuel| *fuel > 0).map(|fuel| fuel as f64)),
        );
        let capacity = &self.0.config.capacity;
        page.family(CORES, [(String::new(), capacity.cpu_millis as f64 / 1000.0, now)]);
        page.family(MACHINE_MEMORY, [(String::new(), capacity.memory_bytes as f64, now)]);
        page.into_text()
    }
}

impl Measurement {
    /// A figure that only containers with a limit of CPU have.
    fn limited(&self, figure: f64) -> Option<f64> {
        self.limits.cpu().limit_millis().map(|_| figure)
    }
}

type Line = (String, f64, i64);

fn with_cpu((labels, value, time): Line) -> Line {
    (format!("{labels},cpu=\"total\""), value, time)
}

/// Dashboards leave out what has no image: for them that is a pod as a whole.
fn labels(one: &Measurement) -> String {
    let (namespace, pod, uid, name) = (&one.pod.namespace, &one.pod.name, &one.uid, &one.name);
    let id = format!("/kubepods/pod{uid}/{name}");
    format!(
        "container=\"{name}\",id=\"{id}\",image=\"{}\",name=\"{name}\",namespace=\"{namespace}\",pod=\"{pod}\"",
        one.image
    )
}

fn pod_labels(one: &Measurement) -> String {
    let (namespace, pod, uid) = (&one.pod.namespace, &one.pod.name, &one.uid);
    format!(
        "container=\"\",id=\"/kubepods/pod{uid}\",image=\"\",name=\"\",namespace=\"{namespace}\",pod=\"{pod}\""
    )
}
