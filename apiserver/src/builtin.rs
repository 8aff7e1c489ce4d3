//! What the server knows of a kind, declared in one place: one file in `resources`, one line in [`BUILTINS`].

mod kind;

use std::borrow::Cow;

use api::Resource;
use api::backend::User;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::Metadata;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use kind::of;
pub use kind::{Checked, Kind, Names};

use crate::cells;
use crate::names::Form;
use crate::resources::api_service::ApiServices;
use crate::resources::certificate_signing_request::CertificateSigningRequests;
use crate::resources::component_status::ComponentStatuses;
use crate::resources::config_map::ConfigMaps;
use crate::resources::controller_revision::ControllerRevisions;
use crate::resources::cron_job::CronJobs;
use crate::resources::csi_driver::CsiDrivers;
use crate::resources::csi_node::CsiNodes;
use crate::resources::csi_storage_capacity::CsiStorageCapacities;
use crate::resources::custom_resource_definition::CustomResourceDefinitions;
use crate::resources::daemon_set::DaemonSets;
use crate::resources::deployment::Deployments;
use crate::resources::device_class::DeviceClasses;
use crate::resources::endpoint_slice::EndpointSlices;
use crate::resources::endpoints::EndpointsKind;
use crate::resources::event::Events;
use crate::resources::flow_schema::FlowSchemas;
use crate::resources::horizontal_pod_autoscaler::HorizontalPodAutoscalers;
use crate::resources::ingress::Ingresses;
use crate::resources::ingress_class::IngressClasses;
use crate::resources::ip_address::IpAddresses;
use crate::resources::job::Jobs;
use crate::resources::lease::Leases;
use crate::resources::limit_range::LimitRanges;
use crate::resources::mutating_admission_policy::{MutatingPolicies, MutatingPolicyBindings};
use crate::resources::namespace::Namespaces;
use crate::resources::network_policy::NetworkPolicies;
use crate::resources::node::Nodes;
use crate::resources::persistent_volume::PersistentVolumes;
use crate::resources::persistent_volume_claim::PersistentVolumeClaims;
use crate::resources::pod::Pods;
use crate::resources::pod_disruption_budget::PodDisruptionBudgets;
use crate::resources::pod_template::PodTemplates;
use crate::resources::priority_class::PriorityClasses;
use crate::resources::priority_level::PriorityLevels;
use crate::resources::replica_set::ReplicaSets;
use crate::resources::replication_controller::ReplicationControllers;
use crate::resources::resource_claim::{ResourceClaimTemplates, ResourceClaims};
use crate::resources::resource_quota::ResourceQuotas;
use crate::resources::resource_slice::ResourceSlices;
use crate::resources::role::{ClusterRoles, Roles};
use crate::resources::role_binding::{ClusterRoleBindings, RoleBindings};
use crate::resources::runtime_class::RuntimeClasses;
use crate::resources::secret::Secrets;
use crate::resources::service::Services;
use crate::resources::service_account::ServiceAccounts;
use crate::resources::service_cidr::ServiceCidrs;
use crate::resources::stateful_set::StatefulSets;
use crate::resources::storage_class::StorageClasses;
use crate::resources::validating_admission_policy::{ValidatingPolicies, ValidatingPolicyBindings};
use crate::resources::volume_attachment::VolumeAttachments;
use crate::resources::volume_attributes_class::VolumeAttributesClasses;
use crate::resources::webhook_configuration::{MutatingWebhooks, ValidatingWebhooks};

/// The facts about a kind that need no code.
#[derive(Debug)]
pub struct Definition {
    /// The name for one, in lower case.
    pub singular: &'static str,
    /// The short names kubectl takes.
    pub short_names: &'static [&'static str],
    /// The groups of kinds it belongs to, such as `all`.
    pub categories: &'static [&'static str],
    /// The parts of its objects with a life of their own.
    pub subresources: &'static [&'static str],
    /// The form of its names.
    pub names: Form,
    /// The top-level fields whose change counts as a new generation; none if the kind does not count.
    pub generation: &'static [&'static str],
    /// Whether objects may be created with a status.
    pub status_at_create: bool,
    /// The fields selectors may ask for besides `metadata.name` and `metadata.namespace`.
    pub fields: &'static [&'static str],
    /// Whether its objects may be lost in a power cut, so that the disk is spared.
    pub volatile: bool,
    /// What becomes of what its objects own if the one who deletes them does not say.
    pub dependents: Dependents,
}

/// What becomes of what a deleted object owns, unless something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dependents {
    /// It is deleted afterwards.
    Deleted,
    /// It stays; older clients rely on it.
    Orphaned,
    /// Objects of this kind own nothing, whatever is said.
    None,
}

impl Definition {
    /// A kind with nothing special about it.
    pub const fn new(singular: &'static str) -> Self {
        Self {
            singular,
            short_names: &[],
            categories: &[],
            subresources: &[],
            names: Form::Subdomain,
            generation: &[],
            status_at_create: false,
            fields: &[],
            volatile: false,
            dependents: Dependents::Deleted,
        }
    }

    /// Whether it has this subresource.
    pub fn has(&self, subresource: &str) -> bool {
        self.subresources.contains(&subresource)
    }
}

/// A column of the table in which kubectl shows objects of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// What stands above it, such as `Ready`.
    pub name: &'static str,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: &'static str,
    /// `name` for the column with the object's name; else empty.
    pub format: &'static str,
    /// What the column shows.
    pub description: &'static str,
    /// 0 for columns that are always shown, 1 for those of `-o wide`.
    pub priority: u8,
}

