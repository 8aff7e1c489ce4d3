//! The least of an API server: it stores, patches, deletes at once what has no finalizer and tells watchers. It checks uids
//! and revisions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use api::backend::{Answer, Backend, Body, ObjectList, Patch, Reply, Request, Verb};
use api::kinds::{Kind, Kinds};
use api::resource::{CONFIG_MAPS, EVENTS, NODES, PERSISTENT_VOLUMES, PODS, SECRETS, SERVICE_ACCOUNTS};
use api::status::Reason;
use api::watch::WatchEvent;
use api::{Key, Object, Resource, Revision, Status};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::{NOW, merge, object};
use crate::CONTROLLERS;
use crate::framework::Watch;

/// Says no to some requests.
type Refuse = Box<dyn Fn(&Request) -> Option<Status> + Send>;

#[derive(Default)]
struct Stored {
    served: Served,
    revision: u64,
    objects: BTreeMap<Resource, BTreeMap<Key, Object>>,
    watchers: Vec<(Resource, mpsc::UnboundedSender<WatchEvent>)>,
    log: Vec<String>,
    refuse: Option<Refuse>,
}

/// The kinds that are served: at first those that controllers know, and some more.
struct Served(watch::Sender<Arc<[Kind]>>);

impl Default for Served {
    fn default() -> Self {
        let of_controllers = CONTROLLERS.iter().flat_map(|controller| {
            let watched = controller.watches.iter().filter_map(|watch| match watch {
                Watch::Of(resource, _) => Some(resource.clone()),
                Watch::Every(_) => None,
            });
            watched.chain(controller.reads.iter().map(|(resource, _)| resource.clone()))
        });
        let more = [CONFIG_MAPS, EVENTS, NODES, PERSISTENT_VOLUMES, PODS, SECRETS, SERVICE_ACCOUNTS];
        let known: BTreeSet<Resource> = of_controllers.chain(more).collect();
        let kinds = known.into_iter().map(|resource| Kind { versions: vec![resource.clone()], resource });
        Self(watch::Sender::new(kinds.collect()))
    }
}

/// A server in memory.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<Mutex<Stored>>);

impl Server {
    /// Refuses some requests from now on.
    pub(crate) fn refuse(&self, refuse: impl Fn(&Request) -> Option<Status> + Send + 'static) {
        self.0.lock().expect("a lock").refuse = Some(Box::new(refuse));
    }

    /// The writes that came so far, such as `create pods`, and forgets them.
    pub(crate) fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("a lock").log)
    }

    /// All objects of a resource.
    pub(crate) fn all(&self, resource: &Resource) -> Vec<Object> {
        let stored = self.0.lock().expect("a lock");
        stored.objects.get(resource).into_iter().flat_map(BTreeMap::values).cloned().collect()
    }

    /// Serves another kind from now on.
    pub(crate) fn serve(&self, resource: &Resource) {
        let kind = Kind { versions: vec![resource.clone()], resource: resource.clone() };
        let stored = self.0.lock().expect("a lock");
        stored.served.0.send_modify(|kinds| *kinds = kinds.iter().cloned().chain([kind]).collect());
    }

    /// Serves a kind no longer; its objects stay.
    pub(crate) fn stop_serving(&self, resource: &Resource) {
        let mut stored = self.0.lock().expect("a lock");
        let others =
            |kinds: &[Kind]| kinds.iter().filter(|kind| kind.resource != *resource).cloned().collect();
        stored.served.0.send_modify(|kinds| *kinds = others(kinds));
        stored.watchers.retain(|(watched, _)| watched != resource);
    }

    /// Removes an object, as somebody else might.
    pub(crate) fn remove(&self, resource: &Resource, object: &Object) {
        self.0.lock().expect("a lock").remove(resource, object);
    }

    /// Stores an object, as somebody else might.
    pub(crate) fn put(&self, resource: &Resource, value: Value) {
        self.0.lock().expect("a lock").store(resource, value);
    }

    /// Changes an object, as somebody else might.
    pub(crate) fn change(&self, resource: &Resource, object: &Object, more: Value) {
        let mut value = object.value().clone();
        merge(&mut value, more);
        self.put(resource, value);
    }
}

impl Backend for Server {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Reply, Status>> {
        async move {
            // As a server would, lets others work meanwhile.
            tokio::task::yield_now().await;
            self.0.lock().expect("a lock").answer(request).map(Reply::from)
        }
        .boxed()
    }

    fn kinds(&self) -> Kinds {
        self.0.lock().expect("a lock").served.0.subscribe()
    }
}

fn is_held(object: &Object) -> bool {
    object.metadata().finalizers.as_ref().is_some_and(|finalizers| !finalizers.is_empty())
}

