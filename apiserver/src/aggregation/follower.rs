//! Follows one server of other API groups: whether it is well, and what it serves.

use std::sync::Arc;
use std::time::Duration;

use api::backend::{Backend, Body, Patch, Request, User, Verb, WriteOptions};
use api::resource::{ENDPOINT_SLICES, SERVICES};
use api::{Clock, Key, Revision, Status, event};
use futures::future::select_ok;
use serde_json::{Value, json};
use tracing::{info, warn};

use super::offered::Offered;
use super::readiness::{Objects, Unready};
use super::{Remote, Remotes};
use crate::auth::authority::{FrontProxy, Identity};
use crate::builtin::Builtin;
use crate::condition;
use crate::outgoing::{Outgoing, Trust};
use crate::registry::Registry;
use crate::resources::api_service::ApiServices;
use crate::store::{Collection, StoreKey};
use crate::tree;

/// The condition that says whether a server is well.
pub(super) const AVAILABLE: &str = "Available";

/// So often a server that is well is asked again, as in Kubernetes.
const AGAIN: Duration = Duration::from_secs(30);

/// So soon one that is not is asked the first time again; then twice as long each time, up to the other.
const SOON: Duration = Duration::from_secs(1);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// As whom the server itself asks.
const AS_AGGREGATOR: &[(&str, &str)] =
    &[("x-remote-user", "system:kube-aggregator"), ("x-remote-group", "system:masters")];

/// So many are asked before nobody behind the service is taken to be well, as in Kubernetes.
const ATTEMPTS: usize = 5;

/// What a server must have, and what it is shown.
pub(super) fn trust(spec: &Value, identity: Option<&Identity>) -> Result<Trust, String> {
    let trust = match spec["insecureSkipTLSVerify"] == true {
        true => Trust::anything(),
        false => Trust::of_bundle(tree::text(spec, "caBundle"))?,
    };
    Ok(showing(trust, identity))
}

fn showing(trust: Trust, identity: Option<&Identity>) -> Trust {
    match identity {
        Some(Identity { certificate_pem, key_pem }) => trust.showing(certificate_pem, key_pem),
        None => trust,
    }
}

/// What came of a look at a server.
enum Found {
    /// It cannot be asked.
    Unready(Unready),
    /// It does not answer, or not well.
    Failed(String),
    /// It serves this.
    Well(Offered),
}

/// Follows one server.
pub(super) struct Follower {
    pub registry: Arc<Registry>,
    pub clock: Clock,
    pub user: Arc<User>,
    pub front_proxy: Option<Arc<FrontProxy>>,
    /// What the server is shown.
    pub identity: Option<Arc<Identity>>,
    /// The name of the APIService.
    pub name: String,
    /// Its specification; with another one there is another follower.
    pub spec: Value,
    pub remote: Remote,
}

impl Follower {
    /// Follows it for as long as the task lives.
    pub async fn run(mut self) {
        let registry = self.registry.clone();
        let outgoing = registry.way_out().await;
        let mut pause = SOON;
        loop {
            let seen = registry.store().revision();
            let objects = Objects::of(&self.remote.target, registry.store());
            self.renew_trust();
            let found = match objects.check(&self.remote.target) {
                Ok(()) => self.ask(outgoing).await,
                Err(unready) => Found::Unready(unready),
            };
            let (rest, next_pause) = match &found {
                Found::Failed(_) => (pause, (pause * 2).min(AGAIN)),
                // What is missing shows in the objects when it comes.
                Found::Well(_) | Found::Unready(_) => (AGAIN, SOON),
            };
            pause = next_pause;
            self.publish(&found);
            if let Err(error) = self.tell(&found).await {
                warn!(api_service = self.name, %error, "condition not written");
            }
            tokio::select! {
                biased;
                () = self.changed(seen, objects.revisions()) => {}
                () = self.clock.sleep(rest) => {}
            }
        }
    }

    /// Shows a new certificate when the old one is about to end.
    fn renew_trust(&mut self) {
        let identity = self.front_proxy.as_ref().map(|proxy| proxy.identity());
        let is_same = match (&identity, &self.identity) {
            (Some(new), Some(old)) => Arc::ptr_eq(new, old),
            (new, old) => new.is_none() && old.is_none(),
        };
        if !is_same {
            self.remote.trust = Arc::new(trust(&self.spec, identity.as_deref()));
            self.identity = identity;
        }
    }

    async fn ask(&self, outgoing: &Outgoing) -> Found {
        let heard = match &*self.remote.trust {
            Ok(trust) => self.hear(outgoing, trust).await,
            Err(words) => Err(words.clone()),
        };
        let words = match heard {
            Ok(offered) => return Found::Well(offered),
            Err(words) => words,
        };
        // That it is there is found out without looking at its certificate: a wrong bundle shows to those who use it.
        let anybody = showing(Trust::anything(), self.identity.as_deref());
        let attempts = (0..ATTEMPTS).map(|_| Box::pin(self.attempt(outgoing, &anybody)));
        match select_ok(attempts).await {
            Ok(_) => {
                info!(api_service = self.name, error = words, "what the server serves is not known");
                Found::Well(Offered { is_stale: true, ..Offered::clone(&self.remote.offered) })
            }
            Err(words) => Found::Failed(words),
        }
    }

