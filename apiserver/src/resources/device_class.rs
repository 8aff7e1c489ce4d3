//! DeviceClasses: the kinds of devices that claims can ask for.

use api::Resource;
use api::field::FieldError;
use k8s_openapi::api::resource::v1::DeviceClass;

use super::device_claims::{GROUP, check_opaque, check_selectors};
use crate::builtin::{Builtin, Definition};
use crate::path::Path;

/// The kind DeviceClass.
pub struct DeviceClasses;

impl Builtin for DeviceClasses {
    type Typed = DeviceClass;

    const RESOURCE: Resource = Resource::new(GROUP, "v1", "deviceclasses", "DeviceClass", false);

    const DEFINITION: Definition = Definition { generation: &["spec"], ..Definition::new("deviceclass") };

    fn check(class: &DeviceClass, errors: &mut Vec<FieldError>) {
        let path = Path::new("spec");
        let selectors = class.spec.selectors.as_deref().unwrap_or_default();
        check_selectors(selectors, &path.child("selectors"), errors);
        let path = path.child("config");
        for (index, config) in class.spec.config.iter().flatten().enumerate() {
            check_opaque(config.opaque.as_ref(), &path.index(index), errors);
        }
    }
}