impl Stored {
    fn answer(&mut self, request: Request) -> Result<Answer, Status> {
        let Request { resource, key, subresource, .. } = &request;
        let reads = matches!(request.verb, Verb::Get | Verb::List(_) | Verb::Watch(_));
        if !reads {
            let slash = if subresource.is_empty() { "" } else { "/" };
            let verb = request.verb.name();
            self.log.push(format!("{verb} {}{slash}{subresource}", resource.plural));
        }
        if let Some(status) = self.refuse.as_ref().and_then(|refuse| refuse(&request)) {
            return Err(status);
        }
        if !self.served.0.borrow().iter().any(|kind| kind.resource == *resource) {
            let words = "the server could not find the requested resource";
            return Err(Status::new(Reason::NotFound, words));
        }
        match &request.verb {
            Verb::Get => self.get(resource, key).map(Answer::Object),
            Verb::List(_) => Ok(Answer::List(ObjectList {
                revision: Revision(self.revision),
                items: self.objects.get(resource).into_iter().flat_map(BTreeMap::values).cloned().collect(),
                ..ObjectList::default()
            })),
            Verb::Watch(options) => Ok(Answer::Watch(self.watch(resource, options.revision))),
            Verb::Create(Body::Value(body), _) if *subresource == "binding" => {
                let mut value = self.get(resource, key)?.value().clone();
                merge(&mut value, json!({"spec": {"nodeName": body["target"]["name"]}}));
                Ok(Answer::Object(self.store(&PODS, value)))
            }
            Verb::Create(Body::Value(body), _) => {
                self.create(resource, key, body.clone()).map(Answer::Object)
            }
            Verb::Update(Body::Value(body), _) => Ok(Answer::Object(self.store(resource, body.clone()))),
            Verb::Patch(Patch::Merge(Body::Value(patch)), _) => {
                let old = self.get(resource, key)?;
                let metadata = &patch["metadata"];
                let other = |field: &str, is: &str| metadata[field].as_str().is_some_and(|text| text != is);
                if other("uid", old.uid()) || other("resourceVersion", &old.revision().to_string()) {
                    return Err(Status::modified(resource, &key.name));
                }
                let mut value = old.value().clone();
                merge(&mut value, patch.clone());
                let object = self.store(resource, value);
                if object.is_terminating() && !is_held(&object) {
                    return Ok(Answer::Deleted(self.remove(resource, &object)));
                }
                Ok(Answer::Object(object))
            }
            Verb::Delete(options) => {
                let old = self.get(resource, key)?;
                if options.uid.as_deref().is_some_and(|uid| uid != old.uid()) {
                    return Err(Status::modified(resource, &key.name));
                }
                if options.revision.is_some_and(|revision| revision != old.revision()) {
                    return Err(Status::modified(resource, &key.name));
                }
                if is_held(&old) {
                    let mut value = old.value().clone();
                    merge(&mut value, json!({"metadata": {"deletionTimestamp": NOW}}));
                    return Ok(Answer::Object(self.store(resource, value)));
                }
                Ok(Answer::Deleted(self.remove(resource, &old)))
            }
            Verb::DeleteCollection(..) => Ok(Answer::List(ObjectList::default())),
            other => panic!("{other:?}"),
        }
    }

    fn get(&self, resource: &Resource, key: &Key) -> Result<Object, Status> {
        let found = self.objects.get(resource).and_then(|objects| objects.get(key));
        found.cloned().ok_or_else(|| Status::not_found(resource, &key.name))
    }

    fn create(&mut self, resource: &Resource, key: &Key, mut value: Value) -> Result<Object, Status> {
        let number = self.revision + 1;
        let metadata = &mut value["metadata"];
        if metadata["name"].is_null() {
            let prefix = metadata["generateName"].as_str().unwrap_or_default();
            metadata["name"] = format!("{prefix}{number}").into();
        }
        metadata["namespace"] = (*key.namespace).into();
        metadata["uid"] = format!("uid-{number}").into();
        metadata["creationTimestamp"] = NOW.into();
        metadata["generation"] = 1.into();
        let name = metadata["name"].as_str().unwrap_or_default();
        let key = Key::new(&*key.namespace, name);
        if self.get(resource, &key).is_ok() {
            return Err(Status::already_exists(resource, &key.name));
        }
        Ok(self.store(resource, value))
    }

    fn store(&mut self, resource: &Resource, mut value: Value) -> Object {
        self.revision += 1;
        value["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let object = object(value);
        let objects = self.objects.entry(resource.clone()).or_default();
        let event = match objects.insert(object.key(), object.clone()) {
            Some(_) => WatchEvent::Modified(object.clone()),
            None => WatchEvent::Added(object.clone()),
        };
        self.tell(resource, &event);
        object
    }

    fn remove(&mut self, resource: &Resource, old: &Object) -> Object {
        self.revision += 1;
        let mut value = old.value().clone();
        value["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let object = object(value);
        self.objects.entry(resource.clone()).or_default().remove(&object.key());
        self.tell(resource, &WatchEvent::Deleted(object.clone()));
        object
    }

    fn watch(&mut self, resource: &Resource, after: Option<Revision>) -> api::watch::WatchStream {
        let (sender, receiver) = mpsc::unbounded_channel();
        let objects = self.objects.get(resource).into_iter().flat_map(BTreeMap::values);
        for object in objects.filter(|object| Some(object.revision()) > after) {
            let _ = sender.send(WatchEvent::Added(object.clone()));
        }
        self.watchers.push((resource.clone(), sender));
        let next = |mut receiver: mpsc::UnboundedReceiver<WatchEvent>| async move {
            receiver.recv().await.map(|event| (event, receiver))
        };
        futures::stream::unfold(receiver, next).boxed()
    }

    fn tell(&mut self, resource: &Resource, event: &WatchEvent) {
        let concerned = self.watchers.iter().filter(|(watched, _)| watched == resource);
        for (_, watcher) in concerned {
            // One that left need not know.
            let _ = watcher.send(event.clone());
        }
    }
}
