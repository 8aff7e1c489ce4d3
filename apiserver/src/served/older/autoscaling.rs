//! HorizontalPodAutoscalers as they were before `autoscaling/v2`: each sort of metric has names of its own for its
//! targets, and version 1 knows the use of the CPU only.

use api::field::FieldError;
use serde_json::{Map, Value, json};

use crate::tree;

/// Version 1 keeps here what it has no field for: the annotation, and the field in version 2.
const NOTED: [(&str, [&str; 2]); 4] = [
    ("autoscaling.alpha.kubernetes.io/metrics", ["spec", "metrics"]),
    ("autoscaling.alpha.kubernetes.io/behavior", ["spec", "behavior"]),
    ("autoscaling.alpha.kubernetes.io/current-metrics", ["status", "currentMetrics"]),
    ("autoscaling.alpha.kubernetes.io/conditions", ["status", "conditions"]),
];

/// The sorts of metrics by their fields.
const SORTS: [&str; 5] = ["containerResource", "external", "object", "pods", "resource"];

/// The amounts a metric is compared with: in version 2, and in older ones.
const TARGETS: [(&str, &str, &str); 3] = [
    ("averageUtilization", "targetAverageUtilization", "Utilization"),
    ("averageValue", "targetAverageValue", "AverageValue"),
    ("value", "targetValue", "Value"),
];

/// The amounts that are measured.
const CURRENTS: [(&str, &str); 3] = [
    ("averageUtilization", "currentAverageUtilization"),
    ("averageValue", "currentAverageValue"),
    ("value", "currentValue"),
];

pub(super) fn from_v2beta1(autoscaler: &mut Value) -> Result<(), FieldError> {
    each_metric(autoscaler, "spec", "metrics", |metric| {
        each_sort(metric, |sort, source| take_in_source(sort, source, true));
    });
    each_metric(autoscaler, "status", "currentMetrics", |metric| {
        each_sort(metric, |sort, source| take_in_source(sort, source, false));
    });
    Ok(())
}

pub(super) fn to_v2beta1(autoscaler: &mut Value) {
    each_metric(autoscaler, "spec", "metrics", |metric| {
        each_sort(metric, |sort, source| bring_out_source(sort, source, true));
    });
    each_metric(autoscaler, "status", "currentMetrics", |metric| {
        each_sort(metric, |sort, source| bring_out_source(sort, source, false));
    });
}

fn each_metric(autoscaler: &mut Value, part: &str, list: &str, change: impl Fn(&mut Value)) {
    if let Some(part) = tree::field(autoscaler, part) {
        tree::items(part, list).for_each(change);
    }
}

fn each_sort(metric: &mut Value, change: impl Fn(&str, &mut Map<String, Value>)) {
    for sort in SORTS {
        if let Some(Value::Object(source)) = tree::field(metric, sort) {
            change(sort, source);
        }
    }
}

/// The name of an amount of an object in older versions, where it stood alone.
fn older<'a>(sort: &str, new: &'a str, old: &'a str) -> &'a str {
    if sort == "object" && new == "averageValue" { new } else { old }
}

fn take_in_source(sort: &str, source: &mut Map<String, Value>, is_target: bool) {
    if sort == "object"
        && let Some(object) = source.remove("target")
    {
        source.insert("describedObject".to_owned(), object);
    }
    if let Some(name) = source.remove("metricName") {
        let selector = source.remove(if sort == "external" { "metricSelector" } else { "selector" });
        let mut metric = json!({"name": name});
        tree::set(&mut metric, "selector", selector);
        source.insert("metric".to_owned(), metric);
    }
    let mut amounts = json!({});
    if is_target {
        for (new, old, kind) in TARGETS {
            if let Some(amount) = source.remove(older(sort, new, old)) {
                tree::set(&mut amounts, "type", Some(kind.into()));
                tree::set(&mut amounts, new, Some(amount));
            }
        }
        source.insert("target".to_owned(), amounts);
    } else {
        for (new, old) in CURRENTS {
            if let Some(amount) = source.remove(older(sort, new, old)) {
                tree::set(&mut amounts, new, Some(amount));
            }
        }
        source.insert("current".to_owned(), amounts);
    }
}

