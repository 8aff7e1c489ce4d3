//! Every directive by itself, merges against a slow model, and the patches that kubectl makes.
#![allow(clippy::unwrap_used)]

mod diff;
mod model;
mod pods;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::merge;
use crate::schema::{self, LARGEST_DEPTH, Type};

fn of(name: &str) -> &'static Type {
    schema::builtin().named(name).unwrap()
}

fn check(of_name: &str, document: Value, patch: Value, wanted: Value) {
    let merged = merge(document.clone(), patch.clone(), of(of_name));
    assert_eq!(merged.map_err(|error| error.to_string()), Ok(wanted), "{document} {patch}");
}

fn refused(of_name: &str, document: Value, patch: Value, words: &str) {
    let merged = merge(document, patch.clone(), of(of_name));
    assert_eq!(merged.unwrap_err().to_string(), words, "{patch}");
}

const POD: &str = "core.v1.PodSpec";
const DEPLOYMENT: &str = "apps.v1.DeploymentSpec";
const META: &str = "meta.v1.ObjectMeta";

#[test]
fn objects_are_merged_and_null_removes() {
    check(POD, json!({"hostname": "a"}), json!({"hostname": "b"}), json!({"hostname": "b"}));
    check(POD, json!({"hostname": "a"}), json!({"hostname": null, "nodeName": null}), json!({}));
    check(
        POD,
        json!({"nodeSelector": {"a": "1", "b": "2"}}),
        json!({"nodeSelector": {"a": null, "c": "3"}}),
        json!({"nodeSelector": {"b": "2", "c": "3"}}),
    );
    check(
        POD,
        json!({}),
        json!({"nodeSelector": {"a": null, "c": "3"}}),
        json!({"nodeSelector": {"c": "3"}}),
    );
    check(
        POD,
        json!({"unheard": {"a": 1}}),
        json!({"unheard": {"b": [1]}}),
        json!({"unheard": {"a": 1, "b": [1]}}),
    );
    check(POD, json!({"hostname": "a"}), json!({"hostname": {"a": 1}}), json!({"hostname": {"a": 1}}));
    check(POD, json!({"hostname": {"a": 1}}), json!({"hostname": ["a"]}), json!({"hostname": ["a"]}));
    check(
        "autoscaling.v1.Scale",
        json!({"spec": {"replicas": 1}, "status": {"replicas": 1}}),
        json!({"spec": {"replicas": 3}}),
        json!({"spec": {"replicas": 3}, "status": {"replicas": 1}}),
    );
}

#[test]
fn objects_may_be_replaced_or_emptied() {
    check(
        POD,
        json!({"securityContext": {"runAsUser": 1, "fsGroup": 2}}),
        json!({"securityContext": {"$patch": "replace", "runAsUser": 3, "fsGroup": null}}),
        json!({"securityContext": {"runAsUser": 3}}),
    );
    check(
        POD,
        json!({"securityContext": {"runAsUser": 1}}),
        json!({"securityContext": {"$patch": "delete"}}),
        json!({"securityContext": {}}),
    );
    check(
        POD,
        json!({"hostname": "a"}),
        json!({"$patch": "replace", "nodeName": "n"}),
        json!({"nodeName": "n"}),
    );
    check(POD, json!({}), json!({"securityContext": {"$patch": "delete"}}), json!({}));
    check(
        POD,
        json!({}),
        json!({"securityContext": {"$patch": "replace", "runAsUser": 1}}),
        json!({"securityContext": {"runAsUser": 1}}),
    );
    // The schema may say that an object is never merged.
    check(
        "policy.v1.PodDisruptionBudgetSpec",
        json!({"selector": {"matchLabels": {"a": "1"}}}),
        json!({"selector": {"matchLabels": {"b": "2", "c": null}, "$retainKeys": []}}),
        json!({"selector": {"matchLabels": {"b": "2"}}}),
    );
    check(
        "networking.v1.IngressSpec",
        json!({"rules": [{"host": "a"}, {"host": "b"}]}),
        json!({"rules": [{"host": "c"}]}),
        json!({"rules": [{"host": "c"}]}),
    );
}

