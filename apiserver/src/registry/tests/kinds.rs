//! What each kind fills in and refuses, as users see it.

mod access;
mod batch;
mod classes;
mod control;
mod fields;
mod jobs;
mod limits;
mod networking;
mod pods;
mod scaling;
mod steps;
mod storage;
mod versions;
mod workloads;

use super::*;
use api::resource::{ENDPOINT_SLICES, EVENTS, LEASES};
use steps::refuse;

/// Every path in `wanted` has its value in `found`; lists must agree in length.
fn assert_contains(found: &Value, wanted: &Value, path: &str) {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            for (field, wanted) in wanted {
                let found = found.get(field).unwrap_or(&Value::Null);
                assert_contains(found, wanted, &format!("{path}.{field}"));
            }
        }
        (Value::Array(found), Value::Array(wanted)) => {
            assert_eq!(found.len(), wanted.len(), "{path}: {found:?}");
            for (index, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                assert_contains(found, wanted, &format!("{path}[{index}]"));
            }
        }
        _ => assert_eq!(found, wanted, "{path}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_filled_in() {
    let world = start().await;
    let pod = json!({"metadata": {"name": "p"}, "spec": {
        "containers": [{
            "name": "c", "image": "app",
            "ports": [{"containerPort": 80}],
            "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
            "resources": {"limits": {"cpu": "1.5", "memory": "1.5Gi"}, "requests": {"cpu": "100m"}},
            "livenessProbe": {"httpGet": {"port": 80}, "periodSeconds": 5},
            "volumeMounts": [{"name": "v", "mountPath": "/v"}, {"name": "w", "mountPath": "/w"}],
        }],
        "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}],
        "volumes": [{"name": "v"}, {"name": "w", "configMap": {"name": "m"}}],
    }});
    let created = world.create(&PODS, pod).await.unwrap();
    assert_contains(
        &created,
        &json!({
            "metadata": {"generation": 1},
            "spec": {
                "restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30,
                "schedulerName": "default-scheduler", "securityContext": {}, "enableServiceLinks": true,
                "priority": 0, "preemptionPolicy": "PreemptLowerPriority",
                "containers": [{
                    "imagePullPolicy": "Always", "terminationMessagePath": "/dev/termination-log",
                    "terminationMessagePolicy": "File",
                    "ports": [{"containerPort": 80, "protocol": "TCP"}],
                    "env": [{"valueFrom": {"fieldRef": {"apiVersion": "v1"}}}],
                    "resources": {"requests": {"cpu": "100m", "memory": "1536Mi"}, "limits": {"cpu": "1500m"}},
                    "livenessProbe": {"httpGet": {"path": "/", "scheme": "HTTP"}, "periodSeconds": 5,
                        "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3},
                }],
                "tolerations": [
                    {"key": "node.kubernetes.io/not-ready"},
                    {"key": "node.kubernetes.io/unreachable", "operator": "Exists", "effect": "NoExecute",
                        "tolerationSeconds": 300},
                ],
                "volumes": [{"emptyDir": {}}, {"configMap": {"defaultMode": 420}}],
            },
            "status": {"phase": "Pending", "qosClass": "Burstable"},
        }),
        "",
    );
    let again = world.update(&PODS, "p", "", created.clone()).await.unwrap();
    assert_eq!(again, created, "filling in twice changes nothing");
}

#[tokio::test(start_paused = true)]
async fn other_kinds_are_filled_in() {
    let world = start().await;
    let row = async |resource: &Resource, value: Value, wanted: Value| {
        let created = world.create(resource, value).await.unwrap();
        assert_contains(&created, &wanted, "");
        let name = created["metadata"]["name"].as_str().unwrap();
        assert_eq!(world.update(resource, name, "", created.clone()).await.unwrap(), created, "twice");
    };
    row(
        &DEPLOYMENTS,
        deployment("d"),
        json!({"spec": {
            "replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "template": {"spec": {"restartPolicy": "Always", "enableServiceLinks": null,
                "containers": [{"imagePullPolicy": "Always", "resources": {}}]}},
        }}),
    )
    .await;
    let mut recreate = deployment("r");
    recreate["spec"]["strategy"] = json!({"type": "Recreate"});
    row(&DEPLOYMENTS, recreate, json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}}))
        .await;
    row(&REPLICA_SETS, deployment("s"), json!({"spec": {"replicas": 1}, "status": {"replicas": 0}})).await;
    row(
        &SERVICES,
        json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}),
        json!({"spec": {"type": "ClusterIP", "sessionAffinity": "None", "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "externalTrafficPolicy": null,
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]}, "status": {"loadBalancer": {}}}),
    )
    .await;
    row(
        &SERVICES,
        json!({"metadata": {"name": "h"}, "spec": {"clusterIP": "None", "sessionAffinity": "ClientIP"}}),
        json!({"spec": {"clusterIP": "None", "clusterIPs": ["None"],
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}}}),
    )
    .await;
    row(
        &SERVICES,
        json!({"metadata": {"name": "e"}, "spec": {"type": "ExternalName", "externalName": "example.com"}}),
        json!({"spec": {"clusterIP": null, "ipFamilies": null, "internalTrafficPolicy": null}}),
    )
    .await;
    row(
        &ENDPOINT_SLICES,
        json!({"metadata": {"name": "e"}, "addressType": "IPv4", "ports": [{"port": 80}],
            "endpoints": [{"addresses": ["10.0.0.1"]}]}),
        json!({"ports": [{"name": "", "protocol": "TCP"}], "metadata": {"generation": 1}}),
    )
    .await;
    row(&LEASES, json!({"metadata": {"name": "l"}, "spec": {"leaseDurationSeconds": 40}}), json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_pods_are_named() {
    let world = start().await;
    let base = pod("p");
    let row =
        async |patch: Value, words: &str| refuse(&world, &PODS, &base, json!({"spec": patch}), words).await;
    let container = |more: Value| {
        let mut container = json!({"name": "c", "image": "app:1"});
        crate::patch::merge(&mut container, more);
        json!({"containers": [container]})
    };
    row(json!({"containers": null}), "spec.containers: Required value").await;
    row(json!({"containers": [{"name": "c"}]}), "spec.containers[0].image: Required value").await;
    row(
        json!({"containers": [{"image": "a"}, {"name": "c", "image": " a"}]}),
        "[spec.containers[0].name: Required value, spec.containers[1].image: Invalid value: \" a\": must not have \
         leading or trailing whitespace]",
    )
    .await;
    row(
        json!({"containers": [{"name": "c", "image": "a"}, {"name": "c", "image": "a"}]}),
        r#"spec.containers[1].name: Duplicate value: "c""#,
    )
    .await;
    row(
        json!({"restartPolicy": "Sometimes", "dnsPolicy": "x"}),
        "[spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"Never\", \
         \"OnFailure\", spec.dnsPolicy: Unsupported value: \"x\": supported values: \"ClusterFirst\", \
         \"ClusterFirstWithHostNet\", \"Default\", \"None\"]",
    )
    .await;
    row(
        container(json!({"imagePullPolicy": "x"})),
        r#"spec.containers[0].imagePullPolicy: Unsupported value: "x": supported values: "Always", "IfNotPresent", "Never""#,
    )
    .await;
    row(
        container(json!({"ports": [{"containerPort": 70000}, {"name": "http", "containerPort": 1},
            {"name": "http", "containerPort": 2}, {}]})),
        "[spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive, \
         spec.containers[0].ports[2].name: Duplicate value: \"http\", \
         spec.containers[0].ports[3].containerPort: Required value]",
    )
    .await;
    row(
        container(json!({"env": [{"name": "a=b"}, {"name": "A", "value": "1", "valueFrom": {}}]})),
        "[spec.containers[0].env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist only \
         of printable ASCII characters other than '=', spec.containers[0].env[1].valueFrom: Invalid value: \"\": may \
         not be specified when `value` is not empty, spec.containers[0].env[1].valueFrom: Invalid value: \"\": must \
         specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`]",
    )
    .await;
    row(
        container(json!({"volumeMounts": [{"name": "x", "mountPath": "/x"}, {"name": "x"}]})),
        "[spec.containers[0].volumeMounts[0].name: Not found: \"x\", spec.containers[0].volumeMounts[1].name: Not \
         found: \"x\", spec.containers[0].volumeMounts[1].mountPath: Required value]",
    )
    .await;
    row(
        container(json!({"resources": {"requests": {"cpu": "2", "memory": "-1"}, "limits": {"cpu": "1500m", "gpu": "1"}}})),
        "[spec.containers[0].resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource for \
         containers, spec.containers[0].resources.requests[memory]: Invalid value: \"-1\": must be greater than or \
         equal to 0, spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu \
         limit of 1500m]",
    )
    .await;
    row(
        container(json!({"readinessProbe": {}, "livenessProbe": {"tcpSocket": {"port": 0}, "successThreshold": 2}})),
        "[spec.containers[0].livenessProbe.tcpSocket.port: Invalid value: 0: must be between 1 and 65535, inclusive, \
         spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1, \
         spec.containers[0].readinessProbe: Required value: must specify a handler type]",
    )
    .await;
    row(
        json!({"volumes": [{"name": "v", "emptyDir": {}, "configMap": {}}, {"name": "v", "hostPath": {"path": ""}}]}),
        "[spec.volumes[0].emptyDir: Forbidden: may not specify more than 1 volume type, \
         spec.volumes[0].configMap.name: Required value, spec.volumes[1].name: Duplicate value: \"v\", \
         spec.volumes[1].hostPath.path: Required value]",
    )
    .await;
    row(
        json!({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}], "terminationGracePeriodSeconds": -1}),
        "[spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0, \
         spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists']",
    )
    .await;
    row(
        json!({"initContainers": [{"name": "c", "image": "a", "livenessProbe": {"exec": {"command": ["a"]}}}]}),
        "[spec.initContainers[0].name: Duplicate value: \"c\", spec.initContainers[0].livenessProbe: Forbidden: may \
         not be set for init containers without restartPolicy=Always]",
    )
    .await;
    row(
        json!({"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}}),
        "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: \
         must have at least one node selector term",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn little_of_a_pod_can_change() {
    let world = start().await;
    let base = world.create(&PODS, pod("p")).await.unwrap();
    let row = async |patch: Value, words: Option<&str>| {
        let mut new = base.clone();
        new["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        crate::patch::merge(&mut new, json!({"spec": patch}));
        let result = world.update(&PODS, "p", "", new).await;
        match words {
            None => assert!(result.is_ok(), "{patch}: {result:?}"),
            Some(words) => assert!(result.as_ref().unwrap_err().contains(words), "{patch}: {result:?}"),
        }
    };
    let containers = |image: &str, name: &str| {
        let mut containers = base["spec"]["containers"].clone();
        containers[0]["image"] = image.into();
        containers[0]["name"] = name.into();
        json!({"containers": containers})
    };
    row(containers("app:2", "c"), None).await;
    row(
        containers("app:1", "d"),
        Some("spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"),
    )
    .await;
    row(
        json!({"containers": [{"name": "c", "image": "a"}, {"name": "d", "image": "a"}]}),
        Some("spec.containers: Forbidden: pod updates may not add or remove containers"),
    )
    .await;
    row(json!({"activeDeadlineSeconds": 60}), None).await;
    row(
        json!({"activeDeadlineSeconds": 90}),
        Some("spec.activeDeadlineSeconds: Invalid value: 90: must be less than or equal to previous value"),
    )
    .await;
    row(json!({"tolerations": []}), Some("spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds")).await;
    row(json!({"nodeName": "n"}), Some("spec: Forbidden")).await;
}

#[tokio::test(start_paused = true)]
async fn the_gates_a_pod_waits_at_can_only_go() {
    let world = start().await;
    let gates = |names: &[&str]| {
        let gates: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"spec": {"schedulingGates": gates}})
    };
    let mut gated = pod("p");
    crate::patch::merge(&mut gated, gates(&["x/a", "x/b"]));
    world.create(&PODS, gated).await.unwrap();
    let error = world.merge(&PODS, "p", "", gates(&["x/a", "x/c"])).await.unwrap_err();
    assert!(
        error.ends_with(
            "spec.schedulingGates: Forbidden: only deletion is allowed, but found new scheduling gate 'x/c'"
        ),
        "{error}"
    );
    for left in [&["x/b"][..], &[]] {
        world.merge(&PODS, "p", "", gates(left)).await.unwrap();
    }
    assert!(world.merge(&PODS, "p", "", gates(&["x/a"])).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_controllers_are_named() {
    let world = start().await;
    let base = deployment("d");
    let row = async |patch: Value, words: &str| {
        refuse(&world, &DEPLOYMENTS, &base, json!({"spec": patch}), words).await
    };
    row(json!({"replicas": -1}), "spec.replicas: Invalid value: -1: must be greater than or equal to 0")
        .await;
    row(
        json!({"template": {"spec": {"containers": [{"name": "c"}]}}}),
        "spec.template.spec.containers[0].image: Required value",
    )
    .await;
    row(
        json!({"template": {"metadata": {"labels": {"app": "b"}}}}),
        r#"spec.template.metadata.labels: Invalid value: {"app":"b"}: `selector` does not match template `labels`"#,
    )
    .await;
    row(
        json!({"selector": {"matchLabels": null}}),
        "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
    )
    .await;
    row(
        json!({"template": {"spec": {"restartPolicy": "Never"}}}),
        r#"spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always""#,
    )
    .await;
    row(
        json!({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}}),
        r#"spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0"#,
    )
    .await;
    row(
        json!({"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}),
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    )
    .await;
    row(
        json!({"strategy": {"type": "Slow"}}),
        r#"spec.strategy.type: Unsupported value: "Slow": supported values: "Recreate", "RollingUpdate""#,
    )
    .await;
    row(
        json!({"strategy": {"rollingUpdate": {"maxSurge": "x"}}}),
        "spec.strategy.rollingUpdate.maxSurge: Invalid value: \"x\": a valid percent string must be a numeric string \
         followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')",
    )
    .await;
    row(
        json!({"minReadySeconds": 700}),
        "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
    )
    .await;
    for resource in [&DEPLOYMENTS, &REPLICA_SETS] {
        world.create(resource, base.clone()).await.unwrap();
        let other = json!({"spec": {"selector": {"matchLabels": {"app": "b"}},
            "template": {"metadata": {"labels": {"app": "b"}}}}});
        let error = world.merge(resource, "d", "", other).await.unwrap_err();
        assert!(
            error.ends_with(
                r#"spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is immutable"#
            ),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn mistakes_in_other_kinds_are_named() {
    let world = start().await;
    let named = json!({"metadata": {"name": "x"}});
    let row = async |resource: &Resource, patch: Value, words: &str| {
        refuse(&world, resource, &named, patch, words).await
    };
    row(&SERVICES, json!({"spec": {}}), "spec.ports: Required value").await;
    row(
        &SERVICES,
        json!({"spec": {"ports": [{"port": 0}, {"name": "a", "port": 80, "targetPort": 99999}]}}),
        "[spec.ports[0].name: Required value, spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, \
         inclusive, spec.ports[1].targetPort: Invalid value: 99999: must be between 1 and 65535, inclusive]",
    )
    .await;
    row(
        &SERVICES,
        json!({"spec": {"type": "Foo", "ports": [{"port": 1}]}}),
        r#"spec.type: Unsupported value: "Foo": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort""#,
    )
    .await;
    row(
        &SERVICES,
        json!({"spec": {"ports": [{"port": 1, "nodePort": 30000}]}}),
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'",
    )
    .await;
    row(
        &SERVICES,
        json!({"spec": {"type": "NodePort", "clusterIP": "None", "ports": [{"port": 1}]}}),
        r#"spec.clusterIPs[0]: Invalid value: "None": may not be set to 'None' for NodePort services"#,
    )
    .await;
    row(
        &SERVICES,
        json!({"spec": {"ipFamilies": ["IPv6"], "ipFamilyPolicy": "RequireDualStack", "ports": [{"port": 1}]}}),
        "[spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster, spec.ipFamilyPolicy: Invalid \
         value: \"RequireDualStack\": this cluster is not configured for dual-stack services]",
    )
    .await;
    row(&SERVICES, json!({"spec": {"type": "ExternalName"}}), "spec.externalName: Required value").await;
    row(
        &SERVICES,
        json!({"metadata": {"name": "9"}, "spec": {"ports": [{"port": 1}]}}),
        "metadata.name: Invalid value: \"9\": a DNS-1035 label must consist of lower case alphanumeric characters or \
         '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or \
         'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
    )
    .await;
    row(
        &CONFIG_MAPS,
        json!({"data": {"a b": "1"}}),
        "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or \
         '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    )
    .await;
    row(
        &ENDPOINT_SLICES,
        json!({"addressType": "IPv4", "endpoints": [{"addresses": ["::1"]}, {"addresses": []}]}),
        "[endpoints[0].addresses[0]: Invalid value: \"::1\": must be an IPv4 address, endpoints[1].addresses: \
         Required value: must contain at least 1 address]",
    )
    .await;
    row(
        &CONFIG_MAPS,
        json!({"data": {"a": "x".repeat((1 << 20) + 1)}}),
        "data: Too long: may not be more than 1048576 bytes",
    )
    .await;
    let ports = json!([{"name": "80", "port": 80}, {"name": "a-name-of-many-letters", "port": 81}]);
    world.create(&SERVICES, json!({"metadata": {"name": "s"}, "spec": {"ports": ports}})).await.unwrap();
    let slice = json!({"metadata": {"name": "s"}, "addressType": "IPv4", "ports": ports});
    world.create(&ENDPOINT_SLICES, slice).await.unwrap();
    row(
        &EVENTS,
        json!({"involvedObject": {"namespace": "kube-system"}}),
        r#"involvedObject.namespace: Invalid value: "kube-system": does not match event.namespace"#,
    )
    .await;
    row(
        &LEASES,
        json!({"spec": {"leaseDurationSeconds": 0}}),
        "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
    )
    .await;
    row(
        &NODES,
        json!({"spec": {"taints": [{"key": "a", "effect": "Never"}]}}),
        "spec.taints[0].effect: Unsupported value: \"Never\": supported values: \"NoExecute\", \"NoSchedule\", \
         \"PreferNoSchedule\"",
    )
    .await;
    row(
        &CONFIG_MAPS,
        json!({"metadata": {"labels": {"a": "b c"}, "finalizers": ["a b"], "ownerReferences": [
            {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": ""}]}}),
        "[metadata.labels: Invalid value: \"b c\": a valid label must be an empty string or consist of alphanumeric \
         characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or \
         'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?'), \
         metadata.ownerReferences.uid: Invalid value: \"\": must not be empty, metadata.finalizers: Invalid value: \
         \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
         alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
         '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')]",
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_sealed_config_map_stays_as_it_is() {
    let world = start().await;
    let mut sealed = config_map("a", "1");
    sealed["immutable"] = true.into();
    world.create(&CONFIG_MAPS, sealed).await.unwrap();
    let error = world
        .merge(&CONFIG_MAPS, "a", "", json!({"data": {"key": "2"}, "immutable": null}))
        .await
        .unwrap_err();
    assert!(error.ends_with(
        "[immutable: Forbidden: field is immutable when `immutable` is set, data: Forbidden: field is immutable when \
         `immutable` is set]"
    ));
    world.merge(&CONFIG_MAPS, "a", "", json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
}
