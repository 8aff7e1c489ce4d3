//! Which kinds are served, and by what names.

use std::sync::Arc;

use tokio::sync::watch;

use crate::resource::Resource;

/// A kind that is served, in all its versions. Its objects can be listed, watched and deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// The version in which it is best followed: that in which its objects are stored, if that is served.
    pub resource: Resource,
    /// Each version by which it may be named, that one included.
    pub versions: Vec<Resource>,
}

/// All kinds that are served, ordered by their names, and word of every change.
pub type Kinds = watch::Receiver<Arc<[Kind]>>;
