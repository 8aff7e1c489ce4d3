//! A node on a small stand-in for the API server, under virtual time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::backend::{Answer, Body, ObjectList, Patch, Reply, Request, User, Verb};
use api::dialer::{Destination, Dialer};
use api::event::Recorder;
use api::resource::{CONFIG_MAPS, PODS, SECRETS};
use api::watch::WatchEvent;
use api::{Backend, Cache, Client, Clock, Key, Object, Revision, Status};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::engine::scripted::ScriptedEngine;
use crate::logs::LogConfig;
use crate::network::{Network, NetworkConfig};
use crate::node::eviction::EvictionConfig;
use crate::node::{Capacity, Node, NodeConfig, NodeDialer};

/// Objects by resource, namespace and name; every change is sent to all watches.
struct Server {
    stored: Mutex<BTreeMap<(String, Key), Value>>,
    revision: Mutex<u64>,
    changes: broadcast::Sender<(String, WatchEvent)>,
    /// All changes so far, for watches that begin in the past.
    history: Mutex<Vec<(u64, String, WatchEvent)>>,
    /// Every status written, by pod.
    written: Mutex<Vec<(String, Value)>>,
    clock: Clock,
    /// What tokens were asked for.
    tokens: Mutex<Vec<Value>>,
    refuses_tokens: AtomicBool,
}

impl Server {
    fn put(&self, plural: &str, mut value: Value) -> Object {
        let mut revision = self.revision.lock().unwrap();
        *revision += 1;
        value["metadata"]["resourceVersion"] = revision.to_string().into();
        let object = Object::from_value(value.clone()).unwrap();
        let old = self.stored.lock().unwrap().insert((plural.to_owned(), object.key()), value);
        let event = if old.is_some() { WatchEvent::Modified } else { WatchEvent::Added };
        self.tell(*revision, plural, event(object.clone()));
        object
    }

    fn tell(&self, revision: u64, plural: &str, event: WatchEvent) {
        self.history.lock().unwrap().push((revision, plural.to_owned(), event.clone()));
        let _ = self.changes.send((plural.to_owned(), event));
    }

    fn remove(&self, plural: &str, key: &Key) -> Option<Object> {
        let mut value = self.stored.lock().unwrap().remove(&(plural.to_owned(), key.clone()))?;
        let mut revision = self.revision.lock().unwrap();
        *revision += 1;
        value["metadata"]["resourceVersion"] = revision.to_string().into();
        let object = Object::from_value(value).unwrap();
        self.tell(*revision, plural, WatchEvent::Deleted(object.clone()));
        Some(object)
    }

    /// Issues tokens called by their numbers.
    fn issue(&self, account: &Key, mut asked: Value) -> Result<Answer, Status> {
        if self.refuses_tokens.load(Ordering::Relaxed) {
            return Err(Status::internal("no key to sign with"));
        }
        let mut tokens = self.tokens.lock().unwrap();
        let life = Duration::from_secs(asked["spec"]["expirationSeconds"].as_u64().unwrap());
        let expires = api::event::seconds(api::clock::add(self.clock.now(), life));
        asked["status"] =
            json!({"token": format!("{}-{}", account.name, tokens.len()), "expirationTimestamp": expires});
        tokens.push(asked.clone());
        Ok(Answer::Object(Object::from_value(asked).unwrap()))
    }

