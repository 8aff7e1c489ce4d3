//! The door to the cluster: every read and change, from within the process or from afar, is one [`Request`] to one [`Backend`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use crate::kinds::Kinds;
use crate::manifest::SetAgain;
use crate::object::{Key, Object, Revision};
use crate::resource::Resource;
use crate::selector::{FieldSelector, LabelSelector};
use crate::status::Status;
use crate::watch::WatchStream;

/// Answers requests. Implemented by the API server in this process and by the client of a remote one.
pub trait Backend: Send + Sync + 'static {
    /// Authorizes, admits, validates and carries out one request.
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Reply, Status>>;

    /// The kinds it serves. One that cannot tell names none, and never will.
    fn kinds(&self) -> Kinds {
        tokio::sync::watch::channel(Arc::from([])).1
    }
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// The user name, such as `system:kube-scheduler`.
    pub name: String,
    /// The groups the user belongs to, such as `system:masters`.
    pub groups: Vec<String>,
    /// Tells users of one name apart; empty if nothing does.
    pub uid: String,
    /// What else is known of the user, such as the pod whose token was shown.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// A component of Peapod itself, such as `peapod:scheduler`.
    pub fn component(name: &str) -> Arc<Self> {
        Arc::new(Self {
            name: format!("system:peapod:{name}"),
            groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
            ..Self::default()
        })
    }

    /// The user as `UserInfo`, in which reviews and webhooks name users.
    pub fn info(&self) -> Value {
        let mut info = json!({"username": self.name, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = self.uid.as_str().into();
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }
}

/// One request to the API.
#[derive(Clone, Debug)]
pub struct Request {
    /// Who asks.
    pub user: Arc<User>,
    /// What is asked for.
    pub resource: Resource,
    /// The object, or the namespace with an empty name for collections; an empty namespace is the cluster or all namespaces.
    pub key: Key,
    /// A part of the object with a life of its own, such as `status` or `binding`; empty for the object itself.
    pub subresource: &'static str,
    /// What to do.
    pub verb: Verb,
}

/// What to do with the object or the collection.
#[derive(Clone, Debug)]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read a collection.
    List(ListOptions),
    /// Follow the changes of a collection.
    Watch(WatchOptions),
    /// Add an object.
    Create(Body, WriteOptions),
    /// Replace an object.
    Update(Body, WriteOptions),
    /// Change parts of an object.
    Patch(Patch, WriteOptions),
    /// Delete one object.
    Delete(DeleteOptions),
    /// Delete what the list options select.
    DeleteCollection(ListOptions, DeleteOptions),
}

impl Verb {
    /// The verb as authorization rules name it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List(_) => "list",
            Self::Watch(_) => "watch",
            Self::Create(..) => "create",
            Self::Update(..) => "update",
            Self::Patch(..) => "patch",
            Self::Delete(_) => "delete",
            Self::DeleteCollection(..) => "deletecollection",
        }
    }
}

/// An object on its way in.
#[derive(Clone, Debug)]
pub enum Body {
    /// JSON text as a client sent it; duplicate fields can still be seen.
    Json(Bytes),
    /// A tree made within this process.
    Value(Value),
    /// A tree read from YAML, and the keys that were set again there: the last of each counts.
    Yaml(Value, Vec<SetAgain>),
}

/// A change to parts of an object.
#[derive(Clone, Debug)]
pub enum Patch {
    /// A list of operations (RFC 6902).
    Json(Body),
    /// A tree laid over the object, null removes (RFC 7386).
    Merge(Body),
    /// A tree laid over the object, lists merged by their keys, with directives: Kubernetes' strategic merge patch.
    Strategic(Body),
    /// What a manager wants the object to have, and owns from then on: Kubernetes' server-side apply.
    Apply(Body),
}

