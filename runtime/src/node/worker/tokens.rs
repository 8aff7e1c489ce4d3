//! The tokens a pod's volumes show: asked for before the volumes are made, and again before they expire.

use std::collections::BTreeSet;
use std::future::pending;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use api::clock::{add, until};
use api::resource::SERVICE_ACCOUNTS;
use api::{Client, Key, Object, Status};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use serde_json::json;
use tracing::{debug, warn};

use crate::volumes::TokenSpec;

/// A token is renewed when this share of its life is over, as the kubelet does.
const RENEWED_AT_PERCENT: u32 = 80;
/// And after a day, however long it lives.
const LONGEST_USE: Duration = Duration::from_secs(24 * 3600);
/// Pods that came together renew theirs this much apart at most.
const SPREAD: Duration = Duration::from_secs(10);
/// How long to wait after a token could not be renewed.
const RETRY: Duration = Duration::from_secs(10);

/// The tokens of one pod.
pub(super) struct Tokens {
    wanted: Vec<Wanted>,
    asking: Option<BoxFuture<'static, Vec<Answer>>>,
    /// How much earlier than others this pod renews.
    early: Duration,
}

struct Wanted {
    spec: TokenSpec,
    text: Result<Arc<str>, String>,
    /// When to ask for the next one.
    renew_at: Timestamp,
}

/// What came of asking for the token with this index.
pub(super) struct Answer {
    index: usize,
    token: Result<Token, Status>,
}

struct Token {
    text: Arc<str>,
    expires: Timestamp,
}

impl Tokens {
    /// None of them is there yet.
    pub(super) fn new(specs: BTreeSet<TokenSpec>, uid: &str) -> Self {
        let mut hash = DefaultHasher::new();
        uid.hash(&mut hash);
        let early = SPREAD.mul_f64(f64::from(hash.finish() as u16) / f64::from(u16::MAX));
        let wanted = specs.into_iter().map(|spec| Wanted {
            spec,
            text: Err("failed to fetch token: not fetched yet".to_owned()),
            renew_at: Timestamp::MIN,
        });
        Self { wanted: wanted.collect(), asking: None, early }
    }

    /// A token, or why there is none.
    pub(super) fn get(&self, spec: &TokenSpec) -> Result<Arc<str>, String> {
        let found = self.wanted.iter().find(|wanted| wanted.spec == *spec);
        found.map_or(Err("failed to fetch token: not declared".to_owned()), |wanted| wanted.text.clone())
    }

    /// Whether one has never come.
    pub(super) fn are_missing(&self) -> bool {
        self.wanted.iter().any(|wanted| wanted.text.is_err())
    }

    /// Whether answers are to come.
    pub(super) fn are_asked_for(&self) -> bool {
        self.asking.is_some()
    }

    /// When to ask again.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        self.wanted.iter().map(|wanted| wanted.renew_at).min().filter(|_| self.asking.is_none())
    }

    /// Asks for those that are missing or due, unless it is asking already.
    pub(super) fn ask(&mut self, client: &Client, pod: &Object, now: Timestamp) {
        if self.asking.is_some() {
            return;
        }
        let wanted = self.wanted.iter().enumerate();
        let due = wanted.filter(|(_, wanted)| wanted.text.is_err() || wanted.renew_at <= now);
        let requests: Vec<_> = due
            .map(|(index, wanted)| request(client.clone(), pod.clone(), index, wanted.spec.clone()))
            .collect();
        if !requests.is_empty() {
            self.asking = Some(join_all(requests).boxed());
        }
    }

    /// The answers to what was asked; never come if nothing was.
    pub(super) async fn answers(&mut self) -> Vec<Answer> {
        let answers = match &mut self.asking {
            Some(asking) => asking.await,
            None => pending().await,
        };
        self.asking = None;
        answers
    }

    /// Keeps what came. A token that could not be renewed is used on.
    pub(super) fn take_in(&mut self, answers: Vec<Answer>, now: Timestamp) {
        for Answer { index, token } in answers {
            let wanted = &mut self.wanted[index];
            match token {
                Ok(token) => {
                    wanted.renew_at = renewal(now, token.expires, self.early);
                    wanted.text = Ok(token.text);
                }
                Err(error) => {
                    warn!(%error, "token not fetched");
                    wanted.renew_at = add(now, RETRY);
                    if wanted.text.is_err() {
                        wanted.text = Err(format!("failed to fetch token: {error}"));
                    }
                }
            }
        }
    }
}

fn renewal(now: Timestamp, expires: Timestamp, early: Duration) -> Timestamp {
    let life = until(now, expires).unwrap_or_default();
    let used = (life * RENEWED_AT_PERCENT / 100).min(LONGEST_USE);
    // One that lives for less than a while is renewed within it, but not at once: the server may not give a longer one.
    add(now, used.saturating_sub(early.min(used / 10)).max(Duration::from_secs(1)))
}

async fn request(client: Client, object: Object, index: usize, spec: TokenSpec) -> Answer {
    debug!(audience = spec.audience, "token asked for");
    Answer { index, token: fetch(&client, &object, &spec).await }
}

async fn fetch(client: &Client, object: &Object, spec: &TokenSpec) -> Result<Token, Status> {
    let pod = object.typed::<Pod>().ok().and_then(|pod| pod.spec.as_ref());
    let account = pod.and_then(|spec| spec.service_account_name.as_deref());
    let account = account.filter(|name| !name.is_empty()).unwrap_or("default");
    let audiences: Vec<&str> = spec.audience.as_deref().into_iter().collect();
    let asked = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": {"name": account, "namespace": object.namespace()},
        "spec": {
            "audiences": audiences,
            "expirationSeconds": spec.expiration_seconds,
            "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": object.name(), "uid": object.uid()},
        },
    });
    let key = Key::new(object.namespace(), account);
    let reply = client.create_subresource(&SERVICE_ACCOUNTS, &key, "token", &asked).await?;
    let status = &reply.value()["status"];
    let text = status["token"].as_str();
    let expires = status["expirationTimestamp"].as_str().and_then(|time| time.parse().ok());
    match (text, expires) {
        (Some(text), Some(expires)) => Ok(Token { text: text.into(), expires }),
        _ => Err(Status::internal("the server's answer holds no token")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_renewed_when_most_of_its_life_is_over() {
        let check = |life_seconds: u64, early_seconds: u64, expected_seconds: f64| {
            let now = Timestamp::UNIX_EPOCH;
            let expires = add(now, Duration::from_secs(life_seconds));
            let renewed = renewal(now, expires, Duration::from_secs(early_seconds));
            assert_eq!(renewed.duration_since(now).as_secs_f64(), expected_seconds);
        };
        check(3600, 0, 2880.0);
        check(3600, 10, 2870.0);
        check(60, 10, 43.2);
        check(365 * 24 * 3600, 0, 86_400.0);
        check(0, 10, 1.0);
    }
}