    fn answer(&self, request: Request) -> Result<Answer, Status> {
        let plural = request.resource.plural.to_string();
        let place = (plural.clone(), request.key.clone());
        let stored = self.stored.lock().unwrap().get(&place).cloned();
        match request.verb {
            Verb::Create(Body::Value(asked), _) if request.subresource == "token" => {
                self.issue(&request.key, asked)
            }
            Verb::List(_) => {
                let stored = self.stored.lock().unwrap();
                let items = stored.iter().filter(|((kind, _), _)| *kind == plural);
                Ok(Answer::List(ObjectList {
                    revision: Revision(*self.revision.lock().unwrap()),
                    items: items.map(|(_, value)| Object::from_value(value.clone()).unwrap()).collect(),
                    ..ObjectList::default()
                }))
            }
            Verb::Watch(options) => {
                let from = options.revision.unwrap_or_default();
                let history = self.history.lock().unwrap();
                let missed = history.iter().filter(|(revision, ..)| Revision(*revision) > from);
                let missed: Vec<_> = missed.map(|(_, kind, event)| (kind.clone(), event.clone())).collect();
                let changes = futures::stream::unfold(self.changes.subscribe(), |mut changes| async {
                    Some((changes.recv().await.ok()?, changes))
                });
                let changes = futures::stream::iter(missed)
                    .chain(changes)
                    .filter_map(move |(kind, event)| std::future::ready((kind == plural).then_some(event)));
                Ok(Answer::Watch(changes.boxed()))
            }
            Verb::Create(Body::Value(mut value), _) => {
                if stored.is_some() {
                    return Err(Status::already_exists(&request.resource, &request.key.name));
                }
                if let Some(prefix) = value["metadata"]["generateName"].as_str() {
                    value["metadata"]["name"] = format!("{prefix}{}", self.revision.lock().unwrap()).into();
                }
                Ok(Answer::Object(self.put(&plural, value)))
            }
            Verb::Patch(Patch::Merge(Body::Value(patch)), _) => {
                let mut value =
                    stored.ok_or_else(|| Status::not_found(&request.resource, &request.key.name))?;
                if request.subresource == "status" {
                    let name = request.key.name.to_string();
                    self.written.lock().unwrap().push((name, patch["status"].clone()));
                }
                merge(&mut value, patch);
                Ok(Answer::Object(self.put(&plural, value)))
            }
            Verb::Delete(_) => {
                let object = self.remove(&plural, &request.key);
                let absent = || Status::not_found(&request.resource, &request.key.name);
                object.map(Answer::Deleted).ok_or_else(absent)
            }
            verb => panic!("the node does not {}", verb.name()),
        }
    }
}

fn merge(value: &mut Value, patch: Value) {
    match (value, patch) {
        (Value::Object(fields), Value::Object(patch)) => {
            for (key, patch) in patch {
                merge(fields.entry(key).or_insert(Value::Null), patch);
            }
        }
        (value, patch) => *value = patch,
    }
}

/// The backend of the server, which the orphan rules want as a type of its own.
struct Door(Arc<Server>);

impl Backend for Door {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Reply, Status>> {
        async move {
            // A real server takes turns with others too.
            tokio::task::yield_now().await;
            self.0.answer(request).map(Reply::from)
        }
        .boxed()
    }
}

/// One node, one server, and a folder.
pub(super) struct Trial {
    pub(super) node: Node,
    pub(super) engine: ScriptedEngine,
    server: Arc<Server>,
    clock: Clock,
    folder: tempfile::TempDir,
    tasks: JoinSet<()>,
}

fn start(
    server: &Arc<Server>,
    engine: &ScriptedEngine,
    clock: &Clock,
    folder: &Path,
    eviction: EvictionConfig,
) -> (Node, JoinSet<()>) {
    let client = Client::new(Arc::new(Door(Arc::clone(server))), User::component("node"));
    let mut tasks = JoinSet::new();
    let config = NodeConfig {
        name: "node-1".into(),
        labels: BTreeMap::new(),
        data_dir: folder.into(),
        engine: Arc::new(engine.clone()),
        images: Arc::new(engine.clone()),
        network: Network::new(NetworkConfig::new(clock.clone())),
        pod_cidr: "10.128.0.0/18".into(),
        address: [192, 0, 2, 1].into(),
        capacity: Capacity { cpu_millis: 4000, memory_bytes: 1 << 30, storage_bytes: None, pods: 100 },
        host_paths: vec![],
        logs: LogConfig::default(),
        eviction,
        clock: clock.clone(),
        cache: Node::cached(Cache::builder()).start(&client, clock, &mut tasks),
        recorder: Recorder::start(client.clone(), clock.clone(), "kubelet", &mut tasks),
        client,
    };
    (Node::start(config, &mut tasks), tasks)
}

