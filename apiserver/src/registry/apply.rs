//! Server-side apply, from the configuration a client sent to the state and the owners it leads to.

use std::borrow::Cow;

use api::backend::{Body, FieldValidation, Request, Verb, WriteOptions};
use api::status::Reason;
use api::{Resource, Status, event};
use serde_json::{Value, json};

use super::change::{document, in_version, read};
use super::decode::{self, Incoming};
use super::owners::{self, Owners};
use super::{Place, Registry};
use crate::managed::entries::{self, Entry};
use crate::managed::{Manager, Operation, Shape, fields};
use crate::patch::apply::{Apply, Conflict, apply, check, refused, sync_last_applied};
use crate::schema::{self, Decoded, Finding};
use crate::subresources::scale;
use crate::tree;

/// Who is said to own the fields of an object nobody kept account of before it was first applied to.
const BEFORE: &str = "before-first-apply";

/// The field that a scale writes, as text of a set.
const REPLICAS: &str = r#"{"f:spec":{"f:replicas":{}}}"#;

impl Registry {
    /// The state that applying leads to, and who owns its fields then.
    pub(super) fn applied(
        &self,
        place: &Place,
        Decoded { value: config, findings }: &Decoded,
        old: &Value,
        before: &str,
        options: &WriteOptions,
    ) -> Result<(Incoming, Owners<'static>), Status> {
        check_config(place, &document(place), config)?;
        let is_scale = place.part == "scale";
        let (live, config) = match is_scale {
            true => (
                Cow::Owned(scaled(place, &scale::of_value(&place.kind, old))?),
                Cow::Owned(scaled(place, config)?),
            ),
            false => (in_version(place, old), Cow::Borrowed(config)),
        };
        let now = event::seconds(self.clock.now());
        let api_version = place.version.resource().api_version();
        let manager = |name, operation| Manager::new(name, operation, &api_version, place.part);
        let ignored = owners::unwritable(place, &live, &config);
        let mut entries = entries::parse(before).unwrap_or_default();
        if entries.is_empty() {
            let set = fields::created(owners::shape(&place.version), &live, &ignored);
            let first = Entry::new(manager(BEFORE, Operation::Update), set, Some(Cow::Borrowed(&*now)));
            entries.extend((!first.set().is_empty()).then_some(first));
        }
        let served = self.served();
        let versions = owners::versions(place, &served, &entries);
        let who = manager(&options.field_manager, Operation::Apply);
        let request = Apply {
            versions: &versions,
            config: &config,
            manager: &who,
            ignored: &ignored,
            force: options.force,
        };
        let next = apply(request, &live, &mut entries, &now).map_err(|conflicts| match is_scale {
            true => refused(&conflicts.into_iter().map(in_scale).collect::<Vec<_>>()),
            false => refused(&conflicts),
        })?;
        let owners = Owners::Known(entries::write(&mut entries));
        drop(entries);
        let mut object = next.unwrap_or_else(|| live.clone().into_owned());
        sync_last_applied(&mut object, &config, &who);
        if is_scale {
            let status = scale::of_value(&place.kind, old)["status"].take();
            object = scale::of_value(&place.kind, &object);
            tree::set(&mut object, "status", Some(status));
        }
        let again = told_again(findings, options)?;
        let Incoming { value, mut warnings } = read(place, Body::Value(object), options.field_validation)?;
        warnings.splice(..0, again);
        Ok((Incoming { value, warnings }, owners))
    }

    /// The new object that applying leads to where there is none, and the text of its owners.
    pub(super) fn newly_applied(
        &self,
        place: &Place,
        Decoded { value: config, findings }: &Decoded,
        options: &WriteOptions,
    ) -> Result<(Incoming, String), Status> {
        let resource = place.version.resource();
        check_config(place, resource, config)?;
        let metadata = &config["metadata"];
        let name = tree::text(metadata, "name").ok_or_else(|| {
            Status::bad_request(
                "the name of the object (based on URL) was undeterminable: name must be provided",
            )
        })?;
        if let Some(uid) = tree::text(metadata, "uid") {
            let words = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            return Err(Status::conflict(resource, name, &words));
        }
        self.authorizer.authorize(&Request {
            user: place.user.clone(),
            resource: resource.clone(),
            key: place.key.clone(),
            subresource: "",
            verb: Verb::Create(Body::Value(Value::Null), WriteOptions::default()),
        })?;
        let (shape, now) = (owners::shape(&place.version), event::seconds(self.clock.now()));
        let mut set = fields::named(shape, config, &owners::unwritable(place, config, config));
        fields::strip(&mut set);
        let api_version = resource.api_version();
        let manager = Manager::new(&options.field_manager, Operation::Apply, &api_version, "");
        let mut entries = vec![Entry::new(manager, set, Some(now.into()))];
        entries.retain(|entry| !entry.set().is_empty());
        let owners = entries::write(&mut entries);
        let again = told_again(findings, options)?;
        let mut incoming =
            decode::in_version(&place.version, Body::Value(config.clone()), options.field_validation)?;
        incoming.warnings.splice(..0, again);
        Ok((incoming, owners))
    }
}

