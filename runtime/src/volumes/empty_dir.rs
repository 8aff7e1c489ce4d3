//! emptyDir: a directory that lives as long as its pod, on disk or in memory.

use api::quantity::Quantity;
use k8s_openapi::api::core::v1::Volume;

/// What an emptyDir volume asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EmptyDir {
    /// Whether it is in memory.
    pub in_memory: bool,
    /// How much it may take; its pod is evicted if it takes more.
    pub limit: Option<Quantity>,
}

impl EmptyDir {
    /// Reads a volume without another source.
    pub(super) fn of(volume: &Volume) -> Self {
        let source = volume.empty_dir.as_ref();
        let limit = source.and_then(|source| Quantity::try_from(source.size_limit.as_ref()?).ok());
        Self {
            in_memory: source.and_then(|source| source.medium.as_deref()) == Some("Memory"),
            // Zero is without limit, as in Kubernetes.
            limit: limit.filter(|limit| !limit.is_zero() && !limit.is_negative()),
        }
    }
}
