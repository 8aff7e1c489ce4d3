//! The parameters that operations take in their paths and queries.

use serde_json::{Value, json};

/// A parameter of the query: name, type, and what it asks for.
type Query = (&'static str, &'static str, &'static str);

/// Those of operations on many objects.
const SELECTION: [Query; 10] = [
    ("allowWatchBookmarks", "boolean", "Also send events that say only how far the watch has come."),
    ("continue", "string", "Go on where an earlier list ended; the token it gave."),
    ("fieldSelector", "string", "Only objects with these values of fields."),
    ("labelSelector", "string", "Only objects with these labels."),
    ("limit", "integer", "At most so many objects at once."),
    ("resourceVersion", "string", "The revision to list or to watch from."),
    ("resourceVersionMatch", "string", "How the revision is meant, such as `NotOlderThan`."),
    ("sendInitialEvents", "boolean", "Begin the watch with the objects there are."),
    ("timeoutSeconds", "integer", "End after so many seconds."),
    ("watch", "boolean", "Send changes as they happen instead of a list."),
];

/// Those of operations that write an object.
const WRITE: [Query; 3] = [
    ("dryRun", "string", "`All`: do everything except keeping the result."),
    ("fieldManager", "string", "Who makes the change."),
    (
        "fieldValidation",
        "string",
        "What to do about unknown and repeated fields: `Ignore`, `Warn` or `Strict`.",
    ),
];

/// What a patch takes besides.
const FORCE: Query = ("force", "boolean", "Take fields over from other managers.");

/// Those of operations that remove objects.
const DELETION: [Query; 4] = [
    ("dryRun", "string", "`All`: do everything except keeping the result."),
    ("gracePeriodSeconds", "integer", "How long the object may take to end."),
    ("orphanDependents", "boolean", "Keep what the object owns."),
    (
        "propagationPolicy",
        "string",
        "What becomes of what the object owns: `Orphan`, `Background` or `Foreground`.",
    ),
];

/// Those of a container's log.
const LOG: [Query; 8] = [
    ("container", "string", "The container; may be left out if there is only one."),
    ("follow", "boolean", "Go on as the log grows."),
    ("limitBytes", "integer", "At most so many bytes."),
    ("previous", "boolean", "The log of the container before its last restart."),
    ("sinceSeconds", "integer", "Only lines of the last so many seconds."),
    ("sinceTime", "string", "Only lines since this moment."),
    ("tailLines", "integer", "Only the last so many lines."),
    ("timestamps", "boolean", "Begin each line with its time."),
];

/// What an operation takes in its query.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Nothing.
    Nothing,
    /// See [`SELECTION`].
    Selection,
    /// See [`WRITE`].
    Write,
    /// See [`WRITE`] and [`FORCE`].
    Patch,
    /// See [`DELETION`].
    Deletion,
    /// See [`SELECTION`] and [`DELETION`].
    DeletionOfMany,
    /// See [`LOG`].
    Log,
}

/// The parameters of the query.
pub fn query(set: Set) -> Vec<Value> {
    let queries: Vec<Query> = match set {
        Set::Nothing => Vec::new(),
        Set::Selection => SELECTION.into(),
        Set::Write => WRITE.into(),
        Set::Patch => WRITE.into_iter().chain([FORCE]).collect(),
        Set::Deletion => DELETION.into(),
        Set::DeletionOfMany => SELECTION.into_iter().chain(DELETION).collect(),
        Set::Log => LOG.into(),
    };
    let parameter = |(name, of, description): Query| json!({"name": name, "in": "query", "description": description, "schema": {"type": of}});
    queries.into_iter().map(parameter).collect()
}

/// The parameters of a path, which are those in braces.
pub fn path(path: &str) -> Vec<Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let description = |name| match name {
        "namespace" => "Namespace of the object.",
        _ => "Name of the object.",
    };
    let parameter = |name| {
        json!({
            "name": name, "in": "path", "required": true,
            "description": description(name), "schema": {"type": "string"},
        })
    };
    names.map(parameter).collect()
}
