//! What the parameters of a request ask for, checked with Kubernetes' words.

use std::time::Duration;

use api::backend::{
    DeleteOptions, FieldValidation, ListOptions, Propagation, RevisionMatch, WatchOptions, WriteOptions,
};
use api::field::FieldError;
use api::{Resource, Revision, Status};
use http::HeaderMap;
use http::header::{HeaderValue, USER_AGENT};
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;

use super::query::Query;
use crate::managed::manager;

const BREAKING: &str = "ignoreStoreReadErrorWithClusterBreakingPotential";

const NOT_OLDER_THAN: &str = "NotOlderThan";
const EXACT: &str = "Exact";

/// Reads the parameters of a LIST.
pub(super) fn list(query: &Query) -> Result<ListOptions, Status> {
    let mut errors = Vec::new();
    let (text, matching) = (query.text("resourceVersion"), query.text("resourceVersionMatch"));
    let continue_token = query.text("continue").map(str::to_owned);
    if query.switch("sendInitialEvents").is_some() {
        errors.push(FieldError::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    if let Some(matching) = matching {
        let mut forbid = |words| errors.push(FieldError::forbidden("resourceVersionMatch", words));
        if text.is_none() {
            forbid("resourceVersionMatch is forbidden unless resourceVersion is provided");
        }
        if continue_token.is_some() {
            forbid("resourceVersionMatch is forbidden for continue");
        }
        if matching == EXACT && text == Some("0") {
            forbid(r#"resourceVersionMatch "exact" is forbidden for resourceVersion "0""#);
        }
        if ![EXACT, NOT_OLDER_THAN].contains(&matching) {
            errors.push(FieldError::unsupported(
                "resourceVersionMatch",
                matching,
                &["", EXACT, NOT_OLDER_THAN],
            ));
        }
    }
    refuse("ListOptions", &errors)?;
    let revision = revision(text)?;
    if continue_token.is_some() && revision.is_some_and(|revision| revision != Revision(0)) {
        return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
    }
    let revision_match = match matching {
        Some(EXACT) => Some(RevisionMatch::Exact),
        Some(_) => Some(RevisionMatch::NotOlderThan),
        None => None,
    };
    let limit = query.integer("limit")?.and_then(|limit| usize::try_from(limit).ok());
    let (labels, fields) = (selector(query, "labelSelector")?, selector(query, "fieldSelector")?);
    Ok(ListOptions { labels, fields, limit, continue_token, revision, revision_match })
}

fn timeout_seconds(query: &Query) -> Result<Option<Duration>, Status> {
    let seconds = query.integer("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok());
    Ok(seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs))
}

/// Reads the parameters of a WATCH.
pub(super) fn watch(query: &Query) -> Result<WatchOptions, Status> {
    let mut errors = Vec::new();
    let initial = query.switch("sendInitialEvents");
    let matching = query.text("resourceVersionMatch");
    if initial.is_some() && matching != Some(NOT_OLDER_THAN) {
        let words = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        errors.push(FieldError::forbidden("resourceVersionMatch", words));
    }
    if let Some(matching) = matching {
        if initial.is_none() {
            let words = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            errors.push(FieldError::forbidden("resourceVersionMatch", words));
        }
        if matching != NOT_OLDER_THAN {
            errors.push(FieldError::unsupported("resourceVersionMatch", matching, &[NOT_OLDER_THAN]));
        }
        if query.text("continue").is_some() {
            let words = "resourceVersionMatch is forbidden with continue";
            errors.push(FieldError::forbidden("resourceVersionMatch", words));
        }
    }
    refuse("ListOptions", &errors)?;
    let options = WatchOptions {
        labels: selector(query, "labelSelector")?,
        fields: selector(query, "fieldSelector")?,
        revision: revision(query.text("resourceVersion"))?,
        send_initial_events: initial,
        bookmarks: query.is_on("allowWatchBookmarks"),
        timeout: timeout_seconds(query)?,
    };
    Ok(options)
}

/// Reads the parameters of a write; `kind` is what Kubernetes calls their collection, such as `CreateOptions`.
pub(super) fn write(query: &Query, headers: &HeaderMap, kind: &'static str) -> Result<WriteOptions, Status> {
    checked_write(query, headers, kind, Vec::new())
}

/// Reads the parameters of a patch, one that applies or another.
pub(super) fn patch(query: &Query, headers: &HeaderMap, applies: bool) -> Result<WriteOptions, Status> {
    let mut errors = Vec::new();
    let force = query.switch("force");
    if force.is_some() && !applies {
        errors.push(FieldError::forbidden("force", "may not be specified for non-apply patch"));
    }
    if applies && query.text("fieldManager").is_none_or(str::is_empty) {
        errors.push(FieldError::required("fieldManager", "is required for apply patch"));
    }
    let options = checked_write(query, headers, "PatchOptions", errors)?;
    Ok(WriteOptions { force: force == Some(true), ..options })
}

fn checked_write(
    query: &Query,
    headers: &HeaderMap,
    kind: &'static str,
    mut errors: Vec<FieldError>,
) -> Result<WriteOptions, Status> {
    let dry_run = dry_run(query.all("dryRun"), &mut errors);
    let field_validation = match query.text("fieldValidation") {
        None | Some("Warn") => FieldValidation::Warn,
        Some("Strict") => FieldValidation::Strict,
        Some("Ignore") => FieldValidation::Ignore,
        Some(other) => {
            let allowed = ["", "Ignore", "Strict", "Warn"];
            errors.push(FieldError::unsupported("fieldValidation", other, &allowed));
            FieldValidation::Warn
        }
    };
    let field_manager = query.text("fieldManager").unwrap_or_default().to_owned();
    manager::check_name(&field_manager, "fieldManager", &mut errors);
    refuse(kind, &errors)?;
    let field_manager = if field_manager.is_empty() { program(headers) } else { field_manager };
    Ok(WriteOptions { dry_run, field_validation, field_manager, force: false })
}

/// What stands for the manager of fields that is not named: the program that asks, as it says itself.
fn program(headers: &HeaderMap) -> String {
    let said = headers.get(USER_AGENT).map(HeaderValue::as_bytes).unwrap_or_default();
    let said = String::from_utf8_lossy(said);
    let name = said.split('/').next().unwrap_or_default();
    let mut name: String = name.chars().filter(|letter| manager::is_printable(*letter)).collect();
    while name.len() > manager::LONGEST_NAME {
        name.pop();
    }
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// What the parameters of a DELETE without a body say.
pub(super) fn delete_query(query: &Query) -> Result<meta::DeleteOptions, Status> {
    let dry_run: Vec<String> = query.all("dryRun").map(str::to_owned).collect();
    Ok(meta::DeleteOptions {
        grace_period_seconds: query.integer("gracePeriodSeconds")?,
        propagation_policy: query.text("propagationPolicy").map(str::to_owned),
        orphan_dependents: query.switch("orphanDependents"),
        ignore_store_read_error_with_cluster_breaking_potential: query.switch(BREAKING),
        dry_run: Some(dry_run),
        ..meta::DeleteOptions::default()
    })
}

/// Checks how to delete, as a body or the parameters said it.
pub(super) fn delete(given: meta::DeleteOptions) -> Result<DeleteOptions, Status> {
    let mut errors = Vec::new();
    let asked = given.propagation_policy.as_deref().filter(|policy| !policy.is_empty());
    if given.orphan_dependents.is_some() && asked.is_some() {
        let words = "orphanDependents and deletionPropagation cannot be both set";
        errors.push(FieldError::invalid("propagationPolicy", asked, words));
    }
    let propagation = match asked {
        None => given.orphan_dependents.map(|orphan| match orphan {
            true => Propagation::Orphan,
            false => Propagation::Background,
        }),
        Some("Background") => Some(Propagation::Background),
        Some("Foreground") => Some(Propagation::Foreground),
        Some("Orphan") => Some(Propagation::Orphan),
        Some(other) => {
            let allowed = ["Background", "Foreground", "Orphan", "nil"];
            errors.push(FieldError::unsupported("propagationPolicy", other, &allowed));
            None
        }
    };
    let dry_run = dry_run(given.dry_run.iter().flatten().map(String::as_str), &mut errors);
    check_breaking(&given, &mut errors);
    refuse("DeleteOptions", &errors)?;
    let preconditions = given.preconditions.unwrap_or_default();
    Ok(DeleteOptions {
        // Less than nothing means: as soon as can be, but not by force.
        grace_seconds: given.grace_period_seconds.map(|seconds| u64::try_from(seconds).unwrap_or(1)),
        propagation,
        uid: preconditions.uid,
        revision: revision(preconditions.resource_version.as_deref())?,
        dry_run,
    })
}

/// The same for a whole collection.
pub(super) fn delete_collection(given: meta::DeleteOptions) -> Result<DeleteOptions, Status> {
    if given.ignore_store_read_error_with_cluster_breaking_potential == Some(true) {
        let words = "is not allowed with DELETECOLLECTION, try again after removing the option";
        refuse("DeleteOptions", &[FieldError::invalid(BREAKING, true, words)])?;
    }
    delete(given)
}

/// What may break the cluster, and is for objects that can no longer be read, goes with nothing else.
fn check_breaking(given: &meta::DeleteOptions, errors: &mut Vec<FieldError>) {
    if given.ignore_store_read_error_with_cluster_breaking_potential != Some(true) {
        return;
    }
    let others = [
        (".dryRun", given.dry_run.as_ref().is_some_and(|dry_run| !dry_run.is_empty())),
        (".propagationPolicy", given.propagation_policy.is_some()),
        (".orphanDependents", given.orphan_dependents.is_some()),
        (".gracePeriodSeconds", given.grace_period_seconds.is_some()),
        (".preconditions", given.preconditions.is_some()),
    ];
    for (field, _) in others.into_iter().filter(|(_, is_set)| *is_set) {
        let words = format!("cannot be set together with {field}");
        errors.push(FieldError::invalid(BREAKING, true, words));
    }
}

fn dry_run<'a>(given: impl Iterator<Item = &'a str>, errors: &mut Vec<FieldError>) -> bool {
    let given: Vec<&str> = given.filter(|value| !value.is_empty()).collect();
    if given.iter().any(|value| *value != "All") {
        errors.push(FieldError::unsupported("dryRun", given.clone(), &["All"]));
    }
    !given.is_empty()
}

fn selector<S>(query: &Query, name: &str) -> Result<S, Status>
where
    S: std::str::FromStr + Default,
    S::Err: std::fmt::Display,
{
    let parse = |text: &str| text.parse().map_err(|error: S::Err| Status::bad_request(error.to_string()));
    query.text(name).map_or_else(|| Ok(S::default()), parse)
}

fn revision(text: Option<&str>) -> Result<Option<Revision>, Status> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text.parse().map(|number| Some(Revision(number))).map_err(|_| {
        let words = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
        Status::bad_request(FieldError::invalid("resourceVersion", text, words).to_string())
    })
}

fn refuse(kind: &'static str, errors: &[FieldError]) -> Result<(), Status> {
    if errors.is_empty() {
        return Ok(());
    }
    Err(Status::invalid(&Resource::new("meta.k8s.io", "v1", "", kind, false), "", errors))
}

#[cfg(test)]
mod tests;
