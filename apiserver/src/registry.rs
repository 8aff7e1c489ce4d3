//! The registry: carries out every request to the API.
//!
//! The life of a write:
//! 1. authorize: may this user do this?                             `auth`
//! 2. decode against the schema; unknown fields warn or refuse      `decode`
//! 3. project: a subresource changes its part only                  `update`, `subresources`
//! 4. preconditions: uid and resourceVersion, if the caller said    `update`, `delete`
//! 5. defaults: what the user left out                              `Builtin::set_defaults`
//! 6. admission: what the cluster adds or forbids                   `admission`, `admit`
//! 7. prepare: what only the server may set                         `Builtin::prepare_*`, `metadata`
//! 8. validate: every mistake at once, with its field               `Builtin::check*`, `metadata`
//! 9. admission again: those who only agree or refuse               `admission`, `admit`
//! 10. commit, expecting the revision the change was decided on     `store`
//!
//! Between reading the current state and the commit there is no lock. If another write came first, the steps from 3 on
//! are repeated on the new state, a bounded number of times; a caller who named a revision gets a conflict in step 4.

mod admit;
mod apply;
mod change;
pub(crate) mod continuation;
mod create;
mod custom;
pub(crate) mod decode;
mod delete;
mod identity;
mod list;
pub mod metadata;
mod owners;
mod patch;
mod selection;
pub(crate) mod update;
mod watch;

use std::any::Any;
use std::sync::Arc;

use api::backend::{Answer, Backend, Reply, Request, User, Verb};
use api::kinds::{Kind, Kinds};
use api::resource::SERVICES;
use api::status::Reason;
use api::{Clock, Object, Resource, Status};
use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::SetOnce;
use tokio::sync::watch::Sender;

pub(crate) use identity::Identity;

use crate::admission::Configured;
use crate::admission::Ledger;
use crate::aggregation::Remotes;
use crate::auth::Authorizer;
use crate::auth::tokens::Tokens;
use crate::openapi::OpenApi;
use crate::outgoing::Outgoing;
use crate::resources::service::allocate::Allocator;
use crate::resources::service::ranges::Ranges;
use crate::served::{KindHandle, Served, Version};
use crate::store::{BEGINNING, Collection, Outcome, Refused, Store, StoreKey, Write};
use crate::subresources;

/// So often a change is tried on the newest state before it is a conflict after all. Of those that meet in one group
/// one wins, so this many can meet and all come through.
pub(crate) const ATTEMPTS: usize = 64;

/// Carries out requests on a store.
pub struct Registry {
    store: Store,
    pub(crate) clock: Clock,
    pub(crate) identity: Identity,
    authorizer: Arc<dyn Authorizer>,
    served: ArcSwap<Served>,
    /// The same as those see it who follow every kind.
    kinds: Sender<Arc<[Kind]>>,
    openapi: Arc<OpenApi>,
    allocator: Allocator,
    quotas: Ledger,
    configured: Configured,
    outgoing: SetOnce<Outgoing>,
    remotes: ArcSwap<Remotes>,
    /// None if the server has no keys to sign tokens with.
    pub(crate) tokens: Option<Arc<Tokens>>,
}

impl Registry {
    /// A registry of the built-in kinds. Names and uids follow from `seed`.
    pub fn new(
        store: Store,
        clock: Clock,
        seed: u64,
        ranges: Ranges,
        authorizer: Arc<dyn Authorizer>,
        tokens: Option<Arc<Tokens>>,
    ) -> Self {
        // The revisions of a store go on where those of an earlier process end, and so do its uids.
        let used = store.revision().0 - BEGINNING.0;
        let served = Served::builtin();
        Self {
            store,
            clock,
            identity: Identity::new(seed.wrapping_add(used)),
            authorizer,
            kinds: Sender::new(served.kinds()),
            served: ArcSwap::from_pointee(served),
            openapi: Arc::new(OpenApi::new()),
            allocator: Allocator::new(ranges),
            quotas: Ledger::default(),
            configured: Configured::default(),
            outgoing: SetOnce::new(),
            remotes: ArcSwap::default(),
            tokens,
        }
    }

    /// What is served now.
    pub fn served(&self) -> Arc<Served> {
        self.served.load_full()
    }

    /// The store below.
    pub fn store(&self) -> &Store {
        &self.store
    }

    async fn answer(&self, request: Request) -> Result<Reply, Status> {
        self.authorizer.authorize(&request)?;
        let version = self.version(&request.resource)?;
        let part = request.subresource;
        if !part.is_empty() && !version.kind().definition().has(part) {
            return Err(not_served());
        }
        let other = version.other();
        let place = Place::new(version, &request)?;
        if place.kind.custom().is_some_and(|kind| kind.is_terminating)
            && matches!(request.verb, Verb::Create(..))
        {
            let words = "create not allowed while custom resource definition is terminating";
            return Err(Status::new(Reason::MethodNotAllowed, words));
        }
        let reply = self.carry_out(&place, request.verb).await?;
        let reply = self.shown_custom(&place, reply).await?;
        match other {
            Some(other) => other.show(reply),
            None => Ok(reply),
        }
    }

