//! ReplicaSets: keep a number of equal pods.

use std::borrow::Cow;

use api::Resource;
use api::field::FieldError;
use api::resource::REPLICA_SETS;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use serde_json::{Value, json};

use super::{replicated, template};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells;
use crate::path::Path;
use crate::tree;

/// The kind ReplicaSet.
pub struct ReplicaSets;

impl Builtin for ReplicaSets {
    type Typed = ReplicaSet;

    const RESOURCE: Resource = REPLICA_SETS;

    const DEFINITION: Definition = Definition {
        short_names: &["rs"],
        categories: &["all"],
        subresources: &["status", "scale"],
        generation: &["spec"],
        fields: &["status.replicas"],
        ..Definition::new("replicaset")
    };

    fn set_defaults(replica_set: &mut Value) {
        let spec = tree::object(replica_set, "spec");
        tree::set_default(spec, "replicas", 1);
        template::set_defaults(spec);
    }

    fn prepare_create(replica_set: &mut Value) {
        tree::set(replica_set, "status", Some(json!({"replicas": 0})));
    }

    fn check(replica_set: &ReplicaSet, errors: &mut Vec<FieldError>) {
        let path = Path::new("spec");
        let Some(spec) = &replica_set.spec else {
            errors.push(FieldError::required(path, ""));
            return;
        };
        template::check_counts(
            &path,
            &[("replicas", spec.replicas), ("minReadySeconds", spec.min_ready_seconds)],
            errors,
        );
        let check = template::Check { selector: &spec.selector, template: spec.template.as_ref() };
        check.run("ReplicaSet", &path, errors);
    }

    fn check_update(new: &ReplicaSet, old: &ReplicaSet, errors: &mut Vec<FieldError>) {
        if let (Some(new), Some(old)) = (&new.spec, &old.spec) {
            template::check_selector_stays(&new.selector, &old.selector, errors);
        }
    }

    fn field<'a>(replica_set: &'a ReplicaSet, field: &str) -> Option<Cow<'a, str>> {
        match field {
            "status.replicas" => {
                let replicas = replica_set.status.as_ref().map_or(0, |status| status.replicas);
                Some(replicas.to_string().into())
            }
            _ => None,
        }
    }

    const COLUMNS: &'static [Column] = replicated::COLUMNS;

    fn row(replica_set: &ReplicaSet, now: Timestamp) -> Vec<Value> {
        let spec = replica_set.spec.as_ref();
        let status = replica_set.status.as_ref();
        let counts = [
            spec.and_then(|spec| spec.replicas),
            status.map(|status| status.replicas),
            status.and_then(|status| status.ready_replicas),
        ];
        let template = spec.and_then(|spec| spec.template.as_ref());
        let selector = cells::selector(spec.map(|spec| &spec.selector));
        replicated::row(&replica_set.metadata, counts, template, selector, now)
    }
}
