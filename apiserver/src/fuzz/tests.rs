//! The bodies with damaged examples, a bounded number of times.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

const POD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"a":"b"}},"spec":{"containers":[
    {"name":"c","image":"i","ports":[{"containerPort":80}],"resources":{"limits":{"cpu":"100m","memory":"1e3"}},
     "livenessProbe":{"httpGet":{"port":"http"}}}]}}"#;

const CHANGE: &str = r#"{"metadata":{"labels":{"a":null}},"spec":{"$setElementOrder/containers":[{"name":"c"}],
    "containers":[{"$patch":"delete","name":"c"},{"name":"d","$retainKeys":["name"]}]}}"#;

const OPERATIONS: &str = r#"[{"op":"add","path":"/spec/containers/-","value":{}},{"op":"copy","from":"/spec","path":"/x"},
    {"op":"test","path":"/kind","value":"Pod"},{"op":"move","from":"/metadata/name","path":"/metadata/n~1~0"}]"#;

const VERSION: &str = r#"{"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object",
    "required":["a"],"x-kubernetes-validations":[{"rule":"self.n >= 0 || has(oldSelf.n)"}],"properties":{
    "a":{"type":"string","default":"x","pattern":"^[a-z]*$"},"n":{"type":"integer","maximum":10,"multipleOf":2},
    "l":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["k"],"items":{"type":"object",
        "required":["k"],"properties":{"k":{"type":"string"},"v":{"x-kubernetes-int-or-string":true}}}},
    "s":{"type":"array","x-kubernetes-list-type":"set","maxItems":5,"items":{"type":"string","enum":["a","b"]}},
    "m":{"type":"object","additionalProperties":{"type":"number","nullable":true,"default":1}},
    "e":{"type":"object","x-kubernetes-preserve-unknown-fields":true}},"oneOf":[{"required":["n"]}]}}}},
    "additionalPrinterColumns":[{"name":"V","type":"string","jsonPath":".spec.l[?(@.k==\"x\")].v"}],
    "selectableFields":[{"jsonPath":".spec.a"}],"subresources":{"status":{}}}"#;

const THING: &str = r#"{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"x"},"spec":{"n":2,
    "l":[{"k":"x","v":1},{"k":"y","v":"z"}],"s":["a"],"m":{"a":null,"b":1.5},"e":{"f":[{}]}}}"#;

const OWNERS: &str = r#"[{"manager":"a","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{
    "f:metadata":{"f:labels":{".":{},"f:a":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"c\"}":{".":{},"f:image":{}}},
    "f:l":{"k:{\"k\":\"x\"}":{".":{},"f:v":{}}},"f:s":{"v:\"a\"":{}}}}},{"manager":"stranger","operation":"Apply",
    "apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:finalizers":{"v:\"x\"":{}}}}}]"#;

const CONFIGURATION: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","labels":{"a":"c"},"finalizers":["y"]},
    "spec":{"containers":[{"name":"c","image":"j","ports":[{"containerPort":80}],"resources":{"limits":{"cpu":"1000m"}}},
    {"name":"d","image":"k"}]}}"#;

const WANTED_THING: &str = r#"{"apiVersion":"example.com/v1","kind":"Thing","metadata":{"name":"x"},"spec":{"n":4,
    "l":[{"k":"x","v":2}],"s":["b"],"m":{"c":1}}}"#;

/// An example, damaged: bytes replaced, inserted and taken out, and pieces of it repeated.
fn damaged(example: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let damage = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0..5_u8);
    (Just(example), prop::collection::vec(damage, 0..6)).prop_map(|(mut bytes, damages)| {
        for (at, other, byte, how) in damages {
            if bytes.is_empty() {
                break;
            }
            let (at, other) = (at.index(bytes.len()), other.index(bytes.len()));
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                3 => bytes[at] = bytes[other],
                _ => {
                    let piece = bytes[at.min(other)..at.max(other)].to_vec();
                    bytes.splice(at..at, piece);
                }
            }
        }
        bytes
    })
}

fn one_of(examples: &[&str]) -> impl Strategy<Value = Vec<u8>> + use<> {
    let examples: Vec<Vec<u8>> = examples.iter().map(|example| example.as_bytes().to_vec()).collect();
    prop::sample::select(examples).prop_flat_map(damaged)
}

/// An object of every kind, as protobuf.
fn message(pod: &str) -> Vec<u8> {
    let value: Value = serde_json::from_str(pod).unwrap();
    let of = protobuf::type_of("v1", "Pod").unwrap();
    protobuf::encode(&schema::normalize(of, value).unwrap().value, of).unwrap()
}

/// How the kind of an object stands before its JSON.
fn with_choice(text: &str, kind: &str) -> String {
    let mut kinds = schema::builtin().types().iter().filter(|of| of.kind.is_some());
    let place = kinds.position(|of| of.kind.is_some_and(|of| of.kind == kind)).unwrap();
    let choice = u8::try_from(place % 256).ok().filter(u8::is_ascii).map_or('\0', char::from);
    format!("{choice}{text}")
}