impl Trial {
    /// A node that knows one image.
    pub(super) async fn new(image: &str, script: &str) -> Self {
        Self::with_eviction(image, script, EvictionConfig::none()).await
    }

    /// The same, with what makes pods go.
    pub(super) async fn with_eviction(image: &str, script: &str, eviction: EvictionConfig) -> Self {
        let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
        let server = Arc::new(Server {
            stored: Mutex::default(),
            revision: Mutex::default(),
            changes: broadcast::channel(1024).0,
            history: Mutex::default(),
            written: Mutex::default(),
            clock: clock.clone(),
            tokens: Mutex::default(),
            refuses_tokens: AtomicBool::new(false),
        });
        let folder = tempfile::tempdir().unwrap();
        let engine = ScriptedEngine::new(clock.clone()).with(image, script);
        let (node, tasks) = start(&server, &engine, &clock, folder.path(), eviction);
        let trial = Self { node, engine, server, clock, folder, tasks };
        trial.settle().await;
        trial
    }

    /// Ends the process of the node and starts another on the same folder.
    pub(super) async fn restart(&mut self) {
        self.tasks.shutdown().await;
        let folder = self.folder.path();
        (self.node, self.tasks) =
            start(&self.server, &self.engine, &self.clock, folder, EvictionConfig::none());
        self.settle().await;
    }

