//! The words of cells, and the columns and lines of the kinds that have little to say.
#![allow(clippy::unwrap_used)]

use api::Object;
use serde_json::json;

use super::*;
use crate::builtin::BUILTINS;

#[test]
fn spans_are_as_kubectl_writes_them() {
    let rows = [
        (-5, "<invalid>"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (600, "10m"),
        (10_799, "179m"),
        (10_800, "3h"),
        (11_000, "3h3m"),
        (28_800, "8h"),
        (172_800, "2d"),
        (180_000, "2d2h"),
        (691_200, "8d"),
        (63_072_000, "2y"),
        (63_158_400, "2y1d"),
        (252_288_000, "8y"),
    ];
    for (seconds, text) in rows {
        assert_eq!(span(seconds), text, "{seconds}");
    }
}

#[test]
fn only_the_first_few_are_shown() {
    assert_eq!(first_few::<&str>(&[], 3, "<unset>"), "<unset>");
    assert_eq!(first_few(&["a", "b", "c"], 3, "<unset>"), "a,b,c");
    assert_eq!(first_few(&["a", "b", "c", "d", "e"], 3, "<unset>"), "a,b,c + 2 more...");
}

#[test]
fn selectors_are_as_kubectl_takes_them() {
    let row = |json: Value, text: &str| {
        let found: meta::LabelSelector = serde_json::from_value(json).unwrap();
        assert_eq!(selector(Some(&found)), text);
    };
    row(json!({}), "<none>");
    row(json!({"matchLabels": {"app": "web", "a": "b"}}), "a=b,app=web");
    let requirement = json!({"key": "tier", "operator": "In", "values": ["x", "y"]});
    row(json!({"matchExpressions": [requirement]}), "tier in (x,y)");
    let requirement = json!({"key": "tier", "operator": "Unheard"});
    row(json!({"matchExpressions": [requirement]}), "<error>");
}

#[test]
fn columns_are_those_kubectl_users_know() {
    // `*`: only with `-o wide`.
    let known = [
        ("ConfigMap", "Name Data Age"),
        ("Deployment", "Name Ready Up-to-date Available Age Containers* Images* Selector*"),
        ("EndpointSlice", "Name AddressType Ports Endpoints Age"),
        ("Endpoints", "Name Endpoints Age"),
        ("Event", "Last Seen, Type Reason Object Subobject* Source* Message First Seen*, Count* Name*"),
        ("Job", "Name Status Completions Duration Age Containers* Images* Selector*"),
        ("Lease", "Name Holder Age"),
        ("APIService", "Name Service Available Age"),
        ("CertificateSigningRequest", "Name Age SignerName Requestor RequestedDuration Condition"),
        ("DeviceClass", "Name Age"),
        ("FlowSchema", "Name PriorityLevel MatchingPrecedence DistinguisherMethod Age MissingPL"),
        ("MutatingAdmissionPolicy", "Name Mutations ParamKind Age"),
        ("MutatingAdmissionPolicyBinding", "Name PolicyName ParamRef Age"),
        ("MutatingWebhookConfiguration", "Name Webhooks Age"),
        (
            "PriorityLevelConfiguration",
            "Name Type NominalConcurrencyShares Queues HandSize QueueLengthLimit Age",
        ),
        ("ResourceClaim", "Name State Age"),
        ("ResourceClaimTemplate", "Name Age"),
        ("ResourceSlice", "Name Node Driver Pool Age"),
        ("ValidatingAdmissionPolicy", "Name Validations ParamKind Age"),
        ("ValidatingAdmissionPolicyBinding", "Name PolicyName ParamRef Age"),
        ("ValidatingWebhookConfiguration", "Name Webhooks Age"),
        (
            "CSIDriver",
            "Name AttachRequired PodInfoOnMount StorageCapacity TokenRequests RequiresRepublish Modes Age",
        ),
        ("CSINode", "Name Drivers Age"),
        ("CustomResourceDefinition", "Name Created At"),
        ("CSIStorageCapacity", "Name StorageClassName Capacity"),
        ("Ingress", "Name Class Hosts Address Ports Age"),
        ("IngressClass", "Name Controller Parameters Age"),
        ("IPAddress", "Name ParentRef"),
        ("NetworkPolicy", "Name Pod-Selector Age"),
        ("PriorityClass", "Name Value Global-Default Age PreemptionPolicy"),
        ("Role", "Name Created At"),
        ("ClusterRole", "Name Created At"),
        ("RoleBinding", "Name Role Age Users* Groups* ServiceAccounts*"),
        ("ClusterRoleBinding", "Name Role Age Users* Groups* ServiceAccounts*"),
        ("RuntimeClass", "Name Handler Age"),
        ("ServiceCIDR", "Name CIDRs Age"),
        ("StorageClass", "Name Provisioner ReclaimPolicy VolumeBindingMode AllowVolumeExpansion Age"),
        ("VolumeAttachment", "Name Attacher PV Node Attached Age"),
        ("VolumeAttributesClass", "Name DriverName Age"),
        ("Namespace", "Name Status Age"),
        (
            "Node",
            "Name Status Roles Age Version Internal-IP* External-IP* OS-Image* Kernel-Version* Container-Runtime*",
        ),
        ("Pod", "Name Ready Status Restarts Age IP* Node* Nominated Node*, Readiness Gates*"),
        ("ReplicaSet", "Name Desired Current Ready Age Containers* Images* Selector*"),
        ("Secret", "Name Type Data Age"),
        ("Service", "Name Type Cluster-IP External-IP Port(s) Age Selector*"),
        ("ServiceAccount", "Name Age"),
        ("ReplicationController", "Name Desired Current Ready Age Containers* Images* Selector*"),
        ("PodTemplate", "Name Containers Images Pod Labels,"),
        ("LimitRange", "Name Created At,"),
        ("ResourceQuota", "Name Request Limit Age"),
        (
            "PersistentVolume",
            "Name Capacity Access Modes, Reclaim Policy, Status Claim StorageClass VolumeAttributesClass Reason Age \
             VolumeMode*",
        ),
        (
            "PersistentVolumeClaim",
            "Name Status Volume Capacity Access Modes, StorageClass VolumeAttributesClass Age VolumeMode*",
        ),
        (
            "DaemonSet",
            "Name Desired Current Ready Up-to-date Available Node Selector, Age Containers* Images* Selector*",
        ),
        ("StatefulSet", "Name Ready Age Containers* Images*"),
        ("ControllerRevision", "Name Controller Revision Age"),
        ("CronJob", "Name Schedule Timezone Suspend Active Last Schedule, Age Containers* Images* Selector*"),
        ("HorizontalPodAutoscaler", "Name Reference Targets MinPods MaxPods Replicas Age"),
        ("PodDisruptionBudget", "Name Min Available, Max Unavailable, Allowed Disruptions, Age"),
    ];
    for kind in BUILTINS {
        let name = kind.resource().kind.as_ref();
        let (_, expected) = known.iter().find(|(kind, _)| *kind == name).unwrap_or_else(|| panic!("{name}"));
        let wide = |column: &Column| if column.priority == 0 { "" } else { "*" };
        let heads = kind.columns().iter().map(|column| format!("{}{}", column.name, wide(column)));
        assert_eq!(heads.collect::<Vec<_>>().join(" "), expected.replace(',', ""), "{name}");
        let named: Vec<_> = kind.columns().iter().filter(|column| column.format == "name").collect();
        assert_eq!(named.len(), 1, "{name}");
    }
}

/// The cells of an object, by the way the server takes.
fn line(api_version: &str, kind: &str, mut object: Value) -> String {
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    object["metadata"] = json!({"name": "web", "creationTimestamp": "2026-01-01T00:00:00Z"});
    let object = Object::from_value(object).unwrap();
    let found = BUILTINS.iter().find(|known| known.resource().kind == kind).unwrap();
    let row = found.row(&object, "2026-01-01T00:03:07Z".parse().unwrap()).unwrap();
    assert_eq!(row.len(), found.columns().len());
    let word = |cell: &Value| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
    row.iter().map(word).collect::<Vec<_>>().join("|")
}

#[test]
fn simple_kinds_show_their_counts_and_states() {
    let both = json!({"data": {"a": "1", "b": "2"}, "binaryData": {"c": "AA=="}});
    assert_eq!(line("v1", "ConfigMap", both), "web|3|3m7s");
    assert_eq!(line("v1", "ConfigMap", json!({})), "web|0|3m7s");
    assert_eq!(line("v1", "Namespace", json!({"status": {"phase": "Active"}})), "web|Active|3m7s");
    let lease = json!({"spec": {"holderIdentity": "n1"}});
    assert_eq!(line("coordination.k8s.io/v1", "Lease", lease), "web|n1|3m7s");
    assert_eq!(line("coordination.k8s.io/v1", "Lease", json!({})), "web||3m7s");
}

#[test]
fn slices_show_their_first_ports_and_addresses() {
    let slice = |ports: Value, endpoints: Value| {
        let object = json!({"addressType": "IPv4", "ports": ports, "endpoints": endpoints});
        line("discovery.k8s.io/v1", "EndpointSlice", object)
    };
    assert_eq!(slice(json!([]), json!([])), "web|IPv4|<unset>|<unset>|3m7s");
    let ports = json!([{"port": 80}, {"name": "dns"}, {}]);
    let endpoints = json!([{"addresses": ["10.0.0.1"]}, {"addresses": ["10.0.0.2", "10.0.0.3"]}, {"addresses": ["10.0.0.4"]}]);
    assert_eq!(slice(ports, endpoints), "web|IPv4|80,dns,*|10.0.0.1,10.0.0.2,10.0.0.3 + 1 more...|3m7s");
}

#[test]
fn owners_of_pods_show_how_many_there_are_and_what_runs() {
    let spec = json!({
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y"}]}},
    });
    let status = json!({"replicas": 4, "readyReplicas": 2, "updatedReplicas": 1, "availableReplicas": 0});
    let object = json!({"spec": spec, "status": status});
    assert_eq!(line("apps/v1", "Deployment", object.clone()), "web|2/3|1|0|3m7s|a,b|x:1,y|app=web");
    assert_eq!(line("apps/v1", "ReplicaSet", object), "web|3|4|2|3m7s|a,b|x:1,y|app=web");
    let fresh = json!({"spec": {"replicas": 1, "selector": {}, "template": {}}});
    assert_eq!(line("apps/v1", "Deployment", fresh), "web|0/1|0|0|3m7s|||<none>");
}
