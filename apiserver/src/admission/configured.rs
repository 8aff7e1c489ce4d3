//! What users configured of the chain: webhooks and policies, read once for each state of their configuration.

use std::sync::{Arc, LazyLock};

use api::{Resource, Revision};
use arc_swap::ArcSwap;

use super::policy::{self, Mutation, Policy, Rules};
use super::webhook::Webhook;
use crate::store::{Collection, Snapshot, Store};

const fn collection(plural: &'static str, kind: &'static str) -> Resource {
    Resource::new("admissionregistration.k8s.io", "v1", plural, kind, false)
}

/// Where one sort of configuration is kept.
static MUTATING: LazyLock<Collection> = LazyLock::new(|| {
    Collection::from(&collection("mutatingwebhookconfigurations", "MutatingWebhookConfiguration"))
});
static VALIDATING: LazyLock<Collection> = LazyLock::new(|| {
    Collection::from(&collection("validatingwebhookconfigurations", "ValidatingWebhookConfiguration"))
});

static POLICIES: LazyLock<Collection> = LazyLock::new(|| {
    Collection::from(&collection("validatingadmissionpolicies", "ValidatingAdmissionPolicy"))
});
static BINDINGS: LazyLock<Collection> = LazyLock::new(|| {
    Collection::from(&collection("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"))
});
static MUTATIONS: LazyLock<Collection> =
    LazyLock::new(|| Collection::from(&collection("mutatingadmissionpolicies", "MutatingAdmissionPolicy")));
static MUTATION_BINDINGS: LazyLock<Collection> = LazyLock::new(|| {
    Collection::from(&collection("mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding"))
});

/// Something made of collections, and the revisions they had.
struct Cached<T, const N: usize> {
    made_of: [Revision; N],
    value: Arc<T>,
}

/// Keeps something made of collections until one of them changes.
struct Cache<T, const N: usize>(ArcSwap<Cached<T, N>>);

impl<T: Default, const N: usize> Default for Cache<T, N> {
    fn default() -> Self {
        Self(ArcSwap::from_pointee(Cached { made_of: [Revision(0); N], value: Arc::default() }))
    }
}

impl<T, const N: usize> Cache<T, N> {
    /// The value for the newest state; nothing if the first collection is empty, so that most requests pay nothing.
    fn get(
        &self,
        store: &Store,
        collections: [&Collection; N],
        make: impl FnOnce([&Snapshot; N]) -> T,
    ) -> Option<Arc<T>> {
        let snapshots = collections.map(|collection| store.snapshot(collection).0);
        if snapshots.first().is_none_or(|first| first.is_empty()) {
            return None;
        }
        let revisions = snapshots.each_ref().map(|snapshot| snapshot.revision());
        let known = self.0.load();
        if known.made_of == revisions {
            return Some(Arc::clone(&known.value));
        }
        let value = Arc::new(make(snapshots.each_ref().map(|snapshot| &**snapshot)));
        self.0.store(Arc::new(Cached { made_of: revisions, value: Arc::clone(&value) }));
        Some(value)
    }
}

/// What users configured.
#[derive(Default)]
pub struct Configured {
    mutating: Cache<Vec<Webhook>, 1>,
    validating: Cache<Vec<Webhook>, 1>,
    policies: Cache<Vec<Policy<Rules>>, 2>,
    mutations: Cache<Vec<Policy<Mutation>>, 2>,
}

impl Configured {
    /// The webhooks that may change objects, in order.
    pub fn mutating_webhooks(&self, store: &Store) -> Option<Arc<Vec<Webhook>>> {
        self.mutating.get(store, [&MUTATING], webhooks)
    }

    /// The policies that may refuse objects, by name.
    pub fn policies(&self, store: &Store) -> Option<Arc<Vec<Policy<Rules>>>> {
        self.policies.get(store, [&POLICIES, &BINDINGS], policy::read_all)
    }

    /// The policies that may change objects, by name.
    pub fn mutations(&self, store: &Store) -> Option<Arc<Vec<Policy<Mutation>>>> {
        self.mutations.get(store, [&MUTATIONS, &MUTATION_BINDINGS], policy::read_all)
    }

    /// The webhooks that may refuse objects.
    pub fn validating_webhooks(&self, store: &Store) -> Option<Arc<Vec<Webhook>>> {
        self.validating.get(store, [&VALIDATING], webhooks)
    }
}

/// All webhooks by the names of their configurations.
fn webhooks([configurations]: [&Snapshot; 1]) -> Vec<Webhook> {
    configurations.iter().flat_map(|configuration| Webhook::read_all(configuration.value())).collect()
}
