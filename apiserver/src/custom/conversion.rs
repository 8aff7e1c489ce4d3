//! Objects of one version of a custom kind as those of another: the same but for the version, or as a webhook says.

mod answer;
mod webhook;

use api::{Object, Status};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::watch;

use super::kind::CustomKind;
use crate::outgoing::Outgoing;
use crate::store::Draft;

pub use webhook::{REVIEW_VERSIONS, Webhook};

/// What the versions of a custom kind have in common.
pub struct Family {
    /// The group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The version in which objects are stored.
    pub storage: String,
    /// How versions become others.
    pub strategy: Strategy,
    /// Becomes true when another state of the definition takes the place of this one.
    pub retired: watch::Sender<bool>,
}

/// How versions become others.
#[derive(Debug)]
pub enum Strategy {
    /// Only the name of the version changes.
    None,
    /// A webhook is asked.
    Webhook(Webhook),
}

impl Strategy {
    /// The strategy of a definition.
    pub fn read(conversion: &Value) -> Self {
        match conversion["strategy"].as_str() {
            Some("Webhook") => Self::Webhook(Webhook::read(&conversion["webhook"])),
            _ => Self::None,
        }
    }
}

impl CustomKind {
    /// Objects as they are stored, in this version and as its schema has them today.
    pub async fn bring_out(
        &self,
        objects: Vec<Object>,
        outgoing: Option<&Outgoing>,
    ) -> Result<Vec<Object>, Status> {
        let wanted = self.resource.api_version();
        if !self.schema.has_defaults && objects.iter().all(|object| object.api_version() == wanted) {
            return Ok(objects);
        }
        let others = objects.iter().filter(|object| object.api_version() != wanted);
        let values = others.map(|object| object.value().clone()).collect();
        let mut converted = self.converted(values, &wanted, outgoing).await?.into_iter();
        let mut shown = Vec::with_capacity(objects.len());
        for object in objects {
            let is_other = object.api_version() != wanted;
            let mut value = match is_other {
                true => converted.next().unwrap_or_default(),
                false => object.value().clone(),
            };
            let is_renewed = self.renew(&mut value);
            shown.push(match is_other || is_renewed {
                true => written(&value)?,
                false => object,
            });
        }
        Ok(shown)
    }

    /// A tree in this version as it is to be stored, and its metadata; none if it is that already.
    pub async fn take_in(
        &self,
        value: &Value,
        outgoing: Option<&Outgoing>,
    ) -> Result<Option<(Value, ObjectMeta)>, Status> {
        let stored = format!("{}/{}", self.family.group, self.family.storage);
        if value["apiVersion"] == stored.as_str() {
            return Ok(None);
        }
        let converted = self.converted(vec![value.clone()], &stored, outgoing).await?;
        let nothing = || Status::internal("nothing was converted");
        let converted = converted.into_iter().next().ok_or_else(nothing)?;
        let metadata = metadata(&converted)?;
        Ok(Some((converted, metadata)))
    }

    /// Trees in another version.
    pub async fn converted(
        &self,
        mut values: Vec<Value>,
        wanted: &str,
        outgoing: Option<&Outgoing>,
    ) -> Result<Vec<Value>, Status> {
        match &self.family.strategy {
            Strategy::None => {
                values.iter_mut().for_each(|value| value["apiVersion"] = wanted.into());
                Ok(values)
            }
            Strategy::Webhook(webhook) => webhook.convert(&values, wanted, outgoing).await,
        }
    }
}

/// An object written as it would be stored: who looks for the owners of its fields finds them.
fn written(value: &Value) -> Result<Object, Status> {
    Ok(Draft::preview(value, metadata(value)?))
}

fn metadata(value: &Value) -> Result<ObjectMeta, Status> {
    ObjectMeta::deserialize(&value["metadata"]).map_err(Status::internal)
}
