//! Gives every namespace its `default` ServiceAccount, that of pods that name none.

use std::time::Duration;

use api::resource::{NAMESPACES, SERVICE_ACCOUNTS};
use api::{Key, Object};
use serde_json::json;

use crate::framework::{Action, Controller, Create, Target, Watch};

/// The name of the ServiceAccount.
const DEFAULT: &str = "default";

/// The controller's row.
pub const CONTROLLER: Controller = Controller {
    name: "serviceaccount-controller",
    watches: &[
        Watch::Of(NAMESPACES, |_, change, add| add(Target::of(&NAMESPACES, change.object()))),
        Watch::Of(SERVICE_ACCOUNTS, |_, change, add| {
            if change.new.is_none() && change.object().name() == DEFAULT {
                add(Target::new(&NAMESPACES, Key::cluster(change.object().namespace())));
            }
        }),
    ],
    reads: &[],
    decide: |view, target| {
        let namespace = view.cache.get(&NAMESPACES, &target.key);
        let account = view.cache.get(&SERVICE_ACCOUNTS, &Key::new(&*target.key.name, DEFAULT));
        Ok(reconcile(namespace.as_ref(), account.as_ref()))
    },
    workers: 8,
    pace: Duration::ZERO,
};

/// Decides whether a namespace is to get its ServiceAccount.
pub fn reconcile(namespace: Option<&Object>, account: Option<&Object>) -> Vec<Action> {
    let Some(namespace) = namespace.filter(|namespace| !namespace.is_terminating()) else {
        return vec![];
    };
    if account.is_some() {
        return vec![];
    }
    vec![Action::Create(Create::one(
        &SERVICE_ACCOUNTS,
        namespace.name(),
        json!({
            "apiVersion": SERVICE_ACCOUNTS.api_version(),
            "kind": SERVICE_ACCOUNTS.kind,
            "metadata": {"name": DEFAULT, "namespace": namespace.name()},
        }),
    ))]
}
