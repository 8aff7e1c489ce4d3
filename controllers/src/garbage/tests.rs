//! The rules of owners and what they own, one row each.

use api::Key;
use api::resource::{PODS, REPLICA_SETS};
use serde_json::{Value, json};

use super::*;
use crate::framework::describe;
use crate::testing::{NOW, now, object};

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
        let absent = || Target::new(&REPLICA_SETS, Key::new("n", "absent"));
        let standing = match owner.name.as_str() {
            "absent" | "elsewhere" => Standing::Absent(Some(absent())),
            "gone" => Standing::Absent(None),
            "waiting" => Standing::Waiting,
            "unknown" => Standing::Unknown,
            _ => Standing::Present,
        };
        Owner { standing, is_elsewhere: owner.name == "elsewhere", reference: owner }
    });
    let dependents = dependents.split_whitespace().map(|text| (PODS, parse(text)));
    let (owners, dependents) = (owners.collect(), dependents.collect());
    let mut state = State { owners, dependents, is_complete: true, resource: PODS, object };
    assert_eq!(describe(&reconcile(&state, now())), expected, "{text}");
    if waits(&state.object) {
        state.is_complete = false;
        assert_eq!(describe(&reconcile(&state, now())), ["wake at 2026-01-01T12:00:01Z"], "{text}");
    }
}

#[test]
fn what_lost_all_owners_goes() {
    check("a", "", &[]);
    check("a:present=block", "", &[]);
    check("a:unknown=block", "", &[]);
    check("a:absent=block", "", &["expect no ReplicaSet absent", "delete Pod a Background"]);
    check("a:absent=block:orphan", "", &["expect no ReplicaSet absent", "delete Pod a Orphan"]);
    check("a:absent=block:terminating", "", &[]);
    check("a:gone=block", "", &["delete Pod a Background"]);
    check("a:gone=block:foreground", "", &["delete Pod a Foreground"]);
    let event = "OwnerRefInvalidNamespace: ownerRef [apps/v1/ReplicaSet, namespace: n, name: elsewhere, uid: elsewhere] \
        does not exist in namespace \"n\"";
    check("a:elsewhere=block", "", &[event, "expect no ReplicaSet absent", "delete Pod a Background"]);
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
    check("a:waiting=block", "b:a=block", &["delete Pod a Foreground"]);
    check("a:waiting=free:gone=free", "b:a=free", &["delete Pod a Foreground"]);
    check("a:waiting=block", "", &["delete Pod a Background"]);
    check("a:waiting=block:orphan", "b:a=block", &["delete Pod a Foreground"]);
}

#[test]
fn those_who_wait_for_each_other_are_set_free() {
    let free = |owner: &str| {
        format!(
            r#"patch Pod a {{"metadata":{{"ownerReferences":[{{"apiVersion":"apps/v1","blockOwnerDeletion":false,"kind":"ReplicaSet","name":"{owner}","uid":"{owner}"}}],"resourceVersion":"1"}}}}"#
        )
    };
    check("a:waiting=block", "waiting:terminating:foreground:a=block", &[&free("waiting")]);
    check("a:waiting=free", "waiting:terminating:foreground:a=block", &["delete Pod a Foreground"]);
}

#[test]
fn an_owner_goes_after_those_that_block_it() {
    let goes = r#"patch Pod o {"metadata":{"finalizers":null,"resourceVersion":"1"}}"#;
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
        |name| format!(r#"patch Pod {name} {{"metadata":{{"ownerReferences":null,"resourceVersion":"1"}}}}"#);
    check("o:terminating:orphan", "a:o=block b:o=free", &[&left("a"), &left("b")]);
    check(
        "o:terminating:orphan",
        "",
        &[r#"patch Pod o {"metadata":{"finalizers":null,"resourceVersion":"1"}}"#],
    );
}
