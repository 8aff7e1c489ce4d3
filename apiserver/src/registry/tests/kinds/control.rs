//! Kinds by which the cluster is ruled: fairness, webhooks and policies, certificates, what is served.

use super::*;
use api::backend::Answer;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair};

const FLOW: &str = "flowcontrol.apiserver.k8s.io";
const ADMISSION: &str = "admissionregistration.k8s.io";

fn cluster(group: &'static str, plural: &'static str, kind: &'static str) -> Resource {
    Resource::new(group, "v1", plural, kind, false)
}

async fn count(world: &World, resource: &Resource) -> usize {
    let verb = Verb::List(ListOptions::default());
    match world.client.call(resource, Key::cluster(""), "", verb).await.unwrap().answer {
        Answer::List(list) => list.items.len(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_begins_with_what_every_cluster_has() {
    let world = start().await;
    let levels = cluster(FLOW, "prioritylevelconfigurations", "PriorityLevelConfiguration");
    let schemas = cluster(FLOW, "flowschemas", "FlowSchema");
    let classes = cluster("scheduling.k8s.io", "priorityclasses", "PriorityClass");
    let services = cluster("apiregistration.k8s.io", "apiservices", "APIService");
    assert_eq!((count(&world, &levels).await, count(&world, &schemas).await), (8, 13));
    assert_eq!(count(&world, &classes).await, 2);
    let critical = world.get(&classes, "system-node-critical").await.unwrap();
    assert_eq!(critical["value"], 2_000_001_000);
    let apps = world.get(&services, "v1.apps").await.unwrap();
    let available = json!({"status": {"conditions": [{"type": "Available", "status": "True", "reason": "Local"}]},
        "spec": {"groupPriorityMinimum": 17800, "versionPriority": 15}});
    assert_contains(&apps, &available, "");
    assert!(world.get(&services, "v1.").await.is_ok(), "the core group has an empty name");
    // What cannot change cannot be changed, but annotated.
    let mandatory = json!({"spec": {"limited": {"nominalConcurrencyShares": 500}}});
    let error = world.merge(&levels, "catch-all", "", mandatory).await.unwrap_err();
    assert!(error.ends_with("spec of 'catch-all' must equal the fixed value"), "{error}");
    let lent = json!({"spec": {"exempt": {"nominalConcurrencyShares": 10}}});
    assert!(world.merge(&levels, "exempt", "", lent).await.is_ok());
    let annotated = json!({"metadata": {"annotations": {"a": "b"}}});
    assert!(world.merge(&schemas, "exempt", "", annotated).await.is_ok());
    let error = world.merge(&schemas, "catch-all", "", json!({"spec": {"matchingPrecedence": 7}})).await;
    assert!(error.unwrap_err().ends_with("spec of 'catch-all' must equal the fixed value"));
    let error = world.delete(&classes, "system-node-critical", DeleteOptions::default()).await.unwrap_err();
    assert_eq!(
        error.message,
        "priorityclasses.scheduling.k8s.io \"system-node-critical\" is forbidden: this is a system priority class and \
         cannot be deleted"
    );
}

#[tokio::test(start_paused = true)]
async fn levels_and_schemas_are_filled_in_and_checked() {
    let world = start().await;
    let levels = cluster(FLOW, "prioritylevelconfigurations", "PriorityLevelConfiguration");
    let schemas = cluster(FLOW, "flowschemas", "FlowSchema");
    let level =
        |limited: Value| json!({"metadata": {"name": "a"}, "spec": {"type": "Limited", "limited": limited}});
    let created = world
        .create(&levels, level(json!({"limitResponse": {"type": "Queue", "queuing": {}}})))
        .await
        .unwrap();
    let expected = json!({"spec": {"limited": {"nominalConcurrencyShares": 30, "lendablePercent": 0,
        "limitResponse": {"queuing": {"queues": 64, "handSize": 8, "queueLengthLimit": 50}}}},
        "metadata": {"generation": 1}});
    assert_contains(&created, &expected, "");
    let row = async |resource: &Resource, object: Value, words: &str| {
        refuse(&world, resource, &json!({"metadata": {"name": "b"}}), object, words).await;
    };
    row(
        &levels,
        json!({"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Queue", "queuing": {"queues": 128, "handSize": 9}}}}}),
        "spec.limited.limitResponse.queuing.handSize: Invalid value: 9: required entropy bits of deckSize 128 and \
         handSize 9 should not be greater than 60",
    )
    .await;
    row(
        &levels,
        json!({"spec": {"type": "Exempt"}}),
        "spec.type: Invalid value: \"Exempt\": type must be 'Exempt' if and only if name is 'exempt'",
    )
    .await;
    let rule = |rule: Value| json!({"spec": {"priorityLevelConfiguration": {"name": "a"}, "rules": [rule]}});
    let user = json!([{"kind": "User", "user": {"name": "jane"}}]);
    row(
        &schemas,
        rule(json!({"subjects": user})),
        "spec.rules[0]: Required value: at least one of resourceRules and nonResourceRules has to be non-empty",
    )
    .await;
    row(
        &schemas,
        rule(json!({"subjects": [{"kind": "Group", "user": {"name": "x"}}],
            "nonResourceRules": [{"verbs": ["get", "*"], "nonResourceURLs": ["/a*"]}]})),
        "[spec.rules[0].subjects[0].user: Forbidden: user is forbidden when subject kind is not 'User', \
         spec.rules[0].subjects[0].group: Required value: group is required when subject kind is 'Group', \
         spec.rules[0].nonResourceRules[0].verbs: Invalid value: [\"get\",\"*\"]: if '*' is present, must not \
         specify other verbs, spec.rules[0].nonResourceRules[0].nonResourceURLs[0]: Invalid value: \"/a*\": wildcard \
         can only do suffix matching]",
    )
    .await;
    let good = rule(json!({"subjects": user, "resourceRules": [
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["default"]}]}));
    let mut good = good;
    good["metadata"] = json!({"name": "good"});
    assert_eq!(world.create(&schemas, good).await.unwrap()["spec"]["matchingPrecedence"], 1000);
}

