//! How kubectl shows events.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use serde_json::Value;

use crate::builtin::Column;
use crate::cells::{self, number, text};

/// The columns.
pub const COLUMNS: &[Column] = &[
    text("Last Seen", "Time since it happened last."),
    text("Type", "Whether it is normal or to be looked at."),
    text("Reason", "What happened, in one word."),
    text("Object", "What it happened to."),
    text("Subobject", "The part of the object it happened to.").wide(),
    text("Source", "Who says so.").wide(),
    text("Message", "What happened, in words."),
    text("First Seen", "Time since it happened first.").wide(),
    number("Count", "How often it happened.").wide(),
    cells::NAME.wide(),
];

/// The cells.
pub fn row(event: &Event, now: Timestamp) -> Vec<Value> {
    let micro = event.event_time.as_ref().map(|time| time.0);
    let first = event.first_timestamp.as_ref().map(|time| time.0).or(micro);
    let last = event.last_timestamp.as_ref().map(|time| time.0).or(first);
    let (last, count) = match &event.series {
        Some(series) => (series.last_observed_time.as_ref().map(|time| time.0), series.count.unwrap_or(0)),
        // Those of clients that do not count happened once.
        None => (last, event.count.filter(|count| *count != 0).unwrap_or(1)),
    };
    vec![
        cells::since(last, now).into(),
        event.type_.as_deref().unwrap_or_default().into(),
        event.reason.as_deref().unwrap_or_default().into(),
        object(event).into(),
        event.involved_object.field_path.as_deref().unwrap_or_default().into(),
        source(event).into(),
        event.message.as_deref().unwrap_or_default().trim().into(),
        cells::since(first, now).into(),
        count.into(),
        cells::name(&event.metadata),
    ]
}

fn object(event: &Event) -> String {
    let involved = &event.involved_object;
    let kind = involved.kind.as_deref().unwrap_or_default().to_lowercase();
    match involved.name.as_deref().unwrap_or_default() {
        "" => kind,
        name => format!("{kind}/{name}"),
    }
}

fn source(event: &Event) -> String {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let said = event.source.as_ref();
    let component = said.and_then(|source| given(&source.component));
    let component = component.or_else(|| given(&event.reporting_component)).unwrap_or_default();
    let instance = said.and_then(|source| given(&source.host)).or_else(|| given(&event.reporting_instance));
    match instance {
        Some(instance) => format!("{component}, {instance}"),
        None => component,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    #[test]
    fn events_say_what_happened_when_and_how_often() {
        let check = |mut event: Value, expected: &str| {
            event["metadata"] = json!({"name": "web.1"});
            event["involvedObject"] = json!({"kind": "Pod", "name": "web", "fieldPath": "spec"});
            event["type"] = "Normal".into();
            event["reason"] = "Started".into();
            event["message"] = "started\n".into();
            let event: Event = serde_json::from_value(event).unwrap();
            let row = row(&event, "2026-01-01T01:00:00Z".parse().unwrap());
            assert_eq!(row.len(), COLUMNS.len());
            let word = |cell: &Value| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
            let line: Vec<String> = row.iter().map(word).collect();
            assert_eq!(line.join("|"), expected);
        };
        let old = json!({
            "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:59:00Z", "count": 4,
            "source": {"component": "kubelet", "host": "n1"},
        });
        check(old, "60s|Normal|Started|pod/web|spec|kubelet, n1|started|60m|4|web.1");
        let single = json!({"eventTime": "2026-01-01T00:30:00.000000Z", "reportingComponent": "scheduler"});
        check(single, "30m|Normal|Started|pod/web|spec|scheduler|started|30m|1|web.1");
        let series = json!({
            "eventTime": "2026-01-01T00:30:00.000000Z", "reportingComponent": "scheduler", "reportingInstance": "s1",
            "series": {"count": 9, "lastObservedTime": "2026-01-01T00:59:50.000000Z"},
        });
        check(series, "10s|Normal|Started|pod/web|spec|scheduler, s1|started|30m|9|web.1");
        check(json!({}), "<unknown>|Normal|Started|pod/web|spec||started|<unknown>|1|web.1");
    }
}
