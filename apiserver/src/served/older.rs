//! The versions in which built-in kinds are served besides their own: those Kubernetes serves too, and those of manifests
//! that are found in books.

mod autoscaling;
mod events;
mod ingress;
mod workloads;

use api::Resource;
use api::resource::{
    CONTROLLER_REVISIONS, CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, EVENTS, HORIZONTAL_POD_AUTOSCALERS, LEASES,
    POD_DISRUPTION_BUDGETS, REPLICA_SETS, STATEFUL_SETS,
};

use super::OtherVersion;
use crate::builtin::Builtin;
use crate::resources::ingress::Ingresses;
use crate::resources::ingress_class::IngressClasses;
use crate::resources::network_policy::NetworkPolicies;
use crate::resources::priority_class::PriorityClasses;
use crate::resources::role::{ClusterRoles, Roles};
use crate::resources::role_binding::{ClusterRoleBindings, RoleBindings};
use crate::resources::runtime_class::RuntimeClasses;
use crate::resources::storage_class::StorageClasses;

/// A kind in another group or version, without a conversion.
const fn other(
    group: &'static str,
    version: &'static str,
    kind: Resource,
    names: (&'static str, &'static str),
) -> OtherVersion {
    let (plural, name) = names;
    let resource = Resource::new(group, version, plural, name, kind.namespaced);
    OtherVersion::new(resource, kind)
}

const DEPLOYMENT: (&str, &str) = ("deployments", "Deployment");
const DAEMON_SET: (&str, &str) = ("daemonsets", "DaemonSet");
const REPLICA_SET: (&str, &str) = ("replicasets", "ReplicaSet");
const STATEFUL_SET: (&str, &str) = ("statefulsets", "StatefulSet");
const REVISION: (&str, &str) = ("controllerrevisions", "ControllerRevision");
const INGRESS: (&str, &str) = ("ingresses", "Ingress");
const AUTOSCALER: (&str, &str) = ("horizontalpodautoscalers", "HorizontalPodAutoscaler");
const RBAC: &str = "rbac.authorization.k8s.io";

