//! Fields that are given twice or that nobody knows: refused, told or ignored, in every format of a write.

use super::*;
use serde_json::json;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const MERGE: &str = "application/merge-patch+json";
const OPERATIONS: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";
const YAML: &str = "application/yaml";

const STRICT: &str =
    "400 BadRequest error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n";

const TYPED: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept}\n";

/// A write that sets `data.a` to 3, though not in a strict client's eyes: how its refusal begins and ends, and what others
/// are told.
struct Row {
    method: &'static str,
    content_type: &'static str,
    body: String,
    refusal: [&'static str; 2],
    warnings: &'static [&'static str],
}

impl Row {
    fn patch(
        content_type: &'static str,
        body: impl Into<String>,
        refusal: [&'static str; 2],
        warnings: &'static [&'static str],
    ) -> Self {
        Self { method: "PATCH", content_type, body: body.into(), refusal, warnings }
    }
}

fn rows() -> Vec<Row> {
    vec![
        Row::patch(
            MERGE,
            r#"{"foo":{"b":1},"data":{"a":"2","a":"3"}}"#,
            [
                r#"422 Invalid  "" is invalid: patch: Invalid value: "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"3\"},\"foo\":{\"b\":1},"#,
                r#"}": strict decoding error: duplicate field "data.a", unknown field "foo""#,
            ],
            &[r#"duplicate field "data.a""#, r#"unknown field "foo""#],
        ),
        Row::patch(
            STRATEGIC,
            r#"{"foo":{"b":1},"data":{"a":"2","a":"3"}}"#,
            [
                r#"422 Invalid  "" is invalid: patch: Invalid value: "map[data:map[a:3] foo:map[b:1]]": strict "#,
                r#"strict decoding error: duplicate field "data.a", unknown field "foo""#,
            ],
            &[r#"duplicate field "data.a""#, r#"unknown field "foo""#],
        ),
        Row::patch(
            OPERATIONS,
            r#"[{"op":"add","path":"/data/a","value":"2","bar":1},
                {"op":"add","path":"/x","path":"/data/a","value":{"k":1,"k":2},"value":"3"},
                {"op":"add","path":"/foo","value":1}]"#,
            [
                r#"422 Invalid  "" is invalid: patch: Invalid value: "{\"apiVersion\":\"v1\",\"data\":{\"a\":\"3\"},\"foo\":1,"#,
                r#"}": strict decoding error: json patch unknown field "[0].bar", json patch duplicate field "[1].path", json patch duplicate field "[1].value.k", json patch duplicate field "[1].value", unknown field "foo""#,
            ],
            &[
                r#"json patch unknown field "[0].bar""#,
                r#"json patch duplicate field "[1].path""#,
                r#"json patch duplicate field "[1].value.k""#,
                r#"json patch duplicate field "[1].value""#,
                r#"unknown field "foo""#,
            ],
        ),
        Row::patch(
            APPLY,
            format!("{TYPED}data:\n  a: '2'\n  a: '3'\n"),
            [STRICT, "unmarshal errors:\n  line 6: key \"a\" already set in map"],
            &[r#"line 6: key "a" already set in map"#],
        ),
        Row::patch(
            APPLY,
            "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"kept\",\n\"name\":\"kept\"},\"data\":{\"a\":\"2\",\n\"a\":\n\"3\"}}",
            [
                STRICT,
                "errors:\n  line 2: key \"name\" already set in map\n  line 4: key \"a\" already set in map",
            ],
            &[r#"line 2: key "name" already set in map"#, r#"line 4: key "a" already set in map"#],
        ),
        Row {
            method: "PUT",
            content_type: YAML,
            body: format!("{TYPED}foo: {{b: 1, b: 2}}\ndata:\n  a: '2'\n  a: '3'\n"),
            refusal: [
                "400 BadRequest ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: yaml: ",
                "yaml: unmarshal errors:\n  line 4: key \"b\" already set in map\n  line 7: key \"a\" already set in map, unknown field \"foo\"",
            ],
            warnings: &[
                r#"line 4: key "b" already set in map"#,
                r#"line 7: key "a" already set in map"#,
                r#"unknown field "foo""#,
            ],
        },
    ]
}

impl Answered {
    /// What the client is told besides the answer.
    fn warnings(&self) -> Vec<String> {
        let values = self.headers.get_all("warning").iter().map(|value| value.to_str().unwrap());
        values
            .map(|text| {
                text.strip_prefix("299 - \"").unwrap().strip_suffix('"').unwrap().replace("\\\"", "\"")
            })
            .collect()
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_overlooked_is_refused_told_or_ignored_as_the_client_asks() {
    let world = start().await;
    for Row { method, content_type, body, refusal: [begin, end], warnings } in rows() {
        let kept = world.create(MAPS, json!({"metadata": {"name": "kept"}, "data": {"a": "1"}})).await;
        let write = async |validation: &str| {
            let force = if content_type == APPLY { "&force=true" } else { "" };
            let path = format!("{MAPS}/kept?fieldManager=me&fieldValidation={validation}{force}");
            world.call(method, &path, &[("content-type", content_type)], body.clone()).await
        };
        let refused = write("Strict").await.failure();
        assert!(refused.starts_with(begin) && refused.ends_with(end), "{refused}");
        assert_eq!(world.get(&format!("{MAPS}/kept")).await.value(), kept, "nothing is stored of {body}");
        for (validation, warnings) in [("Warn", warnings), ("Ignore", &[])] {
            let answer = write(validation).await;
            assert_eq!(
                (answer.code, answer.warnings()),
                (200, warnings.iter().map(ToString::to_string).collect())
            );
            assert_eq!(answer.value()["data"], json!({"a": "3"}), "the last one counts: {body}");
        }
        world.call("DELETE", &format!("{MAPS}/kept"), &[], Body::empty()).await;
    }
}
