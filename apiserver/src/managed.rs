//! Who owns which fields of an object: the bookkeeping behind server-side apply, kept by every write.
//!
//! ```text
//! text ─ cursor, entries ─► entries ─► update, patch::apply ─► entries ─► text
//!                          (set)        (compare, fields by shape)
//! ```
//! The entries are kept as text, apart from the rest of an object, and are read only when it is written. An entry that
//! does not change is written as the text it was read from. Fields of other versions of a kind are compared in those versions
//! (`versions`).

pub mod compare;
mod cursor;
pub mod entries;
pub mod fields;
pub mod item;
pub mod manager;
pub mod node;
pub mod set;
pub mod shape;
mod stored;
pub mod text;
mod update;
pub mod versions;

pub use entries::Entry;
pub use manager::{Manager, Operation};
pub use shape::Shape;
pub use stored::{Stored, stored, text as stored_text};
pub use update::{release, seen, update};
pub use versions::Versions;
