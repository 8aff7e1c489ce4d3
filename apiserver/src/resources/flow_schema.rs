//! FlowSchemas: which requests to the API have which priority.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, FlowSchemaSpec, NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject,
};
use serde_json::{Value, json};

use super::flow_defaults;
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, number, text};
use crate::names::Form;
use crate::path::Path;
use crate::tree;

/// The group of the kinds around priority and fairness.
pub const GROUP: &str = "flowcontrol.apiserver.k8s.io";

const LAST_PRECEDENCE: i32 = 10_000;
const DEFAULT_PRECEDENCE: i32 = 1_000;
const METHODS: [&str; 2] = ["ByNamespace", "ByUser"];
const KINDS: [&str; 3] = ["Group", "ServiceAccount", "User"];
const VERBS: [&str; 9] =
    ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

/// The kind FlowSchema.
pub struct FlowSchemas;

impl Builtin for FlowSchemas {
    type Typed = FlowSchema;

    const RESOURCE: Resource = Resource::new(GROUP, "v1", "flowschemas", "FlowSchema", false);

    const DEFINITION: Definition =
        Definition { subresources: &["status"], generation: &["spec"], ..Definition::new("flowschema") };

    fn set_defaults(schema: &mut Value) {
        let spec = tree::object(schema, "spec");
        if spec["matchingPrecedence"].as_i64().unwrap_or(0) == 0 {
            tree::set(spec, "matchingPrecedence", Some(DEFAULT_PRECEDENCE.into()));
        }
    }

    fn prepare_create(schema: &mut Value) {
        tree::set(schema, "status", Some(json!({})));
    }

    fn check(schema: &FlowSchema, errors: &mut Vec<FieldError>) {
        let name = schema.metadata.name.as_deref().unwrap_or_default();
        let path = Path::new("spec");
        let Some(spec) = &schema.spec else {
            errors.push(FieldError::required(path, ""));
            return;
        };
        check_spec(name, spec, &path, errors);
        if flow_defaults::mandatory_schema(name).is_some_and(|fixed| fixed.spec.as_ref() != Some(spec)) {
            let value = serde_json::to_value(spec).unwrap_or_default();
            let words = format!("spec of '{name}' must equal the fixed value");
            errors.push(FieldError::invalid(path, value, words));
        }
    }

    fn check_status(schema: &FlowSchema, errors: &mut Vec<FieldError>) {
        let conditions = schema.status.as_ref().and_then(|status| status.conditions.as_deref());
        let kinds = conditions.unwrap_or_default().iter().map(|condition| condition.type_.as_deref());
        check_conditions(kinds, errors);
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("PriorityLevel", "The priority level of the requests."),
        number("MatchingPrecedence", "Of those that match, the one with the lowest number counts."),
        text("DistinguisherMethod", "What makes requests belong together."),
        cells::AGE,
        text("MissingPL", "Whether there is no such priority level."),
    ];

    fn row(schema: &FlowSchema, now: Timestamp) -> Vec<Value> {
        let spec = schema.spec.as_ref();
        let conditions = schema.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let mut dangling = conditions.filter(|condition| condition.type_.as_deref() == Some("Dangling"));
        let method = spec.and_then(|spec| spec.distinguisher_method.as_ref());
        vec![
            cells::name(&schema.metadata),
            spec.map_or("", |spec| spec.priority_level_configuration.name.as_str()).into(),
            spec.and_then(|spec| spec.matching_precedence).unwrap_or(0).into(),
            cells::or(method.map(|method| method.type_.as_str()), cells::NONE),
            cells::age(&schema.metadata, now),
            cells::or(dangling.next().and_then(|condition| condition.status.as_deref()), "?"),
        ]
    }
}

/// Conditions have types, and each only once.
pub fn check_conditions<'a>(kinds: impl Iterator<Item = Option<&'a str>>, errors: &mut Vec<FieldError>) {
    let path = Path::new("status");
    let path = path.child("conditions");
    let mut seen = Vec::new();
    for (index, kind) in kinds.map(Option::unwrap_or_default).enumerate() {
        let path = path.index(index);
        if seen.contains(&kind) {
            errors.push(FieldError::duplicate(path.child("type"), kind));
        }
        seen.push(kind);
        if kind.is_empty() {
            errors.push(FieldError::required(path.child("type"), "must not be empty"));
        }
    }
}

fn check_spec(name: &str, spec: &FlowSchemaSpec, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let precedence = spec.matching_precedence.unwrap_or(0);
    let mut refuse = |words: String| {
        errors.push(FieldError::invalid(path.child("matchingPrecedence"), precedence, words));
    };
    if precedence <= 0 {
        refuse("must be a positive value".to_owned());
    }
    if precedence > LAST_PRECEDENCE {
        refuse(format!("must not be greater than {LAST_PRECEDENCE}"));
    }
    if precedence == 1 && name != flow_defaults::EXEMPT {
        refuse("only the schema named 'exempt' may have matchingPrecedence 1".to_owned());
    }
    if let Some(method) = &spec.distinguisher_method
        && !METHODS.contains(&method.type_.as_str())
    {
        let path = path.child("distinguisherMethod");
        errors.push(FieldError::unsupported(path.child("type"), method.type_.as_str(), &METHODS));
    }
    let level_path = path.child("priorityLevelConfiguration");
    match spec.priority_level_configuration.name.as_str() {
        "" => errors.push(FieldError::required(level_path.child("name"), "must reference a priority level")),
        level => Form::Subdomain.check(level, &level_path.child("name"), errors),
    }
    let rules = path.child("rules");
    for (index, rule) in spec.rules.iter().flatten().enumerate() {
        check_rule(rule, &rules.index(index), errors);
    }
}

