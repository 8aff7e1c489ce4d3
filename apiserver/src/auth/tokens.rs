//! Tokens of service accounts: signed claims, good as long as what they are bound to lives.
//!
//! The signature of a token is checked once and remembered. Its times, and whether its service account and the object
//! it is bound to still exist, are looked at with every request.

mod claims;
mod verified;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use api::backend::User;
use api::resource::{NODES, PODS, SECRETS, SERVICE_ACCOUNTS};
use api::{Clock, Key, Object, Resource, clock};
use jiff::Timestamp;
use rcgen::KeyPair;

pub use claims::{Bound, Reference};

use super::jwt::{Signer, Unsigned};
use super::{AUTHENTICATED, account};
use crate::store::{Collection, Store, StoreKey};
use claims::{Claims, Private};
use verified::{Verified, VerifiedTokens};

/// Who issues the tokens, and the audience of those for this server.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// The lifetime that admission asks for in the volumes it adds to pods.
const INJECTED: Duration = Duration::from_secs(3_607);

/// Tokens in those volumes last this long after all: a program that reads its token once goes on working, and the
/// volume is still refreshed in time. They end with their pod anyway.
const EXTENDED: Duration = Duration::from_secs(365 * 86_400);

/// A token is good so long after what it is bound to was to be gone.
const LINGER: Duration = Duration::from_secs(60);

/// A token may come from a time so far ahead, as the clock may have been set back.
const AHEAD: i64 = 60;

/// A token to be issued.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The namespace of the service account.
    pub namespace: String,
    /// The service account.
    pub account: Reference,
    /// For whom the token is; this server if it is empty.
    pub audiences: Vec<String>,
    /// How long it is good.
    pub lifetime: Duration,
    /// With what it ends.
    pub bound: Bound,
    /// An identity of its own.
    pub id: String,
}

/// A token and its end.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The token.
    pub token: String,
    /// When it should be replaced at the latest.
    pub expiration: Timestamp,
}

/// Why a token is not accepted. For the log; clients are told nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// This server did not sign it.
    #[error(transparent)]
    Unsigned(#[from] Unsigned),
    /// It is not about a service account, or contradicts itself.
    #[error("the token names no service account")]
    NoAccount,
    /// Its time has not come.
    #[error("the token is not valid yet")]
    Early,
    /// Its time is over.
    #[error("the token has expired")]
    Expired,
    /// It was issued by or for somebody else.
    #[error("the token is for another audience")]
    OtherAudience,
    /// Something it is bound to is gone, or is another object of that name.
    #[error("{0} of the token is gone")]
    Gone(String),
}

/// Issues and checks tokens.
pub struct Tokens {
    signer: Signer,
    clock: Clock,
    verified: VerifiedTokens,
}

impl Tokens {
    /// Tokens signed with this key; none if it is not on P-256.
    pub fn new(key: &KeyPair, clock: Clock) -> Option<Self> {
        Some(Self { signer: Signer::new(key)?, clock, verified: VerifiedTokens::default() })
    }

    /// A new token; none if it cannot be signed.
    pub fn issue(&self, grant: Grant) -> Option<Issued> {
        let now = self.clock.now();
        let Grant { namespace, account, mut audiences, lifetime, bound, id } = grant;
        if audiences.is_empty() {
            audiences.push(ISSUER.to_owned());
        }
        let expiration = clock::add(now, lifetime);
        let is_extended = lifetime == INJECTED && audiences == [ISSUER] && matches!(bound, Bound::Pod { .. });
        let end = if is_extended { clock::add(now, EXTENDED) } else { expiration };
        let subject = format!("system:serviceaccount:{namespace}:{}", account.name);
        let warn_after = is_extended.then(|| expiration.as_second());
        let claims = Claims {
            audiences,
            expires: end.as_second(),
            issued: now.as_second(),
            issuer: ISSUER.to_owned(),
            id,
            private: Private::new(namespace, account, bound, warn_after),
            not_before: now.as_second(),
            subject,
        };
        Some(Issued { token: self.signer.sign(&claims)?, expiration })
    }

    /// Whose token this is, if it is good now for this server.
    pub fn verify(&self, token: &str, store: &Store) -> Result<Arc<User>, Rejected> {
        self.verify_until(token, store).map(|(user, _)| user)
    }

    /// The same, with the time at which it ends.
    pub fn verify_until(&self, token: &str, store: &Store) -> Result<(Arc<User>, Timestamp), Rejected> {
        let verified = self.verify_for(token, |own| own == ISSUER, store)?;
        let end = Timestamp::from_second(verified.claims.expires).unwrap_or(Timestamp::MAX);
        Ok((Arc::clone(&verified.user), end))
    }

