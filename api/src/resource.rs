//! Names one resource of the API: its group, version, plural, kind and scope.

use std::any::TypeId;
use std::borrow::Cow;
use std::fmt;

/// A resource of the Kubernetes API, such as `deployments` of `apps/v1`.
///
/// Built-in resources borrow their names; those of custom resources own them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: Cow<'static, str>,
    /// The version within the group, such as `v1`.
    pub version: Cow<'static, str>,
    /// The name in paths: plural, lower case.
    pub plural: Cow<'static, str>,
    /// The kind of its objects, such as `Deployment`.
    pub kind: Cow<'static, str>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// Declares a resource by names known when compiling.
    pub const fn new(
        group: &'static str,
        version: &'static str,
        plural: &'static str,
        kind: &'static str,
        namespaced: bool,
    ) -> Self {
        Self {
            group: Cow::Borrowed(group),
            version: Cow::Borrowed(version),
            plural: Cow::Borrowed(plural),
            kind: Cow::Borrowed(kind),
            namespaced,
        }
    }

    /// The resource of a typed kind: `Resource::of::<Pod>()`.
    pub fn of<K>() -> Self
    where
        K: k8s_openapi::Resource,
        K::Scope: 'static,
    {
        let namespaced = TypeId::of::<K::Scope>() == TypeId::of::<k8s_openapi::NamespaceResourceScope>();
        Self::new(K::GROUP, K::VERSION, K::URL_PATH_SEGMENT, K::KIND, namespaced)
    }

    /// `v1` or `apps/v1`, as manifests write it.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `pods` or `deployments.apps`, as error messages write it.
    pub fn group_resource(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    /// `Pod` or `Deployment.apps`, as the messages of invalid objects write it.
    pub fn group_kind(&self) -> String {
        qualified(&self.kind, &self.group)
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.group_resource())
    }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// `pods`.
pub const PODS: Resource = Resource::new("", "v1", "pods", "Pod", true);
/// `nodes`.
pub const NODES: Resource = Resource::new("", "v1", "nodes", "Node", false);
/// `namespaces`.
pub const NAMESPACES: Resource = Resource::new("", "v1", "namespaces", "Namespace", false);
/// `configmaps`.
pub const CONFIG_MAPS: Resource = Resource::new("", "v1", "configmaps", "ConfigMap", true);
/// `secrets`.
pub const SECRETS: Resource = Resource::new("", "v1", "secrets", "Secret", true);
/// `serviceaccounts`.
pub const SERVICE_ACCOUNTS: Resource = Resource::new("", "v1", "serviceaccounts", "ServiceAccount", true);
/// `endpoints`.
pub const ENDPOINTS: Resource = Resource::new("", "v1", "endpoints", "Endpoints", true);
/// `services`.
pub const SERVICES: Resource = Resource::new("", "v1", "services", "Service", true);
/// `events` of the core group.
pub const EVENTS: Resource = Resource::new("", "v1", "events", "Event", true);
/// `endpointslices.discovery.k8s.io`.
pub const ENDPOINT_SLICES: Resource =
    Resource::new("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true);
/// `leases.coordination.k8s.io`.
pub const LEASES: Resource = Resource::new("coordination.k8s.io", "v1", "leases", "Lease", true);
/// `replicasets.apps`.
pub const REPLICA_SETS: Resource = Resource::new("apps", "v1", "replicasets", "ReplicaSet", true);
/// `deployments.apps`.
pub const DEPLOYMENTS: Resource = Resource::new("apps", "v1", "deployments", "Deployment", true);
/// `jobs.batch`.
pub const JOBS: Resource = Resource::new("batch", "v1", "jobs", "Job", true);
/// `replicationcontrollers`.
pub const REPLICATION_CONTROLLERS: Resource =
    Resource::new("", "v1", "replicationcontrollers", "ReplicationController", true);
/// `podtemplates`.
pub const POD_TEMPLATES: Resource = Resource::new("", "v1", "podtemplates", "PodTemplate", true);
/// `limitranges`.
pub const LIMIT_RANGES: Resource = Resource::new("", "v1", "limitranges", "LimitRange", true);
/// `resourcequotas`.
pub const RESOURCE_QUOTAS: Resource = Resource::new("", "v1", "resourcequotas", "ResourceQuota", true);
/// `persistentvolumes`.
pub const PERSISTENT_VOLUMES: Resource =
    Resource::new("", "v1", "persistentvolumes", "PersistentVolume", false);
/// `persistentvolumeclaims`.
pub const PERSISTENT_VOLUME_CLAIMS: Resource =
    Resource::new("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true);
/// `storageclasses.storage.k8s.io`.
pub const STORAGE_CLASSES: Resource =
    Resource::new("storage.k8s.io", "v1", "storageclasses", "StorageClass", false);
/// `daemonsets.apps`.
pub const DAEMON_SETS: Resource = Resource::new("apps", "v1", "daemonsets", "DaemonSet", true);
/// `statefulsets.apps`.
pub const STATEFUL_SETS: Resource = Resource::new("apps", "v1", "statefulsets", "StatefulSet", true);
/// `controllerrevisions.apps`.
pub const CONTROLLER_REVISIONS: Resource =
    Resource::new("apps", "v1", "controllerrevisions", "ControllerRevision", true);
/// `cronjobs.batch`.
pub const CRON_JOBS: Resource = Resource::new("batch", "v1", "cronjobs", "CronJob", true);
/// `horizontalpodautoscalers.autoscaling`.
pub const HORIZONTAL_POD_AUTOSCALERS: Resource =
    Resource::new("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true);
/// `poddisruptionbudgets.policy`.
pub const POD_DISRUPTION_BUDGETS: Resource =
    Resource::new("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_agree_with_the_typed_kinds() {
        use k8s_openapi::api::{apps::v1 as apps, core::v1 as core, discovery::v1 as discovery};
        assert_eq!(PODS, Resource::of::<core::Pod>());
        assert_eq!(NODES, Resource::of::<core::Node>());
        assert_eq!(NAMESPACES, Resource::of::<core::Namespace>());
        assert_eq!(DEPLOYMENTS, Resource::of::<apps::Deployment>());
        assert_eq!(ENDPOINT_SLICES, Resource::of::<discovery::EndpointSlice>());
        assert_eq!(DEPLOYMENTS.group_resource(), "deployments.apps");
        assert_eq!(PODS.api_version(), "v1");
    }
}
