//! ResourceSlices: the devices that a driver has on a node, or for several.

use std::borrow::Cow;
use std::collections::BTreeSet;

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::resource::v1::{Device, ResourceSlice, ResourceSliceSpec};
use serde_json::Value;

use super::device_claims::GROUP;
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::{Form, IMMUTABLE, check_driver};
use crate::path::Path;

const MOST_DEVICES: usize = 128;
const MOST_ATTRIBUTES: usize = 32;
const LONGEST_POOL: usize = 253;
const LONGEST_VALUE: usize = 64;

/// The kind ResourceSlice.
pub struct ResourceSlices;

impl Builtin for ResourceSlices {
    type Typed = ResourceSlice;

    const RESOURCE: Resource = Resource::new(GROUP, "v1", "resourceslices", "ResourceSlice", false);

    const DEFINITION: Definition = Definition {
        fields: &["spec.nodeName", "spec.driver"],
        generation: &["spec"],
        ..Definition::new("resourceslice")
    };

    fn check(slice: &ResourceSlice, errors: &mut Vec<FieldError>) {
        check_spec(&slice.spec, &Path::new("spec"), errors);
    }

    fn check_update(new: &ResourceSlice, old: &ResourceSlice, errors: &mut Vec<FieldError>) {
        let (new, old) = (&new.spec, &old.spec);
        let path = Path::new("spec");
        let mut keep = |path: Path<'_>, new: Option<&String>, is_same: bool| {
            if !is_same {
                errors.push(FieldError::invalid(path, new.cloned(), IMMUTABLE));
            }
        };
        keep(path.child("driver"), Some(&new.driver), new.driver == old.driver);
        keep(path.child("pool").child("name"), Some(&new.pool.name), new.pool.name == old.pool.name);
        keep(path.child("nodeName"), new.node_name.as_ref(), new.node_name == old.node_name);
    }

    fn field<'a>(slice: &'a ResourceSlice, field: &str) -> Option<Cow<'a, str>> {
        match field {
            "spec.nodeName" => slice.spec.node_name.as_deref().map(Cow::from),
            "spec.driver" => Some(slice.spec.driver.as_str().into()),
            _ => None,
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Node", "The node that has the devices."),
        text("Driver", "Who manages them."),
        text("Pool", "What they belong to."),
        cells::AGE,
    ];

    fn row(slice: &ResourceSlice, now: Timestamp) -> Vec<Value> {
        let spec = &slice.spec;
        vec![
            cells::name(&slice.metadata),
            cells::or(spec.node_name.as_deref(), "<unset>"),
            spec.driver.as_str().into(),
            spec.pool.name.as_str().into(),
            cells::age(&slice.metadata, now),
        ]
    }
}

fn check_spec(spec: &ResourceSliceSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_driver(&spec.driver, &path.child("driver"), errors);
    let pool = path.child("pool");
    match spec.pool.name.as_str() {
        "" => errors.push(FieldError::required(pool.child("name"), "")),
        name if name.len() > LONGEST_POOL => {
            errors.push(FieldError::too_long(pool.child("name"), LONGEST_POOL));
        }
        name => name.split('/').for_each(|part| Form::Subdomain.check(part, &pool.child("name"), errors)),
    }
    if spec.pool.resource_slice_count <= 0 {
        let (count, words) = (spec.pool.resource_slice_count, "must be greater than zero");
        errors.push(FieldError::invalid(pool.child("resourceSliceCount"), count, words));
    }
    if spec.pool.generation < 0 {
        let (generation, words) = (spec.pool.generation, "must be greater than or equal to zero");
        errors.push(FieldError::invalid(pool.child("generation"), generation, words));
    }
    check_place(spec, path, errors);
    let devices = spec.devices.as_deref().unwrap_or_default();
    let path = path.child("devices");
    if devices.len() > MOST_DEVICES {
        errors.push(FieldError::too_many(path, devices.len(), MOST_DEVICES));
    }
    let mut names = BTreeSet::new();
    for (index, device) in devices.iter().enumerate() {
        let path = path.index(index);
        check_device(device, &path, errors);
        if !names.insert(&device.name) {
            errors.push(FieldError::duplicate(path.child("name"), device.name.as_str()));
        }
    }
}

/// Where the devices are is said in one way.
fn check_place(spec: &ResourceSliceSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let ways = [
        (spec.node_name.is_some(), "`nodeName`"),
        (spec.node_selector.is_some(), "`nodeSelector`"),
        (spec.all_nodes == Some(true), "`allNodes`"),
        (spec.per_device_node_selection == Some(true), "`perDeviceNodeSelection`"),
    ];
    let said: Vec<&str> = ways.iter().filter(|(is_said, _)| *is_said).map(|(_, way)| *way).collect();
    let one = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match said[..] {
        [] => errors.push(FieldError::required(*path, one)),
        [_] => {}
        _ => {
            let words = format!("{one}, but multiple fields are set");
            errors.push(FieldError::invalid(*path, format!("{{{}}}", said.join(", ")), words));
        }
    }
    if let Some(node) = &spec.node_name {
        Form::Subdomain.require(node, &path.child("nodeName"), errors);
    }
}

fn check_device(device: &Device, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    Form::Label.require(&device.name, &path.child("name"), errors);
    let count = device.attributes.as_ref().map_or(0, |attributes| attributes.len())
        + device.capacity.as_ref().map_or(0, |capacity| capacity.len());
    if count > MOST_ATTRIBUTES {
        let words =
            format!("the total number of attributes and capacities must not exceed {MOST_ATTRIBUTES}");
        errors.push(FieldError::invalid(*path, count, words));
    }
    let path = path.child("attributes");
    for (key, attribute) in device.attributes.iter().flatten() {
        let path = path.key(key);
        let texts = [("string", &attribute.string), ("version", &attribute.version)];
        let given = usize::from(attribute.bool.is_some())
            + usize::from(attribute.int.is_some())
            + texts.iter().filter(|(_, text)| text.is_some()).count();
        match given {
            1 => {}
            0 => errors.push(FieldError::required(path, "exactly one value must be specified")),
            _ => {
                let value = serde_json::to_value(attribute).unwrap_or_default();
                errors.push(FieldError::invalid(path, value, "exactly one value must be specified"));
            }
        }
        for (field, text) in texts {
            if text.as_ref().is_some_and(|text| text.len() > LONGEST_VALUE) {
                errors.push(FieldError::too_long(path.child(field), LONGEST_VALUE));
            }
        }
    }
}
