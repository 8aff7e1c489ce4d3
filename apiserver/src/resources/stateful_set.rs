//! StatefulSets: pods that have a name and storage of their own each, and keep both.

mod check;

use api::Resource;
use api::field::FieldError;
use api::resource::STATEFUL_SETS;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::{Value, json};

use super::{persistent_volume_claim, template};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::Form;
use crate::tree;

/// The kind StatefulSet.
pub struct StatefulSets;

impl Builtin for StatefulSets {
    type Typed = StatefulSet;

    const RESOURCE: Resource = STATEFUL_SETS;

    const DEFINITION: Definition = Definition {
        short_names: &["sts"],
        categories: &["all"],
        subresources: &["status", "scale"],
        // The names of its pods begin with its own.
        names: Form::Label,
        generation: &["spec"],
        ..Definition::new("statefulset")
    };

    fn set_defaults(stateful_set: &mut Value) {
        let spec = tree::object(stateful_set, "spec");
        tree::set_default_text(spec, "podManagementPolicy", "OrderedReady");
        tree::set_default(spec, "replicas", 1);
        tree::set_default(spec, "revisionHistoryLimit", 10);
        let strategy = tree::object(spec, "updateStrategy");
        if tree::text(strategy, "type").is_none() {
            tree::set_default_text(strategy, "type", "RollingUpdate");
            tree::set_default(strategy, "rollingUpdate", json!({}));
        }
        if strategy["type"] == "RollingUpdate"
            && let Some(rolling) = tree::field(strategy, "rollingUpdate")
        {
            tree::set_default(rolling, "partition", 0);
        }
        let retention = tree::object(spec, "persistentVolumeClaimRetentionPolicy");
        for when in ["whenDeleted", "whenScaled"] {
            tree::set_default_text(retention, when, "Retain");
        }
        for claim in tree::items(spec, "volumeClaimTemplates") {
            tree::set(claim, "apiVersion", Some("v1".into()));
            tree::set(claim, "kind", Some("PersistentVolumeClaim".into()));
            persistent_volume_claim::set_defaults(claim);
        }
        template::set_defaults(spec);
    }

    fn prepare_create(stateful_set: &mut Value) {
        tree::set(stateful_set, "status", Some(json!({"replicas": 0, "availableReplicas": 0})));
    }

    fn check(stateful_set: &StatefulSet, errors: &mut Vec<FieldError>) {
        check::check(stateful_set, errors);
    }

    fn check_status(stateful_set: &StatefulSet, errors: &mut Vec<FieldError>) {
        check::check_status(stateful_set, errors);
    }

    fn check_update(new: &StatefulSet, old: &StatefulSet, errors: &mut Vec<FieldError>) {
        check::check_update(new, old, errors);
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Ready", "How many of the wanted pods are ready."),
        cells::AGE,
        cells::CONTAINERS,
        cells::IMAGES,
    ];

    fn row(stateful_set: &StatefulSet, now: Timestamp) -> Vec<Value> {
        let spec = stateful_set.spec.as_ref();
        let wanted = spec.and_then(|spec| spec.replicas).unwrap_or(0);
        let ready = stateful_set.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
        let [containers, images] = cells::template(spec.map(|spec| &spec.template));
        vec![
            cells::name(&stateful_set.metadata),
            format!("{ready}/{wanted}").into(),
            cells::age(&stateful_set.metadata, now),
            containers,
            images,
        ]
    }
}
