//! Custom resources come and go in the documents.

use super::*;

const PATH: &str = "apis/stable.example.com/v1";
const NAME: &str = "com.example.stable.v1.CronTab";

fn cron_tab() -> Custom {
    Custom {
        resource: Resource {
            group: "stable.example.com".into(),
            version: "v1".into(),
            plural: "crontabs".into(),
            kind: "CronTab".into(),
            namespaced: true,
        },
        list_kind: "CronTabList".to_owned(),
        schema: json!({"type": "object", "description": "A table.", "properties": {
            "spec": {"type": "object", "properties": {
                "cronSpec": {"type": "string", "nullable": true},
                "replicas": {"type": "integer", "default": 1, "minimum": 0},
                "anything": {"type": "array", "x-kubernetes-preserve-unknown-fields": true},
                "port": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
            }},
        }}),
        has_status: true,
        has_scale: true,
    }
}

fn parsed(bytes: &Bytes) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

#[test]
fn a_custom_resource_has_a_document_as_long_as_it_is_there() {
    let open_api = OpenApi::new();
    let (pods, index) = (open_api.document("api/v1").unwrap(), open_api.index());
    assert_eq!(open_api.document(PATH), None);
    open_api.set_custom("crontabs.stable.example.com", vec![cron_tab()]);
    let document = parsed(&open_api.document(PATH).unwrap().json);
    assert_ne!(open_api.index(), index);
    assert!(Arc::ptr_eq(&pods, &open_api.document("api/v1").unwrap()), "what did not change is kept");
    let schemas = &document["components"]["schemas"];
    let kind = json!({"group": "stable.example.com", "version": "v1", "kind": "CronTab"});
    assert_eq!(schemas[NAME]["x-kubernetes-group-version-kind"], json!([kind]));
    assert_eq!(schemas[NAME]["properties"]["spec"]["properties"]["replicas"]["default"], 1);
    let metadata = &schemas[NAME]["properties"]["metadata"]["allOf"][0]["$ref"];
    assert_eq!(*metadata, "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");
    assert_eq!(
        schemas[format!("{NAME}List")]["properties"]["items"]["items"]["$ref"],
        format!("#/components/schemas/{NAME}")
    );
    let one = "/apis/stable.example.com/v1/namespaces/{namespace}/crontabs/{name}";
    let patch = &document["paths"][one]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"], kind);
    assert_eq!(patch["operationId"], "patchStableExampleComV1NamespacedCronTab");
    let forms = patch["requestBody"]["content"].as_object().unwrap();
    assert!(!forms.contains_key("application/strategic-merge-patch+json"), "it would be used");
    assert!(document["paths"][format!("{one}/status")]["put"].is_object());
    let scale = &document["paths"][format!("{one}/scale")]["get"];
    assert_eq!(scale["x-kubernetes-group-version-kind"]["kind"], "Scale");
    open_api.set_custom("crontabs.stable.example.com", Vec::new());
    assert_eq!((open_api.document(PATH), open_api.index()), (None, index));
}

#[test]
fn version_2_says_of_custom_resources_what_it_can() {
    let open_api = OpenApi::new();
    let before = open_api.legacy();
    open_api.set_custom("crontabs.stable.example.com", vec![cron_tab()]);
    let after = open_api.legacy();
    let definitions = |legacy: &Legacy| parsed(&legacy.json)["definitions"].as_object().unwrap().clone();
    let (old, new) = (definitions(&before), definitions(&after));
    let added: Vec<&String> = new.keys().filter(|name| !old.contains_key(*name)).collect();
    assert_eq!(added, [NAME, &format!("{NAME}List")]);
    let spec = &new[NAME]["properties"]["spec"]["properties"];
    assert_eq!(spec["cronSpec"], json!({}));
    assert_eq!(spec["replicas"], json!({"type": "integer", "default": 1, "minimum": 0}));
    assert_eq!(spec["anything"], json!({"x-kubernetes-preserve-unknown-fields": true}));
    assert_eq!(spec["port"], json!({"x-kubernetes-int-or-string": true}));
    let reference = &new[NAME]["properties"]["metadata"]["$ref"];
    assert!(new.contains_key(reference.as_str().unwrap().strip_prefix("#/definitions/").unwrap()));
    assert_ne!(before.hash, after.hash);
    open_api.set_custom("crontabs.stable.example.com", Vec::new());
    assert_eq!(*open_api.legacy(), *before);
}
