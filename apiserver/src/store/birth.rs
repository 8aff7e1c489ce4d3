//! A new store: first its log, then its base, each under another name until it is whole.

use api::Revision;
use ring::rand::{SecureRandom, SystemRandom};

use super::base::{Summary, Update};
use super::error::StoreError;
use super::place::Place;
use super::segment::{Segments, StoreId, is_unused};

/// Whether there is no store: neither its base nor a log to which anything can have been written.
pub(super) fn is_vacant(place: &Place) -> Result<bool, StoreError> {
    let base = place.folder.open(&place.name).map_err(|error| place.failed(error))?;
    if base.is_some() {
        return Ok(false);
    }
    for number in place.logs()? {
        if !is_unused(place, number)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes a store whose rows are put in by `fill`, which returns up to where revisions are reserved. It is there with all
/// of them or not at all.
pub(super) fn begin(
    place: &Place,
    fill: impl FnOnce(&mut Update) -> Result<Revision, StoreError>,
) -> Result<(Summary, Segments), StoreError> {
    let make = || {
        let file = place.folder.create(&place.draft()).map_err(StoreError::Write)?;
        let mut base = Update::create(file, new_id()?)?;
        let reserved = fill(&mut base)?;
        let (summary, _) = base.finish(1, reserved)?;
        // The base comes last: a log without one counts for nothing, whereas a base without its log is damage.
        let segments = Segments::create(place, summary.store, reserved)?;
        place.folder.rename(&place.draft(), &place.name).map_err(StoreError::Write)?;
        place.folder.sync().map_err(StoreError::Write)?;
        Ok((summary, segments))
    };
    make().inspect_err(|_| {
        // The reason is more than that the draft of it is still there.
        let _ = place.folder.remove(&place.draft());
    })
}

fn new_id() -> Result<StoreId, StoreError> {
    let mut id = StoreId::default();
    let filled = SystemRandom::new().fill(&mut id);
    filled.map_err(|_| StoreError::Write(std::io::Error::other("the system has no random numbers")))?;
    Ok(id)
}
