//! Objects as others see them: with the owners of their fields, which are kept apart from them here.

use serde_json::Value;

use super::{Attributes, Findings};
use crate::managed::entries;
use crate::tree;

const FIELD: &str = "managedFields";

/// What is put together for others, and taken apart again.
pub struct Whole {
    owners: Option<Value>,
    old: Option<Value>,
}

impl Whole {
    /// Puts the owners into the object.
    pub fn show(attributes: &mut Attributes<'_>) -> Self {
        let parsed = |text: &str| serde_json::from_str::<Value>(text).ok();
        let owners = attributes.owners.as_deref().and_then(|text| parsed(text));
        if let (Some(object), Some(owners)) = (attributes.object.as_deref_mut(), &owners) {
            tree::set(tree::object(object, "metadata"), FIELD, Some(owners.clone()));
        }
        let old = attributes.old.zip(parsed(attributes.old_owners)).map(|(old, owners)| {
            let mut old = old.clone();
            tree::set(tree::object(&mut old, "metadata"), FIELD, Some(owners));
            old
        });
        Self { owners, old }
    }

    /// The request with both states as a whole.
    pub fn attributes<'w>(&'w self, of: &'w mut Attributes<'_>) -> Attributes<'w> {
        Attributes {
            object: of.object.as_deref_mut(),
            owners: None,
            old: self.old.as_ref().or(of.old),
            old_owners: "",
            ..*of
        }
    }

    /// Takes the owners out of the object. What others made of them counts if it makes sense.
    pub fn hide(self, attributes: &mut Attributes<'_>, findings: &mut Findings) {
        let (Some(object), Some(owners)) =
            (attributes.object.as_deref_mut(), attributes.owners.as_deref_mut())
        else {
            return;
        };
        let metadata = tree::field(object, "metadata").and_then(Value::as_object_mut);
        let made = metadata.and_then(|metadata| metadata.remove(FIELD));
        if made == self.owners {
            return;
        }
        match made.as_ref().map_or(Ok(Vec::new()), entries::read) {
            Ok(mut entries) => *owners = entries::write(&mut entries),
            Err(words) => findings.warnings.push(format!(
                ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated \
                 mutating admission controller; please fix your requests: {words}"
            )),
        }
    }
}
