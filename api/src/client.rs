//! The client every component uses: typed calls over a [`Backend`], on behalf of one user.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::backend::{
    Answer, Backend, Body, DeleteOptions, ListOptions, ObjectList, Patch, Reply, Request, User, Verb,
    WatchOptions, WriteOptions,
};
use crate::kinds::Kinds;
use crate::object::{Key, Object};
use crate::resource::Resource;
use crate::status::Status;
use crate::watch::WatchStream;

/// Asks a backend in the name of one user. A clone is cheap and asks the same.
#[derive(Clone)]
pub struct Client {
    backend: Arc<dyn Backend>,
    user: Arc<User>,
}

impl Client {
    /// A client for `user`.
    pub fn new(backend: Arc<dyn Backend>, user: Arc<User>) -> Self {
        Self { backend, user }
    }

    /// The same backend in the name of another user.
    pub fn with_user(&self, user: Arc<User>) -> Self {
        Self { backend: Arc::clone(&self.backend), user }
    }

    /// Reads one object.
    pub async fn get(&self, resource: &Resource, key: &Key) -> Result<Object, Status> {
        object(self.call(resource, key.clone(), "", Verb::Get).await?)
    }

    /// Reads a collection: of one namespace, or of all if `namespace` is empty.
    pub async fn list(
        &self,
        resource: &Resource,
        namespace: &str,
        options: ListOptions,
    ) -> Result<ObjectList, Status> {
        let reply = self.call(resource, Key::new(namespace, ""), "", Verb::List(options)).await?;
        match reply.answer {
            Answer::List(list) => Ok(list),
            other => Err(unexpected(&other)),
        }
    }

    /// Follows a collection.
    pub async fn watch(
        &self,
        resource: &Resource,
        namespace: &str,
        options: WatchOptions,
    ) -> Result<WatchStream, Status> {
        let reply = self.call(resource, Key::new(namespace, ""), "", Verb::Watch(options)).await?;
        match reply.answer {
            Answer::Watch(stream) => Ok(stream),
            other => Err(unexpected(&other)),
        }
    }

    /// Adds an object; its name, or `generateName`, stands in its metadata.
    pub async fn create<T: Serialize>(
        &self,
        resource: &Resource,
        namespace: &str,
        new: &T,
    ) -> Result<Object, Status> {
        let value = to_value(new)?;
        let name = value["metadata"]["name"].as_str().unwrap_or_default();
        let key = Key::new(namespace, name);
        let verb = Verb::Create(Body::Value(value), WriteOptions::default());
        object(self.call(resource, key, "", verb).await?)
    }

    /// Creates a subresource of an object, such as a pod's `binding`.
    pub async fn create_subresource<T: Serialize>(
        &self,
        resource: &Resource,
        key: &Key,
        subresource: &'static str,
        new: &T,
    ) -> Result<Object, Status> {
        let verb = Verb::Create(Body::Value(to_value(new)?), WriteOptions::default());
        object(self.call(resource, key.clone(), subresource, verb).await?)
    }

    /// Replaces an object; refused if it changed since the resourceVersion in `new`.
    pub async fn update<T: Serialize>(
        &self,
        resource: &Resource,
        key: &Key,
        new: &T,
    ) -> Result<Object, Status> {
        let verb = Verb::Update(Body::Value(to_value(new)?), WriteOptions::default());
        object(self.call(resource, key.clone(), "", verb).await?)
    }

    /// Lays a tree over an object; null removes. `subresource` is empty for the object itself.
    pub async fn patch(
        &self,
        resource: &Resource,
        key: &Key,
        subresource: &'static str,
        merge: Value,
    ) -> Result<Object, Status> {
        let verb = Verb::Patch(Patch::Merge(Body::Value(merge)), WriteOptions::default());
        object(self.call(resource, key.clone(), subresource, verb).await?)
    }

    /// Deletes an object; returns its last state, or the state in which it waits for its end.
    pub async fn delete(
        &self,
        resource: &Resource,
        key: &Key,
        options: DeleteOptions,
    ) -> Result<Object, Status> {
        object(self.call(resource, key.clone(), "", Verb::Delete(options)).await?)
    }

    /// The kinds that are served.
    pub fn kinds(&self) -> Kinds {
        self.backend.kinds()
    }

    /// Any request, with the warnings of its reply.
    pub async fn call(
        &self,
        resource: &Resource,
        key: Key,
        subresource: &'static str,
        verb: Verb,
    ) -> Result<Reply, Status> {
        let user = Arc::clone(&self.user);
        let resource = resource.clone();
        self.backend.call(Request { user, resource, key, subresource, verb }).await
    }
}

fn object(reply: Reply) -> Result<Object, Status> {
    match reply.answer {
        Answer::Object(object) | Answer::Created(object) | Answer::Deleted(object) => Ok(object),
        other => Err(unexpected(&other)),
    }
}

fn unexpected(answer: &Answer) -> Status {
    Status::internal(format_args!("the server answered with {answer:?}"))
}

fn to_value<T: Serialize>(new: &T) -> Result<Value, Status> {
    serde_json::to_value(new).map_err(|error| Status::bad_request(error.to_string()))
}