#[test]
fn items_are_merged_by_their_key() {
    check(
        POD,
        json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "2"}]}),
        json!({"containers": [{"name": "b", "image": "3"}]}),
        json!({"containers": [{"name": "a", "image": "1"}, {"name": "b", "image": "3"}]}),
    );
    check(
        POD,
        json!({"containers": [{"name": "a", "image": "1"}]}),
        json!({"containers": [{"name": "b", "image": "2", "tty": null, "env": [{"name": "x", "$patch": "delete"}]}]}),
        json!({"containers": [{"name": "b", "image": "2", "env": []}, {"name": "a", "image": "1"}]}),
    );
    check(
        POD,
        json!({"containers": [{"name": "a", "env": [{"name": "x", "value": "1"}, {"name": "y", "value": "2"}]}]}),
        json!({"containers": [{"name": "a", "env": [{"name": "y", "value": null}]}]}),
        json!({"containers": [{"name": "a", "env": [{"name": "x", "value": "1"}, {"name": "y"}]}]}),
    );
    check(
        POD,
        json!({"tolerations": [{"key": "a"}]}),
        json!({"tolerations": [{"key": "b"}]}),
        json!({"tolerations": [{"key": "b"}]}),
    );
    // Of several with one key the first is meant, and new items are taken as they are.
    check(
        "core.v1.Container",
        json!({"ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]}),
        json!({"ports": [{"containerPort": 53, "name": "dns"}]}),
        json!({"ports": [{"containerPort": 53, "name": "dns", "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]}),
    );
    check(
        "core.v1.Container",
        json!({}),
        json!({"ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]}),
        json!({"ports": [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]}),
    );
}

#[test]
fn items_may_be_deleted_or_the_list_replaced() {
    let containers = || json!({"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]});
    check(
        POD,
        containers(),
        json!({"containers": [{"name": "b", "$patch": "delete"}, {"name": "z", "$patch": "delete"}]}),
        json!({"containers": [{"name": "a"}, {"name": "c"}]}),
    );
    check(
        POD,
        containers(),
        json!({"containers": [{"name": "d"}, {"$patch": "replace"}]}),
        json!({"containers": [{"name": "d"}]}),
    );
    check(POD, containers(), json!({"containers": [{"$patch": "replace"}]}), json!({"containers": []}));
    check(
        POD,
        containers(),
        json!({"containers": [{"name": "a", "$patch": "delete"}, {"name": "a", "image": "new"}]}),
        json!({"containers": [{"name": "a", "image": "new"}, {"name": "b"}, {"name": "c"}]}),
    );
    check(
        POD,
        json!({}),
        json!({"containers": [{"name": "a", "$patch": "delete"}, {"name": "b"}]}),
        json!({"containers": [{"name": "b"}]}),
    );
}

#[test]
fn plain_values_form_sets() {
    check(
        META,
        json!({"finalizers": ["a", "b"]}),
        json!({"finalizers": ["b", "c", "c"]}),
        json!({"finalizers": ["a", "b", "c"]}),
    );
    check(
        META,
        json!({"finalizers": ["a", "b", "c"]}),
        json!({"$deleteFromPrimitiveList/finalizers": ["b", "z"]}),
        json!({"finalizers": ["a", "c"]}),
    );
    check(META, json!({}), json!({"$deleteFromPrimitiveList/finalizers": ["b"]}), json!({}));
    check(
        META,
        json!({"finalizers": ["a", "b", "c"]}),
        json!({"$setElementOrder/finalizers": ["d", "a"], "$deleteFromPrimitiveList/finalizers": ["b"], "finalizers": ["d"]}),
        json!({"finalizers": ["d", "a", "c"]}),
    );
    // Lists that the schema does not merge are replaced.
    check("core.v1.Container", json!({"args": ["a", "b"]}), json!({"args": ["c"]}), json!({"args": ["c"]}));
}

#[test]
fn order_is_the_patchs_and_others_stay_beside_their_neighbours() {
    let named =
        |names: &str| -> Value { names.split_whitespace().map(|name| json!({"name": name})).collect() };
    let row = |before: &str, order: &str, items: &str, wanted: &str| {
        let mut patch = json!({"$setElementOrder/containers": named(order)});
        if !items.is_empty() {
            patch["containers"] = named(items);
        }
        check(POD, json!({"containers": named(before)}), patch, json!({"containers": named(wanted)}));
    };
    row("a b c", "c b a", "", "c b a");
    row("a b c", "c a", "", "b c a");
    row("a x b y", "b a", "", "x b a y");
    row("a x b", "a n b", "n", "a n x b");
    row("a b", "b n a", "n", "b n a");
    row("x a", "n a", "n", "n x a");
    row("a b", "", "", "a b");
    row("a b", "c", "", "a b");
    check(
        POD,
        json!({}),
        json!({"$setElementOrder/containers": named("a b"), "containers": named("a b")}),
        json!({"containers": named("a b")}),
    );
    check(POD, json!({}), json!({"$setElementOrder/containers": named("a b")}), json!({}));
    check(
        POD,
        json!({"containers": named("a b")}),
        json!({"$setElementOrder/containers": named("b"), "containers": null}),
        json!({}),
    );
    check(
        POD,
        json!({"containers": named("a b c")}),
        json!({"$setElementOrder/containers": named("c a"), "containers": [{"name": "b", "$patch": "delete"}]}),
        json!({"containers": named("c a")}),
    );
}

#[test]
fn only_retained_members_stay() {
    let recreate = json!({"strategy": {"$retainKeys": ["type"], "type": "Recreate"}});
    check(
        DEPLOYMENT,
        json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}),
        recreate.clone(),
        json!({"strategy": {"type": "Recreate"}}),
    );
    check(DEPLOYMENT, json!({}), recreate, json!({"strategy": {"type": "Recreate"}}));
    check(
        POD,
        json!({"volumes": [{"name": "v", "emptyDir": {}}]}),
        json!({"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}, "emptyDir": null}]}),
        json!({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}),
    );
}

#[test]
fn nonsense_is_refused_in_known_words() {
    let pod = |patch: Value, words: &str| refused(POD, json!({"containers": [{"name": "a"}]}), patch, words);
    pod(json!([]), "error decoding patch: must be an object");
    pod(
        json!({"containers": [{"image": "x", "tty": true}]}),
        "map: map[image:x tty:true] does not contain declared merge key: name",
    );
    pod(
        json!({"containers": [{"$patch": "delete"}]}),
        "map: map[$patch:delete] does not contain declared merge key: name",
    );
    pod(
        json!({"containers": [{"name": "a", "$patch": "merge"}]}),
        "merging lists cannot yet be specified in the patch",
    );
    pod(
        json!({"containers": [{"name": "a", "$patch": "explode"}]}),
        "unknown patch type: explode in map: map[$patch:explode name:a]",
    );
    pod(json!({"$patch": "merge"}), "unknown patch type: merge in map: map[$patch:merge]");
    // Whether there is something to merge with or not.
    for there in [json!({}), json!({"securityContext": {"runAsUser": 1}, "nodeSelector": {"a": "b"}})] {
        let row = |patch: Value, words: &str| refused(POD, there.clone(), patch, words);
        row(
            json!({"nodeSelector": {"$patch": "x", "c": "d"}}),
            "unknown patch type: x in map: map[$patch:x c:d]",
        );
        row(
            json!({"securityContext": {"$patch": 5}}),
            "unknown patch type: %!s(int64=5) in map: map[$patch:5]",
        );
        row(
            json!({"securityContext": {"$patch": [null, {"a": 1.5, "b": true}]}}),
            "unknown patch type: [%!s(<nil>) map[a:%!s(float64=1.5) b:%!s(bool=true)]] in map: map[$patch:[<nil> map[a:1.5 b:true]]]",
        );
        row(json!({"securityContext": {"$retainKeys": "a"}}), "invalid patch format of retainKeys");
        row(
            json!({"nodeSelector": {"$setElementOrder": []}}),
            "invalid patch format of setElementOrder list",
        );
        row(
            json!({"nodeSelector": {"$setElementOrders/a": []}}),
            "invalid patch format of setElementOrder list",
        );
        row(
            json!({"nodeSelector": {"$deleteFromPrimitiveList": []}}),
            "invalid patch format of primitive list",
        );
        row(
            json!({"volumes": [{"name": "v", "$patch": "merge"}]}),
            "merging lists cannot yet be specified in the patch",
        );
    }
    pod(json!({"containers": [["a"]]}), "list element types are not identical: [[map[name:a]] [[a]]]");
    pod(json!({"containers": ["a"]}), "list element types are not identical: [[map[name:a]] [a]]");
    pod(json!({"$setElementOrder": []}), "invalid patch format of setElementOrder list");
    pod(json!({"$setElementOrder/containers": 1}), "expected a []interface {}, but received a int64");
    pod(json!({"$setElementOrder/containers": null}), "expected a []interface {}, but received a %!s(<nil>)");
    pod(
        json!({"$setElementOrder/containers": [{"image": "x"}]}),
        "map: map[image:x] does not contain declared merge key: name",
    );
    pod(
        json!({"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b"}]}),
        "The order in patch list:\n[map[name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n",
    );
    pod(
        json!({"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}], "containers": [{"name": "b"}, {"name": "a"}]}),
        "The order in patch list:\n[map[name:b] map[name:a]]\n doesn't match $setElementOrder list:\n[map[name:a] map[name:b]]\n",
    );
    pod(json!({"$deleteFromPrimitiveList": ["a"]}), "invalid patch format of primitive list");
    pod(json!({"$deleteFromPrimitiveList/containers": "a"}), "invalid patch format of primitive list");
    pod(json!({"$retainKeys": "a"}), "invalid patch format of retainKeys");
    pod(json!({"$retainKeys": ["containers"], "hostname": "x"}), "invalid patch format of retainKeys");
    let lists = json!({"finalizers": [["a"]]});
    refused(META, lists.clone(), lists, "lists of lists are not supported");
}

#[test]
fn depth_is_bounded() {
    let mut patch = json!({});
    for _ in 0..=LARGEST_DEPTH {
        patch = json!({"a": patch});
    }
    refused(POD, json!({}), patch, "error decoding patch: nested deeper than 100 levels");
}

proptest! {
    #[test]
    fn agrees_with_the_model(document in pods::spec(), patch in pods::partial()) {
        let merged = merge(document.clone(), patch.clone(), of(POD)).unwrap();
        prop_assert_eq!(model::unordered(&merged, of(POD)), model::merged(&document, &patch, of(POD)));
        model::check_orders(&document, &patch, &merged, of(POD));
        let again = merge(merged.clone(), patch, of(POD)).unwrap();
        prop_assert_eq!(model::unordered(&again, of(POD)), model::unordered(&merged, of(POD)), "laying it over again");
    }

    /// What kubectl sends after an edit, to an object that nobody else has changed.
    #[test]
    fn the_difference_of_two_states_leads_from_one_to_the_other(old in pods::spec(), new in pods::spec()) {
        let patch = diff::between(&old, &new, of(POD));
        let merged = merge(old, patch.clone(), of(POD)).unwrap();
        prop_assert_eq!(merged, new, "{}", patch);
    }

    /// What `kubectl apply` sends: the server has added things that neither of the user's states has.
    #[test]
    fn what_others_have_added_survives(old in pods::spec(), new in pods::spec()) {
        let live = pods::with_additions(&old);
        let patch = diff::between(&old, &new, of(POD));
        let merged = merge(live, patch.clone(), of(POD)).unwrap();
        prop_assert_eq!(pods::without_additions(&merged), new, "{}", patch);
        prop_assert!(pods::has_additions(&merged), "{} {}", patch, merged);
    }

    #[test]
    fn no_patch_leaves_a_directive_behind(document in pods::spec(), patch in pods::wild()) {
        for document in [document, json!({})] {
            if let Ok(merged) = merge(document, patch.clone(), of(POD)) {
                prop_assert!(!merged.to_string().contains('$'), "{} {}", patch, merged);
            }
        }
    }
}
