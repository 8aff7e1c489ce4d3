//! The admission chain: what the cluster adds to objects and forbids, beyond what their kinds say of themselves.
//!
//! A change passes the chain twice. First those who may change the object look at it, in the order of [`PLUGINS`]; later,
//! when it was prepared and checked, those who only agree or refuse. Both times built-in plugins are plain functions.

mod authority;
mod conditions;
mod configured;
mod expressions;
mod limit_ranger;
mod namespace_lifecycle;
mod owned;
mod pods;
mod policy;
mod priority;
mod quota;
mod review;
mod rules;
mod runtime_class;
mod service_account;
mod shown;
mod storage_classes;
mod storage_protection;
mod unattended;
mod webhook;

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use api::backend::{DeleteOptions, User, WriteOptions};
use api::resource::PODS;
use api::{Key, Resource, Status};
use futures::FutureExt;
use serde_json::Value;

use crate::auth::Authorizer;
use crate::outgoing::Outgoing;
use crate::registry::Identity;
use crate::served::Served;
use crate::store::Store;
use owned::Whole;
use policy::{Mutation, Policy};
use webhook::Webhook;

pub(crate) use configured::Configured;
pub use namespace_lifecycle::check_namespace;
pub(crate) use quota::Ledger;

/// What is done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// It is added.
    Create,
    /// It, or a subresource of it, is changed.
    Update,
    /// It is to be deleted.
    Delete,
    /// Somebody connects to it.
    Connect,
}

/// How it is done, as the caller said.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Options<'a> {
    /// Added.
    Create(&'a WriteOptions),
    /// Replaced.
    Update(&'a WriteOptions),
    /// Patched.
    Patch(&'a WriteOptions),
    /// Deleted.
    Delete(&'a DeleteOptions),
    /// Connected to; the object with the options, such as PodExecOptions, is the object of the request.
    Connect,
}

/// Makes a changed tree an object of its kind again: fields nobody knows are dropped, defaults are set.
pub(crate) type Complete<'a> = &'a (dyn Fn(Value) -> Result<Value, Status> + Send + Sync);

/// What is to happen.
pub(crate) struct Attributes<'a> {
    /// Who asks.
    pub user: &'a Arc<User>,
    /// The resource in the version in which its objects are stored and shown here.
    pub resource: &'a Resource,
    /// The resource in the version of the request.
    pub requested: &'a Resource,
    /// The part of the object; empty for all of it.
    pub subresource: &'a str,
    /// Where the object is or is to be.
    pub key: &'a Key,
    /// What is done.
    pub operation: Operation,
    /// How.
    pub options: Options<'a>,
    /// The object, or the document that stands for its subresource, in its next state; none if it is deleted.
    pub object: Option<&'a mut Value>,
    /// The text of who owns its fields; none if they have no owners.
    pub owners: Option<&'a mut String>,
    /// The state before, if there was one.
    pub old: Option<&'a Value>,
    /// The text of who owned its fields, where that does not stand in it.
    pub old_owners: &'a str,
    /// Makes the object whole after others changed it.
    pub complete: Complete<'a>,
}

impl Attributes<'_> {
    /// Whether nothing will be stored.
    pub fn is_dry_run(&self) -> bool {
        match self.options {
            Options::Create(options) | Options::Update(options) | Options::Patch(options) => options.dry_run,
            Options::Delete(options) => options.dry_run,
            Options::Connect => false,
        }
    }

    /// Whether this is done to whole objects of this resource, in whatever version.
    pub fn is_of(&self, resource: &Resource) -> bool {
        self.subresource.is_empty()
            && self.resource.plural == resource.plural
            && self.resource.group == resource.group
    }
}

/// What was found on the way.
#[derive(Default)]
pub(crate) struct Findings {
    /// Sentences for the user.
    pub warnings: Vec<String>,
    /// What is noted of the request besides.
    pub annotations: BTreeMap<String, String>,
    /// Held until the change is stored or refused, such as a reservation.
    pub holds: Vec<Box<dyn Any + Send>>,
    /// Whether policies or webhooks changed the object.
    pub changed: bool,
}

/// What plugins look at besides the object.
pub(crate) struct Surroundings<'a> {
    /// What there is.
    pub store: &'a Store,
    /// Names what is added.
    pub identity: &'a Identity,
    /// What was agreed to in spite of quotas, and is not stored yet.
    pub quotas: &'a Ledger,
    /// What is served at this moment.
    pub served: &'a Arc<Served>,
    /// Decides who may do what.
    pub authorizer: &'a Arc<dyn Authorizer>,
    /// What users configured.
    pub configured: &'a Configured,
    /// The server's way to webhooks.
    pub outgoing: Option<&'a Outgoing>,
    /// Whether the server issues tokens, so that pods can be given one.
    pub issues_tokens: bool,
}

