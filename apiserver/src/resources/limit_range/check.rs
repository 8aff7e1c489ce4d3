//! What users get wrong in LimitRanges: bounds that contradict each other.

use std::collections::{BTreeMap, BTreeSet};

use api::field::FieldError;
use api::quantity::Quantity;
use api::selector::check_label_key;
use k8s_openapi::api::core::v1::{LimitRange, LimitRangeItem};

use crate::path::Path;
use crate::resources::amounts::{self, List};

const CONTAINER_RESOURCES: [&str; 3] = ["cpu", "ephemeral-storage", "memory"];

const STANDARD: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "storage",
    "requests.storage",
    "services.nodeports",
    "services.loadbalancers",
];

/// The amounts of one list, by the names of their resources.
type Amounts<'a> = BTreeMap<&'a str, Quantity>;

/// Checks a LimitRange.
pub(super) fn check(limit_range: &LimitRange, errors: &mut Vec<FieldError>) {
    let spec = Path::new("spec");
    let path = spec.child("limits");
    let mut seen = BTreeSet::new();
    let items = limit_range.spec.iter().flat_map(|spec| &spec.limits);
    for (index, item) in items.enumerate() {
        let path = path.index(index);
        check_type(&item.type_, path.child("type"), errors);
        if !seen.insert(&item.type_) {
            errors.push(FieldError::duplicate(path.child("type"), item.type_.as_str()));
        }
        check_item(item, &path, errors);
    }
}

fn check_type(name: &str, path: Path<'_>, errors: &mut Vec<FieldError>) {
    let mistakes = check_label_key(name).into_iter();
    errors.extend(mistakes.map(|words| FieldError::invalid(path, name, words)));
    if !name.contains('/') && !matches!(name, "Pod" | "Container" | "PersistentVolumeClaim") {
        let words = "must be a standard limit type or fully qualified";
        errors.push(FieldError::invalid(path, name, words));
    }
}

fn check_item(item: &LimitRangeItem, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let max = read(item, "max", item.max.as_ref(), path, errors);
    let min = read(item, "min", item.min.as_ref(), path, errors);
    let (mut default, mut request) = (Amounts::new(), Amounts::new());
    if item.type_ == "Pod" {
        for (field, list) in [("default", &item.default), ("defaultRequest", &item.default_request)] {
            if list.as_ref().is_some_and(|list| !list.is_empty()) {
                let words = "may not be specified when `type` is 'Pod'";
                errors.push(FieldError::forbidden(path.child(field), words));
            }
        }
    } else {
        default = read(item, "default", item.default.as_ref(), path, errors);
        request = read(item, "defaultRequest", item.default_request.as_ref(), path, errors);
    }
    if item.type_ == "PersistentVolumeClaim" && !min.contains_key("storage") && !max.contains_key("storage") {
        let words = "either minimum or maximum storage value is required, but neither was provided";
        errors.push(FieldError::required(path.child("limits"), words));
    }
    let ratio = read(item, "maxLimitRequestRatio", item.max_limit_request_ratio.as_ref(), path, errors);
    let lists = [&max, &min, &default, &request, &ratio];
    let resources: BTreeSet<&str> = lists.into_iter().flat_map(|list| list.keys().copied()).collect();
    for resource in resources {
        let of = |list: &Amounts<'_>| list.get(resource).copied();
        let bounds = Bounds {
            resource,
            max: of(&max),
            min: of(&min),
            default: of(&default),
            request: of(&request),
            ratio: of(&ratio),
        };
        bounds.check(path, errors);
    }
}

fn read<'a>(
    item: &LimitRangeItem,
    field: &str,
    list: Option<&'a List>,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) -> Amounts<'a> {
    let path = &path.child(field);
    let in_containers = matches!(item.type_.as_str(), "Pod" | "Container");
    for resource in list.into_iter().flatten().map(|(resource, _)| resource.as_str()) {
        let path = path.key(resource);
        let is_huge = resource.starts_with("hugepages-");
        if in_containers {
            let is_known = |name: &str| CONTAINER_RESOURCES.contains(&name) || is_huge;
            let words = "must be a standard resource for containers";
            amounts::check_name(resource, is_known, words, path, errors);
        } else {
            let is_known = |name: &str| STANDARD.contains(&name) || is_huge;
            let words = "must be a standard resource type or fully qualified";
            amounts::check_name(resource, is_known, words, path, errors);
        }
    }
    amounts::read(list, path, errors)
}

/// What an item says of one resource.
struct Bounds<'a> {
    resource: &'a str,
    max: Option<Quantity>,
    min: Option<Quantity>,
    default: Option<Quantity>,
    request: Option<Quantity>,
    ratio: Option<Quantity>,
}

impl Bounds<'_> {
    fn check(&self, path: &Path<'_>, errors: &mut Vec<FieldError>) {
        let Self { resource, max, min, default, request, .. } = *self;
        // The field, the value that is shown, the two that are compared, and what they are called.
        let rows = [
            ("min", min, min, "min value", max, "max value"),
            ("defaultRequest", request, min, "min value", request, "default request value"),
            ("defaultRequest", request, request, "default request value", max, "max value"),
            ("defaultRequest", request, request, "default request value", default, "default limit value"),
            ("default", min, min, "min value", default, "default value"),
            ("default", max, default, "default value", max, "max value"),
        ];
        for (field, shown, small, small_name, large, large_name) in rows {
            if let (Some(shown), Some(small), Some(large)) = (shown, small, large)
                && small > large
            {
                let field = path.child(field);
                let words = format!("{small_name} {small} is greater than {large_name} {large}");
                errors.push(FieldError::invalid(field.key(resource), shown.to_string(), words));
            }
        }
        self.check_ratio(path, errors);
        let overcommits = CONTAINER_RESOURCES.contains(&resource) || resource == "storage";
        if let (Some(default), Some(request)) = (default, request)
            && !overcommits
            && default != request
        {
            let field = path.child("defaultRequest");
            let words =
                format!("default value {default} must equal to defaultRequest value {request} in {resource}");
            errors.push(FieldError::invalid(field.key(resource), request.to_string(), words));
        }
    }

    fn check_ratio(&self, path: &Path<'_>, errors: &mut Vec<FieldError>) {
        let Some(ratio) = self.ratio else { return };
        let field = path.child("maxLimitRequestRatio");
        let path = field.key(self.resource);
        if ratio.millis() < 1000 {
            let words = format!("ratio {ratio} is less than 1");
            errors.push(FieldError::invalid(path, ratio.to_string(), words));
        }
        if let (Some(min), Some(max)) = (self.min, self.max) {
            let most = max.millis() as f64 / min.millis() as f64;
            if ratio.millis() as f64 / 1000.0 > most {
                let words = format!("ratio {ratio} is greater than max/min = {most:.6}");
                errors.push(FieldError::invalid(path, ratio.to_string(), words));
            }
        }
    }
}
