//! Eviction: a pod is deleted if the disruption budget of its kind allows it.

use api::backend::{Answer, Body, DeleteOptions, Propagation, Reply, WriteOptions};
use api::resource::POD_DISRUPTION_BUDGETS;
use api::selector::LabelSelector;
use api::status::{Cause, Details, Reason};
use api::{Object, Resource, Revision, Status, event};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admission::Findings;
use crate::registry::{ATTEMPTS, Place, Registry, decode, metadata};
use crate::store::{Collection, Draft, Expected, Next, Refused, Write};
use crate::tree;

/// The document of the subresource.
pub const RESOURCE: Resource = Resource::new("policy", "v1", "evictions", "Eviction", true);

/// The version before; its document is the same.
const OLDER: &str = "policy/v1beta1";

/// How messages call the kind that refuses.
const BUDGET: Resource = Resource::new("policy", "v1", "poddisruptionbudget", "PodDisruptionBudget", true);

/// More pods than this on their way out, and nobody counts them any more.
const MOST_DISRUPTED: usize = 2_000;

const VIOLATES: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// What becomes of a pod that is to be evicted.
#[derive(Debug)]
enum Verdict {
    /// It goes, and no budget is asked.
    Delete,
    /// It goes if it is still as it is now, as it does not count in the budget of this name.
    DeleteUnchanged(String),
    /// It goes, and counts in this budget, which becomes this.
    Spend(Object, Value),
}

impl Registry {
    pub(crate) async fn evict(
        &self,
        place: &Place,
        body: Body,
        options: &WriteOptions,
    ) -> Result<Reply, Status> {
        let incoming = decode::object(&RESOURCE, current_version(body), options.field_validation)?;
        let mut eviction = incoming.value;
        if tree::text(&eviction["metadata"], "name").is_some_and(|name| *name != *place.key.name) {
            return Err(Status::bad_request("name in URL does not match name in Eviction object"));
        }
        let mut findings = Findings::default();
        self.admit_document(place, options, &mut eviction, &mut findings).await?;
        let delete = delete_options(&eviction["deleteOptions"], options)?;
        let warnings = incoming.warnings.into_iter().chain(findings.warnings).collect();
        let pod = place.of_object();
        for _ in 0..ATTEMPTS {
            let current = self.current(&pod)?;
            let budgets = self.budgets(&current);
            let now = event::seconds(self.clock.now());
            let unchanged = Some(current.revision());
            let delete = match judge(&current, &budgets, &now)? {
                Verdict::Delete => delete.clone(),
                Verdict::DeleteUnchanged(budget) => {
                    let revision = delete.revision.or(unchanged);
                    let options = DeleteOptions { revision, ..delete.clone() };
                    let deleted = self.disrupt(&pod, &options).await;
                    // It may count by now.
                    let may_count = |status: &Status| status.is_conflict() && delete.revision.is_none();
                    return match deleted {
                        Err(status) if may_count(&status) => Err(busy(&budget)),
                        deleted => deleted.map(|answer| Reply { answer, warnings }),
                    };
                }
                Verdict::Spend(..) if delete.dry_run => delete.clone(),
                Verdict::Spend(budget, spent) => {
                    if !self.spend(&budget, &spent).await? {
                        continue;
                    }
                    delete.clone()
                }
            };
            return Ok(Reply { answer: self.disrupt(&pod, &delete).await?, warnings });
        }
        let words = "couldn't update PodDisruptionBudget due to conflicts";
        let details = Details { retry_after_seconds: Some(10), ..Details::default() };
        let status = Status::new(Reason::Timeout, format!("Timeout: {words}"));
        Err(Status { details: Some(Box::new(details)), ..status })
    }

    /// The budgets that choose a pod.
    fn budgets(&self, pod: &Object) -> Vec<Object> {
        let labels = pod.metadata().labels.as_ref().filter(|labels| !labels.is_empty());
        let (snapshot, _) = self.store().snapshot(&Collection::from(&POD_DISRUPTION_BUDGETS));
        let chooses = |budget: &&Object| {
            let typed = budget.typed::<PodDisruptionBudget>().ok();
            let selector = typed.and_then(|budget| budget.spec.as_ref()?.selector.as_ref());
            labels.is_some()
                && LabelSelector::from_api(selector).is_ok_and(|selector| selector.matches(labels))
        };
        snapshot.range(pod.namespace(), None).filter(chooses).cloned().collect()
    }