    /// Hears what the server serves.
    async fn hear(&self, outgoing: &Outgoing, trust: &Trust) -> Result<Offered, String> {
        let Remote { group, version, .. } = &self.remote;
        let list = self.get(outgoing, trust, &self.remote.path()).await?;
        let mut offered = Offered::read(&list, group, version)?;
        let index = self.get(outgoing, trust, "/openapi/v3").await.unwrap_or_default();
        offered.openapi = Offered::openapi_of(&index, group, version);
        Ok(offered)
    }

    async fn get(&self, outgoing: &Outgoing, trust: &Trust, path: &str) -> Result<Value, String> {
        let reply = outgoing.get(&self.remote.target, trust, path, AS_AGGREGATOR, PATIENCE).await?;
        serde_json::from_slice(&reply.good()?).map_err(|error| error.to_string())
    }

    async fn attempt(&self, outgoing: &Outgoing, trust: &Trust) -> Result<(), String> {
        let (target, path) = (&self.remote.target, self.remote.path());
        let url = format!("https://{}{path}", target.place(self.registry.store())?.shown);
        let failed = |words: String| format!("failing or missing response from {url}: {words}");
        let reply = outgoing.get(target, trust, &path, AS_AGGREGATOR, PATIENCE).await.map_err(|words| {
            let is_late = words.ends_with("context deadline exceeded");
            failed(if is_late { words + " (Client.Timeout exceeded while awaiting headers)" } else { words })
        })?;
        match reply.code.is_success() {
            true => Ok(()),
            false => Err(failed(format!("bad status from {url}: {}", reply.code.as_u16()))),
        }
    }

    /// Shows clients what the server serves.
    fn publish(&mut self, found: &Found) {
        let offered = match found {
            Found::Well(offered) => offered.clone(),
            _ => Offered { is_stale: true, ..Offered::clone(&self.remote.offered) },
        };
        if *self.remote.offered != offered {
            self.remote.offered = Arc::new(offered);
        }
        let Remote { group, version, target, offered, trust, .. } = &self.remote;
        let is_same =
            |known: &Remote| Arc::ptr_eq(&known.offered, offered) && Arc::ptr_eq(&known.trust, trust);
        let shown = self.registry.remotes().get(group, version).cloned();
        // Documents are made anew when something changes.
        if shown.is_none_or(|shown| is_same(&shown)) {
            return;
        }
        self.registry.change_remotes(|remotes| {
            let known = remotes.get(group, version).filter(|known| known.target == *target);
            let known = known.map(|known| Remote::clone(known));
            let next = known.map(|known| Remote { offered: offered.clone(), trust: trust.clone(), ..known });
            next.into_iter().fold(remotes.clone(), Remotes::with)
        });
    }

    /// Says in the status how the server is.
    async fn tell(&self, found: &Found) -> Result<(), Status> {
        let condition = match found {
            Found::Unready(Unready { reason, message }) => ["False", *reason, message.as_str()],
            Found::Failed(words) => ["False", "FailedDiscoveryCheck", words.as_str()],
            Found::Well(_) => ["True", "Passed", "all checks passed"],
        };
        let (resource, key) = (ApiServices::RESOURCE, Key::cluster(self.name.as_str()));
        let place = StoreKey { collection: Collection::from(&resource), key: key.clone() };
        let Some(object) = self.registry.store().get(&place) else {
            return Ok(());
        };
        let known = &object.value()["status"]["conditions"];
        let now = event::seconds(self.clock.now());
        let conditions = condition::set(known, AVAILABLE, condition, &now);
        if conditions == *known || object.value()["spec"] != self.spec {
            return Ok(());
        }
        let [status, reason, message] = condition;
        info!(api_service = self.name, available = status, reason, message, "looked at");
        let patch = Patch::Merge(Body::Value(json!({"status": {"conditions": conditions}})));
        let verb = Verb::Patch(patch, WriteOptions::default());
        let request = Request { user: self.user.clone(), resource, key, subresource: "status", verb };
        self.registry.call(request).await.map(drop)
    }

    /// Comes when one of the objects has changed on which it depends whether the server can be asked.
    async fn changed(&self, mut seen: Revision, revisions: Vec<Revision>) {
        let store = self.registry.store();
        while Objects::of(&self.remote.target, store).revisions() == revisions {
            store.changed([&SERVICES, &ENDPOINT_SLICES].map(Collection::from), seen).await;
            seen = store.revision();
        }
    }
}