/// What to list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Only objects with these labels.
    pub labels: LabelSelector,
    /// Only objects with these fields.
    pub fields: FieldSelector,
    /// At most this many objects, with a token to go on.
    pub limit: Option<usize>,
    /// Where an earlier list stopped.
    pub continue_token: Option<String>,
    /// Not older than this revision; waits for it for a while if it lies ahead.
    pub revision: Option<Revision>,
    /// What the revision means; unsaid, a list in pages is exact.
    pub revision_match: Option<RevisionMatch>,
}

/// What the revision of a list means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevisionMatch {
    /// The list shows this moment or a later one.
    NotOlderThan,
    /// The list shows exactly this moment.
    Exact,
}

/// What to watch.
#[derive(Clone, Debug, Default)]
pub struct WatchOptions {
    /// Only objects with these labels.
    pub labels: LabelSelector,
    /// Only objects with these fields.
    pub fields: FieldSelector,
    /// Changes after this revision; without one, what exists comes first as added.
    pub revision: Option<Revision>,
    /// Whether what exists comes first, ended by a marked bookmark if there are bookmarks. Unsaid, it comes first unless
    /// a revision is given, and nothing marks its end.
    pub send_initial_events: Option<bool>,
    /// Marks of progress while nothing happens.
    pub bookmarks: bool,
    /// How long the watch lasts; for as long as the server runs if not given.
    pub timeout: Option<Duration>,
}

/// How strictly unknown and duplicate fields are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// Drop them and say nothing.
    Ignore,
    /// Drop them and warn.
    #[default]
    Warn,
    /// Refuse the request.
    Strict,
}

/// How to write.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Do everything but store the result.
    pub dry_run: bool,
    /// How strictly unknown fields are taken.
    pub field_validation: FieldValidation,
    /// Who manages the fields that are set.
    pub field_manager: String,
    /// Whether what is applied takes fields that others own.
    pub force: bool,
}

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// How long the object may take to end; the kind's default if not given.
    pub grace_seconds: Option<u64>,
    /// What happens to what it owns; the kind's default if not given.
    pub propagation: Option<Propagation>,
    /// Only the object with this uid.
    pub uid: Option<String>,
    /// Only the object in this revision.
    pub revision: Option<Revision>,
    /// Do everything but delete.
    pub dry_run: bool,
}

/// What happens to the objects that a deleted object owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted afterwards.
    Background,
    /// They are deleted first.
    Foreground,
    /// They stay and lose the owner.
    Orphan,
}

/// A successful answer.
#[derive(Debug)]
pub struct Reply {
    /// What was asked for.
    pub answer: Answer,
    /// Sentences for the user, without the header's frame.
    pub warnings: Vec<String>,
}

/// What was asked for.
pub enum Answer {
    /// An object: read, written, or on its way to deletion.
    Object(Object),
    /// An object that applying made, as there was none.
    Created(Object),
    /// The object was deleted for good; its last state with the revision of the deletion.
    Deleted(Object),
    /// A collection.
    List(ObjectList),
    /// The events of a watch.
    Watch(WatchStream),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Object(object) => write!(formatter, "Object({object:?})"),
            Self::Created(object) => write!(formatter, "Created({object:?})"),
            Self::Deleted(object) => write!(formatter, "Deleted({object:?})"),
            Self::List(list) => write!(formatter, "List({} items)", list.items.len()),
            Self::Watch(_) => formatter.write_str("Watch"),
        }
    }
}

impl From<Answer> for Reply {
    fn from(answer: Answer) -> Self {
        Self { answer, warnings: Vec::new() }
    }
}

/// A collection, or a part of it, at one revision.
#[derive(Clone, Debug, Default)]
pub struct ObjectList {
    /// The revision at which all of this is true.
    pub revision: Revision,
    /// The objects, ordered by key.
    pub items: Vec<Object>,
    /// How to ask for the rest, if there is more.
    pub continue_token: Option<String>,
    /// How many more there are, where that is known.
    pub remaining: Option<u64>,
}
