//! MutatingWebhookConfigurations and ValidatingWebhookConfigurations: who else decides on requests.

mod client;

use std::collections::BTreeSet;

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhook, MutatingWebhookConfiguration, ValidatingWebhook, ValidatingWebhookConfiguration,
};
use serde_json::Value;

use super::admission_rules::{
    FAILURE_POLICIES, GROUP, check_choice, check_conditions, check_match_policy, check_rule,
    set_rule_defaults,
};
use super::label_selector;
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, number};
use crate::names::Form;
use crate::path::Path;
use crate::tree;

pub use client::check_client;

const COLUMNS: &[Column] = &[cells::NAME, number("Webhooks", "How many there are."), cells::AGE];
const DEFINITION: Definition = Definition { generation: &["webhooks"], ..Definition::new("") };
const REVIEW_VERSIONS: [&str; 2] = ["v1", "v1beta1"];
const SIDE_EFFECTS: [&str; 2] = ["None", "NoneOnDryRun"];
const TIMEOUT_SECONDS: std::ops::RangeInclusive<i32> = 1..=30;

/// The kind MutatingWebhookConfiguration.
pub struct MutatingWebhooks;

/// The kind ValidatingWebhookConfiguration.
pub struct ValidatingWebhooks;

impl Builtin for MutatingWebhooks {
    type Typed = MutatingWebhookConfiguration;

    const RESOURCE: Resource =
        Resource::new(GROUP, "v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", false);

    const DEFINITION: Definition = Definition { singular: "mutatingwebhookconfiguration", ..DEFINITION };

    fn set_defaults(configuration: &mut Value) {
        set_defaults(configuration);
        for webhook in tree::items(configuration, "webhooks") {
            tree::set_default(webhook, "reinvocationPolicy", "Never");
        }
    }

    fn check(configuration: &MutatingWebhookConfiguration, errors: &mut Vec<FieldError>) {
        let webhooks = configuration.webhooks.as_deref().unwrap_or_default();
        // What both sorts have is checked as one of them.
        let plain: Vec<ValidatingWebhook> = webhooks.iter().map(plain).collect();
        check_all(&plain, errors);
        let path = Path::new("webhooks");
        for (index, webhook) in webhooks.iter().enumerate() {
            let path = path.index(index);
            let policy = webhook.reinvocation_policy.as_deref();
            check_choice(policy, &["IfNeeded", "Never"], &path.child("reinvocationPolicy"), errors);
        }
    }

    const COLUMNS: &'static [Column] = COLUMNS;

    fn row(configuration: &MutatingWebhookConfiguration, now: Timestamp) -> Vec<Value> {
        let count = configuration.webhooks.as_ref().map_or(0, Vec::len);
        let metadata = &configuration.metadata;
        vec![cells::name(metadata), count.into(), cells::age(metadata, now)]
    }
}

impl Builtin for ValidatingWebhooks {
    type Typed = ValidatingWebhookConfiguration;

    const RESOURCE: Resource = Resource::new(
        GROUP,
        "v1",
        "validatingwebhookconfigurations",
        "ValidatingWebhookConfiguration",
        false,
    );

    const DEFINITION: Definition = Definition { singular: "validatingwebhookconfiguration", ..DEFINITION };

    fn set_defaults(configuration: &mut Value) {
        set_defaults(configuration);
    }

    fn check(configuration: &ValidatingWebhookConfiguration, errors: &mut Vec<FieldError>) {
        check_all(configuration.webhooks.as_deref().unwrap_or_default(), errors);
    }

    const COLUMNS: &'static [Column] = COLUMNS;

    fn row(configuration: &ValidatingWebhookConfiguration, now: Timestamp) -> Vec<Value> {
        let count = configuration.webhooks.as_ref().map_or(0, Vec::len);
        let metadata = &configuration.metadata;
        vec![cells::name(metadata), count.into(), cells::age(metadata, now)]
    }
}

fn set_defaults(configuration: &mut Value) {
    for webhook in tree::items(configuration, "webhooks") {
        tree::set_default(webhook, "failurePolicy", "Fail");
        tree::set_default(webhook, "matchPolicy", "Equivalent");
        tree::set_default(webhook, "timeoutSeconds", 10);
        tree::object(webhook, "namespaceSelector");
        tree::object(webhook, "objectSelector");
        set_rule_defaults(webhook, "rules");
        let client = tree::field(webhook, "clientConfig");
        if let Some(service) = client.and_then(|client| tree::field(client, "service")) {
            tree::set_default(service, "port", 443);
        }
    }
}

