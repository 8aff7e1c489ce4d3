//! Strategic merge patches, through the public door.

use super::*;

impl World {
    async fn lay_over(
        &self,
        resource: &Resource,
        name: &str,
        part: &'static str,
        patch: Value,
        validation: FieldValidation,
    ) -> Result<Value, Status> {
        let options = WriteOptions { field_validation: validation, ..WriteOptions::default() };
        let patch = Patch::Strategic(Body::Json(patch.to_string().into()));
        self.call(resource, name, part, Verb::Patch(patch, options)).await.map(tree)
    }
}

fn deployment() -> Value {
    let containers = json!([{"name": "main", "image": "i:1"}, {"name": "side", "image": "s:1"}]);
    json!({
        "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}},
        },
    })
}

#[tokio::test(start_paused = true)]
async fn containers_are_found_by_name_and_nothing_of_the_directives_is_stored() {
    let world = start().await;
    let created = world.create(&DEPLOYMENTS, deployment()).await.unwrap();
    let containers = json!([{"name": "main", "image": "i:2"}, {"name": "new", "image": "n:1"}]);
    let patch = json!({
        "spec": {
            "strategy": {"$retainKeys": ["type"], "type": "Recreate"},
            "template": {"spec": {
                "$setElementOrder/containers": [{"name": "new"}, {"name": "main"}],
                "containers": [containers[1], containers[0]],
            }},
        },
    });
    let strict = FieldValidation::Strict;
    let patched = world.lay_over(&DEPLOYMENTS, "web", "", patch.clone(), strict).await.unwrap();
    let names = |object: &Value| -> Vec<String> {
        let containers = object["spec"]["template"]["spec"]["containers"].as_array().unwrap().iter();
        containers.map(|container| format!("{} {}", container["name"], container["image"])).collect()
    };
    assert_eq!(names(&patched), [r#""new" "n:1""#, r#""main" "i:2""#, r#""side" "s:1""#]);
    assert_eq!(patched["spec"]["strategy"], json!({"type": "Recreate"}));
    assert_eq!(patched["metadata"]["generation"], 2);
    assert!(!patched.to_string().contains('$'), "{patched}");
    assert_eq!(patched["metadata"]["uid"], created["metadata"]["uid"]);
    let again = world.lay_over(&DEPLOYMENTS, "web", "", patch, strict).await.unwrap();
    assert_eq!(again, patched, "a patch that changes nothing keeps the revision");
}

#[tokio::test(start_paused = true)]
async fn subresources_change_only_what_is_theirs() {
    let world = start().await;
    world.create(&DEPLOYMENTS, deployment()).await.unwrap();
    let strict = FieldValidation::Strict;
    let scale = json!({"spec": {"replicas": 7}, "$retainKeys": ["apiVersion", "kind", "metadata", "spec"]});
    let scaled = world.lay_over(&DEPLOYMENTS, "web", "scale", scale, strict).await.unwrap();
    assert_eq!((&scaled["kind"], &scaled["spec"]["replicas"]), (&"Scale".into(), &7.into()));
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status});
    let with = |conditions: Value| json!({"spec": {"replicas": 1}, "status": {"conditions": conditions}});
    for patch in [json!([condition("Available", "True")]), json!([condition("Progressing", "True")])] {
        world.lay_over(&DEPLOYMENTS, "web", "status", with(patch), strict).await.unwrap();
    }
    let delete = json!([{"type": "Available", "$patch": "delete"}]);
    let patched = world.lay_over(&DEPLOYMENTS, "web", "status", with(delete), strict).await.unwrap();
    assert_eq!(patched["status"]["conditions"], json!([condition("Progressing", "True")]));
    assert_eq!(patched["spec"]["replicas"], 7, "the specification is not part of the status");
}

#[tokio::test(start_paused = true)]
async fn mistakes_are_answered() {
    let world = start().await;
    world.create(&DEPLOYMENTS, deployment()).await.unwrap();
    let spec = |containers: Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let patch = async |patch: Value, validation| {
        let refused = world.lay_over(&DEPLOYMENTS, "web", "", patch, validation).await.unwrap_err();
        (refused.code, refused.to_string())
    };
    let strict = FieldValidation::Strict;
    let words = "json: cannot unmarshal array into Go value of type map[string]interface {}".to_owned();
    assert_eq!(patch(json!([1]), strict).await, (400, words));
    let words = "map: map[image:x] does not contain declared merge key: name".to_owned();
    assert_eq!(patch(spec(json!([{"image": "x"}])), strict).await, (400, words));
    let (code, words) = patch(spec(json!([{"name": "main", "imagee": "x"}])), strict).await;
    assert_eq!(code, 422);
    assert!(words.contains("unknown field \"spec.template.spec.containers[0].imagee\""), "{words}");
    let (code, words) = patch(json!({"spec": {"replicas": -1}}), strict).await;
    assert_eq!(code, 422);
    assert!(words.contains("spec.replicas: Invalid value: -1"), "{words}");
    let kept = spec(json!([{"name": "main", "imagee": "x", "image": "i:2"}]));
    let patched = world.lay_over(&DEPLOYMENTS, "web", "", kept, FieldValidation::Ignore).await.unwrap();
    assert_eq!(patched["spec"]["template"]["spec"]["containers"][0]["image"], "i:2");
}