#[tokio::test(start_paused = true)]
async fn webhooks_and_policies_are_filled_in_and_checked() {
    let world = start().await;
    let hooks = cluster(ADMISSION, "mutatingwebhookconfigurations", "MutatingWebhookConfiguration");
    let policies = cluster(ADMISSION, "validatingadmissionpolicies", "ValidatingAdmissionPolicy");
    let bindings =
        cluster(ADMISSION, "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding");
    let rule =
        json!({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]});
    let hook = json!({"metadata": {"name": "h"}, "webhooks": [{
        "name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": {"name": "s", "namespace": "n"}}, "rules": [rule],
    }]});
    let created = world.create(&hooks, hook.clone()).await.unwrap();
    let filled = json!({"failurePolicy": "Fail", "matchPolicy": "Equivalent", "timeoutSeconds": 10,
        "reinvocationPolicy": "Never", "namespaceSelector": {}, "clientConfig": {"service": {"port": 443}}});
    assert_contains(&created["webhooks"][0], &filled, "");
    assert_eq!(created["webhooks"][0]["rules"][0]["scope"], "*");
    let row = async |patch: Value, words: &str| {
        let mut changed = hook.clone();
        changed["metadata"]["name"] = "other".into();
        crate::patch::merge(&mut changed["webhooks"][0], patch);
        refuse(&world, &hooks, &changed, json!({}), words).await;
    };
    row(
        json!({"name": "a"}),
        "webhooks[0].name: Invalid value: \"a\": should be a domain with at least three segments separated by dots",
    )
    .await;
    row(
        json!({"sideEffects": "Some"}),
        "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\"",
    )
    .await;
    row(
        json!({"timeoutSeconds": 31, "admissionReviewVersions": ["v2"]}),
        "[webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds, \
         webhooks[0].admissionReviewVersions: Invalid value: [\"v2\"]: must include at least one of v1, v1beta1]",
    )
    .await;
    row(
        json!({"rules": [{"apiGroups": ["*", "a"], "apiVersions": [""], "resources": ["pods/*", "pods/status"], "operations": ["GET"]}]}),
        "[webhooks[0].rules[0].operations[0]: Unsupported value: \"GET\": supported values: \"*\", \"CONNECT\", \
         \"CREATE\", \"DELETE\", \"UPDATE\", webhooks[0].rules[0].apiGroups: Invalid value: [\"*\",\"a\"]: if '*' is \
         present, must not specify other API groups, webhooks[0].rules[0].apiVersions[0]: Required value, \
         webhooks[0].rules[0].resources[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not specify \
         pods/status]",
    )
    .await;
    refuse(
        &world,
        &policies,
        &json!({"metadata": {"name": "p"}, "spec": {}}),
        json!({}),
        "[spec.matchConstraints: Required value, spec.validations: Required value: validations or auditAnnotations \
         must contain at least one item, spec.auditAnnotations: Required value: validations or auditAnnotations must \
         contain at least one item]",
    )
    .await;
    let policy = json!({"metadata": {"name": "p"}, "spec": {"validations": [{"expression": "true"}],
        "matchConstraints": {"resourceRules": [rule]}}});
    let created = world.create(&policies, policy).await.unwrap();
    let filled = json!({"failurePolicy": "Fail", "matchConstraints": {"matchPolicy": "Equivalent",
        "namespaceSelector": {}, "resourceRules": [{"scope": "*"}]}});
    assert_contains(&created["spec"], &filled, "");
    refuse(
        &world,
        &bindings,
        &json!({"metadata": {"name": "b"}, "spec": {"validationActions": ["Deny", "Warn"], "paramRef": {}}}),
        json!({}),
        "[spec.policyName: Required value, spec.paramRef: Required value: one of name or selector must be specified, \
         spec.paramRef.parameterNotFoundAction: Required value, spec.validationActions: Invalid value: \
         [\"Deny\",\"Warn\"]: must not contain both Deny and Warn (repeating the same validation failure information \
         in the API response and headers serves no purpose)]",
    )
    .await;
    let mutating =
        Resource::new(ADMISSION, "v1beta1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", false);
    refuse(
        &world,
        &mutating,
        &json!({"metadata": {"name": "m"}, "spec": {"matchConstraints": {"resourceRules": [rule]},
            "mutations": [{"patchType": "JSONPatch"}]}}),
        json!({}),
        "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_a_certificate_is_who_sent_the_request() {
    let world = start().await;
    let requests = cluster("certificates.k8s.io", "certificatesigningrequests", "CertificateSigningRequest");
    let key = KeyPair::generate().unwrap();
    let pem = CertificateParams::new(Vec::new()).unwrap().serialize_request(&key).unwrap().pem().unwrap();
    let asked = json!({"metadata": {"name": "c"}, "spec": {"request": STANDARD.encode(pem), "username": "root",
        "signerName": "example.com/s", "usages": ["client auth"], "extra": {"a": ["b"]}}});
    let created = world.create(&requests, asked.clone()).await.unwrap();
    let expected = json!({"username": "system:peapod:test", "groups": ["system:masters", "system:authenticated"],
        "extra": null, "signerName": "example.com/s"});
    assert_contains(&created["spec"], &expected, "");
    let changed =
        world.merge(&requests, "c", "", json!({"spec": {"signerName": "example.com/t"}})).await.unwrap();
    assert_eq!(changed["spec"], created["spec"]);
    let row = async |patch: Value, words: &str| {
        let mut spec = asked.clone();
        spec["metadata"]["name"] = "d".into();
        refuse(&world, &requests, &spec, json!({"spec": patch}), words).await;
    };
    row(json!({"usages": []}), "spec.usages: Required value").await;
    row(
        json!({"signerName": "kubernetes.io/legacy-unknown", "expirationSeconds": 1}),
        "[spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not allowed via \
         this API version, spec.expirationSeconds: Invalid value: 1: may not specify a duration less than 600 \
         seconds (10 minutes)]",
    )
    .await;
    row(
        json!({"request": "YQ==", "usages": ["client auth", "client auth"]}),
        "[spec.request: Invalid value: \"YQ==\": PEM block type must be CERTIFICATE REQUEST, spec.usages[1]: \
         Duplicate value: \"client auth\"]",
    )
    .await;
    let conditions = |conditions: Value| json!({"status": {"conditions": conditions}});
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status});
    let both = conditions(json!([condition("Approved", "True"), condition("Denied", "False")]));
    let error = world.merge(&requests, "c", "approval", both).await.unwrap_err();
    assert!(error.contains("Unsupported value: \"False\": supported values: \"True\""), "{error}");
    assert!(error.contains("Approved and Denied conditions are mutually exclusive"), "{error}");
    // A signer does not approve, and who approves does not sign.
    let approved = conditions(json!([condition("Approved", "True")]));
    let error = world.merge(&requests, "c", "status", approved.clone()).await.unwrap_err();
    assert!(
        error.ends_with("status.conditions: Forbidden: updates may not add a condition of type \"Approved\""),
        "{error}"
    );
    let mut more = approved;
    more["status"]["certificate"] = STANDARD.encode("x").into();
    more["spec"] = json!({"signerName": "example.com/t"});
    let decided = world.merge(&requests, "c", "approval", more).await.unwrap();
    let expected = json!({"spec": {"signerName": "example.com/s"}, "status": {"certificate": null, "conditions": [{
        "type": "Approved", "lastUpdateTime": "2026-01-01T00:00:00Z", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    assert_contains(&decided, &expected, "");
    let error = world.merge(&requests, "c", "approval", conditions(json!([]))).await.unwrap_err();
    assert!(error.ends_with("updates may not remove a condition of type \"Approved\""), "{error}");
    let signed = json!({"status": {"certificate": STANDARD.encode("x")}});
    world.merge(&requests, "c", "status", signed).await.unwrap();
    let other = json!({"status": {"certificate": STANDARD.encode("y")}});
    let error = world.merge(&requests, "c", "status", other).await.unwrap_err();
    assert!(error.ends_with("updates may not modify existing certificate content"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn devices_and_services_of_the_api_are_checked() {
    let world = start().await;
    let services = cluster("apiregistration.k8s.io", "apiservices", "APIService");
    let service = json!({"metadata": {"name": "v1.example.com"}, "spec": {"group": "example.com", "version": "v1",
        "groupPriorityMinimum": 100, "versionPriority": 10, "service": {"name": "s", "namespace": "n"}}});
    let created = world.create(&services, service.clone()).await.unwrap();
    assert_eq!((&created["spec"]["service"]["port"], &created["status"]), (&json!(443), &json!({})));
    refuse(
        &world,
        &services,
        &service,
        json!({"metadata": {"name": "x"}, "spec": {"service": null, "versionPriority": 0}}),
        "[metadata.name: Invalid value: \"x\": must be `spec.version+\".\"+spec.group`: \"v1.example.com\", \
         spec.versionPriority: Invalid value: 0: must be positive and less than 1000]",
    )
    .await;
    let claims = Resource::new("resource.k8s.io", "v1", "resourceclaims", "ResourceClaim", true);
    let claim = json!({"metadata": {"name": "c"}, "spec": {"devices": {
        "requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu"}}],
        "constraints": [{"requests": ["gpu"], "matchAttribute": "example.com/numa"}]}}});
    let created = world.create(&claims, claim.clone()).await.unwrap();
    let exactly = &created["spec"]["devices"]["requests"][0]["exactly"];
    assert_contains(exactly, &json!({"allocationMode": "ExactCount", "count": 1}), "");
    let error =
        world.merge(&claims, "c", "", json!({"spec": {"devices": {"requests": []}}})).await.unwrap_err();
    assert!(error.ends_with("field is immutable"), "{error}");
    refuse(
        &world,
        &claims,
        &claim,
        json!({"spec": {"devices": {"requests": [{"name": "a"}], "constraints": [{"requests": ["b"], "matchAttribute": "x"}]}}}),
        "[spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is required, \
         spec.devices.constraints[0].requests[0]: Invalid value: \"b\": must be the name of a request in the claim or \
         the name of a request and a subrequest separated by '/', spec.devices.constraints[0].matchAttribute: \
         Invalid value: \"x\": must include a domain]",
    )
    .await;
    let slices = cluster("resource.k8s.io", "resourceslices", "ResourceSlice");
    let slice = json!({"metadata": {"name": "s"}, "spec": {"driver": "d.example.com", "nodeName": "n",
        "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}, "devices": [{"name": "a"}]}});
    world.create(&slices, slice.clone()).await.unwrap();
    let error = world.merge(&slices, "s", "", json!({"spec": {"nodeName": "m"}})).await.unwrap_err();
    assert!(error.ends_with("spec.nodeName: Invalid value: \"m\": field is immutable"), "{error}");
    refuse(
        &world,
        &slices,
        &slice,
        json!({"metadata": {"name": "t"}, "spec": {"nodeName": null, "devices": [{"name": "a", "attributes": {"x": {}}}]}}),
        "[spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is \
         required, spec.devices[0].attributes[x]: Required value: exactly one value must be specified]",
    )
    .await;
}