    /// Writes a budget from which a pod was taken; false if it changed meanwhile.
    async fn spend(&self, budget: &Object, spent: &Value) -> Result<bool, Status> {
        let resource = &POD_DISRUPTION_BUDGETS;
        let version = self.served().version(&resource.group, &resource.plural, &resource.version).cloned();
        let version = version.ok_or_else(|| Status::internal("disruption budgets are not served"))?;
        let checked = version.kind().decode(spent).map_err(Status::internal)?;
        let draft = Draft::new(spent, checked.metadata);
        let key = crate::store::StoreKey { collection: Collection::from(resource), key: budget.key() };
        let expected = Expected::At(budget.revision());
        match self.commit(Write { key, expected, next: Next::Put(draft), hold: None }).await {
            Ok(_) => Ok(true),
            Err(Refused::Conflict(_)) => Ok(false),
            Err(refused) => Err(Status::internal(refused)),
        }
    }

    /// Deletes a pod and leaves a note why.
    async fn disrupt(&self, pod: &Place, options: &DeleteOptions) -> Result<Answer, Status> {
        let mut options = options.clone();
        for _ in 0..ATTEMPTS {
            if options.dry_run {
                break;
            }
            let current = self.current(pod)?;
            if options.revision.is_some_and(|revision| revision != current.revision())
                || options.uid.as_ref().is_some_and(|uid| uid != current.uid())
            {
                // The deletion says what is wrong.
                break;
            }
            let mut value: Value =
                serde_json::from_slice(current.json()).map_err(|error| pod.unfit(&error))?;
            mark(&mut value, &event::seconds(self.clock.now()));
            let checked = pod.kind.decode(&value).map_err(|error| pod.unfit(&error))?;
            let draft = Draft::new(&value, checked.metadata);
            let expected = Expected::At(current.revision());
            let write = Write { key: pod.store_key(), expected, next: Next::Put(draft), hold: None };
            match self.commit(write).await {
                Ok(marked) => {
                    options.revision = options.revision.map(|_| marked.revision());
                    break;
                }
                Err(Refused::Conflict(Some(_))) => {}
                Err(refused) => return Err(pod.refused(&refused)),
            }
        }
        self.delete_agreed(pod, &options).await
    }
}

/// The same eviction in the version of today.
fn current_version(body: Body) -> Body {
    let is_older = |value: &Value| value["apiVersion"] == OLDER;
    let newer = |mut value: Value| {
        tree::set(&mut value, "apiVersion", Some(RESOURCE.api_version().into()));
        value
    };
    match body {
        Body::Value(value) if is_older(&value) => Body::Value(newer(value)),
        Body::Yaml(value, again) if is_older(&value) => Body::Yaml(newer(value), again),
        Body::Json(json) => match serde_json::from_slice::<Value>(&json) {
            Ok(value) if is_older(&value) => Body::Value(newer(value)),
            _ => Body::Json(json),
        },
        body => body,
    }
}

fn delete_options(given: &Value, options: &WriteOptions) -> Result<DeleteOptions, Status> {
    let given = match given {
        Value::Null => meta::DeleteOptions::default(),
        given => {
            meta::DeleteOptions::deserialize(given).map_err(|error| Status::bad_request(error.to_string()))?
        }
    };
    let dry_run = given.dry_run.unwrap_or_default();
    if !dry_run.is_empty() && !options.dry_run {
        let words = "Non-matching dry-run options in request and content: [] and [All]";
        return Err(Status::bad_request(words));
    }
    let propagation = match given.propagation_policy.as_deref() {
        None | Some("") => None,
        Some("Background") => Some(Propagation::Background),
        Some("Foreground") => Some(Propagation::Foreground),
        Some("Orphan") => Some(Propagation::Orphan),
        Some(other) => {
            let allowed = ["Background", "Foreground", "Orphan"];
            let error =
                api::field::FieldError::unsupported("deleteOptions.propagationPolicy", other, &allowed);
            return Err(Status::invalid(&RESOURCE, "", &[error]));
        }
    };
    let preconditions = given.preconditions.unwrap_or_default();
    let revision = preconditions.resource_version.map(|text| {
        text.parse()
            .map(Revision)
            .map_err(|_| Status::bad_request(format!("invalid resourceVersion {text:?}: it is a number")))
    });
    Ok(DeleteOptions {
        grace_seconds: given.grace_period_seconds.map(|seconds| u64::try_from(seconds).unwrap_or(1)),
        propagation,
        uid: preconditions.uid,
        revision: revision.transpose()?,
        dry_run: options.dry_run,
    })
}

