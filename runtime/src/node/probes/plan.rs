//! What a container's spec asks of its probes and hooks, with everything filled in that it leaves open.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::{
    Container, ExecAction, GRPCAction, HTTPGetAction, Lifecycle, LifecycleHandler, Probe as ProbeSpec,
    TCPSocketAction,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::node::env::expand;

/// The probes of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Probes {
    /// Tells when it has started; until then the others wait.
    pub startup: Option<Arc<Probe>>,
    /// Tells whether it has to be started again.
    pub liveness: Option<Arc<Probe>>,
    /// Tells whether it takes requests.
    pub readiness: Option<Arc<Probe>>,
}

/// What a probe asks, when, and how often before it counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Probe {
    /// What it asks.
    pub check: Check,
    /// How long after the start of the container it begins.
    pub initial_delay: Duration,
    /// How long from one question to the next.
    pub period: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// How many successes in a row count as one.
    pub success_threshold: u32,
    /// How many failures in a row count as one.
    pub failure_threshold: u32,
    /// How long a container that fails it may take to end, if it is not as long as for other reasons.
    pub grace: Option<Duration>,
}

/// What a probe asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Check {
    /// Whether a command succeeds.
    Exec(Vec<String>),
    /// Whether a request is answered well.
    Http(HttpGet),
    /// Whether a port is open.
    Tcp {
        /// Where, if not at the pod.
        host: Option<String>,
        /// The port.
        port: Port,
    },
    /// Whether a gRPC service is healthy.
    Grpc {
        /// The port.
        port: u16,
        /// The service it is asked about; empty for the server.
        service: String,
    },
    /// Nothing: the spec does not say.
    Missing,
}

/// A port, or why it is none.
pub type Port = Result<u16, String>;

/// A request over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HttpGet {
    /// Whether it goes over TLS.
    pub is_secure: bool,
    /// Whom it asks, if not the pod.
    pub host: Option<String>,
    /// The port.
    pub port: Port,
    /// The path, with a query if there is one.
    pub path: String,
    /// Headers to send.
    pub headers: Vec<(String, String)>,
}

/// What a container has to do about its start and its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hooks {
    /// Beside its start.
    pub post_start: Option<Arc<Hook>>,
    /// Before it is asked to end.
    pub pre_stop: Option<Arc<Hook>>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// Run a command.
    Exec(Vec<String>),
    /// Send a request.
    Http(HttpGet),
    /// Wait.
    Sleep(Duration),
    /// What Kubernetes accepts and does not do, such as `tcpSocket`: it fails.
    Invalid,
}

impl Probes {
    /// Those of a container.
    pub fn of(container: &Container) -> Self {
        let read = |spec: &Option<ProbeSpec>| spec.as_ref().map(|spec| Arc::new(Probe::of(spec, container)));
        Self {
            startup: read(&container.startup_probe),
            liveness: read(&container.liveness_probe),
            readiness: read(&container.readiness_probe),
        }
    }
}

impl Probe {
    fn of(spec: &ProbeSpec, container: &Container) -> Self {
        let at_least_one = |number: Option<i32>, default: u32| match number {
            None | Some(0) => default,
            Some(number) => u32::try_from(number).unwrap_or(1),
        };
        let seconds = |number, default| Duration::from_secs(at_least_one(number, default).into());
        Self {
            check: check(spec, container),
            initial_delay: seconds(spec.initial_delay_seconds, 0),
            period: seconds(spec.period_seconds, 10),
            timeout: seconds(spec.timeout_seconds, 1),
            success_threshold: at_least_one(spec.success_threshold, 1),
            failure_threshold: at_least_one(spec.failure_threshold, 3),
            grace: spec.termination_grace_period_seconds.map(whole_seconds),
        }
    }
}

fn check(spec: &ProbeSpec, container: &Container) -> Check {
    if let Some(exec) = &spec.exec {
        Check::Exec(with_values(command(exec), container))
    } else if let Some(get) = &spec.http_get {
        Check::Http(http_get(get, container))
    } else if let Some(TCPSocketAction { host, port: named }) = &spec.tcp_socket {
        Check::Tcp { host: filled(host), port: port(named, container) }
    } else if let Some(GRPCAction { port, service }) = &spec.grpc {
        let port = u16::try_from(*port).unwrap_or(0);
        Check::Grpc { port, service: service.clone().unwrap_or_default() }
    } else {
        Check::Missing
    }
}

fn command(exec: &ExecAction) -> Vec<String> {
    exec.command.clone().unwrap_or_default()
}

/// With what the container's own environment says in plain words; what comes from elsewhere is not known to probes.
fn with_values(command: Vec<String>, container: &Container) -> Vec<String> {
    let value_of = |name: &str| {
        let mut known = container.env.iter().flatten().rev();
        let found = known.find(|variable| variable.name == name && variable.value_from.is_none())?;
        Some(found.value.clone().unwrap_or_default())
    };
    command.iter().map(|word| expand(word, value_of)).collect()
}

fn http_get(get: &HTTPGetAction, container: &Container) -> HttpGet {
    let headers = get.http_headers.iter().flatten();
    HttpGet {
        is_secure: get.scheme.as_deref().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
        host: filled(&get.host),
        port: port(&get.port, container),
        path: get.path.clone().unwrap_or_default(),
        headers: headers.map(|header| (header.name.clone(), header.value.clone())).collect(),
    }
}

/// A number, the name of one of the container's ports, or a number in quotes.
fn port(port: &IntOrString, container: &Container) -> Port {
    let number = match port {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let mut ports = container.ports.iter().flatten();
            match ports.find(|port| port.name.as_deref() == Some(name)) {
                Some(named) => named.container_port,
                None => {
                    name.parse().map_err(|_| format!("strconv.Atoi: parsing {name:?}: invalid syntax"))?
                }
            }
        }
    };
    u16::try_from(number)
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| format!("invalid port number: {number}"))
}

