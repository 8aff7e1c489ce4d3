//! The columns of a custom kind's table, as its CustomResourceDefinition says.

use api::Object;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::json_path::JsonPath;
use crate::cells;

/// The columns of one version.
#[derive(Debug, Default)]
pub struct Columns(Vec<Column>);

#[derive(Debug)]
struct Column {
    definition: Value,
    of: String,
    path: Option<JsonPath>,
}

const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some \
    resources may allow a client to request the generation of an appropriate name automatically. Name is primarily \
    intended for creation idempotence and configuration definition. Cannot be updated. More info: \
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

const AGE: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is \
    not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is \
    represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

impl Columns {
    /// The columns of a version of a CustomResourceDefinition; the age if it has none of its own.
    pub fn read(version: &Value) -> Self {
        let age = json!([{"name": "Age", "type": "date", "description": AGE, "jsonPath": ".metadata.creationTimestamp"}]);
        let written = version["additionalPrinterColumns"].as_array().filter(|columns| !columns.is_empty());
        let written = written.or(age.as_array()).into_iter().flatten();
        Self(written.map(Column::read).collect())
    }

    /// As clients read them.
    pub fn definitions(&self) -> Vec<Value> {
        let name =
            json!({"name": "Name", "type": "string", "format": "name", "description": NAME, "priority": 0});
        std::iter::once(name).chain(self.0.iter().map(|column| column.definition.clone())).collect()
    }

    /// The cells of an object.
    pub fn row(&self, object: &Object, now: Timestamp) -> Vec<Value> {
        let name = Value::from(object.name());
        std::iter::once(name).chain(self.0.iter().map(|column| column.cell(object, now))).collect()
    }
}

impl Column {
    fn read(written: &Value) -> Self {
        let text = |field: &str| written[field].as_str().unwrap_or_default();
        let description = match text("description") {
            "" => format!("Custom resource definition column (in JSONPath format): {}", text("jsonPath")),
            own => own.to_owned(),
        };
        let definition = json!({
            "name": text("name"), "type": text("type"), "format": text("format"),
            "description": description, "priority": written["priority"].as_i64().unwrap_or(0),
        });
        Self { definition, of: text("type").to_owned(), path: JsonPath::read(text("jsonPath")).ok() }
    }

    fn cell(&self, object: &Object, now: Timestamp) -> Value {
        // What is asked for most is in the metadata, which is parsed already.
        let is_age = self.definition["description"] == AGE && self.of == "date";
        if is_age {
            return cells::age(object.metadata(), now);
        }
        let found = self.path.as_ref().and_then(|path| path.first(object.value()));
        found.map_or(Value::Null, |found| cell(&self.of, found, now))
    }
}

/// A value as a cell of a type.
fn cell(of: &str, value: &Value, now: Timestamp) -> Value {
    match (of, value) {
        ("string", Value::String(text)) => text.as_str().into(),
        ("string", Value::Null) => "<nil>".into(),
        ("string", other) => other.to_string().into(),
        ("integer", Value::Number(number)) => {
            number.as_i64().or_else(|| Some(number.as_f64()? as i64)).into()
        }
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(time) => cells::since(Some(time), now).into(),
            Err(_) => "<invalid>".into(),
        },
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cells_have_the_type_of_their_column() {
        let now = "2026-01-01T00:02:00Z".parse().unwrap();
        let row = |of: &str, value: Value, expected: Value| {
            assert_eq!(cell(of, &value, now), expected, "{of} {value}")
        };
        row("string", json!("x"), json!("x"));
        row("string", json!(3), json!("3"));
        row("string", json!(["a"]), json!("[\"a\"]"));
        row("integer", json!(3), json!(3));
        row("integer", json!(3.0), json!(3));
        row("integer", json!("3"), json!(null));
        row("boolean", json!(true), json!(true));
        row("date", json!("2026-01-01T00:00:00Z"), json!("2m"));
        row("date", json!("yesterday"), json!("<invalid>"));
    }

    #[test]
    fn a_version_without_columns_shows_the_age() {
        let now = "2026-01-01T00:00:05Z".parse().unwrap();
        let columns = Columns::read(&json!({}));
        let object = json!({"metadata": {"name": "a", "creationTimestamp": "2026-01-01T00:00:00Z"}});
        let object = Object::from_value(object).unwrap();
        assert_eq!(columns.row(&object, now), [json!("a"), json!("5s")]);
        assert_eq!(columns.definitions()[1]["type"], "date");
    }
}
