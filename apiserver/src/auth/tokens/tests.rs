//! Tokens asked for through the public door, and what becomes of them.
#![allow(clippy::unwrap_used)]

use api::backend::DeleteOptions;
use api::{Client, Status};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::*;
use crate::auth::authority::{Authority, ServerNames};
use crate::{Apiserver, Config, Registry};

/// A server with the account `robot`, in virtual time.
pub(crate) struct World {
    pub registry: Arc<Registry>,
    pub client: Client,
    pub clock: Clock,
    pub tokens: Option<Arc<Tokens>>,
    _tasks: JoinSet<()>,
}

impl World {
    pub async fn new() -> Self {
        let clock = Clock::virtual_from("2026-01-01T00:00:00Z".parse().unwrap());
        Self::with(clock.clone(), Some(tokens(&clock))).await
    }

    pub async fn with(clock: Clock, tokens: Option<Arc<Tokens>>) -> Self {
        let mut tasks = JoinSet::new();
        let config = Config { tokens: tokens.clone(), ..Config::in_memory(clock.clone(), 1) };
        let registry = Apiserver::start(config, &mut tasks).await.unwrap();
        let client = Client::new(registry.clone(), User::component("test"));
        let world = Self { registry, client, clock, tokens, _tasks: tasks };
        world.create(&SERVICE_ACCOUNTS, json!({"metadata": {"name": "robot"}})).await;
        world
    }

    pub async fn create(&self, resource: &Resource, value: Value) -> Object {
        let namespace = if resource.namespaced { "default" } else { "" };
        self.client.create(resource, namespace, &value).await.unwrap()
    }

    pub async fn pod(&self, name: &str) -> Object {
        let spec = json!({"serviceAccountName": "robot", "containers": [{"name": "c", "image": "app:1"}]});
        self.create(&PODS, json!({"metadata": {"name": name}, "spec": spec})).await
    }

    pub async fn request(&self, account: &str, spec: Value) -> Result<Value, Status> {
        let key = Key::new("default", account);
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
        let created = self.client.create_subresource(&SERVICE_ACCOUNTS, &key, "token", &body).await;
        created.map(|object| object.value().clone())
    }

    async fn token(&self, spec: Value) -> String {
        let request = self.request("robot", spec).await.unwrap();
        request["status"]["token"].as_str().unwrap().to_owned()
    }

    fn verify(&self, token: &str) -> Result<Arc<User>, Rejected> {
        self.tokens.as_ref().unwrap().verify(token, self.registry.store())
    }

    async fn delete(&self, resource: &Resource, name: &str, grace_seconds: u64) {
        let options = DeleteOptions { grace_seconds: Some(grace_seconds), ..DeleteOptions::default() };
        let key = if resource.namespaced { Key::new("default", name) } else { Key::cluster(name) };
        self.client.delete(resource, &key, options).await.unwrap();
    }
}

fn tokens(clock: &Clock) -> Arc<Tokens> {
    Authority::ephemeral(&ServerNames::default(), clock).unwrap().tokens()
}

