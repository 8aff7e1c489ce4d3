//! RoleBindings and ClusterRoleBindings: who has which role.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding, RoleRef, Subject};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use super::role::GROUP;
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::names::Form;
use crate::path::Path;
use crate::tree;

const COLUMNS: &[Column] = &[
    cells::NAME,
    text("Role", "The role they have."),
    cells::AGE,
    text("Users", "Users who have it.").wide(),
    text("Groups", "Groups whose members have it.").wide(),
    text("ServiceAccounts", "Service accounts that have it.").wide(),
];

/// The kind RoleBinding.
pub struct RoleBindings;

/// The kind ClusterRoleBinding.
pub struct ClusterRoleBindings;

impl Builtin for RoleBindings {
    type Typed = RoleBinding;

    const RESOURCE: Resource = Resource::new(GROUP, "v1", "rolebindings", "RoleBinding", true);

    const DEFINITION: Definition = Definition { names: Form::PathSegment, ..Definition::new("rolebinding") };

    fn set_defaults(binding: &mut Value) {
        set_defaults(binding);
    }

    fn check(binding: &RoleBinding, errors: &mut Vec<FieldError>) {
        check_role(&binding.role_ref, &["Role", "ClusterRole"], errors);
        check_subjects(binding.subjects.as_deref(), true, errors);
    }

    fn check_update(new: &RoleBinding, old: &RoleBinding, errors: &mut Vec<FieldError>) {
        check_role_stays(&new.role_ref, &old.role_ref, errors);
    }

    const COLUMNS: &'static [Column] = COLUMNS;

    fn row(binding: &RoleBinding, now: Timestamp) -> Vec<Value> {
        row(&binding.metadata, &binding.role_ref, binding.subjects.as_deref(), now)
    }
}

impl Builtin for ClusterRoleBindings {
    type Typed = ClusterRoleBinding;

    const RESOURCE: Resource = Resource::new(GROUP, "v1", "clusterrolebindings", "ClusterRoleBinding", false);

    const DEFINITION: Definition =
        Definition { names: Form::PathSegment, ..Definition::new("clusterrolebinding") };

    fn set_defaults(binding: &mut Value) {
        set_defaults(binding);
    }

    fn check(binding: &ClusterRoleBinding, errors: &mut Vec<FieldError>) {
        check_role(&binding.role_ref, &["ClusterRole"], errors);
        check_subjects(binding.subjects.as_deref(), false, errors);
    }

    fn check_update(new: &ClusterRoleBinding, old: &ClusterRoleBinding, errors: &mut Vec<FieldError>) {
        check_role_stays(&new.role_ref, &old.role_ref, errors);
    }

    const COLUMNS: &'static [Column] = COLUMNS;

    fn row(binding: &ClusterRoleBinding, now: Timestamp) -> Vec<Value> {
        row(&binding.metadata, &binding.role_ref, binding.subjects.as_deref(), now)
    }
}

fn set_defaults(binding: &mut Value) {
    if let Some(role) = tree::field(binding, "roleRef") {
        tree::set_default_text(role, "apiGroup", GROUP);
    }
    for subject in tree::items(binding, "subjects") {
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            tree::set_default_text(subject, "apiGroup", GROUP);
        }
    }
}

fn check_role(role: &RoleRef, kinds: &[&str], errors: &mut Vec<FieldError>) {
    let path = Path::new("roleRef");
    if role.api_group != GROUP {
        errors.push(FieldError::unsupported(path.child("apiGroup"), role.api_group.as_str(), &[GROUP]));
    }
    if !kinds.contains(&role.kind.as_str()) {
        errors.push(FieldError::unsupported(path.child("kind"), role.kind.as_str(), kinds));
    }
    Form::PathSegment.require(&role.name, &path.child("name"), errors);
}

/// Who has been given a role is not given another in its place: that would pass unseen.
fn check_role_stays(new: &RoleRef, old: &RoleRef, errors: &mut Vec<FieldError>) {
    if new != old {
        let value = serde_json::to_value(new).unwrap_or_default();
        errors.push(FieldError::invalid("roleRef", value, "cannot change roleRef"));
    }
}

fn check_subjects(subjects: Option<&[Subject]>, is_namespaced: bool, errors: &mut Vec<FieldError>) {
    let path = Path::new("subjects");
    for (index, subject) in subjects.unwrap_or_default().iter().enumerate() {
        check_subject(subject, is_namespaced, &path.index(index), errors);
    }
}

fn check_subject(subject: &Subject, is_namespaced: bool, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let name_path = path.child("name");
    let name = subject.name.as_str();
    if name.is_empty() {
        errors.push(FieldError::required(name_path, ""));
    }
    let group = subject.api_group.as_deref().unwrap_or_default();
    let check_group = |wanted: &str, errors: &mut Vec<FieldError>| {
        if group != wanted {
            errors.push(FieldError::unsupported(path.child("apiGroup"), group, &[wanted]));
        }
    };
    match subject.kind.as_str() {
        "ServiceAccount" => {
            if !name.is_empty() {
                Form::Subdomain.check(name, &name_path, errors);
            }
            check_group("", errors);
            if !is_namespaced && subject.namespace.as_deref().unwrap_or_default().is_empty() {
                errors.push(FieldError::required(path.child("namespace"), ""));
            }
        }
        kind @ ("User" | "Group") => {
            if name.is_empty() {
                let words = format!("{} name cannot be empty", kind.to_lowercase());
                errors.push(FieldError::invalid(name_path, name, words));
            }
            check_group(GROUP, errors);
        }
        other => {
            let kinds = ["ServiceAccount", "User", "Group"];
            errors.push(FieldError::unsupported(path.child("kind"), other, &kinds));
        }
    }
}

fn row(metadata: &ObjectMeta, role: &RoleRef, subjects: Option<&[Subject]>, now: Timestamp) -> Vec<Value> {
    let subjects = subjects.unwrap_or_default();
    let of = |kind: &str| {
        let named = subjects.iter().filter(|subject| subject.kind == kind).map(|subject| {
            match (kind, subject.namespace.as_deref()) {
                ("ServiceAccount", Some(namespace)) => format!("{namespace}/{}", subject.name),
                _ => subject.name.clone(),
            }
        });
        Value::from(named.collect::<Vec<_>>().join(", "))
    };
    vec![
        cells::name(metadata),
        format!("{}/{}", role.kind, role.name).into(),
        cells::age(metadata, now),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
}
