//! Roles and ClusterRoles: what those who are bound to them may do.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule, Role};
use serde_json::Value;

use super::label_selector;
use crate::builtin::{Builtin, Column, Definition};
use crate::cells;
use crate::names::Form;
use crate::path::Path;

/// The group of the kinds that say who may do what.
pub const GROUP: &str = "rbac.authorization.k8s.io";

const COLUMNS: &[Column] = &[cells::NAME, cells::CREATED];

/// The kind Role.
pub struct Roles;

/// The kind ClusterRole.
pub struct ClusterRoles;

impl Builtin for Roles {
    type Typed = Role;

    const RESOURCE: Resource = Resource::new(GROUP, "v1", "roles", "Role", true);

    const DEFINITION: Definition = Definition { names: Form::PathSegment, ..Definition::new("role") };

    fn check(role: &Role, errors: &mut Vec<FieldError>) {
        check_rules(role.rules.as_deref(), true, errors);
    }

    const COLUMNS: &'static [Column] = COLUMNS;

    fn row(role: &Role, _now: Timestamp) -> Vec<Value> {
        vec![cells::name(&role.metadata), cells::created(&role.metadata)]
    }
}

impl Builtin for ClusterRoles {
    type Typed = ClusterRole;

    const RESOURCE: Resource = Resource::new(GROUP, "v1", "clusterroles", "ClusterRole", false);

    const DEFINITION: Definition = Definition { names: Form::PathSegment, ..Definition::new("clusterrole") };

    fn check(role: &ClusterRole, errors: &mut Vec<FieldError>) {
        check_rules(role.rules.as_deref(), false, errors);
        let Some(aggregation) = &role.aggregation_rule else { return };
        let path = Path::new("aggregationRule");
        let path = path.child("clusterRoleSelectors");
        let selectors = aggregation.cluster_role_selectors.as_deref().unwrap_or_default();
        if selectors.is_empty() {
            let words = "at least one clusterRoleSelector required if aggregationRule is non-nil";
            errors.push(FieldError::required(path, words));
        }
        for (index, selector) in selectors.iter().enumerate() {
            label_selector::check(Some(selector), &path.index(index), errors);
        }
    }

    const COLUMNS: &'static [Column] = COLUMNS;

    fn row(role: &ClusterRole, _now: Timestamp) -> Vec<Value> {
        vec![cells::name(&role.metadata), cells::created(&role.metadata)]
    }
}

fn check_rules(rules: Option<&[PolicyRule]>, is_namespaced: bool, errors: &mut Vec<FieldError>) {
    let path = Path::new("rules");
    for (index, rule) in rules.unwrap_or_default().iter().enumerate() {
        check_rule(rule, is_namespaced, &path.index(index), errors);
    }
}

fn check_rule(rule: &PolicyRule, is_namespaced: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if rule.verbs.is_empty() {
        errors.push(FieldError::required(path.child("verbs"), "verbs must contain at least one value"));
    }
    let count = |list: &Option<Vec<String>>| list.as_ref().map_or(0, Vec::len);
    let groups = count(&rule.api_groups);
    let resources = count(&rule.resources);
    let names = count(&rule.resource_names);
    if let Some(urls) = rule.non_resource_urls.as_ref().filter(|urls| !urls.is_empty()) {
        let path = path.child("nonResourceURLs");
        if is_namespaced {
            let words = "namespaced rules cannot apply to non-resource URLs";
            errors.push(FieldError::invalid(path, urls.clone(), words));
        }
        if groups + resources + names > 0 {
            let words = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(path, urls.clone(), words));
        }
        return;
    }
    if groups == 0 {
        let words = "resource rules must supply at least one api group";
        errors.push(FieldError::required(path.child("apiGroups"), words));
    }
    if resources == 0 {
        let words = "resource rules must supply at least one resource";
        errors.push(FieldError::required(path.child("resources"), words));
    }
}