    /// A pod bound to the node, with one container unless `spec` says otherwise.
    pub(super) fn pod(&self, name: &str, spec: Value) -> Value {
        let mut whole =
            json!({"nodeName": "node-1", "containers": [{"name": "main", "image": "localhost/web:v1"}]});
        merge(&mut whole, spec);
        let metadata = json!({"name": name, "namespace": "default", "uid": format!("uid-{name}")});
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole, "status": {"phase": "Pending"}})
    }

    pub(super) async fn create(&self, pod: Value) {
        self.server.put(&PODS.plural, pod);
    }

    pub(super) async fn put_config_map(&self, name: &str, data: Value) {
        let metadata = json!({"name": name, "namespace": "default"});
        let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
        self.server.put(&CONFIG_MAPS.plural, value);
    }

    pub(super) async fn put_secret(&self, name: &str, data: Value) {
        let metadata = json!({"name": name, "namespace": "default"});
        let value = json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data});
        self.server.put(&SECRETS.plural, value);
    }

    /// Changes the pod's object as others would.
    pub(super) fn change(&self, name: &str, patch: Value) {
        let mut pod = self.get(name).unwrap();
        merge(&mut pod, patch);
        self.server.put(&PODS.plural, pod);
    }

    /// What tokens were asked for.
    pub(super) fn tokens(&self) -> Vec<Value> {
        self.server.tokens.lock().unwrap().clone()
    }

    pub(super) fn refuse_tokens(&self, refuses: bool) {
        self.server.refuses_tokens.store(refuses, Ordering::Relaxed);
    }

    /// Asks the node over HTTP, as the API server does: the status code and the text, once it has ended.
    pub(super) async fn ask(&self, path: &str) -> (u16, String) {
        let dialer = NodeDialer::new(self.node.clone());
        let connection = dialer.dial(&Destination::Node("node-1".into())).await.unwrap();
        let (mut sender, driver) =
            hyper::client::conn::http1::handshake(TokioIo::new(connection)).await.unwrap();
        let request =
            http::Request::get(path).header("host", "node").body(Empty::<bytes::Bytes>::new()).unwrap();
        let asked = async {
            let response = sender.send_request(request).await.unwrap();
            let code = response.status().as_u16();
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            (code, String::from_utf8(bytes.to_vec()).unwrap())
        };
        tokio::select! {
            biased;
            answer = asked => answer,
            Err(error) = driver => panic!("{error}"),
        }
    }

    /// Asks for the pod's deletion, with thirty seconds of grace.
    pub(super) async fn delete(&self, name: &str) {
        let mut pod = self.get(name).unwrap();
        pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:01:00Z".into();
        pod["metadata"]["deletionGracePeriodSeconds"] = 30.into();
        self.server.put(&PODS.plural, pod);
    }

    /// Removes the pod's object by force.
    pub(super) fn remove(&self, name: &str) {
        self.server.remove(&PODS.plural, &Key::new("default", name));
    }

    pub(super) fn now(&self) -> String {
        api::event::seconds(self.clock.now())
    }

    /// Removes the pod's object after the process of the node has ended.
    pub(super) async fn remove_quietly(&mut self, name: &str) {
        self.tasks.shutdown().await;
        self.remove(name);
    }

    /// Lets everything happen that takes no time.
    pub(super) async fn settle(&self) {
        self.wait(Duration::from_millis(1)).await;
    }

    pub(super) async fn wait(&self, span: Duration) {
        self.clock.sleep(span).await;
    }

    pub(super) fn stored(&self, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let place = (plural.to_owned(), Key::new(namespace, name));
        self.server.stored.lock().unwrap().get(&place).cloned()
    }

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        self.stored("pods", "default", name)
    }

    pub(super) fn status(&self, name: &str) -> Value {
        self.get(name).unwrap()["status"].clone()
    }

    pub(super) fn writes(&self, name: &str) -> usize {
        let written = self.server.written.lock().unwrap();
        written.iter().filter(|(pod, _)| pod == name).count()
    }

    pub(super) fn last_written(&self, name: &str) -> Value {
        let written = self.server.written.lock().unwrap();
        written.iter().rfind(|(pod, _)| pod == name).unwrap().1.clone()
    }

    /// The events about a pod, in order.
    pub(super) fn stored_events(&self, name: &str) -> Vec<Value> {
        let stored = self.server.stored.lock().unwrap();
        let events = stored
            .iter()
            .filter(|((kind, _), event)| kind == "events" && event["involvedObject"]["name"] == name);
        let mut events: Vec<Value> = events.map(|(_, event)| event.clone()).collect();
        events.sort_by_key(|event| {
            event["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap()
        });
        events
    }

    /// The reasons of the events about a pod, in order.
    pub(super) fn events(&self, name: &str) -> Vec<String> {
        let reason = |event: &Value| event["reason"].as_str().unwrap().to_owned();
        self.stored_events(name).iter().map(reason).collect()
    }

    /// Puts a file where an earlier process would have.
    pub(super) fn leave(&self, path: &str) {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "left").unwrap();
    }

    /// Puts a link where a guest could.
    pub(super) fn link(&self, path: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.folder.path().join(path)).unwrap();
    }

    /// The last lines of the pod's container.
    pub(super) fn tail(&self, name: &str) -> Vec<String> {
        let lines = self.node.output().tail(&Key::new("default", name), "main", 10);
        lines.into_iter().map(|line| line.text).collect()
    }

    /// Files and empty folders below the node's data directory.
    pub(super) fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        let pods = self.folder.path().join("pods");
        let logs = self.folder.path().join("logs");
        for root in [logs, pods] {
            for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
                collect(&entry.path(), self.folder.path(), &mut files);
            }
        }
        files.sort();
        files
    }

    /// Where a volume of a pod is.
    pub(super) fn volume(&self, pod: &str, volume: &str) -> std::path::PathBuf {
        self.folder.path().join(format!("pods/uid-{pod}/volumes/{volume}"))
    }

    pub(super) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(path)).unwrap()
    }
}

fn collect(path: &Path, root: &Path, files: &mut Vec<String>) {
    let inside: Vec<_> = std::fs::read_dir(path).into_iter().flatten().flatten().collect();
    if inside.is_empty() {
        files.push(path.strip_prefix(root).unwrap().display().to_string());
    }
    for entry in inside {
        collect(&entry.path(), root, files);
    }
}
