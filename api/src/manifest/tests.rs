//! Rows and properties of manifests.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Reads `text` as the value of a field, so that scalars and lists can be rows.
fn field(text: &str) -> Value {
    let text = format!("v: {text}\n");
    let mut documents = read("test", &text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    documents[0].value["v"].take()
}

fn documents(text: &str) -> Vec<Document> {
    read("test", text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn values(text: &str) -> Value {
    documents(text).into_iter().map(|document| document.value).collect()
}

#[test]
fn scalars_mean_what_they_mean_to_kubectl() {
    let rows = [
        ("yes", json!(true)),
        ("Yes", json!(true)),
        ("on", json!(true)),
        ("TRUE", json!(true)),
        ("y", json!(true)),
        ("no", json!(false)),
        ("Off", json!(false)),
        ("false", json!(false)),
        ("N", json!(false)),
        ("yEs", json!("yEs")),
        ("tRUE", json!("tRUE")),
        ("\"yes\"", json!("yes")),
        ("'true'", json!("true")),
        ("\"5\"", json!("5")),
        ("", json!(null)),
        ("~", json!(null)),
        ("null", json!(null)),
        ("Null", json!(null)),
        ("nULL", json!("nULL")),
        ("''", json!("")),
        ("0", json!(0)),
        ("-0", json!(0)),
        ("+7", json!(7)),
        ("-7", json!(-7)),
        ("0644", json!(420)),
        ("0o644", json!(420)),
        ("-0644", json!(-420)),
        ("0x1F", json!(31)),
        ("-0x1f", json!(-31)),
        ("0b101", json!(5)),
        ("1_000_000", json!(1_000_000)),
        ("0x_ff", json!(255)),
        ("08", json!(8)),
        ("9223372036854775807", json!(i64::MAX)),
        ("-9223372036854775808", json!(i64::MIN)),
        ("18446744073709551615", json!(u64::MAX)),
        ("18446744073709551616", json!(18446744073709551616.0)),
        ("0x", json!("0x")),
        ("0b2", json!("0b2")),
        ("0xg", json!("0xg")),
        ("+", json!("+")),
        ("0o8", json!("0o8")),
        ("0x-5", json!("0x-5")),
        ("1.5", json!(1.5)),
        ("1.0", json!(1)),
        ("1.", json!(1)),
        (".5", json!(0.5)),
        ("-.5", json!(-0.5)),
        ("1e3", json!(1000)),
        ("1E-2", json!(0.01)),
        ("1.5e+3", json!(1500)),
        ("1_000.5", json!(1000.5)),
        (".5_0", json!(".5_0")),
        ("1e999", json!("1e999")),
        ("1e", json!("1e")),
        ("1.2.3", json!("1.2.3")),
        (".", json!(".")),
        ("1:30", json!("1:30")),
        ("10m", json!("10m")),
        ("100Mi", json!("100Mi")),
        ("2001-12-14", json!("2001-12-14")),
        ("2001-12-14T21:59:43.10-05:00", json!("2001-12-14T21:59:43.10-05:00")),
        ("hello world # comment", json!("hello world")),
        ("a#b", json!("a#b")),
        ("http://example.com:80/", json!("http://example.com:80/")),
        ("inf", json!("inf")),
        ("!!str 123", json!("123")),
        ("!!str", json!("")),
        ("!!int \"5\"", json!(5)),
        ("!!float 5", json!(5)),
        ("!!bool \"yes\"", json!(true)),
        ("!!null ''", json!(null)),
        ("! 5", json!("5")),
        ("!local 5", json!("5")),
        ("!!timestamp 2001-12-14", json!("2001-12-14")),
        ("!<tag:yaml.org,2002:str> 5", json!("5")),
        (r#""a\tb\u00e9\x41\/""#, json!("a\tbéA/")),
        (r#""\ud83d\ude00""#, json!("😀")),
        ("'it''s'", json!("it's")),
        ("|\n  a\n   b\n", json!("a\n b\n")),
        ("|-\n  a\n  b\n", json!("a\nb")),
        ("|+\n  a\n", json!("a\n\n")),
        (">\n  a\n  b\n\n  c\n", json!("a b\nc\n")),
        ("|2-\n   a\n", json!(" a")),
        ("a\n  b\n", json!("a b")),
        ("[a, 1, [true]]", json!(["a", 1, [true]])),
        ("{a: 1, b: [x], \"c\": }", json!({"a": 1, "b": ["x"], "c": null})),
        ("[a, b,]", json!(["a", "b"])),
        ("\n- a\n-\n- - b\n  - c\n", json!(["a", null, ["b", "c"]])),
    ];
    for (text, value) in rows {
        assert_eq!(field(text), value, "{text:?}");
    }
}

#[test]
fn documents_mean_what_they_mean_to_kubectl() {
    let rows = [
        ("", json!([])),
        ("\n# nothing\n", json!([])),
        ("---\n---\n# nothing\n---\n", json!([])),
        ("a: 1", json!([{"a": 1}])),
        ("\u{feff}a: 1", json!([{"a": 1}])),
        ("a: 1\r\nb: 2\r\n", json!([{"a": 1, "b": 2}])),
        ("---\na: 1\n---\nb: 2\n...\n---\n", json!([{"a": 1}, {"b": 2}])),
        ("%YAML 1.1\n---\na: 1\n", json!([{"a": 1}])),
        ("a:\n- b\n- c\n", json!([{"a": ["b", "c"]}])),
        ("a:\n  - b: 1\n    c: 2\n  - d\n", json!([{"a": [{"b": 1, "c": 2}, "d"]}])),
        ("? a\n: b\n", json!([{"a": "b"}])),
        (
            "1: a\ntrue: b\n1.5: c\nno: d\n0x10: e\n",
            json!([{"1": "a", "true": "b", "1.5": "c", "false": "d", "16": "e"}]),
        ),
        ("1e21: a\n1234567.5: b\n0.00001: c\n", json!([{"1e+21": "a", "1.2345675e+06": "b", "1e-05": "c"}])),
        ("a: &x 1\nb: *x\n", json!([{"a": 1, "b": 1}])),
        ("a: &x {b: [1]}\nc: *x\nd: [*x]\n", json!([{"a": {"b": [1]}, "c": {"b": [1]}, "d": [{"b": [1]}]}])),
        ("a: &x 1\nb: &x 2\nc: *x\n", json!([{"a": 1, "b": 2, "c": 2}])),
        ("&k key: 1\nother: *k\n", json!([{"key": 1, "other": "key"}])),
        ("a: &k b\n*k : c\n", json!([{"a": "b", "b": "c"}])),
        (
            "a: &x {p: 1, q: 2}\nb:\n  <<: *x\n  q: 3\n",
            json!([{"a": {"p": 1, "q": 2}, "b": {"p": 1, "q": 3}}]),
        ),
        ("b:\n  q: 3\n  <<: {p: 1, q: 2}\n", json!([{"b": {"p": 1, "q": 3}}])),
        ("<<: [{a: 1, b: 1}, {b: 2, c: 2}]\nc: 3\n", json!([{"a": 1, "b": 1, "c": 3}])),
        ("<<: {a: 1}\n<<: {b: 2}\n", json!([{"a": 1, "b": 2}])),
        ("\"<<\": 1\n", json!([{"<<": 1}])),
        ("!!map {a: !!seq [1]}\n", json!([{"a": [1]}])),
        ("{\"a\": 1}", json!([{"a": 1}])),
        (
            " {\"a\":1}\n{\"b\":[1.0,-2e1,\"\\u00e9\\n\",null,true]} {}",
            json!([{"a": 1}, {"b": [1.0, -20.0, "é\n", null, true]}, {}]),
        ),
        ("{\"a\": \"yes\",\n\t\"b\": 1}", json!([{"a": "yes", "b": 1}])),
        ("{a: yes}", json!([{"a": true}])),
        ("{\"a\": 1}\n---\n{\"b\": 2}\n", json!([{"a": 1}, {"b": 2}])),
        ("---\n{\"a\": 1}\n---\nb: 2\n", json!([{"a": 1}, {"b": 2}])),
    ];
    for (text, value) in rows {
        assert_eq!(values(text), value, "{text:?}");
    }
}

#[test]
fn lists_are_taken_apart() {
    let rows = [
        ("kind: List\napiVersion: v1\nitems:\n- a: 1\n- b: 2\n", json!([{"a": 1}, {"b": 2}])),
        ("kind: List\nitems: []\n", json!([])),
        ("kind: List\nitems:\n", json!([])),
        ("kind: List\n", json!([{"kind": "List"}])),
        ("kind: AllowList\nitems: text\n", json!([{"kind": "AllowList", "items": "text"}])),
        (
            "kind: PodList\napiVersion: v1\nitems:\n- metadata: {name: a}\n",
            json!([{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}]),
        ),
        ("kind: List\nitems:\n- kind: List\n  items: [{a: 1}]\n- {b: 2}\n", json!([{"a": 1}, {"b": 2}])),
        ("{\"kind\": \"List\", \"items\": [{\"a\": 1}]}", json!([{"a": 1}])),
        ("kind: Pod\nitems: [1]\n", json!([{"kind": "Pod", "items": [1]}])),
    ];
    for (text, value) in rows {
        assert_eq!(values(text), value, "{text:?}");
    }
    let documents = documents("kind: List\nitems:\n- a: 1\n- b:\n    c: 2\n");
    assert_eq!(documents[1].line, 4);
    assert_eq!(documents[1].line_of("b.c"), Some(5));
}

#[test]
fn wrong_texts_are_refused_with_their_line() {
    let rows = [
        ("a: 1\na: 2\n", "test:2: key \"a\" already set in map"),
        ("x:\n  name: a\n  image: b\n  name: c\n", "test:4: key \"name\" already set in map"),
        ("1: a\n\"1\": b\n", "test:2: key \"1\" already set in map"),
        ("a: 1\n---\nb: 1\nb: 2\n", "test:4: key \"b\" already set in map"),
        ("{\"a\": 1,\n\"a\": 2}", "test:2: key \"a\" already set in map"),
        ("v: {a: 1, a: 2}", "test:1: key \"a\" already set in map"),
        ("a:\n\tb: 1\n", "test:2: tabs disallowed within this context (block indentation)"),
        ("a: 1\n b: 2\n", "test:2: mapping values are not allowed in this context"),
        ("a:\n    b: 1\n  c: 2\n", "test:3: "),
        ("a: b: c\n", "test:1: mapping values are not allowed in this context"),
        ("a: [1, 2\nb: 3\n", "test:2: "),
        ("a: 'open\n", "test:"),
        ("a: \"\\q\"\n", "test:1: "),
        ("a: *missing\n", "test:1: "),
        ("a: @b\n", "test:1: "),
        ("a: 1\nb: \u{1}\n", "test:2: control characters are not allowed"),
        ("a: 1\0\nb: 2\n", "test:1: control characters are not allowed"),
        ("a: \"\u{7}\"\n", "test:1: control characters are not allowed"),
        ("# \u{7f}\na: 1\n", "test:1: control characters are not allowed"),
        ("a: `b`\n", "test:1: "),
        ("a: 1\n---\nb: *a\n", "test:3: "),
        ("x: &a 1\n---\nb: *a\n", "test:3: "),
        ("a: &x\n  b: *x\n", "test:2: the value of the anchor contains itself"),
        ("a: .inf\n", "test:1: .inf cannot be written in JSON"),
        ("b: 1\na: .NaN\n", "test:2: .NaN cannot be written in JSON"),
        ("a: 0x10000000000000000\n", "test:1: integer 0x10000000000000000 is out of range"),
        ("a: !!int x\n", "test:1: cannot decode \"x\" as a !!int"),
        ("a: !!bool 1\n", "test:1: cannot decode \"1\" as a !!bool"),
        ("a: !!binary aGk=\n", "test:1: !!binary is not supported, write the base64 text without the tag"),
        ("~: a\n", "test:1: a key must be a string, a number or a boolean, found null"),
        ("b: 1\n? [x]\n: a\n", "test:2: a key must be a string, a number or a boolean, found a list"),
        ("{{ .Values.name }}: a\n", "test:1: a key must be a string, a number or a boolean, found an object"),
        ("a:\n  <<: 1\n", "test:2: map merge requires map or sequence of maps as the value"),
        ("<<: [{a: 1}, 2]\n", "test:1: map merge requires map or sequence of maps as the value"),
        ("just text\n", "test:1: a manifest must be an object, found a string"),
        ("- a\n- b\n", "test:1: a manifest must be an object, found a list"),
        ("a: 1\n---\n5\n", "test:3: a manifest must be an object, found a number"),
        ("kind: List\nitems:\n- a: 1\n- text\n", "test:4: a manifest must be an object, found a string"),
        ("{\"a\": 1,\n\"b\" 2}", "test:2: found '2', expected ':' after a key"),
        ("{\"a\": 1\n", "test:2: found the end of the text, expected ',' or '}'"),
        ("{\"a\": \"x\n", "test:1: a string is not closed"),
        ("{\"a\":\n \"\\q\"}", "test:2: a string with a control character or a wrong escape"),
        ("{\"a\": tru}]", "test:1: found 't', expected a value"),
        ("{\"a\": 01}]", "test:1: 01 is not a number"),
        ("{\"a\": 1}\n]", "test:2: found ']', expected a value"),
    ];
    for (text, message) in rows {
        let error = read("test", text).expect_err(text).to_string();
        assert!(error.starts_with(message), "{text:?}: {error}");
        assert!(!error.contains('\n') && error.len() > "test:1: ".len(), "{text:?}: {error}");
    }
}

#[test]
fn size_depth_and_aliases_are_bounded() {
    let refusal = |text: &str| read("test", text).unwrap_err().problem;
    assert_eq!(refusal(&" ".repeat(TEXT_LIMIT_BYTES + 1)), Problem::TooLarge);
    let brackets = |depth: usize| format!("v: {}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(documents(&brackets(DEPTH_LIMIT)).len(), 1);
    assert_eq!(refusal(&brackets(DEPTH_LIMIT + 1)), Problem::TooDeep);
    let blocks =
        |depth: usize| (0..depth).fold(String::new(), |text, level| text + &" ".repeat(level) + "a:\n");
    assert_eq!(documents(&blocks(DEPTH_LIMIT)).len(), 1);
    assert_eq!(refusal(&blocks(DEPTH_LIMIT + 1)), Problem::TooDeep);
    assert_eq!(refusal(&"[".repeat(1 << 16)), Problem::TooDeep);
    let braces = format!("{}1{}", "{\"a\":".repeat(DEPTH_LIMIT + 1), "}".repeat(DEPTH_LIMIT + 1));
    assert_eq!(refusal(&braces), Problem::TooDeep);
    let half = "[".repeat(60) + &"]".repeat(60);
    let deep_alias = format!("a: &x {half}\nb: {}*x{}", "[".repeat(60), "]".repeat(60));
    assert_eq!(refusal(&deep_alias), Problem::TooDeep);

    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    assert_eq!(refusal(&laughs), Problem::ExcessiveAliasing);
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(100));
    assert_eq!(refusal(&long), Problem::ExcessiveAliasing);
}

const DEPLOYMENT: &str = "\
# A deployment.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels:
    app.kubernetes.io/name: web
spec:
  replicas: 1
  template:
    spec:
      containers:
      - name: a
        image: one
      -
        name: b
        image: two
        ports: [{containerPort: 80},
                {containerPort: 81}]
---
apiVersion: v1
kind: ConfigMap
data: &data
  nginx.conf: |
    a
    b
  other: x
copy: *data
merged:
  <<: *data
  own: 1
";

#[test]
fn fields_know_their_lines() {
    let documents = documents(DEPLOYMENT);
    assert_eq!((documents[0].line, documents[1].line), (2, 21));
    let rows = [
        (0, "", Some(2)),
        (0, "kind", Some(3)),
        (0, "metadata.labels[app.kubernetes.io/name]", Some(7)),
        (0, "metadata.labels.app.kubernetes.io/name", Some(7)),
        (0, "spec.replicas", Some(9)),
        (0, "spec.template.spec.containers[0].image", Some(14)),
        (0, "spec.template.spec.containers[1].image", Some(17)),
        (0, "spec.template.spec.containers[1].ports[1].containerPort", Some(19)),
        (0, "spec.template.spec.containers[0].command[2]", Some(13)),
        (0, "spec.template.spec.containers[7]", Some(12)),
        (0, "spec.selector", Some(8)),
        (0, "status.phase", None),
        (1, "data[nginx.conf]", Some(24)),
        (1, "data.other", Some(27)),
        (1, "copy", Some(28)),
        (1, "copy.other", Some(27)),
        (1, "merged.other", Some(27)),
        (1, "merged.own", Some(31)),
    ];
    for (document, path, line) in rows {
        assert_eq!(documents[document].line_of(path), line, "{path}");
    }
    let json = read("test", "\n{\"a\": [1,\n{\"b\":\n\n2}]}").unwrap();
    assert_eq!(json[0].line, 2);
    assert_eq!(json[0].line_of("a[1].b"), Some(3));
}

#[test]
fn long_scalars_are_read_whole() {
    let long = "x y ".repeat(2000) + "z";
    assert_eq!(field(&format!("[\"{long}\", {long}]")), json!([long, long]));
    assert_eq!(field(&format!("{{a: '{long}'}}")), json!({ "a": long }));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(any::<String>(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn json_reads_back_equal(value in any_json()) {
        let value = json!({ "v": value });
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            prop_assert_eq!(&values(&text), &json!([value]));
        }
    }

    #[test]
    fn reading_never_panics(text in "\\PC*|([-?:,\\[\\]{}#&*!|>'\"%@` \\t\\n\\r<~a0.=\\\\]|- |: |<<: |\\*a|&a |---\\n|\n  ){0,40}") {
        if let Err(error) = read("test", &text) {
            let lines = text.split('\n').count() + text.matches('\r').count();
            prop_assert!((1..=lines + 1).contains(&error.line), "{error}");
        }
        let _ = read("test", &format!("{{{text}"));
    }
}

#[test]
fn what_is_written_looks_as_kubectl_writes_it() {
    let value = json!({"apiVersion": "v1", "clusters": [{"cluster": {"server": "https://a:1"}, "name": "x"}],
        "empty": {}, "list": [[1, "yes"], []], "n": null, "text": "two\nlines", "port": "8080"});
    let wanted = "apiVersion: v1\nclusters:\n- cluster:\n    server: \"https://a:1\"\n  name: x\nempty: {}\n\
        list:\n- - 1\n  - \"yes\"\n- []\n\"n\": null\nport: \"8080\"\ntext: \"two\\nlines\"\n";
    assert_eq!(write(&value), wanted);
    assert_eq!(values(wanted), json!([value]));
}

#[test]
fn letters_that_yaml_refuses_are_escaped() {
    let value = json!({"a\u{7f}": "b\u{85}\u{2028}\u{feff}ü"});
    assert_eq!(write(&value), "\"a\\u007f\": \"b\\u0085\\u2028\\ufeffü\"\n");
    assert_eq!(values(&write(&value)), json!([value]));
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(value in any_tree()) {
        let value = json!({"v": value});
        prop_assert_eq!(values(&write(&value)), json!([value.clone()]), "{}", write(&value));
    }
}

fn any_tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z0-9 :#'\"/.~-]{0,6}".prop_map(Value::from),
        "(yes|no|on|null|0x1f|1e3|012|-|---|\\.inf|<<)".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z0-9 ]{0,3}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

#[test]
fn keys_that_are_set_again_can_be_told_and_the_last_counts() {
    let row = |text: &str, value: Value, told: &[&str]| {
        let (read, again) = read_value("test", text).unwrap();
        let again: Vec<String> = again.iter().map(SetAgain::to_string).collect();
        assert_eq!(again, told, "{text}");
        assert_eq!(read, Some(value), "{text}");
    };
    row("a: 1\nb: 2\n", json!({"a": 1, "b": 2}), &[]);
    row(
        "a: 1\nb:\n  c: 1\n  c: 2\na: 3\n",
        json!({"a": 3, "b": {"c": 2}}),
        &["line 4: key \"c\" already set in map", "line 5: key \"a\" already set in map"],
    );
    // The line is that of the new value.
    row("a: 1\na:\n  b: 1\n", json!({"a": {"b": 1}}), &["line 3: key \"a\" already set in map"]);
    row("{\"a\": 1,\n\"a\":\n2}", json!({"a": 2}), &["line 3: key \"a\" already set in map"]);
    // What an alias repeats is told once, and what a merge brings is not set again.
    row(
        "b: &x {a: 1, a: 2}\nc: *x\nd: {<<: *x, a: 3}\n",
        json!({"b": {"a": 2}, "c": {"a": 2}, "d": {"a": 3}}),
        &["line 1: key \"a\" already set in map"],
    );
    let many = "a: 1\n".repeat(200);
    assert_eq!(read_value("test", &many).unwrap().1.len(), 100);
}
