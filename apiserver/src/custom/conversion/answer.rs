//! What a webhook made of objects, if it is what it may make of them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::path::Path;
use crate::registry::metadata::check_labels_and_annotations;
use crate::tree::{self, go_type};

/// The converted objects of an answer. A refusal says how the words about it go on after the webhook was named.
pub fn accepted(
    given: &[Value],
    mut answer: Value,
    version: &str,
    uid: &str,
    wanted: &str,
) -> Result<Vec<Value>, String> {
    let response = response(&mut answer, version, uid).map_err(|words| format!("failed: {words}"))?;
    let converted = match response["convertedObjects"].take() {
        Value::Array(converted) => converted,
        _ => Vec::new(),
    };
    if converted.len() != given.len() {
        return Err(format!("returned {} objects, expected {}", converted.len(), given.len()));
    }
    let is_one = given.len() == 1;
    let pairs = converted.into_iter().zip(given).enumerate();
    let checked = pairs.map(|(index, (converted, given))| {
        checked(converted, given, wanted).map_err(|mistake| mistake.said((!is_one).then_some(index)))
    });
    checked.collect()
}

/// The response of a review, if it is to our request and a good one.
fn response<'a>(answer: &'a mut Value, version: &str, uid: &str) -> Result<&'a mut Value, String> {
    // Kubernetes does not look closer at answers of the older version.
    let is_strict = version.ends_with("/v1");
    let text = |field| tree::text(answer, field).unwrap_or_default();
    let found = format!("{}, Kind={}", text("apiVersion"), text("kind"));
    let expected = format!("{version}, Kind=ConversionReview");
    if is_strict && found != expected {
        return Err(format!("expected webhook response of {expected}, got {found}"));
    }
    let response = answer.get_mut("response").filter(|response| response.is_object());
    let response = response.ok_or("no response provided")?;
    let found = tree::text(response, "uid").unwrap_or_default();
    if is_strict && found != uid {
        return Err(format!("expected response.uid={uid:?}, got {found:?}"));
    }
    let result = &response["result"];
    match (tree::text(result, "status").unwrap_or_default(), tree::text(result, "message")) {
        ("Success", _) => Ok(response),
        (_, Some(message)) => Err(message.to_owned()),
        (status, None) => Err(format!("response.result.status was '{status}', not 'Success'")),
    }
}

/// What is wrong with an object.
enum Mistake {
    /// It is of another version or kind.
    Type(String),
    /// It is another object.
    Object(String),
    /// Its metadata is no good.
    Metadata(String),
}

impl Mistake {
    /// As Kubernetes says it, of one object or of one in a list.
    fn said(self, index: Option<usize>) -> String {
        match (self, index) {
            (Self::Type(words), None) => format!("returned invalid object at index 0: {words}"),
            (Self::Object(words), None) => format!("returned invalid object: {words}"),
            (Self::Metadata(words), None) => format!("returned invalid metadata: {words}"),
            (Self::Type(words) | Self::Object(words), Some(index)) => {
                format!("returned invalid converted object at index {index}: {words}")
            }
            (Self::Metadata(words), Some(index)) => {
                format!("returned invalid metadata in object at index {index}: {words}")
            }
        }
    }
}

fn checked(mut converted: Value, given: &Value, wanted: &str) -> Result<Value, Mistake> {
    let texts = |field| {
        let of = |value: &Value| tree::text(value, field).unwrap_or_default().to_owned();
        (of(given), of(&converted))
    };
    let (_, version) = texts("apiVersion");
    if version != wanted {
        let words = format!("invalid groupVersion (expected {wanted}, received {version})");
        return Err(Mistake::Type(words));
    }
    let (expected, kind) = texts("kind");
    if kind != expected {
        return Err(Mistake::Type(format!("invalid kind (expected {expected}, received {kind})")));
    }
    for (field, name) in [("name", "name"), ("namespace", "namespace"), ("uid", "UID")] {
        let of = |value: &Value| tree::text(&value["metadata"], field).unwrap_or_default().to_owned();
        let (expected, found) = (of(given), of(&converted));
        if found != expected {
            let words = format!("must have the same {name}: {expected} != {found}");
            return Err(Mistake::Object(words));
        }
    }
    let metadata = metadata(&converted, given).map_err(Mistake::Metadata)?;
    converted["metadata"] = metadata;
    Ok(converted)
}

/// The metadata a converted object gets: a webhook may change labels and annotations only.
fn metadata(converted: &Value, given: &Value) -> Result<Value, String> {
    let Some(changed) = converted.get("metadata") else {
        return Err("missing metadata in converted object".to_owned());
    };
    let changed = changed
        .as_object()
        .ok_or_else(|| format!("invalid metadata of type {} in converted object", go_type(changed)))?;
    let mut kept = given["metadata"].as_object().cloned().unwrap_or_default();
    let mut differs = Map::new();
    for field in ["labels", "annotations"] {
        match changed.get(field).filter(|value| !value.is_null()) {
            None => drop(kept.remove(field)),
            Some(value) => {
                check_texts(field, value)?;
                if kept.get(field) != Some(value) {
                    differs.insert(field.to_owned(), value.clone());
                }
                kept.insert(field.to_owned(), value.clone());
            }
        }
    }
    // What was there before was good when it was written.
    let differing = ObjectMeta::deserialize(&Value::Object(differs)).map_err(|error| error.to_string())?;
    let mut errors = Vec::new();
    check_labels_and_annotations(&differing, &Path::new("metadata"), &mut errors);
    match errors.as_slice() {
        [] => Ok(kept.into()),
        [one] => Err(one.to_string()),
        several => {
            let texts: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(format!("[{}]", texts.join(", ")))
        }
    }
}

