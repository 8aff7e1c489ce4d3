//! What a token of a service account says, in the names that Kubernetes and its clients use.

use serde::{Deserialize, Serialize};

/// The claims of a token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// For whom it is.
    #[serde(rename = "aud")]
    pub audiences: Vec<String>,
    /// From when on it is good no more, in seconds.
    #[serde(rename = "exp")]
    pub expires: i64,
    /// When it was issued, in seconds.
    #[serde(rename = "iat")]
    pub issued: i64,
    /// Who issued it.
    #[serde(rename = "iss")]
    pub issuer: String,
    /// Which token it is.
    #[serde(rename = "jti")]
    pub id: String,
    /// The objects it belongs to.
    #[serde(rename = "kubernetes.io")]
    pub private: Private,
    /// From when on it is good, in seconds.
    #[serde(rename = "nbf")]
    pub not_before: i64,
    /// Whose token it is.
    #[serde(rename = "sub")]
    pub subject: String,
}

/// The objects a token belongs to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Private {
    /// The namespace of the service account, the pod and the secret.
    pub namespace: String,
    /// The node, or the node of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<Reference>,
    /// The pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<Reference>,
    /// The secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Reference>,
    /// The service account.
    #[serde(rename = "serviceaccount")]
    pub account: Reference,
    /// When the token should have been replaced, if it lasts longer than was asked for.
    #[serde(rename = "warnafter", default, skip_serializing_if = "Option::is_none")]
    pub warn_after: Option<i64>,
}

/// One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// Its name.
    pub name: String,
    /// Its uid, so that another object of that name is not taken for it.
    #[serde(default)]
    pub uid: String,
}

/// With what a token ends, besides its service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Nothing.
    Nothing,
    /// A pod; and its node, if it has one.
    Pod {
        /// The pod.
        pod: Reference,
        /// Where it runs.
        node: Option<Reference>,
    },
    /// A secret.
    Secret(Reference),
    /// A node.
    Node(Reference),
}

impl Private {
    pub fn new(namespace: String, account: Reference, bound: Bound, warn_after: Option<i64>) -> Self {
        let (pod, secret, node) = match bound {
            Bound::Nothing => (None, None, None),
            Bound::Pod { pod, node } => (Some(pod), None, node),
            Bound::Secret(secret) => (None, Some(secret), None),
            Bound::Node(node) => (None, None, Some(node)),
        };
        Self { namespace, node, pod, secret, account, warn_after }
    }
}
