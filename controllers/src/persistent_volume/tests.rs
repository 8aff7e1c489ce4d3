//! Claims and volumes find each other, one row each.

use serde_json::{Value, json};

use super::*;
use crate::framework::describe;
use crate::testing::{NOW, merge, now, object};

fn claim(more: Value) -> Typed<PersistentVolumeClaim> {
    let mut value = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"name": "c", "namespace": "n", "uid": "c1", "resourceVersion": "7"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "standard",
            "resources": {"requests": {"storage": "2Gi"}}},
        "status": {"phase": "Pending"},
    });
    merge(&mut value, more);
    Typed::new(object(value)).expect("a claim")
}

fn volume(name: &str, more: Value) -> Typed<PersistentVolume> {
    let mut value = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name, "uid": name, "resourceVersion": "3"},
        "spec": {"accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "storageClassName": "standard",
            "capacity": {"storage": "2Gi"}, "persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": "/x"}},
        "status": {"phase": "Available"},
    });
    merge(&mut value, more);
    Typed::new(object(value)).expect("a volume")
}

fn class(more: Value) -> Typed<StorageClass> {
    let mut value = json!({"metadata": {"name": "standard"}, "provisioner": "local.peapod.dev",
        "volumeBindingMode": "WaitForFirstConsumer"});
    merge(&mut value, more);
    Typed::new(object(value)).expect("a class")
}

fn immediate() -> Value {
    json!({"volumeBindingMode": "Immediate"})
}

fn kept(uid: &str) -> Value {
    json!({"spec": {"claimRef": {"namespace": "n", "name": "c", "uid": uid}}})
}

fn check_all(
    claim: Typed<PersistentVolumeClaim>,
    class: Option<Typed<StorageClass>>,
    volumes: Vec<Typed<PersistentVolume>>,
    pods: &[&str],
    expected: &[&str],
) {
    let nodes = vec![object(json!({"metadata": {"name": "one", "uid": "one"}}))];
    let waiting_pods = pods.iter().map(|pod| (*pod).to_owned()).collect();
    let state = ClaimState { claim, class, volumes, waiting_pods, nodes };
    let actions = reconcile_claim(&state, now());
    let told: Vec<String> = describe(&actions).iter().map(|action| shortened(action)).collect();
    assert_eq!(told, expected);
}

/// What is done, without what is written.
fn shortened(action: &str) -> String {
    action.split(" {").next().unwrap_or_default().to_owned()
}

fn check(
    claim: Typed<PersistentVolumeClaim>,
    class: Value,
    volumes: Vec<Typed<PersistentVolume>>,
    expected: &[&str],
) {
    check_all(claim, Some(self::class(class)), volumes, &[], expected);
}

#[test]
fn the_smallest_volume_that_fits_is_taken() {
    let sized = |name: &str, size: &str| volume(name, json!({"spec": {"capacity": {"storage": size}}}));
    let all = || vec![sized("small", "1Gi"), sized("large", "9Gi"), sized("fit", "3Gi")];
    check(claim(json!({})), immediate(), all(), &["patch PersistentVolume fit"]);
    let mut more = all();
    more.push(volume("kept", kept("")));
    check(claim(json!({})), immediate(), more, &["patch PersistentVolume kept"]);
    let others = vec![
        volume("other", json!({"spec": {"claimRef": {"namespace": "n", "name": "d", "uid": ""}}})),
        volume("class", json!({"spec": {"storageClassName": "fast"}})),
        volume("new", json!({"status": {"phase": "Pending"}})),
        volume("going", json!({"metadata": {"deletionTimestamp": NOW}})),
        volume("mode", json!({"spec": {"accessModes": ["ReadOnlyMany"]}})),
    ];
    let none = json!({"spec": {"storageClassName": ""}});
    let unset = "FailedBinding: no persistent volumes available for this claim and no storage class is set";
    check_all(claim(none), None, others, &[], &[unset]);
    let selected = json!({"spec": {"storageClassName": "", "selector": {"matchLabels": {"a": "b"}}}});
    let plain = |labels: Value| {
        vec![volume("v", json!({"metadata": {"labels": labels}, "spec": {"storageClassName": ""}}))]
    };
    check_all(claim(selected.clone()), None, plain(json!({})), &[], &[unset]);
    check_all(claim(selected), None, plain(json!({"a": "b"})), &[], &["patch PersistentVolume v"]);
}