/// Every version in which a built-in kind is served besides its own.
pub static OTHER_VERSIONS: [OtherVersion; 29] = [
    other("events.k8s.io", "v1", EVENTS, ("events", "Event"))
        .converted(events::take_in, events::bring_out)
        .with_fields(events::FIELDS)
        .with_names(),
    other("autoscaling", "v1", HORIZONTAL_POD_AUTOSCALERS, AUTOSCALER)
        .converted(autoscaling::from_v1, autoscaling::to_v1)
        .with_names(),
    other("autoscaling", "v2beta1", HORIZONTAL_POD_AUTOSCALERS, AUTOSCALER)
        .converted(autoscaling::from_v2beta1, autoscaling::to_v2beta1)
        .with_warning(
            "autoscaling/v2beta1 HorizontalPodAutoscaler is deprecated in v1.22+, unavailable in v1.25+; use \
             autoscaling/v2 HorizontalPodAutoscaler",
        ),
    other("autoscaling", "v2beta2", HORIZONTAL_POD_AUTOSCALERS, AUTOSCALER).with_warning(
        "autoscaling/v2beta2 HorizontalPodAutoscaler is deprecated in v1.23+, unavailable in v1.26+; use \
         autoscaling/v2 HorizontalPodAutoscaler",
    ),
    other("extensions", "v1beta1", DEPLOYMENTS, DEPLOYMENT)
        .converted(workloads::take_in, workloads::bring_out)
        .with_warning(
            "extensions/v1beta1 Deployment is deprecated in v1.9+, unavailable in v1.16+; use apps/v1 Deployment",
        ),
    other("extensions", "v1beta1", DAEMON_SETS, DAEMON_SET)
        .converted(workloads::take_in, workloads::bring_out)
        .with_warning(
            "extensions/v1beta1 DaemonSet is deprecated in v1.9+, unavailable in v1.16+; use apps/v1 DaemonSet",
        ),
    other("extensions", "v1beta1", REPLICA_SETS, REPLICA_SET)
        .converted(workloads::take_in, workloads::bring_out)
        .with_warning(
            "extensions/v1beta1 ReplicaSet is deprecated in v1.9+, unavailable in v1.16+; use apps/v1 ReplicaSet",
        ),
    other("extensions", "v1beta1", Ingresses::RESOURCE, INGRESS)
        .converted(ingress::take_in, ingress::bring_out)
        .with_warning(
            "extensions/v1beta1 Ingress is deprecated in v1.14+, unavailable in v1.22+; use networking.k8s.io/v1 \
             Ingress",
        ),
    other("extensions", "v1beta1", NetworkPolicies::RESOURCE, ("networkpolicies", "NetworkPolicy")).with_warning(
        "extensions/v1beta1 NetworkPolicy is deprecated in v1.9+, unavailable in v1.16+; use networking.k8s.io/v1 \
         NetworkPolicy",
    ),
    other("apps", "v1beta1", DEPLOYMENTS, DEPLOYMENT)
        .converted(workloads::take_in, workloads::bring_out)
        .with_warning(
            "apps/v1beta1 Deployment is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 Deployment",
        ),
    other("apps", "v1beta1", STATEFUL_SETS, STATEFUL_SET)
        .converted(workloads::take_in, workloads::bring_out)
        .with_warning(
            "apps/v1beta1 StatefulSet is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 StatefulSet",
        ),
    other("apps", "v1beta1", CONTROLLER_REVISIONS, REVISION).with_warning(
        "apps/v1beta1 ControllerRevision is deprecated in v1.8+, unavailable in v1.16+; use apps/v1 \
         ControllerRevision",
    ),
    other("apps", "v1beta2", DEPLOYMENTS, DEPLOYMENT).with_warning(
        "apps/v1beta2 Deployment is deprecated in v1.9+, unavailable in v1.16+; use apps/v1 Deployment",
    ),
    other("apps", "v1beta2", DAEMON_SETS, DAEMON_SET).with_warning(
        "apps/v1beta2 DaemonSet is deprecated in v1.9+, unavailable in v1.16+; use apps/v1 DaemonSet",
    ),
    other("apps", "v1beta2", REPLICA_SETS, REPLICA_SET).with_warning(
        "apps/v1beta2 ReplicaSet is deprecated in v1.9+, unavailable in v1.16+; use apps/v1 ReplicaSet",
    ),
    other("apps", "v1beta2", STATEFUL_SETS, STATEFUL_SET).with_warning(
        "apps/v1beta2 StatefulSet is deprecated in v1.9+, unavailable in v1.16+; use apps/v1 StatefulSet",
    ),
    other("apps", "v1beta2", CONTROLLER_REVISIONS, REVISION).with_warning(
        "apps/v1beta2 ControllerRevision is deprecated in v1.9+, unavailable in v1.16+; use apps/v1 \
         ControllerRevision",
    ),
    other("batch", "v1beta1", CRON_JOBS, ("cronjobs", "CronJob")).with_warning(
        "batch/v1beta1 CronJob is deprecated in v1.21+, unavailable in v1.25+; use batch/v1 CronJob",
    ),
    other("networking.k8s.io", "v1beta1", Ingresses::RESOURCE, INGRESS)
        .converted(ingress::take_in, ingress::bring_out)
        .with_warning(
            "networking.k8s.io/v1beta1 Ingress is deprecated in v1.19+, unavailable in v1.22+; use \
             networking.k8s.io/v1 Ingress",
        ),
    other("networking.k8s.io", "v1beta1", IngressClasses::RESOURCE, ("ingressclasses", "IngressClass"))
        .with_warning(
            "networking.k8s.io/v1beta1 IngressClass is deprecated in v1.19+, unavailable in v1.22+; use \
             networking.k8s.io/v1 IngressClass",
        ),
    other("policy", "v1beta1", POD_DISRUPTION_BUDGETS, ("poddisruptionbudgets", "PodDisruptionBudget"))
        .converted(workloads::take_in_budget, workloads::bring_out_budget)
        .with_warning(
            "policy/v1beta1 PodDisruptionBudget is deprecated in v1.21+, unavailable in v1.25+; use policy/v1 \
             PodDisruptionBudget",
        ),
    other(RBAC, "v1beta1", Roles::RESOURCE, ("roles", "Role")).with_warning(
        "rbac.authorization.k8s.io/v1beta1 Role is deprecated in v1.17+, unavailable in v1.22+; use \
         rbac.authorization.k8s.io/v1 Role",
    ),
    other(RBAC, "v1beta1", RoleBindings::RESOURCE, ("rolebindings", "RoleBinding")).with_warning(
        "rbac.authorization.k8s.io/v1beta1 RoleBinding is deprecated in v1.17+, unavailable in v1.22+; use \
         rbac.authorization.k8s.io/v1 RoleBinding",
    ),
    other(RBAC, "v1beta1", ClusterRoles::RESOURCE, ("clusterroles", "ClusterRole")).with_warning(
        "rbac.authorization.k8s.io/v1beta1 ClusterRole is deprecated in v1.17+, unavailable in v1.22+; use \
         rbac.authorization.k8s.io/v1 ClusterRole",
    ),
    other(RBAC, "v1beta1", ClusterRoleBindings::RESOURCE, ("clusterrolebindings", "ClusterRoleBinding"))
        .with_warning(
            "rbac.authorization.k8s.io/v1beta1 ClusterRoleBinding is deprecated in v1.17+, unavailable in v1.22+; \
             use rbac.authorization.k8s.io/v1 ClusterRoleBinding",
        ),
    other("storage.k8s.io", "v1beta1", StorageClasses::RESOURCE, ("storageclasses", "StorageClass")).with_warning(
        "storage.k8s.io/v1beta1 StorageClass is deprecated in v1.19+, unavailable in v1.22+; use \
         storage.k8s.io/v1 StorageClass",
    ),
    other("scheduling.k8s.io", "v1beta1", PriorityClasses::RESOURCE, ("priorityclasses", "PriorityClass"))
        .with_warning(
            "scheduling.k8s.io/v1beta1 PriorityClass is deprecated in v1.14+, unavailable in v1.22+; use \
             scheduling.k8s.io/v1 PriorityClass",
        ),
    other("coordination.k8s.io", "v1beta1", LEASES, ("leases", "Lease")).with_warning(
        "coordination.k8s.io/v1beta1 Lease is deprecated in v1.19+, unavailable in v1.22+; use \
         coordination.k8s.io/v1 Lease",
    ),
    other("node.k8s.io", "v1beta1", RuntimeClasses::RESOURCE, ("runtimeclasses", "RuntimeClass")).with_warning(
        "node.k8s.io/v1beta1 RuntimeClass is deprecated in v1.22+, unavailable in v1.25+; use node.k8s.io/v1 \
         RuntimeClass",
    ),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::{Value, json};

    use super::*;

    fn version(group: &str, version: &str, kind: &str) -> &'static OtherVersion {
        let is_it = |other: &&OtherVersion| {
            let resource = &other.resource;
            resource.group == group && resource.version == version && resource.kind == kind
        };
        OTHER_VERSIONS.iter().find(is_it).unwrap()
    }

    #[test]
    fn every_version_is_of_a_kind_and_the_outdated_ones_say_which_to_use() {
        for other in &OTHER_VERSIONS {
            let (here, there) = (&other.resource, &other.kind);
            assert_eq!((&here.plural, &here.kind), (&there.plural, &there.kind));
            if other.warning.is_empty() {
                continue;
            }
            let words = format!("{} {} is deprecated in v1.", here.api_version(), here.kind);
            assert!(other.warning.starts_with(&words), "{}", other.warning);
            let words = format!("; use {} {}", there.api_version(), there.kind);
            assert!(other.warning.ends_with(&words), "{}", other.warning);
            assert!(!other.has_names, "a short name must not mean several: {here}");
        }
    }

    /// Taken in, an object is this; brought out again, it is what it was.
    fn row(of: (&str, &str, &str), outside: Value, inside: Value) {
        let other = version(of.0, of.1, of.2);
        let typed = |mut value: Value, resource: &Resource| {
            value["apiVersion"] = resource.api_version().into();
            value["kind"] = resource.kind.as_ref().into();
            value
        };
        let mut value = outside.clone();
        other.take_in(&mut value).unwrap();
        assert_eq!(value, typed(inside, &other.kind));
        other.bring_out(&mut value);
        assert_eq!(value, typed(outside, &other.resource));
    }

    #[test]
    fn ingresses_have_other_backends() {
        let old = |port: Value| {
            json!({"spec": {"backend": {"serviceName": "d", "servicePort": port}, "rules": [{"host": "h", "http": {
                "paths": [{"path": "/", "pathType": "Prefix", "backend": {"serviceName": "s", "servicePort": 80}}]}}]}})
        };
        let new = |port: Value| {
            json!({"spec": {"defaultBackend": {"service": {"name": "d", "port": port}}, "rules": [{"host": "h", "http": {
                "paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "s", "port": {"number": 80}}}}]}}]}})
        };
        row(("extensions", "v1beta1", "Ingress"), old(json!("http")), new(json!({"name": "http"})));
        row(("networking.k8s.io", "v1beta1", "Ingress"), old(json!(8080)), new(json!({"number": 8080})));
        let mut untyped = json!({"spec": {"rules": [{"http": {"paths": [{"backend": {}}]}}]}});
        version("extensions", "v1beta1", "Ingress").take_in(&mut untyped).unwrap();
        assert_eq!(untyped["spec"]["rules"][0]["http"]["paths"][0]["pathType"], "ImplementationSpecific");
        // Strangers' data of any shape passes, to be refused with its path afterwards.
        for spec in
            [json!(null), json!(7), json!({"rules": 7, "backend": []}), json!({"rules": [7, {"http": 7}]})]
        {
            let mut odd = json!({"spec": spec});
            version("extensions", "v1beta1", "Ingress").take_in(&mut odd).unwrap();
            version("extensions", "v1beta1", "Ingress").bring_out(&mut odd);
        }
    }

    #[test]
    fn workloads_without_a_selector_select_the_pods_of_their_template() {
        let other = version("extensions", "v1beta1", "Deployment");
        let mut value =
            json!({"spec": {"template": {"metadata": {"labels": {"app": "a"}}}, "rollbackTo": {}}});
        other.take_in(&mut value).unwrap();
        assert_eq!(value["spec"]["selector"], json!({"matchLabels": {"app": "a"}}));
        assert_eq!(value["spec"].get("rollbackTo"), None);
        let mut own = json!({"spec": {"selector": {"matchLabels": {"b": "c"}}, "template": {"metadata": {"labels": {"app": "a"}}}}});
        other.take_in(&mut own).unwrap();
        assert_eq!(own["spec"]["selector"], json!({"matchLabels": {"b": "c"}}));
        let mut status = json!({"status": {}});
        other.take_in(&mut status).unwrap();
        assert_eq!(status.get("spec"), None, "a status is not filled in");
        let none = json!({"spec": {"selector": {"matchExpressions": [
            {"key": "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match", "operator": "Exists"}]}}});
        row(("policy", "v1beta1", "PodDisruptionBudget"), json!({"spec": {"selector": {}}}), none);
    }

    #[test]
    fn events_are_the_same_in_other_words() {
        row(
            ("events.k8s.io", "v1", "Event"),
            json!({"metadata": {"name": "e"}, "note": "n", "regarding": {"kind": "Pod"}, "reportingController": "c",
                "deprecatedCount": 2, "deprecatedSource": {"component": "k"}, "eventTime": null, "reason": "R"}),
            json!({"metadata": {"name": "e"}, "message": "n", "involvedObject": {"kind": "Pod"},
                "reportingComponent": "c", "count": 2, "source": {"component": "k"}, "eventTime": null, "reason": "R"}),
        );
        let events = version("events.k8s.io", "v1", "Event");
        assert_eq!(events.field("regarding.name"), "involvedObject.name");
        assert_eq!(events.field("reason"), "reason");
    }

    #[test]
    fn autoscalers_measure_in_other_words() {
        let cpu = |percent: u8| {
            json!({"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": percent}}})
        };
        row(
            ("autoscaling", "v1", "HorizontalPodAutoscaler"),
            json!({"metadata": {}, "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50},
                "status": {"currentCPUUtilizationPercentage": 40}}),
            json!({"metadata": {}, "spec": {"maxReplicas": 3, "metrics": [cpu(50)]}, "status": {"currentMetrics": [
                {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 40}}}]}}),
        );
        let pods = json!({"type": "Pods", "pods": {"metric": {"name": "hits"},
            "target": {"type": "AverageValue", "averageValue": "10"}}});
        let old_pods = json!({"type": "Pods", "pods": {"metricName": "hits", "targetAverageValue": "10"}});
        let object = json!({"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"},
            "metric": {"name": "hits"}, "target": {"type": "Value", "value": "5"}}});
        let old_object = json!({"type": "Object", "object": {"target": {"kind": "Service", "name": "s"},
            "metricName": "hits", "targetValue": "5"}});
        let external = json!({"type": "External", "external": {"metric": {"name": "q", "selector": {}},
            "target": {"type": "AverageValue", "averageValue": "7"}}});
        let old_external = json!({"type": "External", "external": {"metricName": "q", "metricSelector": {},
            "targetAverageValue": "7"}});
        let old_cpu =
            json!({"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 50}});
        row(
            ("autoscaling", "v2beta1", "HorizontalPodAutoscaler"),
            json!({"spec": {"metrics": [old_cpu, old_pods, old_object, old_external]}}),
            json!({"spec": {"metrics": [cpu(50), pods, object, external]}}),
        );
        // What version 1 has no field for goes into an annotation.
        let mut value =
            json!({"metadata": {}, "spec": {"metrics": [cpu(50), pods], "behavior": {"scaleUp": {}}}});
        let before = value.clone();
        let first = version("autoscaling", "v1", "HorizontalPodAutoscaler");
        first.bring_out(&mut value);
        assert_eq!(value["spec"], json!({"targetCPUUtilizationPercentage": 50}));
        let noted =
            value["metadata"]["annotations"]["autoscaling.alpha.kubernetes.io/metrics"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(noted).unwrap(), json!([old_pods]));
        first.take_in(&mut value).unwrap();
        assert_eq!((&value["spec"], &value["metadata"]), (&before["spec"], &before["metadata"]));
        let mut broken =
            json!({"metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/metrics": "{"}}});
        let error = first.take_in(&mut broken).unwrap_err();
        assert_eq!(error.field, "metadata.annotations[autoscaling.alpha.kubernetes.io/metrics]");
    }
}