type Mutate = fn(&Surroundings<'_>, &mut Attributes<'_>, &mut Findings) -> Result<(), Status>;
type Validate = fn(&Surroundings<'_>, &Attributes<'_>, &mut Findings) -> Result<(), Status>;

/// A station of the chain that is built in.
struct Plugin {
    /// As Kubernetes calls it.
    name: &'static str,
    /// When it is asked.
    operations: &'static [Operation],
    /// Adds to the object, or refuses it.
    mutate: Option<Mutate>,
    /// Agrees, or refuses.
    validate: Option<Validate>,
}

impl Plugin {
    const fn mutating(name: &'static str, operations: &'static [Operation], mutate: Mutate) -> Self {
        Self { name, operations, mutate: Some(mutate), validate: None }
    }
}

/// The built-in stations in Kubernetes' order. Policies and webhooks stand before those of [`LAST`].
const PLUGINS: &[Plugin] = &[
    Plugin::mutating("NamespaceLifecycle", &[Operation::Create], |around, attributes, _| {
        check_namespace(around.store, attributes.resource, attributes.key)
    }),
    Plugin {
        name: "LimitRanger",
        operations: &[Operation::Create, Operation::Update],
        mutate: Some(|around, attributes, _| match attributes.operation {
            Operation::Create => on_pod(attributes, |_, key, pod| {
                limit_ranger::fill_in(around, key, pod);
                Ok(())
            }),
            _ => Ok(()),
        }),
        validate: Some(|around, attributes, _| limit_ranger::check(around, attributes)),
    },
    Plugin::mutating("ServiceAccount", &[Operation::Create], |around, attributes, _| {
        on_pod(attributes, |resource, key, pod| service_account::admit(around, resource, key, pod))
    }),
    Plugin {
        name: "Priority",
        operations: &[Operation::Create, Operation::Update],
        mutate: Some(|around, attributes, _| match attributes.operation {
            Operation::Create => {
                on_pod(attributes, |resource, key, pod| priority::admit(around, resource, key, pod))
            }
            _ => Ok(()),
        }),
        validate: Some(|around, attributes, _| priority::check_default(around, attributes)),
    },
    Plugin::mutating("DefaultTolerationSeconds", &[Operation::Create], |_, attributes, _| {
        on_pod(attributes, |_, _, pod| {
            pods::tolerate_node_failures(pod);
            Ok(())
        })
    }),
    Plugin::mutating("DefaultStorageClass", &[Operation::Create], |around, attributes, _| {
        storage_classes::set_default(around, attributes);
        Ok(())
    }),
    Plugin::mutating("StorageObjectInUseProtection", &[Operation::Create], |_, attributes, _| {
        storage_protection::protect(attributes);
        Ok(())
    }),
    Plugin {
        name: "PersistentVolumeClaimResize",
        operations: &[Operation::Update],
        mutate: None,
        validate: Some(|around, attributes, _| storage_classes::check_growth(around, attributes)),
    },
    Plugin::mutating("RuntimeClass", &[Operation::Create], |around, attributes, _| {
        on_pod(attributes, |resource, key, pod| runtime_class::admit(around, resource, key, pod))
    }),
];

/// The server's own plugin, for what Kubernetes checks where it validates these kinds.
const EXPRESSIONS: Plugin = Plugin {
    name: "AdmissionExpressions",
    operations: &[Operation::Create, Operation::Update],
    mutate: None,
    validate: Some(|_, attributes, _| expressions::check(attributes)),
};

/// The built-in stations after policies and webhooks; the last of them is the server's own.
const LAST: &[Plugin] = &[
    Plugin {
        name: "ResourceQuota",
        operations: &[Operation::Create, Operation::Update],
        mutate: None,
        validate: Some(quota::check),
    },
    Plugin {
        name: "UnattendedKinds",
        operations: &[Operation::Create],
        mutate: None,
        validate: Some(|_, attributes, findings| {
            if attributes.subresource.is_empty() {
                findings.warnings.extend(unattended::warning(attributes.resource));
            }
            Ok(())
        }),
    },
];

