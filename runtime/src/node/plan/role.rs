//! What a container is in its pod.

use k8s_openapi::api::core::v1::Container;

/// What a container is in its pod: when it starts, when it ends, and whether the pod waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// It runs before the others, and has to succeed before the next is started.
    Init,
    /// It is started before the others, in turn with those that come first, runs beside them and ends after them.
    Sidecar,
    /// The pod lasts as long as it does.
    #[default]
    Main,
    /// It was added to look at the others. The pod neither waits for it nor lasts or fails because of it.
    Ephemeral,
}

impl Role {
    /// The role of one of the `initContainers`.
    pub(super) fn of_init(container: &Container) -> Self {
        match container.restart_policy.as_deref() {
            Some("Always") => Self::Sidecar,
            _ => Self::Init,
        }
    }

    /// Whether it takes its turn before those that make up the pod.
    pub fn comes_first(self) -> bool {
        matches!(self, Self::Init | Self::Sidecar)
    }

    /// The field of a pod's spec that lists such containers.
    pub fn list(self) -> &'static str {
        match self {
            Self::Init | Self::Sidecar => "initContainers",
            Self::Main => "containers",
            Self::Ephemeral => "ephemeralContainers",
        }
    }
}