fn plain(webhook: &MutatingWebhook) -> ValidatingWebhook {
    let webhook = webhook.clone();
    ValidatingWebhook {
        admission_review_versions: webhook.admission_review_versions,
        client_config: webhook.client_config,
        failure_policy: webhook.failure_policy,
        match_conditions: webhook.match_conditions,
        match_policy: webhook.match_policy,
        name: webhook.name,
        namespace_selector: webhook.namespace_selector,
        object_selector: webhook.object_selector,
        rules: webhook.rules,
        side_effects: webhook.side_effects,
        timeout_seconds: webhook.timeout_seconds,
    }
}

fn check_all(webhooks: &[ValidatingWebhook], errors: &mut Vec<FieldError>) {
    let path = Path::new("webhooks");
    let mut names = BTreeSet::new();
    for (index, webhook) in webhooks.iter().enumerate() {
        let path = path.index(index);
        check_webhook(webhook, &path, errors);
        check_versions(&webhook.admission_review_versions, &path.child("admissionReviewVersions"), errors);
        if !webhook.name.is_empty() && !names.insert(&webhook.name) {
            errors.push(FieldError::duplicate(path.child("name"), webhook.name.as_str()));
        }
    }
}

fn check_webhook(webhook: &ValidatingWebhook, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_name(&webhook.name, &path.child("name"), errors);
    let rules = path.child("rules");
    for (index, rule) in webhook.rules.iter().flatten().enumerate() {
        check_rule(rule, &rules.index(index), errors);
    }
    let policy = webhook.failure_policy.as_deref();
    check_choice(policy, &FAILURE_POLICIES, &path.child("failurePolicy"), errors);
    check_match_policy(webhook.match_policy.as_deref(), path, errors);
    let effects_path = path.child("sideEffects");
    match webhook.side_effects.as_str() {
        "" => {
            let words = format!("must specify one of {}", SIDE_EFFECTS.join(", "));
            errors.push(FieldError::required(effects_path, words));
        }
        effects => check_choice(Some(effects), &SIDE_EFFECTS, &effects_path, errors),
    }
    if let Some(seconds) = webhook.timeout_seconds.filter(|seconds| !TIMEOUT_SECONDS.contains(seconds)) {
        let words = "the timeout value must be between 1 and 30 seconds";
        errors.push(FieldError::invalid(path.child("timeoutSeconds"), seconds, words));
    }
    label_selector::check(webhook.namespace_selector.as_ref(), &path.child("namespaceSelector"), errors);
    label_selector::check(webhook.object_selector.as_ref(), &path.child("objectSelector"), errors);
    let config = &webhook.client_config;
    check_client(config.url.as_deref(), config.service.as_ref(), &path.child("clientConfig"), errors);
    let conditions = webhook.match_conditions.as_deref().unwrap_or_default();
    check_conditions(conditions, &path.child("matchConditions"), errors);
}

/// A name that nobody else in the world has.
fn check_name(name: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let mistakes = Form::Subdomain.mistakes(name);
    if name.is_empty() {
        errors.push(FieldError::required(*path, ""));
    } else if !mistakes.is_empty() {
        errors.push(FieldError::invalid(*path, name, mistakes.join(",")));
    } else if name.split('.').count() < 3 {
        let words = "should be a domain with at least three segments separated by dots";
        errors.push(FieldError::invalid(*path, name, words));
    }
}

fn check_versions(versions: &[String], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if versions.is_empty() {
        let words = format!("must specify one of {}", REVIEW_VERSIONS.join(", "));
        errors.push(FieldError::required(*path, words));
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, version) in versions.iter().enumerate() {
        if seen.insert(version) {
            Form::Label1035.check(version, &path.index(index), errors);
        } else {
            errors.push(FieldError::invalid(path.index(index), version.as_str(), "duplicate version"));
        }
    }
    if !versions.iter().any(|version| REVIEW_VERSIONS.contains(&version.as_str())) {
        let words = format!("must include at least one of {}", REVIEW_VERSIONS.join(", "));
        errors.push(FieldError::invalid(*path, versions.to_vec(), words));
    }
}