fn check_texts(field: &str, value: &Value) -> Result<(), String> {
    let entries = value
        .as_object()
        .ok_or_else(|| format!("invalid metadata.{field} of type {} in converted object", go_type(value)))?;
    match entries.iter().find(|(_, value)| !value.is_string()) {
        Some((key, value)) => {
            let found = go_type(value);
            Err(format!("metadata.{field}[{key}] must be a string, but is {found} in converted object"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const V1: &str = "apiextensions.k8s.io/v1";

    fn given() -> Value {
        json!({"apiVersion": "g/v1", "kind": "K", "spec": 1,
            "metadata": {"name": "a", "uid": "1", "labels": {"x": "1"}, "generation": 3}})
    }

    fn review(version: &str, response: &Value) -> Value {
        json!({"apiVersion": version, "kind": "ConversionReview", "response": response})
    }

    #[test]
    fn an_answer_must_be_a_good_one_to_the_request() {
        let row = |version: &str, answer: Value, expected: &str| {
            let found = accepted(&[given()], answer, version, "u", "g/v2");
            assert_eq!(found.expect_err("a mistake"), expected);
        };
        let v1 = |response: Value, expected: &str| row(V1, review(V1, &response), expected);
        v1(json!({"uid": "u", "result": {"status": "Failed", "message": "no"}}), "failed: no");
        v1(
            json!({"uid": "u", "result": {"status": "Failed"}}),
            "failed: response.result.status was 'Failed', not 'Success'",
        );
        v1(json!({"uid": "x"}), "failed: expected response.uid=\"u\", got \"x\"");
        v1(json!(null), "failed: no response provided");
        v1(json!({"uid": "u", "result": {"status": "Success"}}), "returned 0 objects, expected 1");
        row(
            V1,
            json!({"kind": "Status", "apiVersion": "v1"}),
            "failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got v1, Kind=Status",
        );
        let lenient = json!({"response": {"result": {"status": "Success"}, "convertedObjects": [1, 2]}});
        row("apiextensions.k8s.io/v1beta1", lenient, "returned 2 objects, expected 1");
    }

    fn convert(given: &[Value], converted: Value) -> Result<Vec<Value>, String> {
        let response = json!({"uid": "u", "result": {"status": "Success"}, "convertedObjects": converted});
        accepted(given, review(V1, &response), V1, "u", "g/v2")
    }

    #[test]
    fn a_webhook_may_change_all_but_the_identity() {
        let made = json!({"apiVersion": "g/v2", "kind": "K", "spec": 2,
            "metadata": {"name": "a", "uid": "1", "annotations": {"y": "2"}, "generation": 9}});
        let expected = json!([{"apiVersion": "g/v2", "kind": "K", "spec": 2,
            "metadata": {"name": "a", "uid": "1", "annotations": {"y": "2"}, "generation": 3}}]);
        assert_eq!(convert(&[given()], json!([made])).map(Value::from), Ok(expected));
    }

    #[test]
    fn what_a_webhook_may_not_do_is_said_in_kubernetes_words() {
        let row = |pointer: &str, value: Value, expected: &str, in_a_list: &str| {
            let mut made = given();
            made["apiVersion"] = "g/v2".into();
            if let Some(place) = made.pointer_mut(pointer) {
                *place = value;
            }
            let one = convert(&[given()], json!([made]));
            assert_eq!(one, Err(format!("returned {expected}")));
            let mut good = given();
            good["apiVersion"] = "g/v2".into();
            let two = convert(&[given(), given()], json!([good, made]));
            assert_eq!(two, Err(format!("returned {in_a_list}")));
        };
        row(
            "/apiVersion",
            json!("g/v3"),
            "invalid object at index 0: invalid groupVersion (expected g/v2, received g/v3)",
            "invalid converted object at index 1: invalid groupVersion (expected g/v2, received g/v3)",
        );
        row(
            "/kind",
            json!("L"),
            "invalid object at index 0: invalid kind (expected K, received L)",
            "invalid converted object at index 1: invalid kind (expected K, received L)",
        );
        row(
            "/metadata/name",
            json!("b"),
            "invalid object: must have the same name: a != b",
            "invalid converted object at index 1: must have the same name: a != b",
        );
        row(
            "/metadata/uid",
            json!("2"),
            "invalid object: must have the same UID: 1 != 2",
            "invalid converted object at index 1: must have the same UID: 1 != 2",
        );
        row(
            "/metadata/labels",
            json!(["x"]),
            "invalid metadata: invalid metadata.labels of type []interface {} in converted object",
            "invalid metadata in object at index 1: invalid metadata.labels of type []interface {} in converted object",
        );
        row(
            "/metadata/labels/x",
            json!(1),
            "invalid metadata: metadata.labels[x] must be a string, but is int64 in converted object",
            "invalid metadata in object at index 1: metadata.labels[x] must be a string, but is int64 in converted object",
        );
    }
}
