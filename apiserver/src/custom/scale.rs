//! The scale of a custom resource: its definition says where the replicas stand.

use api::field::FieldError;
use serde_json::{Map, Value, json};

use super::json_path::JsonPath;
use crate::names::NOT_NEGATIVE;
use crate::subresources::scale::RESOURCE;

/// Where what the scale shows stands in the object.
#[derive(Debug)]
pub struct Scale {
    wanted: JsonPath,
    found: JsonPath,
    selector: Option<JsonPath>,
}

impl Scale {
    /// The scale of a version of a CustomResourceDefinition; none if it has none.
    pub fn read(version: &Value) -> Option<Self> {
        let scale = version["subresources"].get("scale")?;
        let path = |field: &str| scale[field].as_str().and_then(|text| JsonPath::read(text).ok());
        Some(Self {
            wanted: path("specReplicasPath")?,
            found: path("statusReplicasPath")?,
            selector: path("labelSelectorPath"),
        })
    }

    /// The scale of an object.
    pub fn of(&self, object: &Value) -> Value {
        let kept = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
        let metadata = kept
            .iter()
            .filter_map(|field| Some(((*field).to_owned(), object["metadata"].get(field)?.clone())));
        let number = |path: &JsonPath| path.first(object).and_then(Value::as_i64).unwrap_or(0);
        let selector = self.selector.as_ref().and_then(|path| path.first(object)?.as_str());
        json!({
            "apiVersion": RESOURCE.api_version(),
            "kind": RESOURCE.kind,
            "metadata": metadata.collect::<Map<_, _>>(),
            "spec": {"replicas": number(&self.wanted)},
            "status": {"replicas": number(&self.found), "selector": selector.unwrap_or_default()},
        })
    }

    /// The object with the replicas of the scale.
    pub fn apply(&self, mut object: Value, scale: &Value) -> Result<Value, FieldError> {
        let replicas = scale["spec"]["replicas"].as_i64().unwrap_or(0);
        if replicas < 0 {
            return Err(FieldError::invalid("spec.replicas", replicas, NOT_NEGATIVE));
        }
        let mut place = &mut object;
        for name in self.wanted.fields().unwrap_or_default() {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            let Value::Object(fields) = place else {
                continue;
            };
            place = fields.entry(name).or_insert(Value::Null);
        }
        *place = replicas.into();
        Ok(object)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn replicas_are_read_and_set_where_the_definition_says() {
        let version = json!({"subresources": {"scale": {"specReplicasPath": ".spec.size.wanted",
            "statusReplicasPath": ".status.size", "labelSelectorPath": ".status.selector"}}});
        let scale = Scale::read(&version).unwrap();
        let object = json!({"metadata": {"name": "a"}, "status": {"size": 2, "selector": "app=a"}});
        let shown = scale.of(&object);
        assert_eq!(shown["spec"]["replicas"], 0);
        assert_eq!(shown["status"], json!({"replicas": 2, "selector": "app=a"}));
        let changed = scale.apply(object.clone(), &json!({"spec": {"replicas": 3}})).unwrap();
        assert_eq!(changed["spec"], json!({"size": {"wanted": 3}}));
        assert!(scale.apply(object, &json!({"spec": {"replicas": -1}})).is_err());
        assert!(Scale::read(&json!({})).is_none());
    }
}