impl Hooks {
    /// Those of a container.
    pub fn of(container: &Container) -> Self {
        let Some(Lifecycle { post_start, pre_stop, .. }) = &container.lifecycle else {
            return Self::default();
        };
        let read =
            |spec: &Option<LifecycleHandler>| spec.as_ref().map(|spec| Arc::new(hook(spec, container)));
        Self { post_start: read(post_start), pre_stop: read(pre_stop) }
    }
}

fn hook(spec: &LifecycleHandler, container: &Container) -> Hook {
    if let Some(exec) = &spec.exec {
        Hook::Exec(command(exec))
    } else if let Some(get) = &spec.http_get {
        Hook::Http(http_get(get, container))
    } else if let Some(sleep) = &spec.sleep {
        Hook::Sleep(whole_seconds(sleep.seconds))
    } else {
        Hook::Invalid
    }
}

fn whole_seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn filled(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn container(parts: Value) -> Container {
        let mut whole = json!({
            "name": "a",
            "ports": [{"name": "web", "containerPort": 8080}],
            "env": [{"name": "FILE", "value": "/tmp/healthy"}, {"name": "SECRET", "valueFrom": {}}],
        });
        let parts = parts.as_object().expect("an object").clone();
        whole.as_object_mut().expect("an object").extend(parts);
        serde_json::from_value(whole).expect("a container")
    }

    fn probe(spec: Value) -> Probe {
        let probes = Probes::of(&container(json!({"livenessProbe": spec})));
        Probe::clone(&probes.liveness.expect("a probe"))
    }

    #[test]
    fn what_a_spec_leaves_open_is_filled_in() {
        let probe = probe(json!({"tcpSocket": {"port": 80}}));
        let expected = Probe {
            check: Check::Tcp { host: None, port: Ok(80) },
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(10),
            timeout: Duration::from_secs(1),
            success_threshold: 1,
            failure_threshold: 3,
            grace: None,
        };
        assert_eq!(probe, expected);
        assert_eq!(Probes::of(&container(json!({}))), Probes::default());
        assert_eq!(Hooks::of(&container(json!({}))), Hooks::default());
    }

    #[test]
    fn what_a_spec_says_is_taken() {
        let probe = probe(json!({
            "httpGet": {
                "host": "example", "port": "web", "path": "/ready?full", "scheme": "HTTPS",
                "httpHeaders": [{"name": "X-A", "value": "1"}],
            },
            "initialDelaySeconds": 5, "periodSeconds": 2, "timeoutSeconds": 3,
            "successThreshold": 4, "failureThreshold": 6, "terminationGracePeriodSeconds": 7,
        }));
        let expected = Probe {
            check: Check::Http(HttpGet {
                is_secure: true,
                host: Some("example".into()),
                port: Ok(8080),
                path: "/ready?full".into(),
                headers: vec![("X-A".into(), "1".into())],
            }),
            initial_delay: Duration::from_secs(5),
            period: Duration::from_secs(2),
            timeout: Duration::from_secs(3),
            success_threshold: 4,
            failure_threshold: 6,
            grace: Some(Duration::from_secs(7)),
        };
        assert_eq!(probe, expected);
    }

    #[test]
    fn each_kind_of_check_is_read() {
        let check = |spec: Value, expected: Check| assert_eq!(probe(spec).check, expected);
        let command = ["cat", "/tmp/healthy", "$(SECRET)"].map(String::from).to_vec();
        check(json!({"exec": {"command": ["cat", "$(FILE)", "$(SECRET)"]}}), Check::Exec(command));
        check(json!({"grpc": {"port": 50051}}), Check::Grpc { port: 50051, service: String::new() });
        check(json!({"grpc": {"port": 9, "service": "a.B"}}), Check::Grpc { port: 9, service: "a.B".into() });
        check(json!({}), Check::Missing);
    }

    #[test]
    fn ports_have_numbers_or_names() {
        let check = |port: Value, expected: Result<u16, &str>| {
            let check = probe(json!({"tcpSocket": {"port": port}})).check;
            let expected = Check::Tcp { host: None, port: expected.map_err(str::to_owned) };
            assert_eq!(check, expected);
        };
        check(json!(8080), Ok(8080));
        check(json!("web"), Ok(8080));
        check(json!("9090"), Ok(9090));
        check(json!("admin"), Err("strconv.Atoi: parsing \"admin\": invalid syntax"));
        check(json!(0), Err("invalid port number: 0"));
        check(json!(65_536), Err("invalid port number: 65536"));
    }

    #[test]
    fn hooks_are_read() {
        let check = |spec: Value, expected: Hook| {
            let hooks = Hooks::of(&container(json!({"lifecycle": {"preStop": spec}})));
            assert_eq!(hooks, Hooks { post_start: None, pre_stop: Some(Arc::new(expected)) });
        };
        check(json!({"exec": {"command": ["a", "$(FILE)"]}}), Hook::Exec(vec!["a".into(), "$(FILE)".into()]));
        check(json!({"sleep": {"seconds": 5}}), Hook::Sleep(Duration::from_secs(5)));
        check(json!({"tcpSocket": {"port": 80}}), Hook::Invalid);
        let get = HttpGet {
            is_secure: false,
            host: None,
            port: Ok(8080),
            path: "/bye".into(),
            headers: Vec::new(),
        };
        check(json!({"httpGet": {"port": "web", "path": "/bye"}}), Hook::Http(get));
    }
}
