//! Signed texts: JSON Web Tokens (RFC 7519) with ECDSA on P-256 (ES256), the only algorithm made or taken.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PublicKeyData};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
};
use serde::{Deserialize, Serialize};

const ALGORITHM: &str = "ES256";

/// The longest token that is looked at; those made here have about 1,200 bytes.
const LONGEST: usize = 16 * 1024;

#[derive(Serialize, Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions the reader must understand; none are understood here.
    #[serde(default, skip_serializing)]
    crit: Option<serde::de::IgnoredAny>,
}

/// A key that signs and verifies.
pub struct Signer {
    pair: EcdsaKeyPair,
    key_id: String,
    random: SystemRandom,
}

/// A token was not signed by this key, or is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsigned {
    /// It does not have the form of a token.
    #[error("the token is malformed")]
    Malformed,
    /// Its header asks for another algorithm, another key or extensions.
    #[error("the token is not signed with the algorithm and key of this server")]
    OtherKey,
    /// The signature does not fit the text.
    #[error("the signature of the token is wrong")]
    Forged,
}

impl Signer {
    /// Signs with this key; none if it is not on P-256.
    pub fn new(key: &KeyPair) -> Option<Self> {
        let random = SystemRandom::new();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.serialized_der(), &random).ok()?;
        // As Kubernetes names keys: by what anybody can derive from the public key.
        let key_id = URL_SAFE_NO_PAD.encode(digest(&SHA256, &key.subject_public_key_info()));
        Some(Self { pair, key_id, random })
    }

    /// The token that says `claims`; none if they are no JSON or there is no randomness to sign with.
    pub fn sign(&self, claims: &impl Serialize) -> Option<String> {
        let header = Header { alg: ALGORITHM.to_owned(), kid: Some(self.key_id.clone()), crit: None };
        let header = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&header).ok()?);
        let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).ok()?);
        let text = format!("{header}.{claims}");
        let signature = self.pair.sign(&self.random, text.as_bytes()).ok()?;
        Some(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What a token says, if it was signed by this key.
    pub fn verify<T: for<'de> Deserialize<'de>>(&self, token: &str) -> Result<T, Unsigned> {
        let (text, signature) = token.rsplit_once('.').ok_or(Unsigned::Malformed)?;
        let (header, claims) = text.split_once('.').ok_or(Unsigned::Malformed)?;
        if token.len() > LONGEST {
            return Err(Unsigned::Malformed);
        }
        let header: Header = json(header)?;
        let ours = header.kid.is_none_or(|key_id| key_id == self.key_id);
        if header.alg != ALGORITHM || header.crit.is_some() || !ours {
            return Err(Unsigned::OtherKey);
        }
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Unsigned::Malformed)?;
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key())
            .verify(text.as_bytes(), &signature)
            .map_err(|_| Unsigned::Forged)?;
        json(claims)
    }
}

fn json<T: for<'de> Deserialize<'de>>(part: &str) -> Result<T, Unsigned> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| Unsigned::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Unsigned::Malformed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    fn encode(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    #[test]
    fn only_what_this_key_signed_is_taken() {
        let signer = Signer::new(&KeyPair::generate().unwrap()).unwrap();
        let token = signer.sign(&json!({"sub": "me"})).unwrap();
        let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("{token}") };
        let check = |token: &str, expected: Result<Value, Unsigned>| {
            assert_eq!(signer.verify::<Value>(token), expected, "{token}");
        };
        check(&token, Ok(json!({"sub": "me"})));
        let other = encode(&json!({"sub": "you"}));
        check(&format!("{header}.{other}.{signature}"), Err(Unsigned::Forged));
        check(&format!("{header}.{claims}."), Err(Unsigned::Forged));
        for (alg, expected) in [("none", Unsigned::OtherKey), ("HS256", Unsigned::OtherKey)] {
            let header = encode(&json!({"alg": alg}));
            check(&format!("{header}.{claims}."), Err(expected));
            check(&format!("{header}.{claims}.{signature}"), Err(expected));
        }
        let critical = encode(&json!({"alg": "ES256", "crit": ["exp"]}));
        check(&format!("{critical}.{claims}.{signature}"), Err(Unsigned::OtherKey));
        let stranger = Signer::new(&KeyPair::generate().unwrap()).unwrap();
        check(&stranger.sign(&json!({"sub": "me"})).unwrap(), Err(Unsigned::OtherKey));
        let headless = encode(&json!({"alg": "ES256"}));
        let foreign =
            stranger.pair.sign(&stranger.random, format!("{headless}.{claims}").as_bytes()).unwrap();
        let foreign = URL_SAFE_NO_PAD.encode(foreign);
        check(&format!("{headless}.{claims}.{foreign}"), Err(Unsigned::Forged));
        for broken in ["", ".", "..", "a.b", "a.b.c", &format!("{token}="), &format!("{token}.{token}")] {
            assert!(signer.verify::<Value>(broken).is_err(), "{broken}");
        }
        check(&"a".repeat(LONGEST), Err(Unsigned::Malformed));
    }

    #[test]
    fn other_curves_do_not_sign() {
        let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        assert!(Signer::new(&key).is_none());
    }
}
