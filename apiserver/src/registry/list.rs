//! Lists collections from their snapshots, in pages that all show the same moment.

use std::time::Duration;

use api::backend::{ListOptions, ObjectList};
use api::status::{Cause, Details, Reason};
use api::{Key, Revision, Status};

use super::selection::Selection;
use super::{Place, Registry};
use crate::store::{Snapshot, TooOld};

/// So long a request waits for a revision that lies ahead.
const WAIT_FOR_REVISION: Duration = Duration::from_secs(3);

const TOO_OLD_TO_CONTINUE: &str = "The provided continue parameter is too old to display a consistent list result. You \
    must start a new list without the continue parameter.";

impl Registry {
    pub(super) async fn list(&self, place: &Place, options: ListOptions) -> Result<ObjectList, Status> {
        let ListOptions { labels, fields, limit, continue_token, revision } = options;
        let selection = Selection::new(place, labels, fields)?;
        if let Some(revision) = revision {
            self.reach(revision).await?;
        }
        let collection = place.collection();
        let Some(token) = continue_token.filter(|token| !token.is_empty()) else {
            let (snapshot, revision) = self.store.snapshot(&collection);
            return Ok(page(&snapshot, revision, &selection, None, limit));
        };
        let Continue { revision, after } = Continue::read(&token)?;
        // Clients may make up tokens, also from what is to come.
        self.reach(revision).await?;
        let too_old = |_: TooOld| Status::new(Reason::Expired, TOO_OLD_TO_CONTINUE);
        let snapshot = self.store.snapshot_at(&collection, revision).map_err(too_old)?;
        Ok(page(&snapshot, revision, &selection, Some(after), limit))
    }

    /// Waits until `revision` can be read.
    pub(super) async fn reach(&self, revision: Revision) -> Result<(), Status> {
        let mut progress = self.store.progress();
        if *progress.borrow() >= revision {
            return Ok(());
        }
        tokio::select! {
            biased;
            reached = progress.wait_for(|reached| *reached >= revision) => {
                reached.map(drop).map_err(|_| Status::new(Reason::ServiceUnavailable, "the server is shutting down"))
            }
            () = self.clock.sleep(WAIT_FOR_REVISION) => Err(too_large(revision, self.store.revision())),
        }
    }
}

fn page(
    snapshot: &Snapshot,
    revision: Revision,
    selection: &Selection,
    after: Option<Key>,
    limit: Option<usize>,
) -> ObjectList {
    if let Some(key) = selection.only_key() {
        let found = snapshot.get(&key).filter(|object| selection.matches(object));
        return ObjectList { revision, items: found.into_iter().cloned().collect(), ..ObjectList::default() };
    }
    // Never before the namespace: what comes first there would end the list at once.
    let after = after.map(|after| after.max(Key::new(selection.namespace.as_str(), "")));
    let mut matching = snapshot.range(&selection.namespace, after).filter(|object| selection.matches(object));
    let Some(limit) = limit.filter(|limit| *limit > 0) else {
        return ObjectList { revision, items: matching.cloned().collect(), ..ObjectList::default() };
    };
    let items: Vec<_> = matching.by_ref().take(limit).cloned().collect();
    let mut list = ObjectList { revision, items, ..ObjectList::default() };
    if matching.next().is_some() {
        list.continue_token = list.items.last().map(|last| Continue { revision, after: last.key() }.write());
        list.remaining = selection.is_everything().then(|| 1 + matching.count() as u64);
    }
    list
}

/// Where a list goes on, and at which moment.
#[derive(Debug, PartialEq, Eq)]
struct Continue {
    revision: Revision,
    after: Key,
}

impl Continue {
    /// `revision:namespace/name`.
    fn write(&self) -> String {
        format!("{}:{}/{}", self.revision, self.after.namespace, self.after.name)
    }

    fn read(token: &str) -> Result<Self, Status> {
        let read = || {
            let (revision, key) = token.split_once(':')?;
            let (namespace, name) = key.split_once('/')?;
            Some(Self { revision: Revision(revision.parse().ok()?), after: Key::new(namespace, name) })
        };
        read().ok_or_else(|| Status::bad_request(format!("continue key is not valid: {token:?}")))
    }
}

/// The token with which a list begins as things were at exactly this revision.
pub fn list_exactly(revision: Revision) -> String {
    Continue { revision, after: Key::cluster("") }.write()
}

fn too_large(asked: Revision, current: Revision) -> Status {
    let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
    let cause = Cause {
        reason: "ResourceVersionTooLarge".to_owned(),
        message: "Too large resource version".to_owned(),
        field: String::new(),
    };
    let details = Details { causes: vec![cause], retry_after_seconds: Some(1), ..Details::default() };
    Status { details: Some(Box::new(details)), ..Status::new(Reason::Timeout, message) }
}