#[test]
fn a_claim_waits_for_its_first_pod() {
    let first = "WaitForFirstConsumer: waiting for first consumer to be created before binding";
    let free = || vec![volume("free", json!({}))];
    check(claim(json!({})), json!({}), free(), &[first]);
    let scheduled = "WaitForPodScheduled: waiting for pod p to be scheduled";
    check_all(claim(json!({})), Some(class(json!({}))), free(), &["p"], &[scheduled]);
    check(
        claim(json!({})),
        json!({}),
        vec![volume("kept", kept("c1"))],
        &[
            "patch PersistentVolume kept/status",
            "patch PersistentVolumeClaim c",
            "patch PersistentVolumeClaim c/status",
        ],
    );
}

#[test]
fn a_volume_is_made_where_the_pod_is_to_run() {
    let selected = |node: &str| {
        claim(json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": node}}}))
    };
    let made = [
        "create 1 PersistentVolume pvc-c1",
        "ProvisioningSucceeded: Successfully provisioned volume pvc-c1 using local.peapod.dev",
        "patch PersistentVolumeClaim c",
    ];
    check(selected("one"), json!({}), vec![], &made);
    check(claim(json!({})), immediate(), vec![], &made);
    check(selected("gone"), json!({}), vec![], &["patch PersistentVolumeClaim c"]);
    let failed = |claim: Value, class: Value, why: &str| {
        let words =
            format!(r#"ProvisioningFailed: Failed to provision volume with StorageClass "standard": {why}"#);
        merge_immediate(claim, class, &words);
    };
    failed(
        json!({"spec": {"volumeMode": "Block"}}),
        json!({}),
        "volumes are folders, volumeMode Block cannot be had",
    );
    failed(json!({}), json!({"mountOptions": ["ro"]}), "mount options are not supported: ro");
    let selector = json!({"spec": {"selector": {"matchLabels": {"a": "b"}}}});
    failed(selector, json!({}), "claim.Spec.Selector is not supported for dynamic provisioning");
    let elsewhere =
        json!({"allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}]});
    failed(json!({}), elsewhere, "no node can hold it");
    let gone = r#"ProvisioningFailed: storageclass.storage.k8s.io "standard" not found"#;
    check_all(claim(json!({})), None, vec![], &[], &[gone]);
    merge_immediate(
        json!({}),
        json!({"provisioner": "kubernetes.io/no-provisioner"}),
        "ProvisioningFailed: no volume plugin matched name: kubernetes.io/no-provisioner",
    );
    let external = class(json!({"provisioner": "x.io/y", "volumeBindingMode": "Immediate"}));
    check_all(
        claim(json!({})),
        Some(external),
        vec![],
        &[],
        &[
            "patch PersistentVolumeClaim c",
            "ExternalProvisioning: Waiting for a volume to be created either by the external provisioner 'x.io/y' or \
         manually by the system administrator. If volume creation is delayed, please verify that the provisioner is \
         running and correctly registered.",
        ],
    );
}

fn merge_immediate(claim: Value, class: Value, expected: &str) {
    let mut all = immediate();
    merge(&mut all, class);
    check(self::claim(claim), all, vec![], &[expected]);
}

#[test]
fn a_volume_that_is_named_must_fit() {
    let named = || claim(json!({"spec": {"volumeName": "v"}}));
    check(named(), json!({}), vec![], &[]);
    check(named(), json!({}), vec![volume("v", json!({}))], &["patch PersistentVolume v"]);
    let refused = |more: Value, why: &str| {
        let words = format!(r#"VolumeMismatch: Cannot bind to requested volume "v": {why}"#);
        check(named(), json!({}), vec![volume("v", more)], &[&words]);
    };
    refused(json!({"spec": {"capacity": {"storage": "1Gi"}}}), "requested PV is too small");
    refused(json!({"spec": {"storageClassName": ""}}), "storageClassName does not match");
    refused(json!({"spec": {"volumeMode": "Block"}}), "incompatible volumeMode");
    refused(json!({"spec": {"accessModes": ["ReadOnlyMany"]}}), "incompatible accessMode");
    let taken = json!({"spec": {"claimRef": {"namespace": "n", "name": "d", "uid": "d"}}});
    check(named(), json!({}), vec![volume("v", taken)], &[]);
}

fn bound(more: Value) -> Typed<PersistentVolumeClaim> {
    let mut value = json!({
        "metadata": {"annotations": {"pv.kubernetes.io/bind-completed": "yes"}},
        "spec": {"volumeName": "v"},
        "status": {"phase": "Bound", "accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "capacity": {"storage": "2Gi"}},
    });
    merge(&mut value, more);
    claim(value)
}

fn bound_volume(more: Value) -> Vec<Typed<PersistentVolume>> {
    let mut value = kept("c1");
    merge(&mut value, json!({"status": {"phase": "Bound"}}));
    merge(&mut value, more);
    vec![volume("v", value)]
}

#[test]
fn a_bound_claim_stays_so_or_is_lost() {
    check(bound(json!({})), json!({}), bound_volume(json!({})), &[]);
    check(bound(json!({})), json!({}), vec![volume("v", json!({}))], &["patch PersistentVolume v"]);
    let lost = "patch PersistentVolumeClaim c/status";
    check(
        bound(json!({})),
        json!({}),
        vec![],
        &[lost, "ClaimLost: Bound claim has lost its PersistentVolume. Data on the volume is lost!"],
    );
    check(
        bound(json!({})),
        json!({}),
        vec![volume("v", kept("other"))],
        &[lost, "ClaimMisbound: Two claims are bound to the same volume, this one is bound incorrectly"],
    );
    check(bound(json!({"status": {"phase": "Lost"}})), json!({}), vec![], &[]);
}

#[test]
fn a_claim_grows_with_its_volume() {
    let larger = || bound(json!({"spec": {"resources": {"requests": {"storage": "5Gi"}}}}));
    let ours = json!({"metadata": {"annotations": {"pv.kubernetes.io/provisioned-by": "local.peapod.dev"}}});
    check(larger(), json!({}), bound_volume(ours), &["patch PersistentVolume v"]);
    let grown = json!({"spec": {"capacity": {"storage": "5Gi"}}});
    check(
        larger(),
        json!({}),
        bound_volume(grown),
        &["patch PersistentVolumeClaim c/status", "VolumeResizeSuccessful: Resize volume succeeded"],
    );
    let external = "ExternalExpanding: waiting for an external controller to expand this PVC";
    check(larger(), json!({}), bound_volume(json!({})), &[external]);
}

#[test]
fn a_volume_goes_as_its_policy_says() {
    let check = |more: Value, claim: Option<Typed<PersistentVolumeClaim>>, gone: bool, expected: &[&str]| {
        let state = VolumeState { volume: volume("v", more), claim, folder_is_gone: gone };
        let actions = describe(&reconcile_volume(&state, now()));
        let told: Vec<String> = actions.iter().map(|action| shortened(action)).collect();
        assert_eq!(told, expected);
    };
    let with = |more: Value| {
        let mut value = kept("c1");
        merge(&mut value, more);
        value
    };
    let status = "patch PersistentVolume v/status";
    let absent = "expect no PersistentVolumeClaim c";
    let released = |policy: &str| {
        with(json!({"spec": {"persistentVolumeReclaimPolicy": policy}, "status": {"phase": "Released"}}))
    };
    check(json!({"status": {"phase": "Pending"}}), None, false, &[status]);
    check(json!({}), None, false, &[]);
    check(kept(""), None, false, &[]);
    check(with(json!({"status": {"phase": "Bound"}})), Some(bound(json!({}))), false, &[]);
    check(with(json!({"status": {"phase": "Bound"}})), None, false, &[absent, status]);
    check(released("Retain"), None, false, &[]);
    check(
        released("Recycle"),
        None,
        false,
        &[absent, status, "VolumeFailedRecycle: No recycler plugin found for the volume!"],
    );
    check(
        released("Delete"),
        None,
        false,
        &[
            absent,
            status,
            r#"VolumeFailedDelete: error getting deleter volume plugin for volume "v": no deletable volume plugin matched"#,
        ],
    );
    let mut ours = released("Delete");
    merge(
        &mut ours,
        json!({"metadata": {"annotations": {"pv.kubernetes.io/provisioned-by": "local.peapod.dev"}}}),
    );
    check(ours.clone(), None, false, &[absent, "delete PersistentVolume v"]);
    let going =
        json!({"metadata": {"deletionTimestamp": NOW, "finalizers": ["local.peapod.dev/folder", "x"]}});
    merge(&mut ours, going);
    check(ours.clone(), None, false, &[]);
    check(ours, None, true, &["patch PersistentVolume v"]);
    let elsewhere = bound(json!({"spec": {"volumeName": "w"}}));
    check(with(json!({"status": {"phase": "Bound"}})), Some(elsewhere), false, &["patch PersistentVolume v"]);
}
