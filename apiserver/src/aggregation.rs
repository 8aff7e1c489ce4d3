//! API groups that other servers serve, as APIServices with a service say it.
//!
//! The [`keeper`] has a task for each of them: it looks whether the server can be asked ([`readiness`]), asks what there is
//! ([`offered`]), and says in the condition `Available` what came of it. Requests are passed on by `http`. The groups that
//! CustomResourceDefinitions declare have APIServices too, without a service ([`registered`]).

mod follower;
pub mod keeper;
pub mod offered;
pub mod readiness;
pub mod registered;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use crate::builtin::Builtin;
use crate::outgoing::{Target, Trust};
use crate::resources::api_service::ApiServices;
use crate::tree;
use offered::Offered;

/// A group-version that another server serves.
#[derive(Clone, Debug)]
pub struct Remote {
    /// The group.
    pub group: String,
    /// The version.
    pub version: String,
    /// Where clients are to look for the group; the highest first.
    pub group_priority: i64,
    /// The same for the version within the group.
    pub version_priority: i64,
    /// The service of the server.
    pub target: Target,
    /// Whose certificate it must have, and what it is shown.
    pub trust: Arc<Result<Trust, String>>,
    /// Whether it is well.
    pub is_available: bool,
    /// What it serves.
    pub offered: Arc<Offered>,
}

/// All of them, by group and version. A snapshot never changes.
#[derive(Clone, Debug, Default)]
pub struct Remotes(BTreeMap<(String, String), Arc<Remote>>);

impl Remote {
    /// Reads the specification of an APIService, of which nothing else is known yet; none if it has no service. The groups
    /// on which aggregation itself rests stay here whatever it says.
    pub fn read(spec: &Value, trust: Result<Trust, String>) -> Option<Self> {
        let service = spec.get("service").filter(|service| service.is_object())?;
        let text = |of: &Value, field| tree::text(of, field).unwrap_or_default().to_owned();
        let group = text(spec, "group");
        if group.is_empty() || ApiServices::RESOURCE.group == group {
            return None;
        }
        let target = Target::Service {
            namespace: text(service, "namespace"),
            name: text(service, "name"),
            port: service["port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or(443),
        };
        Some(Self {
            group,
            version: text(spec, "version"),
            group_priority: spec["groupPriorityMinimum"].as_i64().unwrap_or_default(),
            version_priority: spec["versionPriority"].as_i64().unwrap_or_default(),
            target,
            trust: Arc::new(trust),
            is_available: false,
            offered: Arc::default(),
        })
    }

    /// The path below which it serves.
    pub fn path(&self) -> String {
        format!("/apis/{}/{}", self.group, self.version)
    }
}

impl Remotes {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who serves a group-version, if somebody else does.
    pub fn get(&self, group: &str, version: &str) -> Option<&Arc<Remote>> {
        if self.0.is_empty() {
            return None;
        }
        self.0.get(&(group.to_owned(), version.to_owned()))
    }

    /// Where they have documents of OpenAPI v3: the path of each in the index, and its address.
    pub fn documents(&self) -> impl Iterator<Item = (String, String)> {
        self.iter().filter_map(|remote| {
            let path = format!("apis/{}/{}", remote.group, remote.version);
            Some((path, remote.offered.openapi.clone()?))
        })
    }

    /// All, by group and version.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Remote>> {
        self.0.values()
    }

    /// The same with this one in the place of what there was.
    #[must_use]
    pub fn with(mut self, remote: Remote) -> Self {
        self.0.insert((remote.group.clone(), remote.version.clone()), Arc::new(remote));
        self
    }
}
