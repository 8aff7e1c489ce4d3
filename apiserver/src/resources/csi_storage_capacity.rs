//! CSIStorageCapacities: how much storage of a class there is, and from which nodes it is reached.

use api::Resource;
use api::field::FieldError;
use api::quantity::Quantity;
use jiff::Timestamp;
use k8s_openapi::api::storage::v1::CSIStorageCapacity;
use serde_json::Value;

use super::label_selector;
use super::storage_class::GROUP;
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::{Form, IMMUTABLE, NOT_NEGATIVE};
use crate::path::Path;

/// The kind CSIStorageCapacity.
pub struct CsiStorageCapacities;

impl Builtin for CsiStorageCapacities {
    type Typed = CSIStorageCapacity;

    const RESOURCE: Resource = Resource::new(GROUP, "v1", "csistoragecapacities", "CSIStorageCapacity", true);

    const DEFINITION: Definition = Definition::new("csistoragecapacity");

    fn check(capacity: &CSIStorageCapacity, errors: &mut Vec<FieldError>) {
        label_selector::check(capacity.node_topology.as_ref(), &Path::new("nodeTopology"), errors);
        Form::Subdomain.check(&capacity.storage_class_name, &Path::new("storageClassName"), errors);
        for (field, amount) in
            [("capacity", &capacity.capacity), ("maximumVolumeSize", &capacity.maximum_volume_size)]
        {
            let Some(amount) = amount.as_ref().map(|amount| amount.0.as_str()) else { continue };
            match amount.parse::<Quantity>() {
                Err(error) => errors.push(FieldError::invalid(field, amount, error.to_string())),
                Ok(amount) if amount.is_negative() => {
                    errors.push(FieldError::invalid(field, amount.to_string(), NOT_NEGATIVE));
                }
                Ok(_) => {}
            }
        }
    }

    fn check_update(new: &CSIStorageCapacity, old: &CSIStorageCapacity, errors: &mut Vec<FieldError>) {
        if new.node_topology != old.node_topology {
            let value = serde_json::to_value(&new.node_topology).unwrap_or_default();
            errors.push(FieldError::invalid("nodeTopology", value, IMMUTABLE));
        }
        if new.storage_class_name != old.storage_class_name {
            errors.push(FieldError::invalid("storageClassName", new.storage_class_name.as_str(), IMMUTABLE));
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("StorageClassName", "The class of the storage."),
        text("Capacity", "How much there is."),
    ];

    fn row(capacity: &CSIStorageCapacity, _now: Timestamp) -> Vec<Value> {
        vec![
            cells::name(&capacity.metadata),
            capacity.storage_class_name.as_str().into(),
            cells::or(capacity.capacity.as_ref().map(|amount| amount.0.as_str()), "<unset>"),
        ]
    }
}