fn said(token: &str) -> Value {
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

fn bound_to(kind: &str, name: &str) -> Value {
    json!({"boundObjectRef": {"apiVersion": "v1", "kind": kind, "name": name}})
}

#[tokio::test(start_paused = true)]
async fn a_token_stands_for_its_account_until_it_expires() {
    let world = World::new().await;
    let token = world.token(json!({})).await;
    let user = world.verify(&token).unwrap();
    assert_eq!(user.name, "system:serviceaccount:default:robot");
    let groups = ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"];
    assert_eq!(user.groups, groups);
    world.clock.sleep(Duration::from_secs(3_599)).await;
    assert!(world.verify(&token).is_ok());
    world.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(world.verify(&token), Err(Rejected::Expired));
}

#[tokio::test(start_paused = true)]
async fn a_token_says_what_kubernetes_tokens_say() {
    let world = World::new().await;
    let node = world.create(&NODES, json!({"metadata": {"name": "n1"}})).await;
    let pod = world.pod("a").await;
    let target = json!({"target": {"kind": "Node", "name": "n1"}});
    world.client.create_subresource(&PODS, &pod.key(), "binding", &target).await.unwrap();
    let account = world.client.get(&SERVICE_ACCOUNTS, &Key::new("default", "robot")).await.unwrap();
    let mut claims = said(&world.token(bound_to("Pod", "a")).await);
    assert_eq!(claims["jti"].take().as_str().unwrap().len(), 36);
    let begin = "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap().as_second();
    let expected = json!({
        "aud": [ISSUER], "iss": ISSUER, "sub": "system:serviceaccount:default:robot", "jti": null,
        "iat": begin, "nbf": begin, "exp": begin + 3_600,
        "kubernetes.io": {
            "namespace": "default",
            "serviceaccount": {"name": "robot", "uid": account.uid()},
            "pod": {"name": "a", "uid": pod.uid()},
            "node": {"name": "n1", "uid": node.uid()},
        },
    });
    assert_eq!(claims, expected);
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_with_what_it_is_bound_to() {
    let world = World::new().await;
    let gone = |what: &str| Err(Rejected::Gone(what.to_owned()));
    world.pod("a").await;
    let of_pod = world.token(bound_to("Pod", "a")).await;
    world.delete(&PODS, "a", 0).await;
    assert_eq!(world.verify(&of_pod), gone("pods default/a"));
    world.pod("a").await;
    assert_eq!(world.verify(&of_pod), gone("pods default/a"), "another pod of that name");

    let secret = world.create(&SECRETS, json!({"metadata": {"name": "s"}})).await;
    let of_secret = world.token(bound_to("Secret", "s")).await;
    assert!(world.verify(&of_secret).is_ok());
    world.delete(&SECRETS, secret.name(), 0).await;
    assert_eq!(world.verify(&of_secret), gone("secrets default/s"));

    world.create(&NODES, json!({"metadata": {"name": "n1"}})).await;
    let of_node = world.token(bound_to("Node", "n1")).await;
    assert!(world.verify(&of_node).is_ok());
    world.delete(&NODES, "n1", 0).await;
    assert_eq!(world.verify(&of_node), gone("nodes n1"));

    let free = world.token(json!({})).await;
    world.delete(&SERVICE_ACCOUNTS, "robot", 0).await;
    assert_eq!(world.verify(&free), gone("serviceaccounts default/robot"));
    world.create(&SERVICE_ACCOUNTS, json!({"metadata": {"name": "robot"}})).await;
    assert_eq!(world.verify(&free), gone("serviceaccounts default/robot"), "another account of that name");
}

#[tokio::test(start_paused = true)]
async fn a_stopping_pod_may_use_its_token_to_the_end() {
    let world = World::new().await;
    world.create(&NODES, json!({"metadata": {"name": "n1"}})).await;
    let pod = world.pod("a").await;
    let target = json!({"target": {"kind": "Node", "name": "n1"}});
    world.client.create_subresource(&PODS, &pod.key(), "binding", &target).await.unwrap();
    let token = world.token(bound_to("Pod", "a")).await;
    world.delete(&PODS, "a", 30).await;
    world.clock.sleep(Duration::from_secs(90)).await;
    assert!(world.verify(&token).is_ok());
    world.clock.sleep(Duration::from_secs(1)).await;
    assert_eq!(world.verify(&token), Err(Rejected::Gone("pods default/a".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn the_token_that_admission_mounts_outlasts_programs_that_read_it_once() {
    let world = World::new().await;
    world.pod("a").await;
    let mut spec = bound_to("Pod", "a");
    spec["expirationSeconds"] = 3_607.into();
    let request = world.request("robot", spec.clone()).await.unwrap();
    assert_eq!(request["status"]["expirationTimestamp"], "2026-01-01T01:00:07Z");
    let token = request["status"]["token"].as_str().unwrap();
    let claims = said(token);
    let issued = claims["iat"].as_i64().unwrap();
    assert_eq!(claims["kubernetes.io"]["warnafter"], issued + 3_607);
    assert_eq!(claims["exp"], issued + 365 * 86_400);
    spec["audiences"] = json!([ISSUER, "vault"]);
    let shared = world.token(spec).await;
    world.clock.sleep(Duration::from_secs(7_200)).await;
    assert!(world.verify(token).is_ok());
    assert_eq!(world.verify(&shared), Err(Rejected::Expired), "others would trust it for as long");
    world.delete(&PODS, "a", 0).await;
    assert_eq!(world.verify(token), Err(Rejected::Gone("pods default/a".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_token_for_others_or_of_others_is_not_taken() {
    let world = World::new().await;
    let token = world.token(json!({"audiences": ["vault"]})).await;
    assert_eq!(world.verify(&token), Err(Rejected::OtherAudience));
    let stranger = World::with(world.clock.clone(), Some(tokens(&world.clock))).await;
    let token = stranger.token(json!({})).await;
    assert!(stranger.verify(&token).is_ok());
    assert_eq!(world.verify(&token), Err(Rejected::Unsigned(Unsigned::OtherKey)));
    let account = Reference { name: "robot".to_owned(), uid: String::new() };
    let claims = |subject: &str, not_before| Claims {
        audiences: vec![ISSUER.to_owned()],
        expires: i64::MAX,
        issued: 0,
        issuer: ISSUER.to_owned(),
        id: String::new(),
        private: Private::new("default".to_owned(), account.clone(), Bound::Nothing, None),
        not_before,
        subject: subject.to_owned(),
    };
    let sign = |claims: Claims| world.tokens.as_ref().unwrap().signer.sign(&claims).unwrap();
    let posing = sign(claims("system:serviceaccount:kube-system:robot", 0));
    assert_eq!(world.verify(&posing), Err(Rejected::NoAccount));
    let now = world.clock.now().as_second();
    let early = sign(claims("system:serviceaccount:default:robot", now + 61));
    assert_eq!(world.verify(&early), Err(Rejected::Early));
    world.clock.sleep(Duration::from_secs(1)).await;
    assert_ne!(world.verify(&early), Err(Rejected::Early));
}
