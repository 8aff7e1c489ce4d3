//! Pods connect, listen, drain and leave without a lost connection.

#![allow(clippy::unwrap_used)]

use std::io;

use api::clock::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinSet, yield_now};

use super::*;

fn network() -> Network {
    Network::new(NetworkConfig::new(Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap())))
}

fn attach(network: &Network, name: &str) -> Interface {
    network.attach(&PodIdentity { key: Key::new("default", name), uid: name.into() }).unwrap()
}

fn set_routes(network: &Network, cluster: &str) {
    let (services, slices) = routes::tests::objects(cluster);
    network.set_routes(Arc::new(Routes::build(AddressPlan::default(), &services, &slices)));
}

/// A service at 10.96.0.10:80 and node port 30080 whose endpoints are port 8080 of these pods.
fn serve_web<'a>(network: &Network, endpoints: impl IntoIterator<Item = &'a Interface>) {
    let addresses: Vec<String> = endpoints.into_iter().map(|pod| pod.address().to_string()).collect();
    let slice = format!("slice default/web :8080 {}", addresses.join(" "));
    set_routes(network, &format!("service default/web 10.96.0.10 :80/30080\n{slice}"));
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn at(pod: &Interface, port: u16) -> SocketAddr {
    SocketAddr::new(pod.address(), port)
}

fn words<T>(result: Result<T, ConnectError>) -> String {
    result.err().map_or_else(|| "connected".to_owned(), |error| error.to_string())
}

const WEB: &str = "10.96.0.10:80";

#[tokio::test(start_paused = true)]
async fn both_ends_of_a_connection_know_where_it_comes_from() {
    let network = network();
    let (client, server) = (attach(&network, "client"), attach(&network, "server"));
    serve_web(&network, [&server]);
    let mut listener = server.listen(8080).unwrap();
    let mut near = client.connect_name("web", 80).await.unwrap();
    let (mut far, peer) = listener.accept().await.unwrap();
    assert_eq!((near.local_addr(), near.peer_addr()), (address("10.128.0.2:32768"), address(WEB)));
    assert_eq!((far.local_addr(), peer), (address("10.128.0.3:8080"), near.local_addr()));

    near.write_all(b"question").await.unwrap();
    near.shutdown().await.unwrap();
    let mut text = String::new();
    far.read_to_string(&mut text).await.unwrap();
    far.write_all(b"answer").await.unwrap();
    drop(far);
    near.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "questionanswer");

    let from_host = network.connect_from_host(address("127.0.0.1:30080")).await.unwrap();
    assert_eq!(listener.accept().await.unwrap().1, address("10.128.0.0:32768"));
    assert_eq!(from_host.peer_addr(), address("127.0.0.1:30080"));
    let by_name = network.connect_from_host_by_name("default", "web", 80).await.unwrap();
    assert_eq!(listener.accept().await.unwrap().1, by_name.local_addr());
}

