//! How kubectl shows autoscalers.

use jiff::Timestamp;
use k8s_openapi::api::autoscaling::v2::{
    HorizontalPodAutoscaler, MetricSpec, MetricStatus, MetricTarget, MetricValueStatus,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::Value;

use crate::builtin::Column;
use crate::cells::{self, text};

/// So many metrics are shown.
const MOST_SHOWN: usize = 2;

pub(super) const COLUMNS: &[Column] = &[
    cells::NAME,
    text("Reference", "What is scaled."),
    text("Targets", "What is measured, and where it is to be."),
    text("MinPods", "The least number of pods."),
    text("MaxPods", "The greatest number of pods."),
    text("Replicas", "How many pods there are."),
    cells::AGE,
];

pub(super) fn row(autoscaler: &HorizontalPodAutoscaler, now: Timestamp) -> Vec<Value> {
    let spec = autoscaler.spec.clone().unwrap_or_default();
    let status = autoscaler.status.as_ref();
    let measured = status.and_then(|status| status.current_metrics.as_deref()).unwrap_or_default();
    let least = spec.min_replicas.map(|least| least.to_string());
    vec![
        cells::name(&autoscaler.metadata),
        format!("{}/{}", spec.scale_target_ref.kind, spec.scale_target_ref.name).into(),
        targets(spec.metrics.as_deref().unwrap_or_default(), measured).into(),
        least.as_deref().unwrap_or("<unset>").into(),
        spec.max_replicas.into(),
        status.and_then(|status| status.current_replicas).unwrap_or(0).into(),
        cells::age(&autoscaler.metadata, now),
    ]
}

fn targets(metrics: &[MetricSpec], measured: &[MetricStatus]) -> String {
    let shown: Vec<String> =
        metrics.iter().enumerate().map(|(index, metric)| target(metric, measured.get(index))).collect();
    match shown.len() {
        0 => cells::NONE.to_owned(),
        count @ ..=MOST_SHOWN => shown[..count].join(", "),
        count => format!("{} + {} more...", shown[..MOST_SHOWN].join(", "), count - MOST_SHOWN),
    }
}

fn target(metric: &MetricSpec, measured: Option<&MetricStatus>) -> String {
    if let Some(source) = &metric.external {
        let current = measured.and_then(|measured| Some(&measured.external.as_ref()?.current));
        value_or_average(&source.target, current)
    } else if let Some(source) = &metric.object {
        let current = measured.and_then(|measured| Some(&measured.object.as_ref()?.current));
        value_or_average(&source.target, current)
    } else if let Some(source) = &metric.pods {
        let current = measured.and_then(|measured| measured.pods.as_ref()?.current.average_value.as_ref());
        format!("{}/{}", amount(current), amount(source.target.average_value.as_ref()))
    } else if let Some(source) = &metric.resource {
        let current = measured.and_then(|measured| Some(&measured.resource.as_ref()?.current));
        format!("{}: {}", source.name, of_resource(&source.target, current))
    } else if let Some(source) = &metric.container_resource {
        let current = measured.and_then(|measured| Some(&measured.container_resource.as_ref()?.current));
        format!("{}: {}", source.name, of_resource(&source.target, current))
    } else {
        "<unknown type>".to_owned()
    }
}

fn value_or_average(target: &MetricTarget, current: Option<&MetricValueStatus>) -> String {
    match &target.average_value {
        Some(average) => {
            let current = current.and_then(|current| current.average_value.as_ref());
            format!("{}/{} (avg)", amount(current), average.0)
        }
        None => {
            let current = current.and_then(|current| current.value.as_ref());
            format!("{}/{}", amount(current), amount(target.value.as_ref()))
        }
    }
}

fn of_resource(target: &MetricTarget, current: Option<&MetricValueStatus>) -> String {
    if let Some(average) = &target.average_value {
        let current = current.and_then(|current| current.average_value.as_ref());
        return format!("{}/{}", amount(current), average.0);
    }
    let percent = |share: Option<i32>, nothing: &str| {
        share.map_or_else(|| nothing.to_owned(), |share| format!("{share}%"))
    };
    let current = current.and_then(|current| current.average_utilization);
    format!("{}/{}", percent(current, cells::UNKNOWN), percent(target.average_utilization, "<auto>"))
}

fn amount(amount: Option<&Quantity>) -> &str {
    amount.map_or(cells::UNKNOWN, |amount| amount.0.as_str())
}
