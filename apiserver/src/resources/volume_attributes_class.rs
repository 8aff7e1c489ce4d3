//! VolumeAttributesClasses: attributes of volumes that can change while they are in use.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::storage::v1::VolumeAttributesClass;
use serde_json::Value;

use super::storage_class::{GROUP, check_parameters, check_provisioner};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::path::Path;

/// The kind VolumeAttributesClass.
pub struct VolumeAttributesClasses;

impl Builtin for VolumeAttributesClasses {
    type Typed = VolumeAttributesClass;

    const RESOURCE: Resource =
        Resource::new(GROUP, "v1", "volumeattributesclasses", "VolumeAttributesClass", false);

    const DEFINITION: Definition =
        Definition { short_names: &["vac"], ..Definition::new("volumeattributesclass") };

    fn check(class: &VolumeAttributesClass, errors: &mut Vec<FieldError>) {
        check_provisioner(&class.driver_name, &Path::new("driverName"), errors);
        check_parameters(class.parameters.as_ref(), errors);
        if class.parameters.as_ref().is_none_or(|parameters| parameters.is_empty()) {
            errors.push(FieldError::required("parameters", "must contain at least one key/value pair"));
        }
    }

    fn check_update(new: &VolumeAttributesClass, old: &VolumeAttributesClass, errors: &mut Vec<FieldError>) {
        if new.driver_name != old.driver_name {
            errors.push(FieldError::forbidden("driverName", "updates to driverName are forbidden."));
        }
        if new.parameters != old.parameters {
            errors.push(FieldError::forbidden("parameters", "updates to parameters are forbidden."));
        }
    }

    const COLUMNS: &'static [Column] =
        &[cells::NAME, text("DriverName", "The driver whose volumes have them."), cells::AGE];

    fn row(class: &VolumeAttributesClass, now: Timestamp) -> Vec<Value> {
        let metadata = &class.metadata;
        vec![cells::name(metadata), class.driver_name.as_str().into(), cells::age(metadata, now)]
    }
}
