//! The rules of owners and what they own, one row each.

use api::resource::{PODS, REPLICA_SETS};
use serde_json::{Value, json};

use super::*;
use crate::framework::describe;
use crate::testing::{NOW, object};

/// An object from words: `name`, then `terminating`, `foreground`, `orphan` for itself, and `OWNER=block` or `OWNER=free`
/// for each owner.
fn parse(text: &str) -> Object {
    let mut words = text.split(':');
    let name = words.next().expect("a name");
    let mut value = json!({"apiVersion": "v1", "kind": "Pod", "metadata":
        {"name": name, "namespace": "n", "uid": name, "resourceVersion": "1", "finalizers": [], "ownerReferences": []}});
    let metadata = &mut value["metadata"];
    let push = |list: &mut Value, item: Value| list.as_array_mut().expect("a list").push(item);
    for word in words {
        match word.split_once('=') {
            None if word == "terminating" => metadata["deletionTimestamp"] = NOW.into(),
            None if word == "foreground" => push(&mut metadata["finalizers"], FOREGROUND.into()),
            None => push(&mut metadata["finalizers"], word.into()),
            Some((owner, how)) => {
                let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner,
                    "blockOwnerDeletion": how == "block"});
                push(&mut metadata["ownerReferences"], owner);
            }
        }
    }
    object(value)
}

/// Owners are called after what became of them.
fn check(text: &str, dependents: &str, expected: &[&str]) {
    let object = parse(text);
    let references = object.metadata().owner_references.clone().unwrap_or_default();
    let owners = references.into_iter().map(|owner| {
        let standing = match owner.name.as_str() {
            "absent" => Standing::Absent(Target::new(&REPLICA_SETS, Key::new("n", "absent"))),
            "waiting" => Standing::Waiting,
            "unknown" => Standing::Unknown,
            _ => Standing::Present,
        };
        (owner, standing)
    });
    let dependents = dependents.split_whitespace().map(|text| (PODS, parse(text)));
    let state = State { owners: owners.collect(), dependents: dependents.collect(), resource: PODS, object };
    assert_eq!(describe(&reconcile(&state)), expected, "{text}");
}

#[test]
fn what_lost_all_owners_goes() {
    check("a", "", &[]);
    check("a:present=block", "", &[]);
    check("a:unknown=block", "", &[]);
    check("a:absent=block", "", &["expect no ReplicaSet absent", "delete Pod a Background"]);
    check("a:absent=block:orphan", "", &["expect no ReplicaSet absent", "delete Pod a Orphan"]);
    check("a:absent=block:terminating", "", &[]);
}

#[test]
fn what_lost_one_of_several_owners_stays() {
    let kept = |owner: &str| {
        format!(
            r#"patch Pod a {{"metadata":{{"ownerReferences":[{{"apiVersion":"apps/v1","blockOwnerDeletion":true,"kind":"ReplicaSet","name":"{owner}","uid":"{owner}"}}],"resourceVersion":"1"}}}}"#
        )
    };
    check("a:absent=block:present=block", "", &["expect no ReplicaSet absent", &kept("present")]);
    check("a:waiting=block:unknown=block", "", &[&kept("unknown")]);
}

#[test]
fn what_an_owner_waits_for_goes_in_the_foreground() {
    check("a:waiting=block", "", &["delete Pod a Foreground"]);
    check("a:waiting=free:absent=free", "", &["expect no ReplicaSet absent", "delete Pod a Foreground"]);
}

#[test]
fn an_owner_goes_after_those_that_block_it() {
    let goes = r#"patch Pod o {"metadata":{"finalizers":[],"resourceVersion":"1"}}"#;
    check("o:terminating:foreground", "a:o=block b:o=free", &[]);
    check("o:terminating:foreground", "b:o=free", &[goes]);
    check("o:terminating:foreground", "", &[goes]);
    check("o:foreground", "", &[]);
    let with_others = r#"patch Pod o {"metadata":{"finalizers":["mine"],"resourceVersion":"1"}}"#;
    check("o:terminating:mine:foreground", "", &[with_others]);
}

#[test]
fn an_owner_leaves_its_own_behind_if_it_is_to() {
    let left =
        |name| format!(r#"patch Pod {name} {{"metadata":{{"ownerReferences":[],"resourceVersion":"1"}}}}"#);
    check("o:terminating:orphan", "a:o=block b:o=free", &[&left("a"), &left("b")]);
    check(
        "o:terminating:orphan",
        "",
        &[r#"patch Pod o {"metadata":{"finalizers":[],"resourceVersion":"1"}}"#],
    );
}
