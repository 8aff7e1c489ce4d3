//! Counts what probes answered and how long that took, for Prometheus, with the names of the kubelet.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use api::Key;

use super::prober::ProbeKind;

/// The upper ends of the buckets of durations, as Prometheus' clients have them by default.
const BUCKETS: [(Duration, &str); 11] = [
    (Duration::from_millis(5), "0.005"),
    (Duration::from_millis(10), "0.01"),
    (Duration::from_millis(25), "0.025"),
    (Duration::from_millis(50), "0.05"),
    (Duration::from_millis(100), "0.1"),
    (Duration::from_millis(250), "0.25"),
    (Duration::from_millis(500), "0.5"),
    (Duration::from_secs(1), "1"),
    (Duration::from_millis(2500), "2.5"),
    (Duration::from_secs(5), "5"),
    (Duration::from_secs(10), "10"),
];

/// The figures of all probes of a node. A clone is a reference.
#[derive(Clone, Debug, Default)]
pub struct ProbeFigures(Arc<Mutex<BTreeMap<Label, Figures>>>);

/// Which probe. Ordered so that lines of the same labels but for the uid are together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Label {
    pod: Key,
    container: Arc<str>,
    kind: ProbeKind,
    uid: Arc<str>,
}

#[derive(Clone, Debug, Default)]
struct Figures {
    successful: u64,
    failed: u64,
    /// How many successes took at most as long as each bucket's end, and not as long as the one before.
    durations: [u64; BUCKETS.len()],
    spent: Duration,
}

/// Keeps the figures of one container's probes until it is dropped.
#[derive(Debug)]
pub struct Counted {
    figures: ProbeFigures,
    pod: Key,
    uid: Arc<str>,
    container: Arc<str>,
}

impl ProbeFigures {
    /// Begins to count for a container.
    pub fn count(&self, pod: Key, uid: &str, container: &str) -> Counted {
        Counted { figures: self.clone(), pod, uid: uid.into(), container: container.into() }
    }

    /// All figures, as Prometheus reads them.
    pub fn page(&self) -> String {
        let figures = self.lock();
        let mut page = String::new();
        describe(
            &mut page,
            "prober_probe_total",
            "counter",
            "Cumulative number of a liveness, readiness or startup probe for a container by result.",
        );
        for (label, figures) in figures.iter() {
            for (result, count) in [("failed", figures.failed), ("successful", figures.successful)] {
                if count > 0 {
                    let (labels, uid) = (label.text(), &label.uid);
                    let more = format!("pod_uid=\"{uid}\",result=\"{result}\"");
                    put(&mut page, format_args!("prober_probe_total{{{labels},{more}}} {count}"));
                }
            }
        }
        describe(
            &mut page,
            "prober_probe_duration_seconds",
            "histogram",
            "Duration in seconds for a probe response.",
        );
        // Two pods of one name may be here at once while the first is stopping; they count together.
        let figures: Vec<_> = figures.iter().filter(|(_, figures)| figures.successful > 0).collect();
        for same in figures.chunk_by(|(one, _), (other, _)| one.text() == other.text()) {
            let mut sum = Figures::default();
            same.iter().for_each(|(_, figures)| sum.add(figures));
            sum.put_durations(&mut page, &same[0].0.text());
        }
        page
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Label, Figures>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    /// Counts an answer.
    pub fn answered(&self, kind: ProbeKind, success: bool, took: Duration) {
        let mut figures = self.figures.lock();
        let figures = figures.entry(self.label(kind)).or_default();
        if !success {
            figures.failed += 1;
            return;
        }
        figures.successful += 1;
        figures.spent += took;
        if let Some(bucket) = BUCKETS.iter().position(|(end, _)| took <= *end) {
            figures.durations[bucket] += 1;
        }
    }

    fn label(&self, kind: ProbeKind) -> Label {
        Label {
            pod: self.pod.clone(),
            container: Arc::clone(&self.container),
            kind,
            uid: Arc::clone(&self.uid),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut figures = self.figures.lock();
        for kind in [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness] {
            figures.remove(&self.label(kind));
        }
    }
}

impl Label {
    fn text(&self) -> String {
        let Self { pod, container, kind, .. } = self;
        format!(
            "container=\"{container}\",namespace=\"{}\",pod=\"{}\",probe_type=\"{}\"",
            pod.namespace,
            pod.name,
            kind.word()
        )
    }
}

impl Figures {
    fn add(&mut self, other: &Self) {
        self.successful += other.successful;
        self.failed += other.failed;
        self.spent += other.spent;
        self.durations.iter_mut().zip(other.durations).for_each(|(sum, more)| *sum += more);
    }

    fn put_durations(&self, page: &mut String, labels: &str) {
        let name = "prober_probe_duration_seconds";
        let mut below = 0;
        for ((_, end), count) in BUCKETS.iter().zip(self.durations) {
            below += count;
            put(page, format_args!("{name}_bucket{{{labels},le=\"{end}\"}} {below}"));
        }
        let all = self.successful;
        put(page, format_args!("{name}_bucket{{{labels},le=\"+Inf\"}} {all}"));
        put(page, format_args!("{name}_sum{{{labels}}} {}", self.spent.as_secs_f64()));
        put(page, format_args!("{name}_count{{{labels}}} {all}"));
    }
}

fn describe(page: &mut String, name: &str, kind: &str, help: &str) {
    put(page, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn put(page: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(page, "{line}").expect("a string takes all text");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_counted_as_long_as_their_container_is_there() {
        let figures = ProbeFigures::default();
        let one = figures.count(Key::new("default", "web"), "1", "main");
        one.answered(ProbeKind::Liveness, true, Duration::from_millis(30));
        one.answered(ProbeKind::Liveness, true, Duration::from_secs(20));
        one.answered(ProbeKind::Readiness, false, Duration::from_secs(1));
        let next = figures.count(Key::new("default", "web"), "2", "main");
        next.answered(ProbeKind::Liveness, true, Duration::from_millis(5));
        let page = figures.page();
        let has = |line: &str| assert_eq!(page.lines().filter(|found| *found == line).count(), 1, "{line}");
        let labels = "container=\"main\",namespace=\"default\",pod=\"web\"";
        let live = format!("{labels},probe_type=\"Liveness\"");
        has(&format!("prober_probe_total{{{live},pod_uid=\"1\",result=\"successful\"}} 2"));
        has(&format!("prober_probe_total{{{live},pod_uid=\"2\",result=\"successful\"}} 1"));
        let ready = format!("{labels},probe_type=\"Readiness\"");
        has(&format!("prober_probe_total{{{ready},pod_uid=\"1\",result=\"failed\"}} 1"));
        has("# TYPE prober_probe_duration_seconds histogram");
        for (end, count) in [("0.005", 1), ("0.025", 1), ("0.05", 2), ("10", 2), ("+Inf", 3)] {
            has(&format!("prober_probe_duration_seconds_bucket{{{live},le=\"{end}\"}} {count}"));
        }
        has(&format!("prober_probe_duration_seconds_sum{{{live}}} 20.035"));
        has(&format!("prober_probe_duration_seconds_count{{{live}}} 3"));
        assert!(!page.contains(&format!("seconds_count{{{ready}")), "failures are not timed");
        drop((one, next));
        assert_eq!(figures.page().lines().filter(|line| !line.starts_with('#')).count(), 0);
    }
}
