//! Webhooks: others are asked, and may refuse or change what is to be stored.

use std::time::Duration;

use api::Status;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use serde_json::Value;
use tracing::warn;

use super::conditions::{self, Condition, Outcome, Seen, VARIABLES};
use super::review::{self, Answer};
use super::rules::Selection;
use super::shown::{Shown, taken_back};
use super::{Attributes, Findings, Surroundings};
use crate::cel::Names;
use crate::outgoing::{Address, Trust};
use crate::patch;
use crate::registry::metadata;
use crate::tree;

/// So long a webhook may take that does not say.
const USUAL_TIMEOUT: u64 = 10;

/// The longest a webhook may ask for.
const LONGEST_TIMEOUT: u64 = 30;

/// So many validating webhooks are asked at once for one request: each is a connection.
const AT_ONCE: usize = 32;

/// What webhooks may say to the user of one request, in bytes.
const MOST_WARNINGS: usize = 4096;

/// A webhook that was read from its configuration.
#[derive(Debug)]
pub struct Webhook {
    name: String,
    selection: Result<Selection, String>,
    conditions: Result<Vec<Condition>, String>,
    address: Result<Address, String>,
    trust: Result<Trust, String>,
    timeout: Duration,
    ignores_failures: bool,
    has_side_effects: bool,
    reinvokes: bool,
}

impl Webhook {
    /// Reads all webhooks of a configuration.
    pub fn read_all(configuration: &Value) -> Vec<Self> {
        configuration["webhooks"].as_array().into_iter().flatten().map(Self::read).collect()
    }

    fn read(webhook: &Value) -> Self {
        let config = &webhook["clientConfig"];
        let names = Names { variables: &VARIABLES, ..Names::default() };
        let seconds = webhook["timeoutSeconds"].as_u64().unwrap_or(USUAL_TIMEOUT);
        Self {
            name: tree::text(webhook, "name").unwrap_or_default().to_owned(),
            selection: Selection::read(webhook),
            conditions: conditions::compile(&webhook["matchConditions"], &names),
            address: Address::of_client_config(config),
            trust: Trust::of_bundle(tree::text(config, "caBundle")),
            timeout: Duration::from_secs(seconds.clamp(1, LONGEST_TIMEOUT)),
            ignores_failures: tree::text(webhook, "failurePolicy") == Some("Ignore"),
            has_side_effects: !matches!(tree::text(webhook, "sideEffects"), Some("None" | "NoneOnDryRun")),
            reinvokes: tree::text(webhook, "reinvocationPolicy") == Some("IfNeeded"),
        }
    }

    /// What it is shown of a request; none if it is not asked about it.
    async fn sees<'a>(
        &self,
        around: &Surroundings<'_>,
        attributes: &'a Attributes<'a>,
    ) -> Result<Option<Shown<'a>>, Status> {
        let forbidden = |words: &str| Status::forbidden(attributes.resource, &attributes.key.name, words);
        let resource = match &self.selection {
            Ok(selection) => selection.selects(around, attributes, false),
            Err(_) if self.ignores_failures => None,
            Err(words) => return Err(forbidden(words)),
        };
        let Some(resource) = resource else {
            return Ok(None);
        };
        let shown = Shown::new(around, attributes, resource).await.map_err(Status::internal)?;
        match self.outcome(around, &shown) {
            Outcome::Asked if attributes.is_dry_run() && self.has_side_effects => {
                let words = format!("admission webhook {:?} does not support dry run", self.name);
                Err(Status::bad_request(words))
            }
            Outcome::Asked => Ok(Some(shown)),
            Outcome::NotAsked => Ok(None),
            Outcome::Failed(_) if self.ignores_failures => Ok(None),
            Outcome::Failed(words) => Err(forbidden(&words)),
        }
    }

    fn outcome(&self, around: &Surroundings<'_>, shown: &Shown<'_>) -> Outcome {
        match &self.conditions {
            Ok(conditions) if conditions.is_empty() => Outcome::Asked,
            Ok(conditions) => {
                let seen = Seen::new(around, shown);
                conditions::outcome(conditions, &seen.scope(shown))
            }
            Err(words) => Outcome::Failed(words.clone()),
        }
    }

    /// Asks it; nothing if it cannot be asked and that does not matter.
    async fn ask(&self, around: &Surroundings<'_>, shown: &Shown<'_>) -> Result<Option<Answer>, Status> {
        match self.call(around, shown).await {
            Ok(answer) if answer.allowed => Ok(Some(answer)),
            Ok(answer) => Err(review::denied(&self.name, &answer.status)),
            Err(words) if self.ignores_failures => {
                warn!(webhook = self.name, error = words, "failed open");
                Ok(None)
            }
            Err(words) => {
                let name = &self.name;
                Err(Status::internal(format_args!("failed calling webhook {name:?}: {words}")))
            }
        }
    }

    async fn call(&self, around: &Surroundings<'_>, shown: &Shown<'_>) -> Result<Answer, String> {
        let failed = |words: &str| format!("failed to call webhook: {words}");
        let outgoing = around.outgoing.ok_or_else(|| failed("this server has no way to others"))?;
        let address = self.address.as_ref().map_err(|words| failed(words))?;
        let trust = self.trust.as_ref().map_err(|words| failed(words))?;
        let uid = around.identity.uid();
        let body = review::document(shown, &uid).to_string().into_bytes();
        let reply =
            outgoing.post(address, trust, body, self.timeout).await.map_err(|words| failed(&words))?;
        let body = reply.good().map_err(|words| failed(&words))?;
        review::answer(&body, &uid)
    }
}

