//! LimitRanges: what pods, containers and claims of a namespace must and may ask for, and what they get if they do not.

mod check;

use api::Resource;
use api::field::FieldError;
use api::resource::LIMIT_RANGES;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::LimitRange;
use serde_json::{Map, Value};

use crate::builtin::{Builtin, Column, Definition};
use crate::cells;
use crate::tree;

/// The kind LimitRange.
pub struct LimitRanges;

impl Builtin for LimitRanges {
    type Typed = LimitRange;

    const RESOURCE: Resource = LIMIT_RANGES;

    const DEFINITION: Definition = Definition { short_names: &["limits"], ..Definition::new("limitrange") };

    fn set_defaults(limit_range: &mut Value) {
        let spec = tree::object(limit_range, "spec");
        for item in tree::items(spec, "limits").filter(|item| item["type"] == "Container") {
            // In this order: what is asked for follows from the limit.
            fill(item, "default", "max");
            fill(item, "defaultRequest", "default");
            fill(item, "defaultRequest", "min");
        }
    }

    fn check(limit_range: &LimitRange, errors: &mut Vec<FieldError>) {
        check::check(limit_range, errors);
    }

    const COLUMNS: &'static [Column] = &[cells::NAME, cells::CREATED];

    fn row(limit_range: &LimitRange, _now: Timestamp) -> Vec<Value> {
        vec![cells::name(&limit_range.metadata), cells::created(&limit_range.metadata)]
    }
}

/// What one list of amounts does not have, it has from another.
fn fill(item: &mut Value, list: &str, from: &str) {
    let source = item.get(from).and_then(Value::as_object).cloned().unwrap_or_default();
    tree::set_default(item, list, Value::Object(Map::new()));
    if let Some(list) = tree::field(item, list) {
        for (resource, amount) in source {
            tree::set_default(list, &resource, amount);
        }
    }
}