    /// Whose token this is, if it is good now for one of these audiences, and for which. No audience is this server.
    pub fn review(
        &self,
        token: &str,
        audiences: &[String],
        store: &Store,
    ) -> Result<(Arc<User>, Vec<String>), Rejected> {
        let this = [ISSUER.to_owned()];
        let wanted = if audiences.is_empty() { &this } else { audiences };
        let verified = self.verify_for(token, |own| wanted.iter().any(|wanted| wanted == own), store)?;
        let good_for = wanted.iter().filter(|wanted| verified.claims.audiences.contains(wanted));
        Ok((Arc::clone(&verified.user), good_for.cloned().collect()))
    }

    fn verify_for(
        &self,
        token: &str,
        is_wanted: impl Fn(&str) -> bool,
        store: &Store,
    ) -> Result<Arc<Verified>, Rejected> {
        let verified = self.verified.get_or_insert(token, || {
            let claims: Claims = self.signer.verify(token)?;
            let user = user(&claims).ok_or(Rejected::NoAccount)?;
            Ok(Verified { claims, user: Arc::new(user) })
        })?;
        let claims = &verified.claims;
        let now = self.clock.now();
        check(claims, is_wanted, now)?;
        for (resource, key, uid) in claims.private.objects() {
            if !lives(store, &resource, &key, uid, now) {
                return Err(Rejected::Gone(format!("{resource} {key}")));
            }
        }
        Ok(verified)
    }
}

fn check(claims: &Claims, is_wanted: impl Fn(&str) -> bool, now: Timestamp) -> Result<(), Rejected> {
    let now = now.as_second();
    if claims.issuer != ISSUER || !claims.audiences.iter().any(|audience| is_wanted(audience)) {
        return Err(Rejected::OtherAudience);
    }
    match () {
        () if now >= claims.expires => Err(Rejected::Expired),
        () if now < claims.not_before.saturating_sub(AHEAD) => Err(Rejected::Early),
        () => Ok(()),
    }
}

fn user(claims: &Claims) -> Option<User> {
    let Private { namespace, account, .. } = &claims.private;
    let mut user = account::user(namespace, &account.name);
    if namespace.is_empty() || account.name.is_empty() || claims.subject != user.name {
        return None;
    }
    user.groups.push(AUTHENTICATED.to_owned());
    Some(User { uid: account.uid.clone(), extra: extra(claims), ..user })
}

/// What is known of a user besides: which token was shown, and with which pod it ends.
fn extra(claims: &Claims) -> BTreeMap<String, Vec<String>> {
    let Private { pod, node, .. } = &claims.private;
    let of = |kind: &str, reference: &Option<Reference>| {
        let of =
            reference.as_ref().map(|Reference { name, uid }| [("name", name.clone()), ("uid", uid.clone())]);
        of.into_iter().flatten().map(|(what, text)| (format!("{kind}-{what}"), text)).collect::<Vec<_>>()
    };
    let credential = [("credential-id".to_owned(), format!("JTI={}", claims.id))];
    let all = credential.into_iter().chain(of("pod", pod)).chain(of("node", node));
    all.filter(|(_, text)| !text.is_empty())
        .map(|(key, text)| (format!("authentication.kubernetes.io/{key}"), vec![text]))
        .collect()
}

/// Whether the object is there, is the same one, and is not long due to be gone.
fn lives(store: &Store, resource: &Resource, key: &Key, uid: &str, now: Timestamp) -> bool {
    let found = store.get(&StoreKey { collection: Collection::from(resource), key: key.clone() });
    found.is_some_and(|object| object.uid() == uid && !is_overdue(&object, now))
}

fn is_overdue(object: &Object, now: Timestamp) -> bool {
    let deadline = object.metadata().deletion_timestamp.as_ref();
    deadline.is_some_and(|deadline| clock::add(deadline.0, LINGER) < now)
}

impl Private {
    /// What must exist for the token to be good, with its uid.
    fn objects(&self) -> impl Iterator<Item = (Resource, Key, &str)> {
        let within = |reference: &Reference| Key::new(self.namespace.as_str(), reference.name.as_str());
        // Beside a pod, the node only tells where the pod was when the token was issued.
        let node = self.node.as_ref().filter(|_| self.pod.is_none());
        [
            Some((SERVICE_ACCOUNTS, within(&self.account), self.account.uid.as_str())),
            self.pod.as_ref().map(|pod| (PODS, within(pod), pod.uid.as_str())),
            self.secret.as_ref().map(|secret| (SECRETS, within(secret), secret.uid.as_str())),
            node.map(|node| (NODES, Key::cluster(node.name.as_str()), node.uid.as_str())),
        ]
        .into_iter()
        .flatten()
    }
}

#[cfg(test)]
pub(crate) mod tests;
