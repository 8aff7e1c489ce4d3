//! Shows objects as kubectl prints them: as rows of a table, or as their metadata alone.

use std::sync::Arc;

use api::backend::ObjectList;
use api::{Object, Status};
use jiff::Timestamp;
use serde_json::Value;

use super::accept::Include;
use super::encode::{list_metadata, metadata_json};
use crate::builtin::Column;
use crate::cells;
use crate::served::Version;

/// The columns of a scale, which stands for many kinds.
const SCALE_COLUMNS: &[Column] = &[
    Column { name: "Name", kind: "string", format: "name", description: "Name of the object.", priority: 0 },
    Column { name: "Desired", kind: "integer", format: "", description: "Replicas asked for.", priority: 0 },
    Column {
        name: "Available",
        kind: "integer",
        format: "",
        description: "Replicas there are.",
        priority: 0,
    },
    Column { name: "Age", kind: "string", format: "", description: "Time since its creation.", priority: 0 },
];

/// Which columns a table has.
#[derive(Clone)]
pub(super) struct Layout {
    pub version: Arc<Version>,
    pub is_scale: bool,
    pub now: Timestamp,
}

impl Layout {
    /// A table of objects; with its columns, or without where the reader has seen them before.
    pub fn table(
        &self,
        api_version: &str,
        list: &ObjectList,
        objects: &[Object],
        include: Include,
        with_columns: bool,
    ) -> Result<Vec<u8>, Status> {
        let columns = with_columns.then(|| self.definitions());
        let columns = Value::from(columns.unwrap_or_default());
        let metadata = list_metadata(list);
        let mut text = format!(
            r#"{{"kind":"Table","apiVersion":"{api_version}","metadata":{metadata},"columnDefinitions":{columns},"rows":["#
        )
        .into_bytes();
        for (position, object) in objects.iter().enumerate() {
            if position > 0 {
                text.push(b',');
            }
            self.write_row(&mut text, api_version, object, include)?;
        }
        text.extend_from_slice(b"]}");
        Ok(text)
    }

    fn definitions(&self) -> Vec<Value> {
        match self.is_scale {
            true => SCALE_COLUMNS.iter().map(Column::definition).collect(),
            false => self.version.kind().column_definitions(),
        }
    }

    fn write_row(
        &self,
        text: &mut Vec<u8>,
        api_version: &str,
        object: &Object,
        include: Include,
    ) -> Result<(), Status> {
        let cells = match self.is_scale {
            true => scale_row(object, self.now),
            false => self.version.row(object, self.now)?,
        };
        text.extend_from_slice(b"{\"cells\":");
        text.extend_from_slice(Value::from(cells).to_string().as_bytes());
        match include {
            Include::Nothing => {}
            Include::Metadata => {
                text.extend_from_slice(b",\"object\":");
                text.extend_from_slice(&metadata_json(object, api_version));
            }
            Include::Object => {
                text.extend_from_slice(b",\"object\":");
                text.extend_from_slice(object.json());
            }
        }
        text.push(b'}');
        Ok(())
    }
}

fn scale_row(object: &Object, now: Timestamp) -> Vec<Value> {
    let value = object.value();
    vec![
        object.name().into(),
        value["spec"]["replicas"].clone(),
        value["status"]["replicas"].clone(),
        cells::age(object.metadata(), now),
    ]
}