impl Column {
    /// As clients read it.
    pub fn definition(&self) -> Value {
        let Self { name, kind, format, description, priority } = self;
        json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority})
    }
}

/// The columns of a kind that declares none.
const PLAIN_COLUMNS: &[Column] = &[cells::NAME, cells::AGE];

/// A kind of objects. Everything here is pure: an object in, the object or its mistakes out.
///
/// Defaults and preparations work on the JSON tree, so that nothing this program does not know is lost. Checks work on
/// the typed value, which is kept with the object afterwards.
pub trait Builtin: Send + Sync + 'static {
    /// The typed value.
    type Typed: Clone + Metadata<Ty = ObjectMeta> + DeserializeOwned + JsonSchema + Send + Sync;

    /// Its names and scope.
    const RESOURCE: Resource;

    /// The other facts.
    const DEFINITION: Definition;

    /// Fills in what the user left out.
    fn set_defaults(_object: &mut Value) {}

    /// Sets what only the server may set in a new object.
    fn prepare_create(_object: &mut Value) {}

    /// Notes in a new object who asked for it.
    fn prepare_create_by(_object: &mut Value, _user: &User) {}

    /// Keeps what the user may not change, without a word, and fills in what the server chose before.
    fn prepare_update(_new: &mut Value, _old: &Value) {}

    /// Notes in an object of which only a subresource changed what the server has to say about it.
    fn prepare_part(_part: &str, _new: &mut Value, _old: &Value, _now: Timestamp) {}

    /// What holds between two states of which only a subresource changed.
    fn check_part_update(_part: &str, _new: &Value, _old: &Value, _errors: &mut Vec<FieldError>) {}

    /// Marks an object that begins to terminate.
    fn prepare_delete(_object: &mut Value) {}

    /// Whether something in the object itself keeps it from being removed, besides finalizers and grace.
    fn is_held(_object: &Value) -> bool {
        false
    }

    /// What holds for every state of an object.
    fn check(_object: &Self::Typed, _errors: &mut Vec<FieldError>) {}

    /// What holds for the status alone; the rest was checked when it was written.
    fn check_status(_object: &Self::Typed, _errors: &mut Vec<FieldError>) {}

    /// What holds for a new object only.
    fn check_create(_object: &Self::Typed, _errors: &mut Vec<FieldError>) {}

    /// What holds between two states of an object.
    fn check_update(_new: &Self::Typed, _old: &Self::Typed, _errors: &mut Vec<FieldError>) {}

    /// The value of a field that selectors may ask for.
    fn field<'a>(_object: &'a Self::Typed, _field: &str) -> Option<Cow<'a, str>> {
        None
    }

    /// The columns of its table.
    const COLUMNS: &'static [Column] = PLAIN_COLUMNS;

    /// The cells of an object, one for each column.
    fn row(object: &Self::Typed, now: Timestamp) -> Vec<Value> {
        vec![cells::name(object.metadata()), cells::age(object.metadata(), now)]
    }
}

/// The kind of what is not stored but looked at.
pub(crate) const COMPONENT_STATUSES: &dyn Kind = of::<ComponentStatuses>();

/// Every kind that is built in.
pub static BUILTINS: [&dyn Kind; 58] = [
    of::<Namespaces>(),
    of::<Nodes>(),
    of::<Pods>(),
    of::<ConfigMaps>(),
    of::<Secrets>(),
    of::<ServiceAccounts>(),
    of::<Services>(),
    of::<EndpointsKind>(),
    of::<EndpointSlices>(),
    of::<Events>(),
    of::<Leases>(),
    of::<ReplicaSets>(),
    of::<Deployments>(),
    of::<Jobs>(),
    of::<CsiDrivers>(),
    of::<CsiNodes>(),
    of::<CsiStorageCapacities>(),
    of::<Ingresses>(),
    of::<IngressClasses>(),
    of::<IpAddresses>(),
    of::<NetworkPolicies>(),
    of::<PriorityClasses>(),
    of::<ClusterRoles>(),
    of::<Roles>(),
    of::<ClusterRoleBindings>(),
    of::<RoleBindings>(),
    of::<RuntimeClasses>(),
    of::<ServiceCidrs>(),
    of::<StorageClasses>(),
    of::<VolumeAttachments>(),
    of::<VolumeAttributesClasses>(),
    of::<ReplicationControllers>(),
    of::<PodTemplates>(),
    of::<LimitRanges>(),
    of::<ResourceQuotas>(),
    of::<PersistentVolumes>(),
    of::<PersistentVolumeClaims>(),
    of::<DaemonSets>(),
    of::<StatefulSets>(),
    of::<ControllerRevisions>(),
    of::<CronJobs>(),
    of::<HorizontalPodAutoscalers>(),
    of::<PodDisruptionBudgets>(),
    of::<ApiServices>(),
    of::<CertificateSigningRequests>(),
    of::<DeviceClasses>(),
    of::<FlowSchemas>(),
    of::<MutatingPolicies>(),
    of::<MutatingPolicyBindings>(),
    of::<PriorityLevels>(),
    of::<ResourceClaimTemplates>(),
    of::<ResourceClaims>(),
    of::<ResourceSlices>(),
    of::<ValidatingPolicies>(),
    of::<ValidatingPolicyBindings>(),
    of::<MutatingWebhooks>(),
    of::<ValidatingWebhooks>(),
    of::<CustomResourceDefinitions>(),
];
