//! Takes requests through the admission chain.

use std::sync::Arc;

use api::backend::{Body, DeleteOptions, User, WriteOptions};
use api::dialer::Dialer;
use api::{Key, Resource, Status};
use serde_json::Value;

use super::{Place, Registry, decode};
use crate::admission::{self, Attributes, Findings, Operation, Options, Surroundings};
use crate::outgoing::Outgoing;
use crate::served::Served;
use crate::subresources::{binding, eviction, scale, token};

impl Registry {
    /// Gives the server a way to webhooks and other servers; the first that is given counts.
    pub fn reach_others_through(&self, dialer: Arc<dyn Dialer>) {
        // Who comes later is not heard.
        let _ = self.outgoing.set(Outgoing::new(dialer, self.clock.clone(), self.store.clone()));
    }

    /// The server's way to webhooks and other servers, once it has one.
    pub fn outgoing(&self) -> Option<&Outgoing> {
        self.outgoing.get()
    }

    /// The same, as soon as it has one.
    pub(crate) async fn way_out(&self) -> &Outgoing {
        self.outgoing.wait().await
    }

    fn surroundings<'a>(&'a self, served: &'a Arc<Served>) -> Surroundings<'a> {
        Surroundings {
            served,
            authorizer: &self.authorizer,
            store: &self.store,
            identity: &self.identity,
            quotas: &self.quotas,
            configured: &self.configured,
            outgoing: self.outgoing.get(),
            issues_tokens: self.tokens.is_some(),
        }
    }

    /// Asks those who may change a new state, or the document that stands for a subresource.
    pub(crate) async fn admit(
        &self,
        place: &Place,
        options: Options<'_>,
        (object, owners): (&mut Value, Option<&mut String>),
        (old, old_owners): (Option<&Value>, &str),
        findings: &mut Findings,
    ) -> Result<(), Status> {
        let complete = |value| complete(place, value);
        let object = Some(object);
        let mut attributes =
            Attributes { object, owners, old, old_owners, complete: &complete, ..about(place, options) };
        admission::mutate(&self.surroundings(&self.served()), &mut attributes, findings).await
    }

    /// Asks those who agree to a new state or refuse it.
    pub(crate) async fn agree(
        &self,
        place: &Place,
        options: Options<'_>,
        (object, owners): (&mut Value, Option<&mut String>),
        (old, old_owners): (Option<&Value>, &str),
        findings: &mut Findings,
    ) -> Result<(), Status> {
        let object = Some(object);
        let mut attributes = Attributes { object, owners, old, old_owners, ..about(place, options) };
        admission::validate(&self.surroundings(&self.served()), &mut attributes, findings).await
    }

    /// Takes a document about an object, such as a binding, through the whole chain.
    pub(crate) async fn admit_document(
        &self,
        place: &Place,
        options: &WriteOptions,
        document: &mut Value,
        findings: &mut Findings,
    ) -> Result<(), Status> {
        let how = Options::Create(options);
        self.admit(place, how, (document, None), (None, ""), findings).await?;
        self.agree(place, how, (document, None), (None, ""), findings).await
    }

    /// Takes the deletion of an object through the whole chain.
    pub(crate) async fn admit_deletion(
        &self,
        place: &Place,
        options: &DeleteOptions,
        old: &Value,
        findings: &mut Findings,
    ) -> Result<(), Status> {
        let mut attributes = Attributes { old: Some(old), ..about(place, Options::Delete(options)) };
        let served = self.served();
        let around = self.surroundings(&served);
        admission::mutate(&around, &mut attributes, findings).await?;
        admission::validate(&around, &mut attributes, findings).await
    }

    /// Takes a connection, such as by exec, through the whole chain; answers with warnings for the user.
    ///
    /// `options` is the object with its parameters, such as PodExecOptions.
    pub async fn admit_connection(
        &self,
        user: &Arc<User>,
        resource: &Resource,
        subresource: &'static str,
        key: &Key,
        options: &mut Value,
    ) -> Result<Vec<String>, Status> {
        let mut findings = Findings::default();
        let mut attributes = Attributes {
            user,
            resource,
            requested: resource,
            subresource,
            key,
            operation: Operation::Connect,
            options: Options::Connect,
            object: Some(options),
            owners: None,
            old: None,
            old_owners: "",
            complete: &Ok,
        };
        let served = self.served();
        let around = self.surroundings(&served);
        admission::mutate(&around, &mut attributes, &mut findings).await?;
        admission::validate(&around, &mut attributes, &mut findings).await?;
        Ok(findings.warnings)
    }
}

/// What is to happen at a place, without the states.
fn about<'a>(place: &'a Place, options: Options<'a>) -> Attributes<'a> {
    Attributes {
        user: &place.user,
        resource: place.resource(),
        requested: place.version.resource(),
        subresource: place.part,
        key: &place.key,
        operation: match options {
            Options::Create(_) => Operation::Create,
            Options::Update(_) | Options::Patch(_) => Operation::Update,
            Options::Delete(_) => Operation::Delete,
            Options::Connect => Operation::Connect,
        },
        options,
        object: None,
        owners: None,
        old: None,
        old_owners: "",
        complete: &Ok,
    }
}

/// What others made of an object, as an object of its kind.
fn complete(place: &Place, value: Value) -> Result<Value, Status> {
    let resource = match place.part {
        "binding" => &binding::RESOURCE,
        "eviction" => &eviction::RESOURCE,
        "scale" => &scale::RESOURCE,
        "token" => &token::RESOURCE,
        _ => place.resource(),
    };
    let body = Body::Value(value);
    let decoded = match place.kind.custom() {
        Some(kind) if place.part != "scale" => kind.read(body)?,
        _ => decode::decoded(resource, body)?,
    };
    let mut value = decoded.value;
    if place.part.is_empty() {
        place.kind.set_defaults(&mut value);
    }
    Ok(value)
}
