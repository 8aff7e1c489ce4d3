//! An object together with the certainty that it was decoded.

use std::any::Any;
use std::marker::PhantomData;
use std::ops::Deref;

use api::Object;
use api::object::DecodeError;
use serde::de::DeserializeOwned;
use tracing::warn;

/// An object known to be a `K`; reads as one.
pub struct Typed<K> {
    object: Object,
    kind: PhantomData<fn() -> K>,
}

impl<K> Clone for Typed<K> {
    fn clone(&self) -> Self {
        Self { object: self.object.clone(), kind: PhantomData }
    }
}

impl<K: DeserializeOwned + Any + Send + Sync> Typed<K> {
    /// Decodes the object, if nobody did before.
    pub fn new(object: Object) -> Result<Self, DecodeError> {
        object.typed::<K>()?;
        Ok(Self { object, kind: PhantomData })
    }

    /// Decodes one of many: one that does not fit is left out, so that it does not stop the others.
    pub fn one_of_many(object: &Object) -> Option<Self> {
        match Self::new(object.clone()) {
            Ok(typed) => Some(typed),
            Err(error) => {
                warn!(%error, "object left out");
                None
            }
        }
    }

    /// The object.
    pub fn object(&self) -> &Object {
        &self.object
    }
}

impl<K: DeserializeOwned + Any + Send + Sync> Deref for Typed<K> {
    type Target = K;

    fn deref(&self) -> &K {
        self.object.typed().expect("it was decoded when this was made")
    }
}

impl<K> std::fmt::Debug for Typed<K> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.object.fmt(formatter)
    }
}
