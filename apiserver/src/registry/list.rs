//! Lists collections from their snapshots, in pages that all show the same moment.

use std::time::Duration;

use api::backend::{ListOptions, ObjectList, RevisionMatch};
use api::status::{Cause, Details, Reason};
use api::{Key, Revision, Status};

use super::continuation::Continuation;
use super::selection::Selection;
use super::{Place, Registry};
use crate::store::{Snapshot, TooOld};

/// So long a request waits for a revision that lies ahead.
const WAIT_FOR_REVISION: Duration = Duration::from_secs(3);

const TOO_OLD: &str = "The resourceVersion for the provided list is too old.";

const TOO_OLD_TO_CONTINUE: &str = "The provided continue parameter is too old to display a consistent list result. You \
    can start a new list without the continue parameter, or use the continue token in this response to retrieve the \
    remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were \
    created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";

/// Which state of a collection is listed.
enum Moment {
    Now,
    At(Revision),
}

impl Registry {
    pub(super) async fn list(&self, place: &Place, options: ListOptions) -> Result<ObjectList, Status> {
        let ListOptions { labels, fields, limit, continue_token, revision, revision_match } = options;
        let selection = Selection::new(place, labels, fields)?;
        let revision = revision.filter(|revision| *revision != Revision(0));
        let Some(token) = continue_token.filter(|token| !token.is_empty()) else {
            self.reach(revision.unwrap_or_default()).await?;
            // As in Kubernetes, a page of a revision is a page of that moment if nothing else is said.
            let is_exact = match revision_match {
                None => limit.is_some_and(|limit| limit > 0),
                Some(how) => how == RevisionMatch::Exact,
            };
            let moment = revision.filter(|_| is_exact).map_or(Moment::Now, Moment::At);
            let page = self.page(place, &selection, moment, None, limit);
            return page.map_err(|_| Status::new(Reason::Expired, TOO_OLD));
        };
        if revision.is_some() {
            let words = "specifying resource version is not allowed when using continue";
            return Err(Status::bad_request(words));
        }
        let namespaced = place.resource().namespaced;
        let Continuation { revision, after } = Continuation::read(&token, &selection.namespace, namespaced)?;
        // Clients may make up tokens, also from what is to come.
        self.reach(revision.unwrap_or_default()).await?;
        let moment = revision.map_or(Moment::Now, Moment::At);
        let page = self.page(place, &selection, moment, Some(after), limit);
        page.map_err(|_| {
            let token = Continuation::latest(&token);
            let status = Status::new(Reason::Expired, TOO_OLD_TO_CONTINUE);
            Status { continue_token: token.map(Into::into), ..status }
        })
    }

    fn page(
        &self,
        place: &Place,
        selection: &Selection,
        moment: Moment,
        after: Option<Key>,
        limit: Option<usize>,
    ) -> Result<ObjectList, TooOld> {
        let collection = place.collection();
        Ok(match moment {
            Moment::Now => {
                let (snapshot, revision) = self.store.snapshot(&collection);
                page(&snapshot, revision, selection, after, limit)
            }
            Moment::At(revision) => {
                let snapshot = self.store.snapshot_at(&collection, revision)?;
                page(&snapshot, revision, selection, after, limit)
            }
        })
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
        list.continue_token = list.items.last().map(|last| {
            Continuation { revision: Some(revision), after: last.key() }.write(&selection.namespace)
        });
        list.remaining = selection.is_everything().then(|| 1 + matching.count() as u64);
    }
    list
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