fn bring_out_source(sort: &str, source: &mut Map<String, Value>, is_target: bool) {
    let amounts = source.remove(if is_target { "target" } else { "current" }).unwrap_or_default();
    let names = TARGETS.iter().map(|(new, old, _)| (*new, *old)).filter(|_| is_target);
    for (new, old) in names.chain(CURRENTS.into_iter().filter(|_| !is_target)) {
        if let Some(amount) = amounts.get(new) {
            source.insert(older(sort, new, old).to_owned(), amount.clone());
        }
    }
    if let Some(Value::Object(mut metric)) = source.remove("metric") {
        source.extend(metric.remove("name").map(|name| ("metricName".to_owned(), name)));
        let selector = if sort == "external" { "metricSelector" } else { "selector" };
        source.extend(metric.remove("selector").map(|value| (selector.to_owned(), value)));
    }
    if sort == "object"
        && let Some(object) = source.remove("describedObject")
    {
        source.insert("target".to_owned(), object);
    }
}

pub(super) fn from_v1(autoscaler: &mut Value) -> Result<(), FieldError> {
    for (annotation, [part, field]) in NOTED {
        let Some(noted) = take_note(autoscaler, annotation)? else { continue };
        if autoscaler.get(part).is_some() || part == "spec" {
            tree::set(tree::object(autoscaler, part), field, Some(noted));
        }
    }
    // What was noted is in the words of the version in between.
    from_v2beta1(autoscaler)?;
    let parts = [
        ("spec", "targetCPUUtilizationPercentage", "metrics", "target"),
        ("status", "currentCPUUtilizationPercentage", "currentMetrics", "current"),
    ];
    for (part, field, list, amounts) in parts {
        let Some(Value::Object(part)) = tree::field(autoscaler, part) else { continue };
        let Some(percent) = part.remove(field).filter(|percent| !percent.is_null()) else { continue };
        let mut cpu = json!({"averageUtilization": percent});
        if amounts == "target" {
            tree::set(&mut cpu, "type", Some("Utilization".into()));
        }
        let metric = json!({"type": "Resource", "resource": {"name": "cpu", amounts: cpu}});
        if let Value::Array(metrics) = part.entry(list).or_insert_with(|| json!([])) {
            metrics.insert(0, metric);
        }
    }
    Ok(())
}

pub(super) fn to_v1(autoscaler: &mut Value) {
    let parts = [
        ("spec", "metrics", "target", "targetCPUUtilizationPercentage"),
        ("status", "currentMetrics", "current", "currentCPUUtilizationPercentage"),
    ];
    for (part, list, amounts, field) in parts {
        let Some(part) = tree::field(autoscaler, part) else { continue };
        let percent = take_cpu(part, list, amounts);
        tree::set(part, field, percent);
    }
    to_v2beta1(autoscaler);
    for (annotation, [part, field]) in NOTED {
        let Some(Value::Object(part)) = tree::field(autoscaler, part) else { continue };
        let noted = part.remove(field).filter(|value| match value {
            Value::Array(items) => !items.is_empty(),
            other => !other.is_null(),
        });
        if let Some(noted) = noted {
            let metadata = tree::object(autoscaler, "metadata");
            let annotations = tree::object(metadata, "annotations");
            tree::set(annotations, annotation, Some(noted.to_string().into()));
        }
    }
}

/// Takes the use of the CPU in percent out of a list of metrics.
fn take_cpu(part: &mut Value, list: &str, amounts: &str) -> Option<Value> {
    let Some(Value::Array(metrics)) = tree::field(part, list) else { return None };
    let percent = |metric: &Value| {
        let resource = metric.get("resource").filter(|resource| resource["name"] == "cpu")?;
        resource[amounts].get("averageUtilization").cloned()
    };
    let place = metrics.iter().position(|metric| percent(metric).is_some())?;
    percent(&metrics.remove(place))
}

/// Takes what was noted in an annotation.
fn take_note(autoscaler: &mut Value, annotation: &str) -> Result<Option<Value>, FieldError> {
    let Some(metadata) = tree::field(autoscaler, "metadata") else { return Ok(None) };
    let Some(Value::Object(annotations)) = tree::field(metadata, "annotations") else { return Ok(None) };
    let Some(Value::String(text)) = annotations.remove(annotation) else { return Ok(None) };
    if annotations.is_empty() {
        tree::set(metadata, "annotations", None);
    }
    let path = || format!("metadata.annotations[{annotation}]");
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| FieldError::invalid(path(), text, error.to_string()))
}
