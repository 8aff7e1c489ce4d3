//! ConfigMaps: texts and bytes for pods, of which the user may promise that they stay as they are.

use api::Resource;
use api::field::FieldError;
use api::resource::CONFIG_MAPS;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::Value;

use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, number};
use crate::names::config_key_mistakes;
use crate::path::Path;

/// All keys and values together, as in Kubernetes.
const LARGEST_BYTES: usize = 1 << 20;

const SEALED: &str = "field is immutable when `immutable` is set";

/// The kind ConfigMap.
pub struct ConfigMaps;

impl Builtin for ConfigMaps {
    type Typed = ConfigMap;

    const RESOURCE: Resource = CONFIG_MAPS;

    const DEFINITION: Definition = Definition { short_names: &["cm"], ..Definition::new("configmap") };

    fn check(config_map: &ConfigMap, errors: &mut Vec<FieldError>) {
        let texts = config_map.data.iter().flatten().map(|(key, text)| (key, text.len()));
        let bytes = config_map.binary_data.iter().flatten().map(|(key, bytes)| (key, bytes.0.len()));
        let mut total = 0;
        for (path, entries) in
            [(Path::new("data"), texts.collect::<Vec<_>>()), (Path::new("binaryData"), bytes.collect())]
        {
            for (key, length) in entries {
                total += length;
                let mistakes = config_key_mistakes(key);
                errors.extend(
                    mistakes.into_iter().map(|words| FieldError::invalid(path.key(key), key.as_str(), words)),
                );
            }
        }
        let in_both = |key: &&String| config_map.data.as_ref().is_some_and(|data| data.contains_key(*key));
        for key in config_map.binary_data.iter().flatten().map(|(key, _)| key).filter(in_both) {
            let words = "duplicate of key present in data";
            errors.push(FieldError::invalid(Path::new("data").key(key), key.as_str(), words));
        }
        if total > LARGEST_BYTES {
            errors.push(FieldError::too_long("data", LARGEST_BYTES));
        }
    }

    fn check_update(new: &ConfigMap, old: &ConfigMap, errors: &mut Vec<FieldError>) {
        if old.immutable != Some(true) {
            return;
        }
        let mut must_stay = |same: bool, field: &str| {
            if !same {
                errors.push(FieldError::forbidden(field, SEALED));
            }
        };
        must_stay(new.immutable == Some(true), "immutable");
        must_stay(new.data == old.data, "data");
        must_stay(new.binary_data == old.binary_data, "binaryData");
    }

    const COLUMNS: &'static [Column] = &[cells::NAME, number("Data", "How many entries it has."), cells::AGE];

    fn row(config_map: &ConfigMap, now: Timestamp) -> Vec<Value> {
        let texts = config_map.data.as_ref().map_or(0, |data| data.len());
        let bytes = config_map.binary_data.as_ref().map_or(0, |data| data.len());
        let metadata = &config_map.metadata;
        vec![cells::name(metadata), (texts + bytes).into(), cells::age(metadata, now)]
    }
}