fn on_pod(
    attributes: &mut Attributes<'_>,
    admit: impl FnOnce(&Resource, &Key, &mut Value) -> Result<(), Status>,
) -> Result<(), Status> {
    if !attributes.is_of(&PODS) {
        return Ok(());
    }
    match &mut attributes.object {
        Some(pod) => admit(attributes.resource, attributes.key, pod),
        None => Ok(()),
    }
}

/// Asks those who may change the object.
pub(crate) async fn mutate(
    around: &Surroundings<'_>,
    attributes: &mut Attributes<'_>,
    findings: &mut Findings,
) -> Result<(), Status> {
    ask_mutating(PLUGINS, around, attributes, findings)?;
    let configured = around.configured;
    let mutations = configured.mutations(around.store);
    let webhooks = configured.mutating_webhooks(around.store);
    if mutations.is_some() || webhooks.is_some() {
        let asking = Asking {
            mutations: mutations.as_deref().map_or(&[], Vec::as_slice),
            webhooks: webhooks.as_deref().map_or(&[], Vec::as_slice),
        };
        let whole = Whole::show(attributes);
        asking.mutate(around, &mut whole.attributes(attributes), findings).boxed().await?;
        whole.hide(attributes, findings);
    }
    ask_mutating(LAST, around, attributes, findings)
}

/// Asks those who agree to the object as it is to be stored, or refuse it.
pub(crate) async fn validate(
    around: &Surroundings<'_>,
    attributes: &mut Attributes<'_>,
    findings: &mut Findings,
) -> Result<(), Status> {
    ask_validating(&[EXPRESSIONS], around, attributes, findings)?;
    ask_validating(PLUGINS, around, attributes, findings)?;
    let policies = around.configured.policies(around.store);
    let webhooks = around.configured.validating_webhooks(around.store);
    if policies.is_some() || webhooks.is_some() {
        let whole = Whole::show(attributes);
        let agreed = async {
            let attributes = whole.attributes(attributes);
            if let Some(policies) = policies {
                policy::validate(&policies, around, &attributes, findings).await?;
            }
            match webhooks {
                Some(webhooks) => webhook::validate(&webhooks, around, &attributes, findings).await,
                None => Ok(()),
            }
        };
        agreed.boxed().await?;
        whole.hide(attributes, findings);
    }
    ask_validating(LAST, around, attributes, findings)
}

/// Those outside of the server who may change an object.
struct Asking<'a> {
    mutations: &'a [Policy<Mutation>],
    webhooks: &'a [Webhook],
}

impl Asking<'_> {
    /// Asks policies, then webhooks. If they change the object, the built-in plugins see it again, and after them those
    /// that want to.
    async fn mutate(
        &self,
        around: &Surroundings<'_>,
        attributes: &mut Attributes<'_>,
        findings: &mut Findings,
    ) -> Result<(), Status> {
        let mut seen = Vec::new();
        policy::mutate(self.mutations, around, attributes, findings, false).await?;
        webhook::mutate(self.webhooks, around, attributes, findings, &mut seen).await?;
        if !findings.changed {
            return Ok(());
        }
        ask_mutating(PLUGINS, around, attributes, findings)?;
        policy::mutate(self.mutations, around, attributes, findings, true).await?;
        webhook::mutate(self.webhooks, around, attributes, findings, &mut seen).await
    }
}

fn ask_mutating(
    plugins: &[Plugin],
    around: &Surroundings<'_>,
    attributes: &mut Attributes<'_>,
    findings: &mut Findings,
) -> Result<(), Status> {
    for plugin in asked(plugins, attributes.operation) {
        if let Some(mutate) = plugin.mutate {
            mutate(around, attributes, findings).inspect_err(|status| note(plugin, status))?;
        }
    }
    Ok(())
}

fn ask_validating(
    plugins: &[Plugin],
    around: &Surroundings<'_>,
    attributes: &Attributes<'_>,
    findings: &mut Findings,
) -> Result<(), Status> {
    for plugin in asked(plugins, attributes.operation) {
        if let Some(validate) = plugin.validate {
            validate(around, attributes, findings).inspect_err(|status| note(plugin, status))?;
        }
    }
    Ok(())
}

fn asked(plugins: &[Plugin], operation: Operation) -> impl Iterator<Item = &Plugin> {
    plugins.iter().filter(move |plugin| plugin.operations.contains(&operation))
}

fn note(plugin: &Plugin, status: &Status) {
    tracing::debug!(plugin = plugin.name, %status, "refused");
}

#[cfg(test)]
mod tests;
