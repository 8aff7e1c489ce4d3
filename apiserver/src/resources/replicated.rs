//! What ReplicaSets and ReplicationControllers have in common in tables: so many pods of one template.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::builtin::Column;
use crate::cells::{self, number};

/// The columns.
pub const COLUMNS: &[Column] = &[
    cells::NAME,
    number("Desired", "How many pods there are to be."),
    number("Current", "How many pods there are."),
    number("Ready", "How many pods are ready."),
    cells::AGE,
    cells::CONTAINERS,
    cells::IMAGES,
    cells::SELECTOR,
];

/// The cells, given how many pods there are to be, are, and are ready.
pub fn row(
    metadata: &ObjectMeta,
    counts: [Option<i32>; 3],
    template: Option<&PodTemplateSpec>,
    selector: Value,
    now: Timestamp,
) -> Vec<Value> {
    let [desired, current, ready] = counts.map(|count| count.unwrap_or(0).into());
    let [containers, images] = cells::template(template);
    let age = cells::age(metadata, now);
    vec![cells::name(metadata), desired, current, ready, age, containers, images, selector]
}