    async fn carry_out(&self, place: &Place, verb: Verb) -> Result<Reply, Status> {
        match (verb, place.part) {
            (Verb::Create(body, options), "token") => self.request_token(place, body, &options).await,
            (_, "token") => Err(not_allowed()),
            (Verb::Get, _) => self.get(place).await.map(Reply::from),
            (Verb::List(options), "") => {
                self.list(place, options).await.map(|list| Answer::List(list).into())
            }
            (Verb::Watch(options), "") => self.watch(place, options).await.map(Reply::from),
            (Verb::Create(body, options), "") => self.create(place, body, &options).await,
            (Verb::Create(body, options), "eviction") => self.evict(place, body, &options).await,
            (Verb::Create(body, options), "binding") => self.bind(place, body, &options).await,
            (Verb::Update(body, options), part) => {
                if part == "finalize" {
                    self.empty_namespace(place).await?;
                }
                self.replace(place, body, &options).await
            }
            (Verb::Patch(patch, options), part) if part != "finalize" => {
                self.patch(place, patch, &options).await
            }
            (Verb::Delete(options), "") => self.delete(place, &options).await,
            (Verb::DeleteCollection(list, options), "") => {
                self.delete_collection(place, list, &options).await
            }
            _ => Err(not_allowed()),
        }
    }

    fn version(&self, resource: &Resource) -> Result<Arc<Version>, Status> {
        let served = self.served.load();
        let version = served.version(&resource.group, &resource.plural, &resource.version);
        version.filter(|version| version.resource() == resource).cloned().ok_or_else(not_served)
    }

    async fn get(&self, place: &Place) -> Result<Answer, Status> {
        let object = self.current(place)?;
        match place.part {
            "scale" => {
                let object = self.in_version(place, object).await?;
                Ok(Answer::Object(subresources::scale::of(&place.kind, &object)?))
            }
            _ => Ok(Answer::Object(object)),
        }
    }

    pub(crate) fn current(&self, place: &Place) -> Result<Object, Status> {
        self.store.get(&place.store_key()).ok_or_else(|| place.not_found())
    }

    /// Gives a service what it lacks; the result is held until the service is stored.
    pub(crate) fn allocate(
        &self,
        place: &Place,
        new: &mut Value,
        old: Option<&Value>,
    ) -> Result<Option<Box<dyn Any + Send>>, Status> {
        if *place.resource() != SERVICES {
            return Ok(None);
        }
        // Before its own port or address is found to be taken.
        if old.is_none() && self.store.get(&place.store_key()).is_some() {
            return Err(Status::already_exists(place.resource(), &place.key.name));
        }
        let services = || {
            let (snapshot, _) = self.store.snapshot(&Collection::from(&SERVICES));
            snapshot.iter().cloned().collect::<Vec<_>>()
        };
        let reservation = self.allocator.reserve(new, old, self.identity.number(), services);
        match reservation {
            Ok(reservation) => Ok(Some(Box::new(reservation))),
            Err(error) => Err(Status::invalid(place.resource(), &place.key.name, &[error])),
        }
    }

    pub(crate) async fn commit(&self, write: Write) -> Outcome {
        self.store.commit_one(write).await
    }
}

impl Backend for Registry {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Reply, Status>> {
        Box::pin(self.answer(request))
    }

    fn kinds(&self) -> Kinds {
        self.kinds.subscribe()
    }
}

/// What a request is about.
#[derive(Clone)]
pub(crate) struct Place {
    /// Who asks.
    pub(crate) user: Arc<User>,
    /// The version that was asked for.
    pub(crate) version: Arc<Version>,
    /// What does the work, in its own version.
    pub(crate) kind: KindHandle,
    pub(crate) key: api::Key,
    part: &'static str,
}

impl Place {
    fn new(version: Arc<Version>, request: &Request) -> Result<Self, Status> {
        let kind = version.kind_handle();
        let namespaced = kind.resource().namespaced;
        let mut key = request.key.clone();
        if !namespaced {
            key = api::Key::cluster(key.name);
        } else if key.namespace.is_empty()
            && !key.name.is_empty()
            && !matches!(request.verb, Verb::Create(..))
        {
            return Err(Status::bad_request(
                "an empty namespace may not be set when a resource name is provided",
            ));
        }
        Ok(Self { user: Arc::clone(&request.user), version, kind, key, part: request.subresource })
    }

    /// The same for another object.
    pub(crate) fn with_key(&self, key: api::Key) -> Self {
        Self { key, ..self.clone() }
    }

    /// The object whose subresource this is.
    pub(crate) fn of_object(&self) -> Self {
        Self { part: "", ..self.clone() }
    }

    /// The names of the kind in its own version, in which its objects are stored and checked.
    pub(crate) fn resource(&self) -> &Resource {
        self.kind.resource()
    }

    fn collection(&self) -> Collection {
        Collection::from(self.resource())
    }

    pub(crate) fn store_key(&self) -> StoreKey {
        StoreKey { collection: self.collection(), key: self.key.clone() }
    }

    pub(crate) fn not_found(&self) -> Status {
        Status::not_found(self.version.resource(), &self.key.name)
    }

    /// The JSON does not fit the type of the kind, in a way the schema does not see.
    pub(crate) fn unfit(&self, error: &serde_json::Error) -> Status {
        let Resource { version, kind, .. } = self.resource();
        Status::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {error}"))
    }

    /// Why a write was refused, for the caller.
    pub(crate) fn refused(&self, refused: &Refused) -> Status {
        match refused {
            Refused::Conflict(Some(_)) => Status::modified(self.resource(), &self.key.name),
            Refused::Conflict(None) => self.not_found(),
            Refused::Failed(error) => Status::internal(error),
            Refused::Closing => Status::new(Reason::ServiceUnavailable, "the server is shutting down"),
        }
    }
}

fn not_allowed() -> Status {
    let words = "the server does not allow this method on the requested resource";
    Status::new(Reason::MethodNotAllowed, words)
}

fn not_served() -> Status {
    Status::new(Reason::NotFound, "the server could not find the requested resource")
}

#[cfg(test)]
mod tests;
