//! Routes and node ports follow Services and EndpointSlices.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use api::backend::{Answer, Body, ObjectList};
use api::watch::WatchEvent;
use api::{Backend, Client, Clock, Reply, Request, Revision, Status, User, Verb};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;

use super::*;
use crate::network::{Interface, NetworkConfig, PodIdentity, Route};

/// Objects by the plural of their resource and their key.
type Objects = BTreeMap<(String, Key), Object>;

/// Stores what is put, lets it be listed and watched, and keeps the events that are created.
struct Shelf {
    state: Mutex<(u64, Objects)>,
    changes: broadcast::Sender<(String, WatchEvent)>,
    events: broadcast::Sender<Value>,
}

impl Shelf {
    fn new() -> Arc<Self> {
        let (changes, events) = (broadcast::Sender::new(64), broadcast::Sender::new(64));
        Arc::new(Self { state: Mutex::default(), changes, events })
    }

    fn put(&self, resource: &Resource, mut value: Value) {
        let mut state = lock(&self.state);
        state.0 += 1;
        value["metadata"]["resourceVersion"] = state.0.to_string().into();
        value["metadata"]["uid"] = "1".into();
        let object = Object::from_value(value).unwrap();
        state.1.insert((resource.plural.to_string(), object.key()), object.clone());
        let _ = self.changes.send((resource.plural.to_string(), WatchEvent::Modified(object)));
    }

    fn remove(&self, resource: &Resource, key: &Key) {
        let mut state = lock(&self.state);
        let object = state.1.remove(&(resource.plural.to_string(), key.clone())).unwrap();
        let _ = self.changes.send((resource.plural.to_string(), WatchEvent::Deleted(object)));
    }

    fn answer(&self, request: Request) -> Answer {
        let plural = request.resource.plural.to_string();
        match request.verb {
            Verb::List(_) => {
                let state = lock(&self.state);
                let items = state.1.iter().filter(|((listed, _), _)| *listed == plural);
                let items = items.map(|(_, object)| object.clone()).collect();
                Answer::List(ObjectList { revision: Revision(state.0), items, ..ObjectList::default() })
            }
            Verb::Watch(_) => {
                let events = stream::unfold(self.changes.subscribe(), |mut changes| async {
                    changes.recv().await.ok().map(|change| (change, changes))
                });
                let own = events.filter_map(move |(changed, event)| {
                    futures::future::ready((changed == plural).then_some(event))
                });
                Answer::Watch(own.boxed())
            }
            Verb::Create(Body::Value(mut value), _) => {
                value["metadata"]["name"] = "event".into();
                let _ = self.events.send(value.clone());
                Answer::Object(Object::from_value(value).unwrap())
            }
            other => panic!("not needed by the proxy: {other:?}"),
        }
    }
}

impl Backend for Shelf {
    fn call(&self, request: Request) -> BoxFuture<'_, Result<Reply, Status>> {
        async move { Ok(self.answer(request).into()) }.boxed()
    }
}

struct Node {
    shelf: Arc<Shelf>,
    network: Network,
    cache: Cache,
    _tasks: JoinSet<()>,
}

impl Node {
    async fn start(clock: Clock) -> Self {
        let shelf = Shelf::new();
        let network = Network::new(NetworkConfig::new(clock.clone()));
        let client = Client::new(Arc::clone(&shelf) as Arc<dyn Backend>, User::component("proxy"));
        let mut tasks = JoinSet::new();
        let cache = Proxy::cached(Cache::builder()).start(&client, &clock, &mut tasks);
        let proxy = Proxy {
            network: network.clone(),
            cache: cache.clone(),
            recorder: Recorder::start(client, clock, "proxy", &mut tasks),
            host_address: Some(Ipv4Addr::LOCALHOST.into()),
        };
        proxy.start(&mut tasks);
        cache.ready().await;
        Self { shelf, network, cache, _tasks: tasks }
    }

    fn pod(&self, name: &str) -> Interface {
        self.network.attach(&PodIdentity { key: Key::new("default", name), uid: name.into() }).unwrap()
    }

    fn put_service(&self, node_port: u16) {
        let ports = json!([{"name": "http", "port": 80, "nodePort": node_port}]);
        let spec = json!({"clusterIP": "10.96.0.10", "ports": ports});
        self.shelf.put(&SERVICES, object("v1", "Service", json!({"spec": spec})));
    }

