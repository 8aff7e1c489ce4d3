//! The rules of namespaces that end, one row each.

use api::resource::PODS;

use super::*;
use crate::framework::describe;
use crate::testing::{NOW, now, object};

fn look(finalizers: &[&str], content: &str) -> Vec<String> {
    let namespace = object(json!({"apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": "n", "uid": "n", "deletionTimestamp": NOW}, "spec": {"finalizers": finalizers}}));
    let content = content.split_whitespace().map(|text| {
        let (name, word) = text.split_once(':').unwrap_or((text, ""));
        let mut value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "n", "uid": name}});
        if word == "terminating" {
            value["metadata"]["deletionTimestamp"] = NOW.into();
            value["metadata"]["finalizers"] = json!(["x"]);
        }
        (PODS, object(value))
    });
    let state = State { content: content.collect(), namespace: Typed::new(namespace).expect("a namespace") };
    describe(&reconcile(&state, now()))
}

#[test]
fn the_content_goes_first() {
    assert_eq!(look(&["kubernetes"], "a b:terminating c"), ["delete Pod a", "delete Pod c"]);
    let finish = ["delete all events in n", r#"replace Namespace n/finalize {"finalizers":["mine"]}"#];
    assert_eq!(look(&["mine", "kubernetes"], ""), finish);
    assert!(look(&["mine"], "").is_empty());
}

#[test]
fn it_is_told_what_remains() {
    let actions = look(&["kubernetes"], "a:terminating b:terminating");
    let [status] = actions.as_slice() else {
        panic!("{actions:?}");
    };
    assert!(status.starts_with("patch Namespace n/status"), "{status}");
    assert!(status.contains("Some resources are remaining: pods has 2 resource instances"), "{status}");
    assert!(status.contains("finalizers remaining: x in 2 resource instances"), "{status}");
}
