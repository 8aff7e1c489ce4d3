//! What stands in the way of applying: fields that change and are another manager's.

use api::Status;
use api::status::{Cause, Details, Reason};

use crate::managed::compare::Comparison;
use crate::managed::set::Set;
use crate::managed::versions::Others;
use crate::managed::{Entry, Manager, seen, text};

/// The fields of one manager that stand in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The manager, as messages name it.
    pub manager: String,
    /// The text of the set of fields.
    pub fields: String,
}

impl Conflict {
    /// The paths of the fields.
    pub fn paths(&self) -> Vec<String> {
        self.set().map_or_else(Vec::new, |set| text::paths(&set))
    }

    /// The fields.
    pub(super) fn set(&self) -> Option<Set<'_>> {
        text::parse(&self.fields)
    }
}

/// What changes and is owned by other managers.
pub(super) fn find(
    entries: &[Entry<'_>],
    manager: &Manager<'_>,
    comparison: &Comparison<'_>,
    others: &Others<'_>,
) -> Vec<Conflict> {
    let conflict = |entry: &Entry<'_>| {
        let changed = entry.set().intersection(&seen(entry, comparison, others).written());
        (!changed.is_empty())
            .then(|| Conflict { manager: entry.manager.shown(), fields: text::written(&changed) })
    };
    let owners = entries.iter().filter(|entry| !entry.manager.is(manager));
    let mut conflicts: Vec<Conflict> = owners.filter_map(conflict).collect();
    conflicts.sort_by(|one, other| one.manager.cmp(&other.manager));
    conflicts
}

/// The refusal, in Kubernetes' words.
pub fn refused(conflicts: &[Conflict]) -> Status {
    let causes = conflicts.iter().flat_map(|conflict| {
        let message = format!("conflict with {}", conflict.manager);
        let cause =
            move |field| Cause { reason: "FieldManagerConflict".to_owned(), message: message.clone(), field };
        conflict.paths().into_iter().map(cause)
    });
    let causes: Vec<Cause> = causes.collect();
    let words = match causes.as_slice() {
        [Cause { message, field, .. }] => format!("Apply failed with 1 conflict: {message}: {field}"),
        many => {
            let lines = conflicts.iter().flat_map(|conflict| {
                let head = format!("conflicts with {}:", conflict.manager);
                std::iter::once(head).chain(conflict.paths().into_iter().map(|path| format!("- {path}")))
            });
            let lines: Vec<String> = lines.collect();
            format!("Apply failed with {} conflicts: {}", many.len(), lines.join("\n"))
        }
    };
    let details = Details { causes, ..Details::default() };
    Status { details: Some(Box::new(details)), ..Status::new(Reason::Conflict, words) }
}