/// What is to be told of keys that a configuration sets again; a strict client is refused, but only when all else is right.
fn told_again(findings: &[Finding], options: &WriteOptions) -> Result<Vec<String>, Status> {
    match options.field_validation {
        FieldValidation::Strict if !findings.is_empty() => {
            let words = schema::yaml_errors(findings);
            Err(Status::bad_request(format!(
                "error strict decoding YAML: error converting YAML to JSON: {words}"
            )))
        }
        FieldValidation::Strict | FieldValidation::Ignore => Ok(Vec::new()),
        FieldValidation::Warn => Ok(findings.iter().map(ToString::to_string).collect()),
    }
}

/// Refuses what cannot be applied here, with Kubernetes' words.
fn check_config(place: &Place, resource: &Resource, config: &Value) -> Result<(), Status> {
    if !config.is_object() {
        let words = decode::cannot_unmarshal(config, decode::TREE);
        return Err(Status::bad_request(format!(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: {words}"
        )));
    }
    let text = |field| tree::text(config, field).unwrap_or_default();
    if text("apiVersion") != resource.api_version() || text("kind") != resource.kind {
        let words = format!("invalid object type: {}", type_of(config));
        return Err(Status::bad_request(words));
    }
    if config["metadata"].get("managedFields").is_some_and(|sent| !sent.is_null()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let shape = match place.part {
        "scale" => schema::builtin()
            .kind(&resource.group, &resource.version, &resource.kind)
            .map_or(Shape::Deduced, Shape::Structure),
        _ => owners::shape(&place.version),
    };
    let Some(mistakes) = check(shape, config) else {
        return Ok(());
    };
    let said = |field| tree::text(&config["metadata"], field).unwrap_or_default();
    let object = format!("{}/{}; {}", said("namespace"), said("name"), type_of(config));
    let words = format!("failed to create typed patch object ({object}): {mistakes}");
    // Kubernetes takes it for a failure of its own, without a reason.
    Err(Status { code: 500, ..Status::new(Reason::Unknown, words) })
}

/// The kind as Go prints it: `apps/v1, Kind=Deployment`.
fn type_of(object: &Value) -> String {
    let text = |field| tree::text(object, field).unwrap_or_default();
    let version = text("apiVersion");
    let slash = if version.contains('/') { "" } else { "/" };
    format!("{slash}{version}, Kind={}", text("kind"))
}

/// What a scale says of the object it stands for, and what tells the object.
fn scaled(place: &Place, scale: &Value) -> Result<Value, Status> {
    let resource = place.resource();
    let kept = ["name", "namespace", "uid", "resourceVersion"];
    let field = |name: &str| Some((name.to_owned(), scale["metadata"].get(name)?.clone()));
    let object = json!({
        "apiVersion": resource.api_version(),
        "kind": resource.kind,
        "metadata": kept.into_iter().filter_map(field).collect::<serde_json::Map<_, _>>(),
    });
    match scale["spec"].get("replicas") {
        Some(_) => scale::apply(&place.kind, object, scale)
            .map_err(|error| Status::invalid(&scale::RESOURCE, &place.key.name, &[error])),
        None => Ok(object),
    }
}

/// A conflict about the one field that a scale writes, as somebody sees it who knows the scale only.
fn in_scale(conflict: Conflict) -> Conflict {
    let manager = match conflict.manager.rsplit_once(" using ") {
        Some((manager, _)) if !conflict.manager.ends_with('"') => {
            format!("{manager} using {}", scale::RESOURCE.api_version())
        }
        _ => conflict.manager,
    };
    Conflict { manager, fields: REPLICAS.to_owned() }
}
