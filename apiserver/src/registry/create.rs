//! Adds objects.

use std::any::Any;

use api::backend::{Answer, Body, Reply, WriteOptions};
use api::{Key, Status, event};
use serde_json::Value;

use super::decode::{self, Incoming};
use super::{Place, Registry, metadata, owners};
use crate::admission::{self, Findings, Options};
use crate::store::{Draft, Expected, Next, Refused, Write};
use crate::tree;

/// So many endings of a generated name are tried before one that is taken is an error.
const NAME_ATTEMPTS: usize = 8;

/// Something held.
type Hold = Box<dyn Any + Send>;

impl Registry {
    pub(super) async fn create(
        &self,
        place: &Place,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Reply, Status> {
        let incoming = decode::in_version(&place.version, body, options.field_validation)?;
        self.create_owned(place, incoming, None, options).await
    }

    /// Adds an object whose fields are owned so, or by whoever adds it.
    pub(super) async fn create_owned(
        &self,
        place: &Place,
        incoming: Incoming,
        owners: Option<String>,
        options: &WriteOptions,
    ) -> Result<Reply, Status> {
        let Incoming { mut value, mut warnings } = incoming;
        let sent = owners::take_sent(&mut value);
        let place = &self.identify(place, &mut value)?;
        let definition = place.kind.definition();
        place.kind.set_defaults(&mut value);
        let now = event::seconds(self.clock.now());
        let mut owners = owners
            .unwrap_or_else(|| owners::of_new(place, &self.served(), options, (&value, sent.as_ref()), &now));
        let mut findings = Findings::default();
        let how = Options::Create(options);
        self.admit(place, how, (&mut value, Some(&mut owners)), (None, ""), &mut findings).await?;
        if definition.has("status") && !definition.status_at_create {
            tree::set(&mut value, "status", None);
        }
        place.kind.prepare_create(&mut value);
        place.kind.prepare_create_by(&mut value, &place.user);
        let hold = self.allocate(place, &mut value, None)?;
        let (checked, found) = place.kind.check_create(&value).map_err(|error| place.unfit(&error))?;
        let mut errors = Vec::new();
        metadata::check(&checked.metadata, definition, &mut errors);
        if sent.is_some() {
            owners::check_sent(&owners, &mut errors);
        }
        errors.extend(found);
        if !errors.is_empty() {
            return Err(Status::invalid(place.resource(), &place.key.name, &errors));
        }
        self.agree(place, how, (&mut value, Some(&mut owners)), (None, ""), &mut findings).await?;
        warnings.append(&mut findings.warnings);
        // It may have gone while others were asked.
        admission::check_namespace(&self.store, place.resource(), &place.key)?;
        let key = place.store_key();
        if options.dry_run {
            if self.store.get(&key).is_some() {
                return Err(Status::already_exists(place.resource(), &place.key.name));
            }
            let object = Draft::preview_owned(&value, checked.metadata, &owners);
            return Ok(Reply { answer: Answer::Object(object), warnings });
        }
        let draft = self.to_store(place, &value, checked.metadata, &owners).await?;
        let hold = held(hold, findings.holds);
        let write = Write { key, expected: Expected::Absent, next: Next::Put(draft), hold };
        match self.commit(write).await {
            Ok(object) => Ok(Reply { answer: Answer::Object(object), warnings }),
            Err(Refused::Conflict(_)) => Err(Status::already_exists(place.resource(), &place.key.name)),
            Err(refused) => Err(place.refused(&refused)),
        }
    }

    /// Finds out where the object is to be, and gives it its identity.
    fn identify(&self, place: &Place, value: &mut Value) -> Result<Place, Status> {
        let given = &value["metadata"];
        if tree::text(given, "resourceVersion").is_some() {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        let namespace = namespace_of(place, given)?;
        let name = self.name_of(place, &namespace, given)?;
        let new = metadata::New {
            namespace: &namespace,
            name: &name,
            uid: self.identity.uid(),
            now: event::seconds(self.clock.now()),
        };
        metadata::identify(value, new, &*place.kind);
        Ok(place.with_key(Key::new(namespace, name)))
    }

    fn name_of(&self, place: &Place, namespace: &str, given: &Value) -> Result<String, Status> {
        let asked = &*place.key.name;
        match (tree::text(given, "name"), tree::text(given, "generateName")) {
            (Some(name), _) if !asked.is_empty() && asked != name => Err(Status::bad_request(format!(
                "the name of the object ({name}) does not match the name on the URL ({asked})"
            ))),
            (Some(name), _) => Ok(name.to_owned()),
            (None, _) if !asked.is_empty() => Ok(asked.to_owned()),
            (None, Some(prefix)) => Ok(self.free_name(place, namespace, prefix)),
            // Reported with everything else that is wrong.
            (None, None) => Ok(String::new()),
        }
    }

    fn free_name(&self, place: &Place, namespace: &str, prefix: &str) -> String {
        let (snapshot, _) = self.store.snapshot(&place.collection());
        let mut name = self.identity.name(prefix);
        for _ in 1..NAME_ATTEMPTS {
            if snapshot.get(&Key::new(namespace, name.as_str())).is_none() {
                break;
            }
            name = self.identity.name(prefix);
        }
        name
    }
}

/// Everything that is held until a change is stored or refused.
pub(super) fn held(hold: Option<Hold>, mut others: Vec<Hold>) -> Option<Hold> {
    others.extend(hold);
    if others.len() > 1 { Some(Box::new(others)) } else { others.pop() }
}

fn namespace_of(place: &Place, given: &Value) -> Result<String, Status> {
    if !place.resource().namespaced {
        // Many manifests name one all the same; Kubernetes says nothing.
        return Ok(String::new());
    }
    let asked = &*place.key.namespace;
    let namespace = match tree::text(given, "namespace") {
        Some(namespace) if asked.is_empty() => namespace,
        Some(namespace) if namespace != asked => {
            return Err(Status::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        _ => asked,
    };
    if namespace.is_empty() {
        return Err(Status::bad_request("an empty namespace may not be set during creation"));
    }
    Ok(namespace.to_owned())
}