    fn put_endpoint(&self, pod: &Interface) {
        let rest = json!({
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [{"addresses": [pod.address()]}],
        });
        self.shelf.put(&ENDPOINT_SLICES, object("discovery.k8s.io/v1", "EndpointSlice", rest));
    }

    fn remove_service(&self) {
        self.shelf.remove(&SERVICES, &Key::new("default", "web"));
    }

    /// Waits until the routes are as wanted.
    async fn routes(&self, wanted: impl Fn(&Routes) -> bool) {
        let mut newest = self.network.0.newest.subscribe();
        newest.wait_for(|_| wanted(&self.network.routes())).await.unwrap();
    }

    /// Waits until so many node ports are open.
    async fn open(&self, count: usize) -> Vec<SocketAddr> {
        let mut addresses = self.network.node_port_addresses();
        let addresses = addresses.wait_for(|addresses| addresses.len() == count).await.unwrap();
        addresses.iter().map(|open| open.address).collect()
    }
}

fn object(api_version: &str, kind: &str, mut value: Value) -> Value {
    value["apiVersion"] = api_version.into();
    value["kind"] = kind.into();
    let labels = json!({"kubernetes.io/service-name": "web"});
    value["metadata"] = json!({"namespace": "default", "name": "web", "labels": labels});
    value
}

fn leads_somewhere(routes: &Routes) -> bool {
    let flow = crate::network::Flow::new(None, "10.96.0.10:80".parse().unwrap());
    matches!(routes.route(&flow, 0), Route::Balanced(_))
}

/// A port that was free, and who keeps it taken. Not from the range of which outgoing connections take theirs.
async fn take_port() -> (TcpListener, u16) {
    for port in 20_000..30_000 {
        if let Ok(taken) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            return (taken, port);
        }
    }
    panic!("no port is free");
}

#[tokio::test(start_paused = true)]
async fn routes_follow_services_and_endpoints() {
    let node = Node::start(Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap())).await;
    let pod = node.pod("pod");
    let mut listener = pod.listen(8080).unwrap();
    node.put_endpoint(&pod);
    node.put_service(30080);
    node.routes(leads_somewhere).await;
    node.network.connect_from_host("127.0.0.1:30080".parse().unwrap()).await.unwrap();
    listener.accept().await.unwrap();
    assert!(node.network.node_port_addresses().borrow().is_empty(), "no socket is opened under virtual time");
    node.remove_service();
    node.routes(|routes| routes.services().len() == 0).await;
}

#[tokio::test]
async fn a_connection_to_a_node_port_is_handed_to_the_pod() {
    let node = Node::start(Clock::real()).await;
    let pod = node.pod("pod");
    let mut listener = pod.listen(8080).unwrap();
    let (free, port) = take_port().await;
    drop(free);
    node.put_service(port);
    let address = node.open(1).await[0];
    assert_eq!(address.port(), port);

    let mut refused = TcpStream::connect(address).await.unwrap();
    assert!(refused.read_u8().await.is_err(), "there is no endpoint yet");

    node.put_endpoint(&pod);
    node.routes(leads_somewhere).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let (mut stream, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, SocketAddr::new(node.network.host_address(), client.local_addr().unwrap().port()));
    assert_eq!(stream.local_addr(), SocketAddr::new(pod.address(), 8080));
    assert_eq!(format!("{stream:?}"), format!("Stream({} <-> {peer}, host)", stream.local_addr()));
    client.write_all(b"question").await.unwrap();
    client.shutdown().await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    stream.write_all(b"answer").await.unwrap();
    stream.shutdown().await.unwrap();
    client.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "questionanswer");

    node.remove_service();
    node.open(0).await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_node_port_that_is_taken_is_told_and_tried_again() {
    let node = Node::start(Clock::real()).await;
    let mut events = node.shelf.events.subscribe();
    let (taken, port) = take_port().await;
    node.put_service(port);
    let event = events.recv().await.unwrap();
    let message = format!(
        "cannot listen at 127.0.0.1:{port} for port default/web:http: \
         another program has this port; stop it, or choose another nodePort in the service"
    );
    assert_eq!(
        (event["message"].as_str(), event["reason"].as_str()),
        (Some(&*message), Some("NodePortNotBound"))
    );
    assert_eq!(event["involvedObject"]["name"], "web");
    assert!(node.network.node_port_addresses().borrow().is_empty());
    drop(taken);
    let pod = node.pod("pod");
    node.put_endpoint(&pod);
    assert_eq!(node.open(1).await[0].port(), port);
    assert!(node.cache.holds(&SERVICES));
}
