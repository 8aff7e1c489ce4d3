//! ServiceAccounts: who pods are when they ask the API.

use api::Resource;
use api::resource::SERVICE_ACCOUNTS;
use k8s_openapi::api::core::v1::ServiceAccount;

use crate::builtin::{Builtin, Definition};

/// The account of pods that name none.
pub const DEFAULT: &str = "default";

/// The kind ServiceAccount.
pub struct ServiceAccounts;

impl Builtin for ServiceAccounts {
    type Typed = ServiceAccount;

    const RESOURCE: Resource = SERVICE_ACCOUNTS;

    const DEFINITION: Definition =
        Definition { short_names: &["sa"], subresources: &["token"], ..Definition::new("serviceaccount") };
}