#[tokio::test(start_paused = true)]
async fn connections_to_a_service_go_to_its_endpoints_in_turn() {
    let network = network();
    let pods = ["a", "b", "c"].map(|name| attach(&network, name));
    serve_web(&network, &pods);
    let mut listeners = pods.each_ref().map(|pod| pod.listen(8080).unwrap());
    let mut connections = Vec::new();
    for _ in 0..6 {
        connections.push(network.connect_from_host(address(WEB)).await.unwrap());
    }
    for listener in &mut listeners {
        listener.close();
        let mut accepted = 0;
        while listener.accept().await.is_some() {
            accepted += 1;
        }
        assert_eq!(accepted, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn the_ports_of_a_pod_are_shared_by_its_containers() {
    let network = network();
    let pod = attach(&network, "pod");
    let other = attach(&network, "other");
    let all = pod.listen(80).unwrap();
    let refused = |result: Result<Listener, ListenError>| io::Error::from(result.unwrap_err()).to_string();
    let in_use = "listen at 0.0.0.0:80: a container of this pod already listens there";
    assert_eq!(refused(pod.clone().listen(80)), in_use);
    assert!(matches!(pod.listen_at(address("127.0.0.1:80")), Err(ListenError::AddressInUse(_))));
    assert!(matches!(pod.listen_at(at(&other, 80)), Err(ListenError::AddressNotAvailable(_))));
    drop(other.listen(80).unwrap());
    drop(all);

    let mut inside = pod.listen_at(address("127.0.0.1:80")).unwrap();
    let outside = pod.listen_at(at(&pod, 80)).unwrap();
    let from = pod.connect(address("127.0.0.1:80")).await.unwrap().local_addr();
    assert_eq!((inside.accept().await.unwrap().1, from.ip()), (from, Ipv4Addr::LOCALHOST.into()));
    drop(outside);
    let nothing = "connect to 10.128.0.2:80: connection refused, nothing listens there";
    assert_eq!(words(other.connect(at(&pod, 80)).await), nothing);

    let free = [pod.listen(0).unwrap(), pod.listen(0).unwrap()].map(|listener| listener.local_addr().port());
    assert_eq!((free, pod.listen(0).unwrap().local_addr().port()), ([32768, 32769], 32770));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_why() {
    let network = network();
    let pod = attach(&network, "pod");
    set_routes(&network, "service default/web 10.96.0.10 http:80");
    let cases = [
        (
            WEB,
            "connection refused, service default/web:http has no ready endpoints",
            io::ErrorKind::ConnectionRefused,
        ),
        (
            "10.96.0.10:81",
            "connection refused, service default/web has no such port",
            io::ErrorKind::ConnectionRefused,
        ),
        (
            "10.96.0.11:80",
            "connection refused, no service has this address",
            io::ErrorKind::ConnectionRefused,
        ),
        ("10.128.0.9:80", "no pod has this address", io::ErrorKind::HostUnreachable),
        (
            "192.0.2.1:80",
            "pods may not connect to the host or the outside of the cluster",
            io::ErrorKind::PermissionDenied,
        ),
    ];
    for (to, why, kind) in cases {
        let error = pod.connect(address(to)).await.unwrap_err();
        assert_eq!((error.to_string(), error.kind()), (format!("connect to {to}: {why}"), kind));
    }
    let from_host = network.connect_from_host(address("127.0.0.1:80")).await;
    assert_eq!(
        words(from_host),
        "connect to 127.0.0.1:80: connection refused, no service has this node port"
    );
    let misspelt = words(pod.connect_name("wbe", 80).await);
    assert!(misspelt.starts_with("resolve `wbe`: NXDOMAIN"), "{misspelt}");
}

#[tokio::test(start_paused = true)]
async fn a_full_listener_passes_connections_on_or_lets_them_wait() {
    let network = network();
    let (slow, other) = (attach(&network, "slow"), attach(&network, "other"));
    serve_web(&network, [&slow]);
    let mut slow_listener = slow.listen(8080).unwrap();
    let mut taken = Vec::new();
    for _ in 0..BACKLOG {
        taken.push(network.connect_from_host(address(WEB)).await.unwrap());
    }
    let clock = network.0.config.clock.clone();
    let start = clock.now();
    let late = network.connect_from_host(address(WEB)).await;
    assert_eq!(words(late), "connect to 10.96.0.10:80: not accepted within 10 s");
    assert_eq!(until(start, clock.now()), Some(PATIENCE));

    let mut waiting = Box::pin(network.connect_from_host(address(WEB)));
    assert!(futures::poll!(&mut waiting).is_pending());
    slow_listener.accept().await.unwrap();
    waiting.await.unwrap();

    serve_web(&network, [&slow, &other]);
    let mut other_listener = other.listen(8080).unwrap();
    let passed_on = network.connect_from_host(address(WEB)).await.unwrap();
    assert_eq!(other_listener.accept().await.unwrap().1, passed_on.local_addr());
}

#[tokio::test(start_paused = true)]
async fn a_draining_pod_hands_out_what_it_took_and_is_passed_over() {
    let network = network();
    let (old, new) = (attach(&network, "old"), attach(&network, "new"));
    serve_web(&network, [&old, &new]);
    let (mut old_listener, mut new_listener) = (old.listen(8080).unwrap(), new.listen(8080).unwrap());
    let first = network.connect_from_host(address(WEB)).await.unwrap();
    old.drain();
    let second = network.connect_from_host(address(WEB)).await.unwrap();
    let third = network.connect_from_host(address(WEB)).await.unwrap();
    assert_eq!(old_listener.accept().await.unwrap().1, first.local_addr());
    assert!(old_listener.accept().await.is_none());
    assert_eq!(new_listener.accept().await.unwrap().1, second.local_addr());
    assert_eq!(new_listener.accept().await.unwrap().1, third.local_addr());
    let stopping = format!("connect to {}: connection refused, the pod is stopping", at(&old, 8080));
    assert_eq!(words(new.connect(at(&old, 8080)).await), stopping);
    assert!(matches!(old.listen(81), Err(ListenError::Stopping(_))));
}

#[tokio::test(start_paused = true)]
async fn a_connection_waits_for_routes_that_lead_past_stopping_pods() {
    let network = network();
    let (old, new) = (attach(&network, "old"), attach(&network, "new"));
    serve_web(&network, [&old]);
    let (_old_listener, _new_listener) = (old.listen(8080).unwrap(), new.listen(8080).unwrap());
    old.drain();
    let mut waiting = Box::pin(network.connect_from_host(address(WEB)));
    assert!(futures::poll!(&mut waiting).is_pending());
    serve_web(&network, [&old]);
    assert!(futures::poll!(&mut waiting).is_pending());
    serve_web(&network, [&new]);
    waiting.await.unwrap();
    drop(new);
    let never = network.connect_from_host(address(WEB)).await;
    assert_eq!(words(never), "connect to 10.96.0.10:80: not accepted within 10 s");
}

#[tokio::test(start_paused = true)]
async fn dropping_a_listener_resets_what_nobody_accepted() {
    let network = network();
    let pod = attach(&network, "pod");
    let listener = pod.listen(80).unwrap();
    let mut left = network.connect_from_host(at(&pod, 80)).await.unwrap();
    drop(listener);
    let mut byte = [0];
    assert_eq!(left.read(&mut byte).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(left.write(b"x").await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(network.connect_from_host(at(&pod, 80)).await.is_err());
    pod.listen(80).unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_last_clone_of_an_interface_gives_everything_back() {
    let config = NetworkConfig::new(Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap()));
    let network = Network::new(NetworkConfig { pod_cidr: "10.128.0.0/30".parse().unwrap(), ..config });
    let pod = attach(&network, "pod");
    let identity = pod.pod().clone();
    assert!(network.attach(&identity).is_err());
    let to = at(&pod, 80);
    let mut listener = pod.listen(80).unwrap();
    drop(pod.clone());
    network.connect_from_host(to).await.unwrap();
    assert!(listener.accept().await.is_some());
    drop(pod);
    assert!(listener.accept().await.is_none());
    assert_eq!(
        words(network.connect_from_host(to).await),
        format!("connect to {to}: no pod has this address")
    );
    assert_eq!(network.attach(&identity).unwrap().address(), to.ip());
}

/// Answers each connection with what it sent, until the listener ends and all are answered.
async fn echo(pod: Interface) {
    let mut listener = pod.listen(8080).unwrap();
    let mut connections = JoinSet::new();
    while let Some((mut stream, _)) = listener.accept().await {
        connections.spawn(async move {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await.unwrap();
            stream.write_all(&bytes).await.unwrap();
        });
    }
    while let Some(answered) = connections.join_next().await {
        answered.unwrap();
    }
}

async fn ask(network: &Network, client: u64, round: u64) {
    let question = format!("{client}:{round}").repeat(1000);
    let mut stream = network.connect_from_host(address(WEB)).await.unwrap();
    stream.write_all(question.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, question);
}

/// Replaces every pod once per round, the pod draining before or after the routes lead past it, while clients ask.
async fn roll(replicas: usize, rounds: usize, routes_first: bool) -> u64 {
    let network = network();
    let mut servers = JoinSet::new();
    let start = |name: String, servers: &mut JoinSet<()>| {
        let pod = attach(&network, &name);
        servers.spawn(echo(pod.clone()));
        pod
    };
    let mut pods: Vec<Interface> =
        (0..replicas).map(|number| start(format!("first-{number}"), &mut servers)).collect();
    serve_web(&network, &pods);
    yield_now().await;

    let stop = watch::Sender::new(false);
    let mut clients = JoinSet::new();
    for client in 0..16 {
        let (network, stop) = (network.clone(), stop.subscribe());
        clients.spawn(async move {
            let mut round = 0;
            while !*stop.borrow() {
                ask(&network, client, round).await;
                round += 1;
            }
            round
        });
    }
    for round in 0..rounds {
        for replaced in 0..replicas {
            let new = start(format!("round-{round}-{replaced}"), &mut servers);
            yield_now().await;
            let old = std::mem::replace(&mut pods[replaced], new);
            if routes_first {
                serve_web(&network, &pods);
                yield_now().await;
            }
            old.drain();
            drop(old);
            yield_now().await;
            serve_web(&network, &pods);
            yield_now().await;
        }
    }
    stop.send_replace(true);
    let mut answered = 0;
    while let Some(rounds) = clients.join_next().await {
        answered += rounds.unwrap();
    }
    pods.iter().for_each(Interface::drain);
    while let Some(server) = servers.join_next().await {
        server.unwrap();
    }
    answered
}

#[tokio::test(start_paused = true)]
async fn twenty_rolling_replacements_under_load_refuse_nothing() {
    for replicas in [1, 3] {
        for routes_first in [true, false] {
            let answered = roll(replicas, 20, routes_first).await;
            assert!(answered > 200, "the clients asked only {answered} times");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn bulk_data_arrives_in_order_across_threads() {
    let network = Network::new(NetworkConfig::new(Clock::real()));
    let pod = attach(&network, "pod");
    serve_web(&network, [&pod]);
    let mut listener = pod.listen(8080).unwrap();
    let sent: Arc<Vec<u8>> = Arc::new((0..8_000_000_u32).map(|number| (number / 7) as u8).collect());
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let mut near = network.connect_from_host(address(WEB)).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let (to_send, expected) = (Arc::clone(&sent), Arc::clone(&sent));
        tasks.spawn(async move {
            near.write_all(&to_send).await.unwrap();
            near.shutdown().await.unwrap();
        });
        tasks.spawn(async move {
            let mut received = Vec::new();
            far.read_to_end(&mut received).await.unwrap();
            assert!(received == *expected);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

/// A host that answers each connection, and the network of a cluster whose API server that is.
async fn with_api_server() -> (Network, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dial = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            socket.write_all(b"the API").await.unwrap();
        }
    });
    let mut config = NetworkConfig::new(Clock::real());
    let advertised = std::net::SocketAddrV4::new(config.gateway(), 6443);
    config.api_server = Some(ApiServer { advertised, dial });
    let network = Network::new(config);
    set_routes(
        &network,
        "service default/kubernetes 10.96.0.1 https:443\nslice default/kubernetes https:6443 10.128.0.1",
    );
    (network, serving)
}

#[tokio::test]
async fn a_pod_reaches_the_api_server_and_nothing_else_outside() {
    let (network, serving) = with_api_server().await;
    let pod = attach(&network, "pod");
    let read = async |mut stream: Stream| {
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    let stream = pod.connect_name("kubernetes.default.svc", 443).await.unwrap();
    assert_eq!((stream.local_addr().ip(), stream.peer_addr()), (pod.address(), address("10.96.0.1:443")));
    assert_eq!(read(stream).await, "the API");
    assert_eq!(read(pod.connect(address("10.128.0.1:6443")).await.unwrap()).await, "the API");
    for (to, why) in [
        ("10.128.0.1:6444", "no pod has this address"),
        ("10.128.0.0:6443", "no pod has this address"),
        ("192.0.2.1:443", "pods may not connect to the host or the outside of the cluster"),
    ] {
        assert_eq!(words(pod.connect(address(to)).await), format!("connect to {to}: {why}"));
    }
    serving.abort();
    let _ = serving.await;
    let refused = "connect to 10.96.0.1:443: connection refused, nothing listens there";
    assert_eq!(words(pod.connect(address("10.96.0.1:443")).await), refused);
}

#[tokio::test(start_paused = true)]
async fn under_virtual_time_nothing_leaves() {
    let mut config = NetworkConfig::new(Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap()));
    let advertised = std::net::SocketAddrV4::new(config.gateway(), 6443);
    config.api_server = Some(ApiServer { advertised, dial: address("127.0.0.1:1") });
    let pod = attach(&Network::new(config), "pod");
    let refused = pod.connect(SocketAddr::V4(advertised)).await.unwrap_err();
    assert!(matches!(refused, ConnectError::Outside { .. }), "{refused}");
}
