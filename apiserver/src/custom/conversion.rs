//! Objects of one version of a custom kind as those of another: the same but for the version, or as a webhook says.

use api::status::Reason;
use api::{Object, Status};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::kind::CustomKind;

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
#[derive(Clone, Debug)]
pub enum Strategy {
    /// Only the name of the version changes.
    None,
    /// A webhook is asked; holds its `clientConfig`.
    Webhook(Value),
}

/// Calls webhooks that convert.
pub trait Converters: Send + Sync {
    /// Sends a review to where a `clientConfig` says; the answer, or why there is none.
    fn convert<'a>(&'a self, config: &'a Value, review: Value) -> BoxFuture<'a, Result<Value, String>>;
}

impl Strategy {
    /// The strategy of a definition.
    pub fn read(conversion: &Value) -> Self {
        match conversion["strategy"].as_str() {
            Some("Webhook") => Self::Webhook(conversion["webhook"]["clientConfig"].clone()),
            _ => Self::None,
        }
    }
}

impl CustomKind {
    /// Objects as they are stored, in this version and as its schema has them today.
    pub async fn bring_out(
        &self,
        objects: Vec<Object>,
        converters: Option<&dyn Converters>,
    ) -> Result<Vec<Object>, Status> {
        let wanted = self.resource.api_version();
        if !self.schema.has_defaults && objects.iter().all(|object| object.api_version() == wanted) {
            return Ok(objects);
        }
        let others = objects.iter().filter(|object| object.api_version() != wanted);
        let values = others.map(|object| object.value().clone()).collect();
        let mut converted = self.converted(values, &wanted, converters).await?.into_iter();
        let mut shown = Vec::with_capacity(objects.len());
        for object in objects {
            let is_other = object.api_version() != wanted;
            let mut value = match is_other {
                true => converted.next().unwrap_or_default(),
                false => object.value().clone(),
            };
            let is_renewed = self.renew(&mut value);
            shown.push(match is_other || is_renewed {
                true => Object::from_value(value).map_err(Status::internal)?,
                false => object,
            });
        }
        Ok(shown)
    }

    /// A tree in this version as it is to be stored.
    pub async fn take_in(&self, value: &Value, converters: Option<&dyn Converters>) -> Result<Value, Status> {
        let stored = format!("{}/{}", self.family.group, self.family.storage);
        if value["apiVersion"] == stored.as_str() {
            return Ok(value.clone());
        }
        let converted = self.converted(vec![value.clone()], &stored, converters).await?;
        converted.into_iter().next().ok_or_else(|| Status::internal("nothing was converted"))
    }