/// Keeps what a webhook said besides.
fn keep(webhook: &Webhook, answer: &mut Answer, findings: &mut Findings) {
    let mut room = MOST_WARNINGS.saturating_sub(findings.warnings.iter().map(String::len).sum());
    for warning in answer.warnings.drain(..).filter(|warning| !warning.is_empty()) {
        room = match room.checked_sub(warning.len()) {
            Some(room) => room,
            None => break,
        };
        findings.warnings.push(warning);
    }
    let noted = std::mem::take(&mut answer.annotations).into_iter();
    findings.annotations.extend(noted.map(|(key, value)| (format!("{}/{key}", webhook.name), value)));
}

/// Asks those who may change the object, one after the other; with `changed` only those that want to see it again.
/// Answers for each whether it was asked, with the object it left.
pub async fn mutate(
    webhooks: &[Webhook],
    around: &Surroundings<'_>,
    attributes: &mut Attributes<'_>,
    findings: &mut Findings,
    seen: &mut Vec<Option<Value>>,
) -> Result<(), Status> {
    let is_again = !seen.is_empty();
    seen.resize(webhooks.len(), None);
    for (webhook, seen) in webhooks.iter().zip(seen) {
        let is_wanted = match (is_again, &seen) {
            (false, _) => true,
            (true, None) => false,
            (true, Some(left)) => webhook.reinvokes && attributes.object.as_deref() != Some(left),
        };
        if !is_wanted {
            continue;
        }
        let (answer, resource, made) = {
            let Some(shown) = webhook.sees(around, attributes).await? else {
                continue;
            };
            let answer = webhook.ask(around, &shown).await?;
            let operations = answer.as_ref().and_then(|answer| answer.patch.as_ref());
            let made = operations.map(|operations| webhook.patched(&shown, operations)).transpose()?;
            (answer, shown.resource, made)
        };
        if let Some(mut answer) = answer {
            keep(webhook, &mut answer, findings);
        }
        if let Some(made) = made {
            let made = taken_back(around, attributes, &resource, made).await.map_err(Status::internal)?;
            let complete = attributes.complete;
            if let Some(object) = attributes.object.as_deref_mut() {
                findings.changed |= replace(object, made, complete)?;
            }
        }
        *seen = attributes.object.as_deref().cloned();
    }
    Ok(())
}

impl Webhook {
    /// The object it was shown, changed as it says.
    fn patched(&self, shown: &Shown<'_>, operations: &Value) -> Result<Value, Status> {
        let name = &self.name;
        match shown.object() {
            Some(object) => patch::apply_operations(object.clone(), operations).map_err(Status::internal),
            None => Err(Status::internal(format_args!(
                "admission webhook {name:?} attempted to modify the object, which is not supported for this operation"
            ))),
        }
    }
}

/// Puts what somebody made of an object in its place, with the identity it had; whether it is another now.
pub fn replace(object: &mut Value, made: Value, complete: super::Complete<'_>) -> Result<bool, Status> {
    let mut made = complete(made).map_err(Status::internal)?;
    let kept = metadata::identity(object);
    let of_made = tree::object(&mut made, "metadata");
    // Who owns the fields may be changed, too.
    for (field, value) in kept.into_iter().filter(|(field, _)| *field != "managedFields") {
        tree::set(of_made, field, value);
    }
    let is_other = *object != made;
    *object = made;
    Ok(is_other)
}

/// Asks those who only agree or refuse, all at once. The first in order that refuses is heard.
pub async fn validate(
    webhooks: &[Webhook],
    around: &Surroundings<'_>,
    attributes: &Attributes<'_>,
    findings: &mut Findings,
) -> Result<(), Status> {
    let mut asked = Vec::new();
    for webhook in webhooks {
        if let Some(shown) = webhook.sees(around, attributes).await? {
            asked.push((webhook, shown));
        }
    }
    let mut answers: Vec<BoxFuture<'_, _>> = Vec::with_capacity(asked.len());
    for (webhook, shown) in &asked {
        answers.push(webhook.ask(around, shown).boxed());
    }
    let answers: Vec<_> = stream::iter(answers).buffered(AT_ONCE).collect().await;
    let mut refused = None;
    for ((webhook, _), answer) in asked.iter().zip(answers) {
        match answer {
            Ok(Some(mut answer)) => keep(webhook, &mut answer, findings),
            Ok(None) => {}
            Err(status) => refused = refused.or(Some(status)),
        }
    }
    refused.map_or(Ok(()), Err)
}
