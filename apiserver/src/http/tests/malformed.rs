//! What strangers send: every sort of nonsense has its code and its words, and leaves nothing behind.

use super::*;
use serde_json::json;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const MERGE: &str = "application/merge-patch+json";
const OPERATIONS: &str = "application/json-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// What is sent, and the beginning of the answer.
type Row = (&'static str, String, &'static str, Body, &'static str);

fn posted(content_type: &'static str, body: impl Into<Body>, expected: &'static str) -> Row {
    ("POST", MAPS.to_owned(), content_type, body.into(), expected)
}

fn patched(content_type: &'static str, body: impl Into<Body>, expected: &'static str) -> Row {
    ("PATCH", format!("{MAPS}/kept"), content_type, body.into(), expected)
}

fn asked(query: &str, expected: &'static str) -> Row {
    ("GET", format!("{MAPS}?{query}"), JSON, Body::empty(), expected)
}

/// A body that never says how long it is.
fn endless(piece: &'static [u8], pieces: usize) -> Body {
    Body::from_stream(futures::stream::iter((0..pieces).map(move |_| Ok::<_, std::io::Error>(piece))))
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    format!(r#"{{"metadata":{{"name":"x"}},"data":{}{}}}"#, open.repeat(depth), close.repeat(depth))
}

fn bodies() -> Vec<Row> {
    let not_json = "400 BadRequest the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: ";
    let not_yaml =
        "400 BadRequest the object provided is unrecognized (must be of type ConfigMap): yaml: line ";
    let laughs = (1..30).fold("a0: &a0 [x, x]\n".to_owned(), |text, at| {
        let one = at - 1;
        format!("{text}a{at}: &a{at} [*a{one}, *a{one}, *a{one}, *a{one}]\n")
    });
    let protobuf = |message: &[u8]| crate::codec::protobuf::enclose("v1", "ConfigMap", message);
    let whole = protobuf(b"\x0a\x03\x0a\x01x");
    vec![
        posted(
            JSON,
            "",
            "400 BadRequest the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)",
        ),
        posted(
            JSON,
            "{",
            "400 BadRequest the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input ({)",
        ),
        posted(
            JSON,
            "nonsense",
            "400 BadRequest the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character 'o' in literal null (expecting 'u') (6e6f6e73656e7365)",
        ),
        posted(JSON, r#"{"metadata":{"name":"x"}} {}"#, not_json),
        posted(
            JSON,
            r#"{"metadata":{"name":"the-name-of-this-one"},}"#,
            "400 BadRequest the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: invalid character '}' looking for beginning of object key string ({\"metadata\":{\"name\":\"the-name- ...)",
        ),
        posted(JSON, r#"{"data":{"a":NaN}}"#, not_json),
        posted(JSON, r#"{"data":{"a":Infinity}}"#, not_json),
        posted(JSON, &b"{\"data\":{\"a\":\"\xff\xfe\"}}"[..], not_json),
        posted(JSON, &b"{\"data\":{\"a\":\"\\ud800\"}}"[..], not_json),
        posted(JSON, &b"\x00\x01\x02"[..], not_json),
        posted(
            JSON,
            "[]",
            "400 BadRequest the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" } (5b5d)",
        ),
        posted(JSON, "null", "400 BadRequest "),
        posted(JSON, r#""text""#, "400 BadRequest "),
        posted(JSON, nested(r#"{"a":"#, "}", 10_000), "400 BadRequest "),
        posted(JSON, "[".repeat(1 << 20), "400 BadRequest "),
        posted(JSON, r#"{"metadata":{"name":"x"},"data":{"a":1}}"#, "400 BadRequest "),
        posted(JSON, r#"{"metadata":{"name":"x"},"data":[]}"#, "400 BadRequest "),
        posted(JSON, r#"{"metadata":{"name":"x","generation":1e400}}"#, not_json),
        posted(JSON, r#"{"metadata":{"name":"x","generation":99999999999999999999}}"#, "400 BadRequest "),
        posted(JSON, r#"{"metadata":{"name":"x","generation":1.5}}"#, "400 BadRequest "),
        posted(JSON, r#"{"metadata":{"name":"x","creationTimestamp":"yesterday"}}"#, "400 BadRequest "),
        posted(
            JSON,
            r#"{"metadata":{"name":"../x"}}"#,
            "422 Invalid ConfigMap \"../x\" is invalid: metadata.name: Invalid value: ",
        ),
        posted(JSON, r#"{"metadata":{}}"#, "422 Invalid "),
        posted(
            JSON,
            r#"{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"}}"#,
            "400 BadRequest the API version in the data (v1, Kind=Secret) does not match the expected API version (v1, Kind=ConfigMap)",
        ),
        posted(
            JSON,
            vec![b' '; (3 << 20) + 1],
            "413 RequestEntityTooLarge Request entity too large: limit is 3145728",
        ),
        posted(
            JSON,
            endless(&[b' '; 1 << 16], 1600),
            "413 RequestEntityTooLarge Request entity too large: limit is 3145728",
        ),
        posted(YAML, "a: [", not_yaml),
        posted(YAML, "\u{0}", not_yaml),
        posted(
            YAML,
            &b"a: \xff"[..],
            "400 BadRequest the object provided is unrecognized (must be of type ConfigMap): yaml: the text is not UTF-8 (613a20ff)",
        ),
        posted(
            YAML,
            "",
            "400 BadRequest the object provided is unrecognized (must be of type ConfigMap): yaml: the text holds no object (<empty>)",
        ),
        posted(YAML, "- a", "400 BadRequest "),
        posted(
            YAML,
            "a: 1\n---\nb: 2",
            "400 BadRequest the object provided is unrecognized (must be of type ConfigMap): yaml: line 3: the text holds more than one object (",
        ),
        posted(
            YAML,
            "{kind: List, apiVersion: v1, items: [{metadata: {name: x}}]}",
            "400 BadRequest the API version in the data (v1, Kind=List) does not match the expected API version (v1, Kind=ConfigMap)",
        ),
        posted(YAML, "a: *b", not_yaml),
        posted(YAML, "a: &a [*a]", not_yaml),
        posted(YAML, laughs, not_yaml),
        posted(YAML, "a: .nan", not_yaml),
        posted(YAML, format!("a: {}", "[".repeat(10_000)), not_yaml),
        posted(YAML, "{a: {".repeat(5_000), not_yaml),
        posted(
            PROTOBUF,
            "",
            "400 BadRequest provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
        ),
        posted(
            PROTOBUF,
            "{}",
            "400 BadRequest provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
        ),
        posted(
            PROTOBUF,
            whole[..whole.len() - 1].to_vec(),
            "400 BadRequest envelope: unexpected end of the message",
        ),
        posted(PROTOBUF, protobuf(b"\x0a\x05\x0a\x01x"), "400 BadRequest "),
        posted(
            PROTOBUF,
            protobuf(b"\x0a\x03\x0a\x01\xff"),
            "400 BadRequest metadata.name: must be valid UTF-8",
        ),
        posted(PROTOBUF, protobuf(&[0xff; 64]), "400 BadRequest body: "),
        posted(
            PROTOBUF,
            protobuf(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
            "400 BadRequest body: unexpected end of the message",
        ),
        posted(
            PROTOBUF,
            crate::codec::protobuf::enclose("v1", "Nothing", b""),
            "400 BadRequest no kind \"Nothing\" is registered for version \"v1\"",
        ),
        posted(
            "foo/bar",
            "{}",
            "415 UnsupportedMediaType the body of the request was in an unknown format - accepted media types include: ",
        ),
        posted("application/json-patch+json", "[]", "415 UnsupportedMediaType "),
        posted("", "nonsense", not_json),
    ]
}

fn patches() -> Vec<Row> {
    vec![
        patched(
            "foo/bar",
            "{}",
            "415 UnsupportedMediaType the body of the request was in an unknown format - accepted media types include: ",
        ),
        patched(JSON, "{}", "415 UnsupportedMediaType "),
        patched(MERGE, "", "400 BadRequest error decoding patch: unexpected end of JSON input"),
        patched(
            MERGE,
            "{]",
            "400 BadRequest error decoding patch: invalid character ']' looking for beginning of object key string",
        ),
        patched(
            MERGE,
            "[]",
            "400 BadRequest error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        patched(MERGE, "null", "400 BadRequest Invalid JSON Patch"),
        patched(MERGE, nested(r#"{"a":"#, "}", 10_000), "400 BadRequest "),
        patched(MERGE, &b"{\"data\":\"\xff\"}"[..], "400 BadRequest "),
        patched(
            MERGE,
            r#"{"data":7}"#,
            "422 Invalid  \"\" is invalid: patch: Invalid value: \"{\\\"apiVersion\\\":\\\"v1\\\",\\\"data\\\":7,",
        ),
        patched(
            MERGE,
            r#"{"metadata":{"name":"other"}}"#,
            "400 BadRequest the name of the object (other) does not match the name on the URL (kept)",
        ),
        patched(
            OPERATIONS,
            "{}",
            "400 BadRequest error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
        ),
        patched(OPERATIONS, "[", "400 BadRequest error decoding patch: unexpected end of JSON input"),
        patched(
            OPERATIONS,
            format!("[{}]", vec![r#"{"op":"remove","path":"/a"}"#; 10_001].join(",")),
            "413 RequestEntityTooLarge Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
        ),
        patched(OPERATIONS, r#"[{"op":"explode","path":"/a"}]"#, "400 BadRequest "),
        patched(OPERATIONS, r#"[{"op":"add","path":"/data/a/b/c","value":1}]"#, "422 Invalid "),
        patched(OPERATIONS, r#"[{"op":"test","path":"/data/a","value":"9"}]"#, "422 Invalid "),
        patched(
            OPERATIONS,
            r#"[{"op":"copy","from":"","path":"/data/x"}]"#,
            "422 Invalid  \"\" is invalid: patch: ",
        ),
        patched(
            STRATEGIC,
            "[]",
            "400 BadRequest json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        patched(STRATEGIC, "x", "400 BadRequest invalid character 'x' looking for beginning of value"),
        patched(
            STRATEGIC,
            r#"{"$patch":"explode"}"#,
            "400 BadRequest unknown patch type: explode in map: map[$patch:explode]",
        ),
        patched(STRATEGIC, r#"{"$setElementOrder/data":[1]}"#, "400 BadRequest "),
        patched(MERGE, vec![b' '; (3 << 20) + 1], "413 RequestEntityTooLarge "),
    ]
}

fn questions() -> Vec<Row> {
    let one = |query: &str| format!("{MAPS}/kept?{query}");
    vec![
        asked("limit=x", "400 BadRequest strconv.ParseInt: parsing \"x\": invalid syntax"),
        asked(
            "limit=99999999999999999999",
            "400 BadRequest strconv.ParseInt: parsing \"99999999999999999999\": ",
        ),
        asked("continue=nonsense", "400 BadRequest invalid continue token: continue key is not valid: "),
        asked("continue=%00%ff", "400 BadRequest invalid continue token: continue key is not valid: "),
        asked(
            "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ",
            "400 BadRequest invalid continue token: continue key is not valid: ",
        ),
        asked("resourceVersion=x", "400 BadRequest "),
        asked("resourceVersion=-1", "400 BadRequest "),
        asked("resourceVersionMatch=Exact", "422 Invalid "),
        asked("resourceVersion=1&resourceVersionMatch=Nearly", "422 Invalid "),
        asked("labelSelector=a%20b", "400 BadRequest "),
        asked("labelSelector=a%20in%20(", "400 BadRequest "),
        asked("labelSelector=%2C%2C", "400 BadRequest "),
        asked("labelSelector=a%3D%ff", "400 BadRequest "),
        asked("fieldSelector=spec.nothing%3Dx", "400 BadRequest "),
        asked("fieldSelector=nonsense", "400 BadRequest "),
        asked("watch=1&timeoutSeconds=x", "400 BadRequest strconv.ParseInt: parsing \"x\": invalid syntax"),
        asked("watch=1&sendInitialEvents=true", "422 Invalid "),
        asked("watch=1&resourceVersion=x", "400 BadRequest "),
        asked(
            "timeout=soon",
            "400 BadRequest invalid timeout specified in the request URL - time: invalid duration \"soon\"",
        ),
        ("DELETE", one("gracePeriodSeconds=x"), JSON, Body::empty(), "400 BadRequest "),
        ("DELETE", one("propagationPolicy=Explode"), JSON, Body::empty(), "422 Invalid "),
        ("DELETE", one(""), JSON, "nonsense".into(), "400 BadRequest "),
        ("DELETE", one(""), JSON, "[]".into(), "400 BadRequest "),
        ("DELETE", one(""), PROTOBUF, "k8s".into(), "400 BadRequest "),
        ("DELETE", one(""), JSON, r#"{"gracePeriodSeconds":"soon"}"#.into(), "400 BadRequest "),
        ("DELETE", one(""), JSON, nested(r#"{"a":"#, "}", 10_000).into(), "400 BadRequest "),
        ("PUT", one("dryRun=Some"), JSON, "{}".into(), "422 Invalid "),
        ("PUT", one("fieldValidation=Loose"), JSON, "{}".into(), "422 Invalid "),
        ("PUT", one(""), JSON, r#"{"metadata":{"name":"other"}}"#.into(), "400 BadRequest "),
        ("GET", format!("{MAPS}/%2e%2e%2f"), JSON, Body::empty(), "404 NotFound "),
        ("GET", "/api/v1/namespaces/%00/configmaps/%ff".to_owned(), JSON, Body::empty(), "404 NotFound "),
    ]
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_refused_and_leaves_nothing_behind() {
    let world = start().await;
    let kept = world.create(MAPS, json!({"metadata": {"name": "kept"}, "data": {"a": "1"}})).await;
    let before = world.get(MAPS).await.value();
    let mut wrong = Vec::new();
    for (method, path, content_type, body, expected) in
        bodies().into_iter().chain(patches()).chain(questions())
    {
        let headers: &[(&str, &str)] =
            if content_type.is_empty() { &[] } else { &[("content-type", content_type)] };
        let answer = world.call(method, &path, headers, body).await;
        let found = answer.failure();
        if !found.starts_with(expected) {
            wrong.push(format!(
                "{method} {path} as {content_type}: expected {expected}\n  found {found:.300}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(world.get(&format!("{MAPS}/kept")).await.value(), kept);
    assert_eq!(world.get(MAPS).await.value(), before);
}

/// Fields given twice are told to those who want to know, in all formats of text.
#[tokio::test(start_paused = true)]
async fn what_is_given_twice_is_said() {
    let world = start().await;
    let twice = r#"{"metadata":{"name":"x"},"data":{"a":"1"},"data":{"a":"2"}}"#;
    let strict = world.call("POST", &format!("{MAPS}?fieldValidation=Strict"), &[], twice).await.failure();
    assert_eq!(
        strict,
        r#"400 BadRequest ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data""#
    );
    let warned = world.call("POST", MAPS, &[], twice).await;
    assert_eq!((warned.code, warned.header("warning")), (201, r#"299 - "duplicate field \"data\"""#));
}