    /// Trees in another version.
    pub async fn converted(
        &self,
        mut values: Vec<Value>,
        wanted: &str,
        converters: Option<&dyn Converters>,
    ) -> Result<Vec<Value>, Status> {
        if values.is_empty() {
            return Ok(values);
        }
        match &self.family.strategy {
            Strategy::None => {
                values.iter_mut().for_each(|value| value["apiVersion"] = wanted.into());
                Ok(values)
            }
            Strategy::Webhook(config) => {
                let from = values[0]["apiVersion"].as_str().unwrap_or_default().to_owned();
                let failed = |why: String| {
                    let words =
                        format!("conversion webhook for {from}, Kind={} failed: {why}", self.family.kind);
                    Status::new(Reason::InternalError, words)
                };
                let none = || failed("this server has no way to call webhooks".to_owned());
                let converters = converters.ok_or_else(none)?;
                // Only one request is answered by it, so the uid of the first object tells it apart.
                let uid = values[0]["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
                let review = review(&uid, wanted, &values);
                let answer = converters.convert(config, review).await.map_err(failed)?;
                accepted(&values, answer, &uid, wanted).map_err(failed)
            }
        }
    }
}

fn review(uid: &str, wanted: &str, values: &[Value]) -> Value {
    json!({
        "kind": "ConversionReview",
        "apiVersion": "apiextensions.k8s.io/v1",
        "request": {"uid": uid, "desiredAPIVersion": wanted, "objects": values},
    })
}

/// What a webhook made of objects, if it is what it may make of them.
fn accepted(given: &[Value], mut answer: Value, uid: &str, wanted: &str) -> Result<Vec<Value>, String> {
    let Some(response) = answer.get_mut("response").filter(|response| response.is_object()) else {
        return Err("the answer has no response".to_owned());
    };
    if response["uid"] != uid {
        return Err(format!("expected response.uid={uid:?}, got {}", response["uid"]));
    }
    if response["result"]["status"] != "Success" {
        let message = response["result"]["message"].as_str().filter(|message| !message.is_empty());
        return Err(message.unwrap_or("response.result.status is not Success, with no message").to_owned());
    }
    let Value::Array(converted) = response["convertedObjects"].take() else {
        return Err("response.convertedObjects is no list".to_owned());
    };
    if converted.len() != given.len() {
        return Err(format!("webhook returned {} objects, expected {}", converted.len(), given.len()));
    }
    let pairs = converted.into_iter().zip(given).enumerate();
    pairs
        .map(|(index, (mut converted, given))| {
            if !converted.is_object() || converted["apiVersion"] != wanted {
                let found = &converted["apiVersion"];
                return Err(format!(
                    "webhook returned invalid groupVersion {found} at index {index}, expected {wanted}"
                ));
            }
            if converted["kind"] != given["kind"] {
                let (found, kind) = (&converted["kind"], &given["kind"]);
                return Err(format!(
                    "webhook returned invalid kind {found} at index {index}, expected {kind}"
                ));
            }
            keep_identity(&mut converted, given);
            Ok(converted)
        })
        .collect()
}

/// Of the metadata a webhook may change labels and annotations only.
fn keep_identity(converted: &mut Value, given: &Value) {
    let mut metadata = given["metadata"].clone();
    if let Value::Object(fields) = &mut metadata {
        for field in ["labels", "annotations"] {
            match converted["metadata"].get(field) {
                Some(changed) => fields.insert(field.to_owned(), changed.clone()),
                None => fields.remove(field),
            };
        }
    }
    converted["metadata"] = metadata;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_webhook_may_change_all_but_the_identity() {
        let given = [
            json!({"apiVersion": "g/v1", "kind": "K", "metadata": {"name": "a", "uid": "1", "labels": {"x": "1"}}, "spec": 1}),
        ];
        let row = |response: Value, expected: Result<Value, &str>| {
            let found = accepted(&given, json!({"response": response}), "u", "g/v2");
            assert_eq!(found.map(Value::from), expected.map_err(str::to_owned));
        };
        let success = json!({"status": "Success"});
        row(
            json!({"uid": "u", "result": success, "convertedObjects": [
                {"apiVersion": "g/v2", "kind": "K", "metadata": {"name": "b", "annotations": {"y": "2"}}, "spec": 2}]}),
            Ok(
                json!([{"apiVersion": "g/v2", "kind": "K", "metadata": {"name": "a", "uid": "1", "annotations": {"y": "2"}}, "spec": 2}]),
            ),
        );
        row(json!({"uid": "u", "result": {"status": "Failed", "message": "no"}}), Err("no"));
        row(json!({"uid": "x", "result": success}), Err("expected response.uid=\"u\", got \"x\""));
        row(
            json!({"uid": "u", "result": success, "convertedObjects": []}),
            Err("webhook returned 0 objects, expected 1"),
        );
        row(
            json!({"uid": "u", "result": success, "convertedObjects": [{"apiVersion": "g/v3", "kind": "K"}]}),
            Err("webhook returned invalid groupVersion \"g/v3\" at index 0, expected g/v2"),
        );
        row(
            json!({"uid": "u", "result": success, "convertedObjects": [{"apiVersion": "g/v2", "kind": "L"}]}),
            Err("webhook returned invalid kind \"L\" at index 0, expected \"K\""),
        );
    }
}
