//! Custom kinds in the registry: which are served, and their objects in the version that was asked for.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::backend::{Answer, DeleteOptions, ListOptions, Propagation, Reply, User};
use api::resource::NAMESPACES;
use api::watch::{WatchEvent, WatchStream};
use api::{Key, Object, Status};
use futures::{StreamExt, stream};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::{Place, Registry};
use crate::aggregation::Remotes;
use crate::custom::kind::CustomKind;
use crate::openapi::OpenApi;
use crate::outgoing::Outgoing;
use crate::served::{KindHandle, Served, Version};
use crate::store::{Collection, Draft, Figures};

impl Registry {
    /// From now on these custom kinds are served.
    pub(crate) fn serve_custom(&self, versions: Vec<Version>) {
        let served = Arc::new(Served::with_custom(versions));
        let kinds = served.kinds();
        self.served.store(served);
        self.kinds.send_if_modified(|known| {
            let is_new = *known != kinds;
            *known = kinds;
            is_new
        });
    }

    /// What other servers serve.
    pub fn remotes(&self) -> Arc<Remotes> {
        self.remotes.load_full()
    }

    /// From now on this is what other servers serve; `change` may be asked more than once.
    pub(crate) fn change_remotes(&self, mut change: impl FnMut(&Remotes) -> Remotes) {
        self.remotes.rcu(|remotes| change(remotes));
    }

    /// What the store counts, without the resources that were once served and of which nothing is left.
    pub fn figures(&self) -> Figures {
        let served = self.served();
        let names: BTreeSet<String> =
            served.in_order().map(|version| version.kind().resource().group_resource()).collect();
        let mut figures = self.store.figures();
        figures.objects.retain(|name, count| *count > 0 || names.contains(name));
        figures
    }

    /// The OpenAPI documents of everything that is served.
    pub fn openapi(&self) -> &Arc<OpenApi> {
        &self.openapi
    }

    /// Deletes every object of a custom kind, whether it is served or not.
    pub(crate) async fn delete_all(&self, version: Arc<Version>) -> Result<(), Status> {
        self.delete_within(version, "").await
    }

    /// The same in one namespace; in all if it is empty.
    async fn delete_within(&self, version: Arc<Version>, namespace: &str) -> Result<(), Status> {
        let kind = version.kind_handle();
        let user = User::component("apiserver");
        let place = Place { user, version, kind, key: Key::new(namespace, ""), part: "" };
        let options =
            DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
        self.delete_collection(&place, ListOptions::default(), &options).await.map(drop)
    }

    /// Deletes what is still in a namespace that is to be let go, and refuses to let it go before that is gone.
    ///
    /// The controller of namespaces knows the kinds it was compiled with; all others are seen to here, when it has done its
    /// part. People who let a namespace go themselves know what they do.
    pub(super) async fn empty_namespace(&self, place: &Place) -> Result<(), Status> {
        let is_ours = place.user.name.starts_with("system:peapod:");
        if *place.resource() != NAMESPACES || !is_ours || !self.current(place)?.is_terminating() {
            return Ok(());
        }
        let namespace = &place.key.name;
        let is_left = |version: &Arc<Version>| {
            let (snapshot, _) = self.store.snapshot(&Collection::from(version.kind().resource()));
            snapshot.range(namespace, None).next().is_some()
        };
        let served = self.served();
        let own = served.in_order().filter(|version| version.other().is_none());
        let mut left = Vec::new();
        for version in own.filter(|version| version.resource().namespaced && is_left(version)) {
            self.delete_within(version.clone(), namespace).await?;
            if is_left(version) && !left.contains(&version.resource().group_resource()) {
                left.push(version.resource().group_resource());
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        let words = format!("Some resources are remaining: {}", left.join(", "));
        Err(Status::conflict(place.resource(), namespace, &words))
    }

    /// An object as it is stored, in the version that was asked for.
    pub(super) async fn in_version(&self, place: &Place, object: Object) -> Result<Object, Status> {
        match place.kind.custom() {
            Some(kind) => one(kind, object, self.outgoing()).await,
            None => Ok(object),
        }
    }

    /// A tree in the version that was asked for, as it is to be stored.
    pub(super) async fn to_store(
        &self,
        place: &Place,
        value: &Value,
        metadata: ObjectMeta,
        owners: &str,
    ) -> Result<Draft, Status> {
        if let Some(kind) = place.kind.custom()
            && let Some((converted, metadata)) = kind.take_in(value, self.outgoing()).await?
        {
            return Ok(Draft::owned(&converted, metadata, owners));
        }
        Ok(Draft::owned(value, metadata, owners))
    }

    /// An answer in the version that was asked for.
    pub(super) async fn shown_custom(&self, place: &Place, reply: Reply) -> Result<Reply, Status> {
        let Some(kind) = place.kind.custom() else {
            return Ok(reply);
        };
        let Reply { answer, mut warnings } = reply;
        warnings.extend(kind.warning.clone());
        let outgoing = self.outgoing();
        let is_whole = place.part != "scale";
        let answer = match answer {
            Answer::Object(object) if is_whole => Answer::Object(one(kind, object, outgoing).await?),
            Answer::Deleted(object) if is_whole => Answer::Deleted(one(kind, object, outgoing).await?),
            Answer::List(mut list) => {
                list.items = kind.bring_out(list.items, outgoing).await?;
                Answer::List(list)
            }
            Answer::Watch(events) => Answer::Watch(watch(place.kind.clone(), events, outgoing.cloned())),
            other => other,
        };
        Ok(Reply { answer, warnings })
    }
}

async fn one(kind: &CustomKind, object: Object, outgoing: Option<&Outgoing>) -> Result<Object, Status> {
    let shown = kind.bring_out(vec![object], outgoing).await?;
    shown.into_iter().next().ok_or_else(|| Status::internal("an object was lost while it was converted"))
}

/// The events with their objects in the version that was asked for. Ends when the definition changes: then other rules
/// hold, and who watches begins anew. What happened until then is told before, so that nobody misses how the last objects of a
/// kind went with it.
fn watch(kind: KindHandle, events: WatchStream, outgoing: Option<Outgoing>) -> WatchStream {
    let retired = kind.custom().map(|kind| kind.family.retired.subscribe());
    let ended = async move {
        match retired {
            Some(mut retired) => drop(retired.wait_for(|retired| *retired).await),
            None => std::future::pending().await,
        }
    };
    let shown = events.then(move |event| {
        let (kind, outgoing) = (kind.clone(), outgoing.clone());
        async move {
            let Some(kind) = kind.custom() else {
                return event;
            };
            let outgoing = outgoing.as_ref();
            let shown = match event {
                WatchEvent::Added(object) => one(kind, object, outgoing).await.map(WatchEvent::Added),
                WatchEvent::Modified(object) => one(kind, object, outgoing).await.map(WatchEvent::Modified),
                WatchEvent::Deleted(object) => one(kind, object, outgoing).await.map(WatchEvent::Deleted),
                other => Ok(other),
            };
            shown.unwrap_or_else(WatchEvent::Error)
        }
    });
    let state = (Box::pin(shown), Box::pin(ended));
    Box::pin(stream::unfold(state, |(mut shown, mut ended)| async move {
        tokio::select! {
            biased;
            event = shown.next() => Some((event?, (shown, ended))),
            () = &mut ended => None,
        }
    }))
}