/// What a client sends that opens two streams, says something on one and leaves.
fn conversation() -> Vec<u8> {
    let mut packer = Packer::new();
    let headers = |kind: &str| {
        [("streamtype", kind), ("port", "80"), ("requestid", "0")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
    };
    let mut bytes = frame::open(1, &headers("error"), &mut packer).unwrap();
    bytes.extend(frame::open(3, &headers("data"), &mut packer).unwrap());
    bytes.extend(frame::data(3, 5, true));
    bytes.extend(b"hello");
    bytes.extend(frame::ping(7));
    bytes.extend(frame::reset(1, frame::Reset::Cancel));
    bytes.extend(frame::go_away(3));
    bytes
}

/// Otherwise the bodies below would have nothing to hold.
#[test]
fn the_examples_are_what_they_should_be() {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert!(schemas::declared(parsed(VERSION)).is_some());
    let owners = parsed(OWNERS);
    assert_eq!(crate::managed::entries::from_value(&owners).unwrap().len(), 2);
    for (config, of) in [(CONFIGURATION, "core.v1.Pod"), (POD, "core.v1.Pod")] {
        let of = schema::builtin().named(of).unwrap();
        assert_eq!(patch::apply::check(crate::managed::Shape::Structure(of), &parsed(config)), None);
    }
}

/// What was found once: two entries of one manager, of which applying changed first one and then the other.
#[test]
fn the_entries_of_one_manager_are_one() {
    let entry = |field: &str| {
        json!({"manager": "stranger", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:metadata": {"f:labels": {field: {}}}}})
    };
    let owners = json!([entry("f:a"), entry("f:b")]);
    applies(format!("{POD}\0{owners}\0{CONFIGURATION}").as_bytes());
}

proptest! {
    #[test]
    fn any_frame_is_answered(bytes in damaged(conversation())) {
        frames(&bytes);
    }

    #[test]
    fn any_json_is_answered(choice: u8, mut bytes in one_of(&[&with_choice(POD, "Pod"), &with_choice(CHANGE, "Deployment")])) {
        json(&bytes);
        if let Some(first) = bytes.first_mut() {
            *first = choice;
        }
        json(&bytes);
    }

    #[test]
    fn any_object_is_answered(choice: u8, mut bytes in one_of(&[&format!("x{POD}"), &format!("x{CHANGE}")])) {
        if let Some(first) = bytes.first_mut() {
            *first = choice;
        }
        kinds(&bytes);
    }

    #[test]
    fn any_schema_is_answered(bytes in one_of(&[&format!("{VERSION}\0{THING}")])) {
        schemas(&bytes);
    }

    #[test]
    fn any_configuration_is_answered(bytes in one_of(&[
        &format!("{POD}\0{OWNERS}\0{CONFIGURATION}"),
        &format!("{THING}\0{OWNERS}\0{WANTED_THING}\0{VERSION}"),
    ])) {
        applies(&bytes);
    }

    #[test]
    fn any_protobuf_is_answered(bytes in damaged(message(POD))) {
        protobuf(&bytes);
    }

    #[test]
    fn any_yaml_is_answered(bytes in one_of(&[
        POD,
        "a: &a {b: [1, 2.5, yes, ~, \"x\\n\"]}\nc: *a\nd: {<<: *a, e: |\n  text\n}\n",
        "kind: PodList\nitems:\n- {kind: Pod}\n---\nx: 0x1F\ny: 1e5\nz: 0o17\n'': ''\n? k\n: v\n",
    ])) {
        yaml(&bytes);
    }

    #[test]
    fn any_patch_is_answered(bytes in one_of(&[&format!("{POD}\0{CHANGE}"), &format!("{POD}\0{OPERATIONS}")])) {
        patches(&bytes);
    }

    #[test]
    fn any_selector_is_answered(bytes in one_of(&[
        "a=b,c!=d,e in (f, g),h notin (i),j,!k,l>1,m<2,example.com/n==o",
        r"metadata.name=a,status.phase!=b\,c\=d\\,x==y",
    ])) {
        selectors(&bytes);
    }

    #[test]
    fn any_request_is_answered(bytes in one_of(&[
        "/apis/apps/v1/namespaces/a/deployments/b/scale?limit=5&continue=x&fieldSelector=a%3Db&timeout=1m30s&watch=1",
        "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MTIsInN0YXJ0IjoiYS9iXHUwMDAwIn0",
        "application/json;as=Table;v=v1;g=meta.k8s.io;q=0.5, */*;q=0",
    ])) {
        requests(&bytes);
    }

    #[test]
    fn any_expression_is_answered(bytes in one_of(&[
        "self.a.all(x, x != null) && self.b.c.startsWith('t') || size(self.a) > 3 ? true : has(oldSelf.n)",
        "self.a.map(x, self.a.map(y, [x, y])).filter(z, z.size() == 2)[0] == [1, 1]",
        "timestamp(self.t) + duration('1h') > timestamp('2026-01-01T00:00:00Z') && 'ab'.matches('^a+b$')",
        "-9223372036854775808 / -1 + int('x') % 0 == 1u.size() + 1.5e300 * b'\\x00'.size()",
    ])) {
        expressions(&bytes);
    }
}