/// Decides whether a pod may go now.
fn judge(pod: &Object, budgets: &[Object], now: &str) -> Result<Verdict, Status> {
    let value = pod.value();
    let has_ended = matches!(value["status"]["phase"].as_str(), Some("Succeeded" | "Failed" | "Pending"));
    if has_ended || metadata::is_terminating(value) {
        return Ok(Verdict::Delete);
    }
    let budget = match budgets {
        [] => return Ok(Verdict::Delete),
        [budget] => budget,
        _ => {
            let words = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Status::new(Reason::InternalError, words));
        }
    };
    let (spec, status) = (&budget.value()["spec"], &budget.value()["status"]);
    let number = |field: &str| status[field].as_i64().unwrap_or(0);
    let (healthy, desired) = (number("currentHealthy"), number("desiredHealthy"));
    if !is_ready(value) {
        let always = spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
        if always || healthy >= desired && desired > 0 {
            return Ok(Verdict::DeleteUnchanged(budget.name().to_owned()));
        }
    }
    let generation = budget.value()["metadata"]["generation"].as_i64().unwrap_or(0);
    if number("observedGeneration") < generation {
        return Err(busy(budget.name()));
    }
    let refuse = |words| Err(Status::forbidden(&BUDGET, budget.name(), words));
    let disrupted = status["disruptedPods"].as_object().map_or(0, serde_json::Map::len);
    match number("disruptionsAllowed") {
        ..0 => refuse("pdb disruptions allowed is negative"),
        _ if disrupted > MOST_DISRUPTED => {
            refuse("DisruptedPods map too big - too many evictions not confirmed by PDB controller")
        }
        0 => {
            let name = budget.name();
            let words = format!(
                "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
            );
            Err(violates(words, 0))
        }
        allowed => {
            let mut spent = budget.value().clone();
            take(&mut spent, pod.name(), allowed - 1, now);
            Ok(Verdict::Spend(budget.clone(), spent))
        }
    }
}

fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// Takes one pod from what a budget allows.
fn take(budget: &mut Value, pod: &str, left: i64, now: &str) {
    let status = tree::object(budget, "status");
    tree::set(status, "disruptionsAllowed", Some(left.into()));
    tree::set(tree::object(status, "disruptedPods"), pod, Some(now.into()));
    if left == 0 {
        let observed = status["observedGeneration"].clone();
        let condition = json!({"type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods",
            "message": "", "observedGeneration": observed});
        set_condition(status, condition, now);
    }
}

/// Notes on a pod why it goes.
fn mark(pod: &mut Value, now: &str) {
    let generation = pod["metadata"].get("generation").cloned();
    let mut condition = json!({"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting"});
    tree::set(&mut condition, "observedGeneration", generation);
    set_condition(tree::object(pod, "status"), condition, now);
}

/// Sets a condition; its time stays if it was so before.
fn set_condition(status: &mut Value, mut condition: Value, now: &str) {
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let known = conditions.iter().position(|known| known["type"] == condition["type"]);
    let since =
        known.and_then(|at| conditions.get(at)).filter(|known| known["status"] == condition["status"]);
    let since =
        since.and_then(|known| known.get("lastTransitionTime").cloned()).unwrap_or_else(|| now.into());
    tree::set(&mut condition, "lastTransitionTime", Some(since));
    match known.and_then(|at| conditions.get_mut(at)) {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
    tree::set(status, "conditions", Some(conditions.into()));
}

fn busy(budget: &str) -> Status {
    violates(format!("The disruption budget {budget} is still being processed by the server."), 10)
}

fn violates(why: String, retry_after_seconds: u32) -> Status {
    let cause = Cause { reason: "DisruptionBudget".to_owned(), message: why, field: String::new() };
    let retry_after_seconds = Some(retry_after_seconds).filter(|seconds| *seconds > 0);
    let details = Details { causes: vec![cause], retry_after_seconds, ..Details::default() };
    Status { details: Some(Box::new(details)), ..Status::new(Reason::TooManyRequests, VIOLATES) }
}
