//! VolumeAttachments: volumes that are to be attached to nodes.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::storage::v1::{VolumeAttachment, VolumeError};
use serde_json::{Value, json};

use super::storage_class::GROUP;
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, flag, text};
use crate::names::{Form, IMMUTABLE, check_driver};
use crate::path::Path;
use crate::tree;

const LARGEST_METADATA: usize = 256 << 10;
const LONGEST_MESSAGE: usize = 1024;

/// The kind VolumeAttachment.
pub struct VolumeAttachments;

impl Builtin for VolumeAttachments {
    type Typed = VolumeAttachment;

    const RESOURCE: Resource = Resource::new(GROUP, "v1", "volumeattachments", "VolumeAttachment", false);

    const DEFINITION: Definition =
        Definition { subresources: &["status"], ..Definition::new("volumeattachment") };

    fn prepare_create(attachment: &mut Value) {
        tree::set(attachment, "status", Some(json!({"attached": false})));
    }

    fn check(attachment: &VolumeAttachment, errors: &mut Vec<FieldError>) {
        let path = Path::new("spec");
        let spec = &attachment.spec;
        check_driver(&spec.attacher, &path.child("attacher"), errors);
        let source_path = path.child("source");
        let one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
        let name_path = source_path.child("persistentVolumeName");
        match (&spec.source.inline_volume_spec, spec.source.persistent_volume_name.as_deref()) {
            (None, None) => errors.push(FieldError::required(source_path, one)),
            (Some(_), Some(_)) => errors.push(FieldError::forbidden(source_path, one)),
            (None, Some("")) => {
                errors.push(FieldError::required(name_path, "must specify non empty persistentVolumeName"));
            }
            (None, Some(name)) => Form::Subdomain.check(name, &name_path, errors),
            (Some(_), None) => {}
        }
        Form::Subdomain.check(&spec.node_name, &path.child("nodeName"), errors);
    }

    fn check_status(attachment: &VolumeAttachment, errors: &mut Vec<FieldError>) {
        let Some(status) = &attachment.status else { return };
        let path = Path::new("status");
        let lengths = status.attachment_metadata.iter().flatten().map(|(key, value)| key.len() + value.len());
        if lengths.sum::<usize>() > LARGEST_METADATA {
            errors.push(FieldError::too_long(path.child("attachmentMetadata"), LARGEST_METADATA));
        }
        check_error(status.attach_error.as_ref(), &path.child("attachError"), errors);
        check_error(status.detach_error.as_ref(), &path.child("detachError"), errors);
    }

    fn check_update(new: &VolumeAttachment, old: &VolumeAttachment, errors: &mut Vec<FieldError>) {
        if new.spec != old.spec {
            let value = serde_json::to_value(&new.spec).unwrap_or_default();
            errors.push(FieldError::invalid("spec", value, IMMUTABLE));
        }
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Attacher", "Who attaches the volume."),
        text("PV", "The volume."),
        text("Node", "The node."),
        flag("Attached", "Whether it is attached."),
        cells::AGE,
    ];

    fn row(attachment: &VolumeAttachment, now: Timestamp) -> Vec<Value> {
        let spec = &attachment.spec;
        vec![
            cells::name(&attachment.metadata),
            spec.attacher.as_str().into(),
            spec.source.persistent_volume_name.as_deref().unwrap_or_default().into(),
            spec.node_name.as_str().into(),
            attachment.status.as_ref().is_some_and(|status| status.attached).into(),
            cells::age(&attachment.metadata, now),
        ]
    }
}

fn check_error(error: Option<&VolumeError>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let Some(error) = error else { return };
    if error.message.as_ref().is_some_and(|message| message.len() > LONGEST_MESSAGE) {
        errors.push(FieldError::too_long(path.child("message"), LONGEST_MESSAGE));
    }
    if let Some(code) = error.error_code.filter(|code| *code < 0) {
        let words = "must be between 0 and 2147483647, inclusive";
        errors.push(FieldError::invalid(path.child("errorCode"), code, words));
    }
}
