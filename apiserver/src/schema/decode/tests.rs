//! Decoding, row by row.
#![allow(clippy::unwrap_used)]

mod random;

use serde_json::{Value, json};

use crate::schema::{DecodeError, Decoded, LARGEST_DEPTH, Type, builtin, decode, normalize};

fn pod() -> &'static Type {
    builtin().kind("", "v1", "Pod").unwrap()
}

fn named(of: &str) -> &'static Type {
    builtin().named(of).unwrap()
}

fn decoded(of: &str, text: &str) -> Decoded {
    decode(named(of), text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(of: &str, text: &str) -> String {
    match decode(named(of), text.as_bytes()) {
        Ok(decoded) => panic!("{text} was accepted: {decoded:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn unknown_and_duplicate_fields_are_named_in_kubernetes_words() {
    let rows = [
        ("core.v1.Pod", r#"{"spec":{"foo":1}}"#, r#"unknown field "spec.foo""#),
        ("core.v1.Pod", r#"{"Spec":{}}"#, r#"unknown field "Spec""#),
        ("core.v1.Pod", r#"{"metadata":{"labls":{"a":{"b":[1]}}}}"#, r#"unknown field "metadata.labls""#),
        (
            "apps.v1.Deployment",
            r#"{"spec":{"template":{"spec":{"containers":[{"name":"a"},{"imagee":"x"}]}}}}"#,
            r#"unknown field "spec.template.spec.containers[1].imagee""#,
        ),
        (
            "apps.v1.Deployment",
            r#"{"spec":{"replicas":1,"replicas":2,"x":3}}"#,
            r#"duplicate field "spec.replicas", unknown field "spec.x""#,
        ),
        (
            "apps.v1.Deployment",
            r#"{"spec":{"replicas":1,"replicas":2,"replicas":3}}"#,
            r#"duplicate field "spec.replicas""#,
        ),
        (
            "core.v1.Pod",
            r#"{"metadata":{"labels":{"a":"1","a":"2"}}}"#,
            r#"duplicate field "metadata.labels.a""#,
        ),
        (
            "core.v1.Pod",
            r#"{"spec":{"volumes":[{"emptyDirr":{}}]}}"#,
            r#"unknown field "spec.volumes[0].emptyDirr""#,
        ),
        ("core.v1.Pod", r#"{"a":1,"a":2}"#, r#"unknown field "a""#),
        (
            "core.v1.ConfigMap",
            r#"{"data":{"any":"text"},"metadata":{"managedFields":[{"fieldsV1":{"f:a":{}}}]}}"#,
            "",
        ),
    ];
    for (of, text, expected) in rows {
        match decoded(of, text).strict() {
            Ok(_) => assert_eq!(expected, "", "{text}"),
            Err(error) => assert_eq!(error.to_string(), format!("strict decoding error: {expected}")),
        }
    }
}

#[test]
fn findings_say_more_than_kubernetes_words() {
    let row = |text: &str, sentence: &str| {
        assert_eq!(decoded("core.v1.Pod", text).findings[0].sentence(), sentence, "{text}");
    };
    row(r#"{"spec":{"containers":[{"imagee":"a"}]}}"#, r#"unknown field; did you mean "image"?"#);
    row(r#"{"spec":{"replicas":1}}"#, "unknown field");
    row(r#"{"spec":{},"spec":{}}"#, "duplicate field");
}

#[test]
fn findings_have_a_bound() {
    let members: Vec<String> = (0..1_000).map(|number| format!("\"x{number}\":1")).collect();
    assert_eq!(decoded("core.v1.Pod", &format!("{{{}}}", members.join(","))).findings.len(), 100);
    let long = "x".repeat(100_000);
    assert!(decoded("core.v1.Pod", &format!("{{\"{long}\":1}}")).findings[0].to_string().len() < 200);
}

#[test]
fn wrong_types_are_refused_with_path_value_and_what_is_allowed() {
    let rows = [
        (
            "apps.v1.Deployment",
            r#"{"spec":{"replicas":"three"}}"#,
            r#"spec.replicas: Invalid value: "three": must be an integer"#,
        ),
        (
            "apps.v1.Deployment",
            r#"{"spec":{"replicas":1.5}}"#,
            "spec.replicas: Invalid value: 1.5: must be an integer",
        ),
        (
            "apps.v1.Deployment",
            r#"{"spec":{"replicas":3000000000}}"#,
            "spec.replicas: Invalid value: 3000000000: must be between -2147483648 and 2147483647",
        ),
        (
            "apps.v1.Deployment",
            r#"{"spec":{"replicas":true}}"#,
            "spec.replicas: Invalid value: true: must be an integer",
        ),
        (
            "apps.v1.Deployment",
            r#"{"spec":{"replicas":{}}}"#,
            r#"spec.replicas: Invalid value: "object": must be an integer"#,
        ),
        ("apps.v1.Deployment", r#"{"spec":[]}"#, r#"spec: Invalid value: "array": must be an object"#),
        ("apps.v1.Deployment", r#"{"spec":"x"}"#, r#"spec: Invalid value: "x": must be an object"#),
        (
            "core.v1.Pod",
            r#"{"spec":{"activeDeadlineSeconds":18446744073709551615}}"#,
            "spec.activeDeadlineSeconds: Invalid value: 18446744073709551615: must be between -9223372036854775808 and 9223372036854775807",
        ),
        (
            "core.v1.Pod",
            r#"{"spec":{"activeDeadlineSeconds":1e300}}"#,
            "spec.activeDeadlineSeconds: Invalid value: 1e+300: must be between -9223372036854775808 and 9223372036854775807",
        ),
        (
            "core.v1.Pod",
            r#"{"spec":{"containers":{}}}"#,
            r#"spec.containers: Invalid value: "object": must be a list"#,
        ),
        (
            "core.v1.Pod",
            r#"{"spec":{"containers":"a"}}"#,
            r#"spec.containers: Invalid value: "a": must be a list"#,
        ),
        (
            "core.v1.Pod",
            r#"{"spec":{"containers":[1]}}"#,
            "spec.containers[0]: Invalid value: 1: must be an object",
        ),
        (
            "core.v1.Pod",
            r#"{"spec":{"hostNetwork":"true"}}"#,
            r#"spec.hostNetwork: Invalid value: "true": must be true or false"#,
        ),
        (
            "core.v1.Pod",
            r#"{"spec":{"containers":[{"env":[{"value":8080}]}]}}"#,
            r#"spec.containers[0].env[0].value: Invalid value: 8080: must be a string: write "8080""#,
        ),
        (
            "core.v1.Pod",
            r#"{"metadata":{"labels":{"a.b/c":true}}}"#,
            r#"metadata.labels[a.b/c]: Invalid value: true: must be a string: write "true""#,
        ),
        (
            "core.v1.Pod",
            r#"{"metadata":{"labels":["a"]}}"#,
            r#"metadata.labels: Invalid value: "array": must be an object"#,
        ),
        (
            "core.v1.Pod",
            r#"{"metadata":{"name":["a"]}}"#,
            r#"metadata.name: Invalid value: "array": must be a string"#,
        ),
        (
            "core.v1.Pod",
            r#"{"metadata":{"creationTimestamp":"yesterday"}}"#,
            r#"metadata.creationTimestamp: Invalid value: "yesterday": must be a time such as 2006-01-02T15:04:05Z"#,
        ),
        (
            "core.v1.Pod",
            r#"{"metadata":{"creationTimestamp":"2024-13-01T00:00:00Z"}}"#,
            r#"metadata.creationTimestamp: Invalid value: "2024-13-01T00:00:00Z": must be a time such as 2006-01-02T15:04:05Z"#,
        ),
        (
            "core.v1.Pod",
            r#"{"metadata":{"creationTimestamp":12}}"#,
            "metadata.creationTimestamp: Invalid value: 12: must be a time such as 2006-01-02T15:04:05Z",
        ),
        (
            "core.v1.Pod",
            r#"{"metadata":{"managedFields":[{"fieldsV1":"x"}]}}"#,
            r#"metadata.managedFields[0].fieldsV1: Invalid value: "x": must be an object"#,
        ),
        (
            "core.v1.Secret",
            r#"{"data":{"a":"no base64!"}}"#,
            r#"data[a]: Invalid value: "no base64!": must be a string of base64"#,
        ),
        (
            "core.v1.Secret",
            r#"{"data":{"a":"YQ="}}"#,
            r#"data[a]: Invalid value: "YQ=": must be a string of base64"#,
        ),
        (
            "core.v1.Secret",
            r#"{"data":{"a":"YR=="}}"#,
            r#"data[a]: Invalid value: "YR==": must be a string of base64"#,
        ),
        (
            "core.v1.ServicePort",
            r#"{"targetPort":true}"#,
            "targetPort: Invalid value: true: must be an integer or a string",
        ),
        (
            "core.v1.ServicePort",
            r#"{"targetPort":4294967296}"#,
            "targetPort: Invalid value: 4294967296: must be between -2147483648 and 2147483647",
        ),
        (
            "core.v1.ResourceRequirements",
            r#"{"limits":{"cpu":[]}}"#,
            r#"limits[cpu]: Invalid value: "array": must be a quantity such as 100m or 64Mi"#,
        ),
        (
            "core.v1.ResourceRequirements",
            r#"{"limits":{"cpu":"1 cup"}}"#,
            r#"limits[cpu]: Invalid value: "1 cup": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"#,
        ),
        (
            "apiextensions.v1.JSONSchemaProps",
            r#"{"maximum":"1"}"#,
            r#"maximum: Invalid value: "1": must be a number"#,
        ),
        (
            "apiextensions.v1.JSONSchemaProps",
            r#"{"additionalProperties":[]}"#,
            r#"additionalProperties: Invalid value: "array": must be a schema or true or false"#,
        ),
        (
            "apiextensions.v1.JSONSchemaProps",
            r#"{"items":[{"not":{"items":1}}]}"#,
            "items[0].not.items: Invalid value: 1: must be a schema or a list of schemas",
        ),
        (
            "apiextensions.v1.JSONSchemaProps",
            r#"{"dependencies":{"a":[1]}}"#,
            r#"dependencies[a][0]: Invalid value: 1: must be a string: write "1""#,
        ),
        (
            "authentication.v1.UserInfo",
            r#"{"extra":{"a":"b"}}"#,
            r#"extra[a]: Invalid value: "b": must be a list"#,
        ),
        ("core.v1.Pod", "[]", r#"body: Invalid value: "array": must be an object"#),
        ("core.v1.Pod", "null", "body: Invalid value: null: must be an object"),
        ("core.v1.Pod", "", "unexpected end of JSON input"),
        ("core.v1.Pod", "{\"spec\":\n{]", "invalid character ']' looking for beginning of object key string"),
        ("core.v1.Pod", "{} x", "invalid character 'x' after top-level value"),
        (
            "core.v1.Pod",
            r#"{"spec": 1, x"#,
            "invalid character 'x' looking for beginning of object key string",
        ),
        (
            "core.v1.Pod",
            r#"{"metadata":{"generation":1e400}}"#,
            "invalid JSON: number out of range at line 1 column 31",
        ),
        ("core.v1.Pod", r#"{"kind":"Node"}"#, r#"kind: Invalid value: "Node": must be Pod"#),
        ("core.v1.Pod", r#"{"apiVersion":"apps/v1"}"#, r#"apiVersion: Invalid value: "apps/v1": must be v1"#),
    ];
    for (of, text, expected) in rows {
        assert_eq!(refused(of, text), expected, "{text}");
    }
}

#[test]
fn values_are_brought_into_the_form_in_which_they_are_stored() {
    let rows = [
        (
            "core.v1.ResourceRequirements",
            r#"{"limits":{"cpu":"1000m","memory":"1024Mi","a":"0.5","b":1,"c":0.25}}"#,
            json!({"limits": {"cpu": "1", "memory": "1Gi", "a": "500m", "b": "1", "c": "250m"}}),
        ),
        ("core.v1.ServicePort", r#"{"targetPort":"http"}"#, json!({"targetPort": "http"})),
        ("core.v1.ServicePort", r#"{"targetPort":80,"port":80.0}"#, json!({"targetPort": 80, "port": 80})),
        (
            "meta.v1.ObjectMeta",
            r#"{"creationTimestamp":"2024-01-01T01:30:00.9+02:00"}"#,
            json!({"creationTimestamp": "2023-12-31T23:30:00Z"}),
        ),
        (
            "coordination.v1.LeaseSpec",
            r#"{"renewTime":"2024-01-01T00:00:00Z"}"#,
            json!({"renewTime": "2024-01-01T00:00:00.000000Z"}),
        ),
        (
            "core.v1.Secret",
            "{\"data\":{\"a\":\"aGVs\\nbG8=\"}}",
            json!({"apiVersion": "v1", "kind": "Secret", "data": {"a": "aGVsbG8="}}),
        ),
        (
            "apiextensions.v1.JSONSchemaProps",
            r#"{"maximum":1.0,"minimum":0.5}"#,
            json!({"maximum": 1, "minimum": 0.5}),
        ),
        (
            "apiextensions.v1.JSONSchemaProps",
            r#"{"default":{"a":[null,1.0,{"b":null}]},"additionalProperties":false}"#,
            json!({"default": {"a": [null, 1.0, {"b": null}]}, "additionalProperties": false}),
        ),
        (
            "apiextensions.v1.JSONSchemaProps",
            r#"{"items":{"type":"string","x":1},"dependencies":{"a":["b"]}}"#,
            json!({"items": {"type": "string"}, "dependencies": {"a": ["b"]}}),
        ),
        (
            "apps.v1.ControllerRevision",
            r#"{"data":{"spec":{"any":null}},"revision":1}"#,
            json!({"apiVersion": "apps/v1", "kind": "ControllerRevision", "data": {"spec": {"any": null}}, "revision": 1}),
        ),
        (
            "authentication.v1.UserInfo",
            r#"{"extra":{"a":["b"],"c":null}}"#,
            json!({"extra": {"a": ["b"], "c": []}}),
        ),
    ];
    for (of, text, expected) in rows {
        assert_eq!(decoded(of, text).value, expected, "{text}");
        let parsed = serde_json::from_str(text).unwrap();
        assert_eq!(normalize(named(of), parsed).unwrap().value, expected, "{text}, parsed");
    }
}

#[test]
fn null_means_what_it_means_in_kubernetes() {
    let rows = [
        (
            "meta.v1.ObjectMeta",
            r#"{"creationTimestamp":null,"labels":null,"finalizers":null,"name":null}"#,
            json!({}),
        ),
        (
            "meta.v1.ObjectMeta",
            r#"{"labels":{"a":null},"finalizers":[null,"b"]}"#,
            json!({"labels": {"a": ""}, "finalizers": ["", "b"]}),
        ),
        (
            "core.v1.PodSpec",
            r#"{"containers":[null],"securityContext":null,"overhead":{"cpu":null}}"#,
            json!({"containers": [{}], "overhead": {"cpu": "0"}}),
        ),
        ("core.v1.PodSpec", r#"{"hostname":"a","hostname":null}"#, json!({})),
        (
            "core.v1.Volume",
            r#"{"name":"a","emptyDir":{},"hostPath":null}"#,
            json!({"name": "a", "emptyDir": {}}),
        ),
        (
            "apiextensions.v1.JSONSchemaProps",
            r#"{"enum":[null,1],"default":null}"#,
            json!({"enum": [null, 1]}),
        ),
    ];
    for (of, text, expected) in rows {
        assert_eq!(decoded(of, text).value, expected, "{text}");
    }
}

#[test]
fn apiversion_and_kind_are_filled_in() {
    let expected = json!({"apiVersion": "v1", "kind": "Pod"});
    for text in ["{}", r#"{"kind":"Pod"}"#, r#"{"apiVersion":"","kind":null}"#, r#"{"apiVersion":"v1"}"#] {
        assert_eq!(decoded("core.v1.Pod", text).value, expected, "{text}");
    }
    // Only of the object itself: claim templates keep what they were given.
    let claims = r#"{"volumeClaimTemplates":[{"kind":"Claim"}]}"#;
    let expected = json!({"volumeClaimTemplates": [{"kind": "Claim"}]});
    assert_eq!(decoded("apps.v1.StatefulSetSpec", claims).value, expected);
}

#[test]
fn deep_nesting_is_an_error() {
    let schema = |depth: usize| format!("{}{}", r#"{"not":"#.repeat(depth) + "{}", "}".repeat(depth));
    let props = named("apiextensions.v1.JSONSchemaProps");
    assert!(decode(props, schema(LARGEST_DEPTH - 1).as_bytes()).is_ok());
    let too_deep = |result: Result<Decoded, DecodeError>| matches!(result, Err(DecodeError::TooDeep(_)));
    assert!(too_deep(decode(props, schema(LARGEST_DEPTH).as_bytes())));
    assert!(too_deep(decode(props, schema(100_000).as_bytes())));
    let any = format!(r#"{{"default":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(too_deep(decode(props, any.as_bytes())));
    // What is dropped is not built, so its depth costs nothing.
    let unknown = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(decode(props, unknown.as_bytes()).unwrap().findings.len(), 1);
    let parsed = (0..200).fold(json!({}), |inner, _| json!({"not": inner}));
    assert!(too_deep(normalize(props, parsed)));
}

#[test]
fn typed_object_passes_unchanged() {
    let pod_with_everything = full_pod();
    let typed: k8s_openapi::api::core::v1::Pod = serde_json::from_value(pod_with_everything.clone()).unwrap();
    let written = serde_json::to_value(&typed).unwrap();
    assert_eq!(written, pod_with_everything);
    assert_eq!(decode(pod(), written.to_string().as_bytes()).unwrap().strict().unwrap(), written);
}

fn full_pod() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-1", "namespace": "default", "uid": "6f1", "resourceVersion": "12", "generation": 2,
            "creationTimestamp": "2024-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30,
            "labels": {"app": "web"}, "annotations": {"a.b/c": "d"}, "finalizers": ["x.y/z"],
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "9", "controller": true}],
            "managedFields": [{"manager": "m", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
                "time": "2024-01-01T00:00:00Z", "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}}}],
        },
        "spec": {
            "restartPolicy": "Always", "nodeName": "n1", "hostNetwork": false, "priority": 7, "terminationGracePeriodSeconds": 30,
            "nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 300}],
            "securityContext": {"runAsUser": 1000, "sysctls": [{"name": "a", "value": "b"}]},
            "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
                {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}]}}},
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
                "labelSelector": {"matchLabels": {"app": "web"}}}],
            "volumes": [{"name": "a", "emptyDir": {"sizeLimit": "1Gi"}}, {"name": "b", "configMap": {"name": "c", "defaultMode": 420,
                "items": [{"key": "k", "path": "p"}]}}, {"name": "d", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}},
                {"downwardAPI": {"items": [{"path": "l", "fieldRef": {"fieldPath": "metadata.labels"}}]}}]}}],
            "containers": [{
                "name": "main", "image": "localhost/web:latest", "args": ["--port", "80"], "command": ["web"],
                "env": [{"name": "A", "value": "1"}, {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
                    {"name": "C", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}}}],
                "envFrom": [{"configMapRef": {"name": "c", "optional": true}, "prefix": "P_"}],
                "ports": [{"containerPort": 80, "name": "http", "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "100m"}},
                "livenessProbe": {"httpGet": {"path": "/", "port": "http", "scheme": "HTTP"}, "periodSeconds": 10},
                "readinessProbe": {"tcpSocket": {"port": 80}}, "startupProbe": {"exec": {"command": ["true"]}},
                "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
                "volumeMounts": [{"name": "a", "mountPath": "/a", "readOnly": true}], "stdin": true,
            }],
            "ephemeralContainers": [{"name": "debug", "image": "x", "targetContainerName": "main"}],
        },
        "status": {
            "phase": "Running", "podIP": "10.128.0.2", "podIPs": [{"ip": "10.128.0.2"}], "startTime": "2024-01-01T00:00:01Z",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2024-01-01T00:00:02Z"}],
            "containerStatuses": [{"name": "main", "image": "x", "imageID": "y", "ready": true, "restartCount": 1,
                "state": {"running": {"startedAt": "2024-01-01T00:00:02Z"}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}],
        },
    })
}
