//! Tokens of a service account: whoever may ask for one gets it, for a while and bound to what it should end with.

use std::time::Duration;

use api::backend::{Answer, Body, Reply, WriteOptions};
use api::field::FieldError;
use api::resource::{NODES, PODS, SECRETS};
use api::status::Reason;
use api::{Key, Object, Resource, Status, event};
use serde_json::{Value, json};

use crate::admission::Findings;
use crate::auth::tokens::{Bound, Grant, ISSUER, Reference, Tokens};
use crate::registry::{Place, Registry, decode};
use crate::store::{Collection, StoreKey};
use crate::tree;

/// The document of the subresource.
pub const RESOURCE: Resource =
    Resource::new("authentication.k8s.io", "v1", "tokenrequests", "TokenRequest", true);

/// How long a token is good if nothing is said.
const USUAL_SECONDS: i64 = 3_600;

/// The shortest lifetime: clients refresh in time.
const LEAST_SECONDS: i64 = 600;

/// The longest lifetime.
const MOST_SECONDS: i64 = 1 << 32;

/// An object that a token is to be bound to, as the client names it.
struct Named<'a> {
    api_version: &'a str,
    kind: &'a str,
    name: &'a str,
    uid: Option<&'a str>,
}

impl Registry {
    pub(crate) async fn request_token(
        &self,
        place: &Place,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Reply, Status> {
        let tokens = self.tokens()?;
        let incoming = decode::object(&RESOURCE, body, options.field_validation)?;
        let mut request = incoming.value;
        check_place(place, &request)?;
        let account = self.current(place)?;
        let spec = tree::object(&mut request, "spec");
        tree::set_default(spec, "expirationSeconds", USUAL_SECONDS);
        if spec["audiences"].as_array().is_none_or(Vec::is_empty) {
            tree::set(spec, "audiences", Some(json!([ISSUER])));
        }
        let mut findings = Findings::default();
        self.admit_document(place, options, &mut request, &mut findings).await?;
        let spec = tree::object(&mut request, "spec");
        let lifetime = lifetime(place, spec)?;
        let grant = Grant {
            namespace: place.key.namespace.to_string(),
            bound: self.bound(place, &spec["boundObjectRef"])?,
            account: reference(&account),
            audiences: audiences(spec),
            lifetime,
            id: self.identity.uid(),
        };
        let now = event::seconds(self.clock.now());
        let issued = tokens.issue(grant).ok_or_else(|| Status::internal("the token could not be signed"))?;
        let metadata = tree::object(&mut request, "metadata");
        for (field, value) in
            [("name", &*place.key.name), ("namespace", &*place.key.namespace), ("creationTimestamp", &now)]
        {
            tree::set(metadata, field, Some(value.into()));
        }
        let status = json!({"token": issued.token, "expirationTimestamp": event::seconds(issued.expiration)});
        tree::set(&mut request, "status", Some(status));
        tree::set(&mut request, "apiVersion", Some(RESOURCE.api_version().into()));
        tree::set(&mut request, "kind", Some((*RESOURCE.kind).into()));
        let answer = Object::from_value(request).map_err(Status::internal)?;
        let warnings = incoming.warnings.into_iter().chain(findings.warnings).collect();
        Ok(Reply { answer: Answer::Object(answer), warnings })
    }

    fn tokens(&self) -> Result<&Tokens, Status> {
        self.tokens.as_deref().ok_or_else(|| {
            let words = "this server issues no tokens: it was started without the keys to sign them";
            Status::new(Reason::MethodNotAllowed, words)
        })
    }

    fn bound(&self, place: &Place, reference: &Value) -> Result<Bound, Status> {
        if !reference.is_object() {
            return Ok(Bound::Nothing);
        }
        let text = |field| tree::text(reference, field);
        let named = Named {
            api_version: text("apiVersion").unwrap_or_default(),
            kind: text("kind").unwrap_or_default(),
            name: text("name").unwrap_or_default(),
            uid: text("uid"),
        };
        match (named.api_version, named.kind) {
            ("v1", "Pod") => self.bound_pod(place, &named),
            ("v1", "Secret") => {
                let key = Key::new(&*place.key.namespace, named.name);
                self.referred(&SECRETS, key, &named).map(|secret| Bound::Secret(self::reference(&secret)))
            }
            ("v1", "Node") => {
                let node = self.referred(&NODES, Key::cluster(named.name), &named)?;
                Ok(Bound::Node(self::reference(&node)))
            }
            (version, kind) => {
                let version = if version.contains('/') { version.to_owned() } else { format!("/{version}") };
                let words = format!("cannot bind token to object of type {version}, Kind={kind}");
                Err(Status::bad_request(words))
            }
        }
    }

    fn bound_pod(&self, place: &Place, named: &Named<'_>) -> Result<Bound, Status> {
        let pod = self.referred(&PODS, Key::new(&*place.key.namespace, named.name), named)?;
        let spec = &pod.value()["spec"];
        if tree::text(spec, "serviceAccountName") != Some(&place.key.name) {
            return Err(Status::bad_request(format!(
                "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
                place.key.name
            )));
        }
        let node = tree::text(spec, "nodeName").map(|name| {
            let uid = self.object(&NODES, Key::cluster(name)).map(|node| node.uid().to_owned());
            Reference { name: name.to_owned(), uid: uid.unwrap_or_default() }
        });
        Ok(Bound::Pod { pod: reference(&pod), node })
    }

    /// The object a client named, if it is the one the client means.
    fn referred(&self, resource: &Resource, key: Key, named: &Named<'_>) -> Result<Object, Status> {
        let found = self.object(resource, key).ok_or_else(|| Status::not_found(resource, named.name))?;
        match named.uid {
            Some(uid) if uid != found.uid() => {
                // Kubernetes names the kind here where it names the resource elsewhere.
                let kind = Resource { plural: resource.kind.clone(), ..resource.clone() };
                let words = format!(
                    "the UID in the bound object reference ({uid}) does not match the UID in record. \
                     The object might have been deleted and then recreated"
                );
                Err(Status::conflict(&kind, named.name, &words))
            }
            _ => Ok(found),
        }
    }

    fn object(&self, resource: &Resource, key: Key) -> Option<Object> {
        self.store().get(&StoreKey { collection: Collection::from(resource), key })
    }
}

/// What the request says of its place must be true, if it says anything.
fn check_place(place: &Place, request: &Value) -> Result<(), Status> {
    let said = |field| tree::text(&request["metadata"], field);
    for (field, actual) in [("name", &place.key.name), ("namespace", &place.key.namespace)] {
        if let Some(other) = said(field).filter(|said| *said != &**actual) {
            let words = format!("must match the service account {field} if specified");
            let error = FieldError::invalid(format!("metadata.{field}"), other, words);
            return Err(Status::invalid(&RESOURCE, &place.key.name, &[error]));
        }
    }
    Ok(())
}

fn lifetime(place: &Place, spec: &Value) -> Result<Duration, Status> {
    let seconds = spec["expirationSeconds"].as_i64().unwrap_or(USUAL_SECONDS);
    let words = match seconds {
        ..LEAST_SECONDS => "may not specify a duration less than 10 minutes",
        LEAST_SECONDS..=MOST_SECONDS => return Ok(Duration::from_secs(seconds.unsigned_abs())),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    let error = FieldError::invalid("spec.expirationSeconds", seconds, words);
    Err(Status::invalid(&RESOURCE, &place.key.name, &[error]))
}

fn audiences(spec: &Value) -> Vec<String> {
    let audiences = spec["audiences"].as_array().into_iter().flatten();
    audiences.filter_map(Value::as_str).map(str::to_owned).collect()
}

fn reference(object: &Object) -> Reference {
    Reference { name: object.name().to_owned(), uid: object.uid().to_owned() }
}

#[cfg(test)]
mod tests;