fn check_rule(rule: &PolicyRulesWithSubjects, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let subjects = path.child("subjects");
    if rule.subjects.is_empty() {
        errors.push(FieldError::required(subjects, "subjects must contain at least one value"));
    }
    for (index, subject) in rule.subjects.iter().enumerate() {
        check_subject(subject, &subjects.index(index), errors);
    }
    let resource = rule.resource_rules.as_deref().unwrap_or_default();
    let other = rule.non_resource_rules.as_deref().unwrap_or_default();
    if resource.is_empty() && other.is_empty() {
        let words = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errors.push(FieldError::required(*path, words));
    }
    let resource_path = path.child("resourceRules");
    for (index, rule) in resource.iter().enumerate() {
        check_resource_rule(rule, &resource_path.index(index), errors);
    }
    let other_path = path.child("nonResourceRules");
    for (index, rule) in other.iter().enumerate() {
        check_other_rule(rule, &other_path.index(index), errors);
    }
}

fn check_subject(subject: &Subject, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if !KINDS.contains(&subject.kind.as_str()) {
        errors.push(FieldError::unsupported(path.child("kind"), subject.kind.as_str(), &KINDS));
        return;
    }
    let parts = [
        ("ServiceAccount", "serviceAccount", subject.service_account.as_ref().map(|account| &account.name)),
        ("User", "user", subject.user.as_ref().map(|user| &user.name)),
        ("Group", "group", subject.group.as_ref().map(|group| &group.name)),
    ];
    for (kind, field, name) in parts {
        let path = path.child(field);
        match name {
            None if subject.kind == kind => {
                let words = format!("{field} is required when subject kind is '{kind}'");
                errors.push(FieldError::required(path, words));
            }
            Some(_) if subject.kind != kind => {
                let words = format!("{field} is forbidden when subject kind is not '{kind}'");
                errors.push(FieldError::forbidden(path, words));
            }
            Some(name) if name.is_empty() => errors.push(FieldError::required(path.child("name"), "")),
            _ => {}
        }
    }
    let Some(account) = subject.service_account.as_ref().filter(|_| subject.kind == "ServiceAccount") else {
        return;
    };
    let path = path.child("serviceAccount");
    if !matches!(account.name.as_str(), "" | "*") {
        Form::Subdomain.check(&account.name, &path.child("name"), errors);
    }
    match account.namespace.as_str() {
        "" => {
            let words = "must specify namespace for service account";
            errors.push(FieldError::required(path.child("namespace"), words));
        }
        namespace => Form::Label.check(namespace, &path.child("namespace"), errors),
    }
}

/// A list that must not be empty, and in which `*` stands alone.
fn check_list(list: &[String], what: &str, missing: &str, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if list.is_empty() {
        errors.push(FieldError::required(*path, missing));
    } else if list.len() > 1 && list.iter().any(|item| item == "*") {
        let words = format!("if '*' is present, must not specify other {what}");
        errors.push(FieldError::invalid(*path, list.to_vec(), words));
    }
}

fn check_verbs(verbs: &[String], path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_list(verbs, "verbs", "verbs must contain at least one value", path, errors);
    let is_known = |verb: &String| VERBS.contains(&verb.as_str());
    if !verbs.iter().any(|verb| verb == "*") && !verbs.iter().all(is_known) {
        errors.push(FieldError::unsupported(*path, verbs.to_vec(), &VERBS));
    }
}

fn check_resource_rule(rule: &ResourcePolicyRule, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_verbs(&rule.verbs, &path.child("verbs"), errors);
    let missing = "resource rules must supply at least one api group";
    check_list(&rule.api_groups, "api groups", missing, &path.child("apiGroups"), errors);
    let missing = "resource rules must supply at least one resource";
    check_list(&rule.resources, "resources", missing, &path.child("resources"), errors);
    let namespaces = rule.namespaces.as_deref().unwrap_or_default();
    let path = path.child("namespaces");
    if namespaces.is_empty() && rule.cluster_scope == Some(true) {
        return;
    }
    let missing = "resource rules that are not cluster scoped must supply at least one namespace";
    check_list(namespaces, "namespaces", missing, &path, errors);
    if namespaces.iter().any(|namespace| namespace == "*") {
        return;
    }
    for (index, namespace) in namespaces.iter().enumerate() {
        let words = |words| format!("each member of this list must be '*' or a DNS-1123 label; {words}");
        for mistake in Form::Label.mistakes(namespace) {
            errors.push(FieldError::invalid(path.index(index), namespace.as_str(), words(mistake)));
        }
    }
}

fn check_other_rule(rule: &NonResourcePolicyRule, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_verbs(&rule.verbs, &path.child("verbs"), errors);
    let urls = &rule.non_resource_urls;
    let path = path.child("nonResourceURLs");
    let missing = "nonResourceURLs must contain at least one value";
    check_list(urls, "non-resource URLs", missing, &path, errors);
    if urls.iter().any(|url| url == "*") {
        return;
    }
    for (index, url) in urls.iter().enumerate() {
        let words = url_mistake(url);
        errors.extend(words.map(|words| FieldError::invalid(path.index(index), url.as_str(), words)));
    }
}

fn url_mistake(url: &str) -> Option<&'static str> {
    let stars = url.matches('*').count();
    match url {
        "" => Some("must not be empty"),
        "/" => None,
        url if !url.starts_with('/') => Some("must start with slash"),
        url if url.contains(' ') => Some("must not contain white-space"),
        url if url.contains("//") => Some("must not contain double slash"),
        url if stars > 1 || stars == 1 && !url.ends_with("/*") => {
            Some("wildcard can only do suffix matching")
        }
        _ => None,
    }
}
