//! Under which identity and with which rights a pod runs.

use api::field::FieldError;
use k8s_openapi::api::core::v1::{PodSecurityContext, PodSpec, SeccompProfile, SecurityContext};

use crate::path::Path;

const CHANGE_POLICIES: [&str; 2] = ["Always", "OnRootMismatch"];
const GROUP_POLICIES: [&str; 2] = ["Merge", "Strict"];
const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
const PROC_MOUNTS: [&str; 2] = ["Default", "Unmasked"];

/// Checks the rights of a pod as a whole.
pub(super) fn check(spec: &PodSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let path = path.child("securityContext");
    if let Some(context) = &spec.security_context {
        check_pod(context, &path, errors);
    }
    if spec.share_process_namespace == Some(true) && spec.host_pid == Some(true) {
        let words = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(FieldError::invalid(path.child("shareProcessNamespace"), true, words));
    }
}

fn check_pod(context: &PodSecurityContext, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_id(context.run_as_user, path.child("runAsUser"), errors);
    check_id(context.run_as_group, path.child("runAsGroup"), errors);
    check_id(context.fs_group, path.child("fsGroup"), errors);
    for group in context.supplemental_groups.iter().flatten() {
        check_id(Some(*group), path.child("supplementalGroups"), errors);
    }
    let choices = [
        ("fsGroupChangePolicy", &context.fs_group_change_policy, &CHANGE_POLICIES),
        ("supplementalGroupsPolicy", &context.supplemental_groups_policy, &GROUP_POLICIES),
    ];
    for (field, choice, allowed) in choices {
        super::one_of(choice.as_deref(), allowed, path.child(field), errors);
    }
    let sysctls = path.child("sysctls");
    for (index, sysctl) in context.sysctls.iter().flatten().enumerate() {
        super::require(&sysctl.name, sysctls.index(index).child("name"), errors);
    }
    if let Some(profile) = &context.seccomp_profile {
        check_profile(profile, &path.child("seccompProfile"), errors);
    }
}

/// Checks the rights of one container.
pub(super) fn check_container(
    context: Option<&SecurityContext>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let Some(context) = context else { return };
    let path = path.child("securityContext");
    check_id(context.run_as_user, path.child("runAsUser"), errors);
    check_id(context.run_as_group, path.child("runAsGroup"), errors);
    super::one_of(context.proc_mount.as_deref(), &PROC_MOUNTS, path.child("procMount"), errors);
    if let Some(profile) = &context.seccomp_profile {
        check_profile(profile, &path.child("seccompProfile"), errors);
    }
    if context.allow_privilege_escalation != Some(false) {
        return;
    }
    let added = context.capabilities.iter().flat_map(|capabilities| capabilities.add.iter().flatten());
    let conflicts = [
        (context.privileged == Some(true), "`privileged` to true"),
        (
            added.into_iter().any(|capability| capability == "CAP_SYS_ADMIN"),
            "`capabilities.Add` CAP_SYS_ADMIN",
        ),
    ];
    for (_, what) in conflicts.iter().filter(|(holds, _)| *holds) {
        let value = serde_json::to_value(context).unwrap_or_default();
        let words = format!("cannot set `allowPrivilegeEscalation` to false and {what}");
        errors.push(FieldError::invalid(path, value, words));
    }
}

/// The number of a user or a group.
fn check_id(id: Option<i64>, path: Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(id) = id.filter(|id| !(0..=i64::from(i32::MAX)).contains(id)) {
        errors.push(FieldError::invalid(path, id, "must be between 0 and 2147483647, inclusive"));
    }
}

fn check_profile(profile: &SeccompProfile, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let at_local = path.child("localhostProfile");
    match (profile.type_.as_str(), &profile.localhost_profile) {
        ("Localhost", None) => {
            errors.push(FieldError::required(at_local, "must be set when seccomp type is Localhost"));
        }
        ("Localhost", Some(_)) | (_, None) => {}
        (_, Some(local)) => {
            let words = "can only be set when seccomp type is Localhost";
            errors.push(FieldError::invalid(at_local, local.as_str(), words));
        }
    }
    match profile.type_.as_str() {
        "" => errors
            .push(FieldError::required(path.child("type"), "type is required when seccompProfile is set")),
        kind => super::one_of(Some(kind), &PROFILES, path.child("type"), errors),
    }
}
