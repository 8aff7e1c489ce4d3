//! Whether a pod or a claim keeps to one item of a LimitRange, in Kubernetes' words.

use api::amounts::{self, Amounts};
use api::quantity::Quantity;
use k8s_openapi::api::core::v1::{LimitRangeItem, PersistentVolumeClaim, Pod};

/// Checks a pod, as a whole or container by container.
pub(super) fn check_pod(item: &LimitRangeItem, pod: &Pod, mistakes: &mut Vec<String>) {
    let Some(spec) = &pod.spec else { return };
    match item.type_.as_str() {
        "Pod" => {
            Use { requests: amounts::requests(spec), limits: amounts::limits(spec) }.check(item, mistakes);
        }
        "Container" => {
            for container in spec.containers.iter().chain(spec.init_containers.iter().flatten()) {
                Use { requests: amounts::requested(container), limits: amounts::limited(container) }
                    .check(item, mistakes);
            }
        }
        _ => {}
    }
}

/// Checks a claim, which has no limits.
pub(super) fn check_claim(item: &LimitRangeItem, claim: &PersistentVolumeClaim, mistakes: &mut Vec<String>) {
    if item.type_ != "PersistentVolumeClaim" {
        return;
    }
    let resources = claim.spec.as_ref().and_then(|spec| spec.resources.as_ref());
    let requests = amounts::read(resources.and_then(|resources| resources.requests.as_ref()));
    for (resource, least) in amounts::read(item.min.as_ref()) {
        let found = Use { requests: requests.clone(), limits: Amounts::new() };
        mistakes.extend(found.too_little(&resource, least, &item.type_));
    }
    for (resource, most) in amounts::read(item.max.as_ref()) {
        let start = format!("maximum {resource} usage per {} is {most}", item.type_);
        match requests.get(&resource) {
            None => mistakes.push(format!("{start}.  No request is specified")),
            Some(request) if *request > most => mistakes.push(format!("{start}, but request is {request}")),
            Some(_) => {}
        }
    }
}

/// What something asks for and is limited to.
struct Use {
    requests: Amounts,
    limits: Amounts,
}

impl Use {
    fn check(&self, item: &LimitRangeItem, mistakes: &mut Vec<String>) {
        for (resource, least) in amounts::read(item.min.as_ref()) {
            mistakes.extend(self.too_little(&resource, least, &item.type_));
        }
        for (resource, most) in amounts::read(item.max.as_ref()) {
            mistakes.extend(self.too_much(&resource, most, &item.type_));
        }
        for (resource, ratio) in amounts::read(item.max_limit_request_ratio.as_ref()) {
            mistakes.extend(self.too_far_apart(&resource, ratio, &item.type_));
        }
    }

    fn too_little(&self, resource: &str, least: Quantity, of: &str) -> Option<String> {
        let start = format!("minimum {resource} usage per {of} is {least}");
        match (self.requests.get(resource), self.limits.get(resource)) {
            (None, _) => Some(format!("{start}.  No request is specified")),
            (Some(request), _) if *request < least => Some(format!("{start}, but request is {request}")),
            (_, Some(limit)) if *limit < least => Some(format!("{start}, but limit is {limit}")),
            _ => None,
        }
    }

    fn too_much(&self, resource: &str, most: Quantity, of: &str) -> Option<String> {
        let start = format!("maximum {resource} usage per {of} is {most}");
        match (self.requests.get(resource), self.limits.get(resource)) {
            (_, None) => Some(format!("{start}.  No limit is specified")),
            (_, Some(limit)) if *limit > most => Some(format!("{start}, but limit is {limit}")),
            (Some(request), _) if *request > most => Some(format!("{start}, but request is {request}")),
            _ => None,
        }
    }

    fn too_far_apart(&self, resource: &str, ratio: Quantity, of: &str) -> Option<String> {
        let start = format!("{resource} max limit to request ratio per {of} is {ratio}");
        let given = |amounts: &Amounts| amounts.get(resource).filter(|amount| !amount.is_zero()).copied();
        let Some(request) = given(&self.requests) else {
            return Some(format!("{start}, but no request is specified or request is 0"));
        };
        let Some(limit) = given(&self.limits) else {
            return Some(format!("{start}, but no limit is specified or limit is 0"));
        };
        let found = limit.millis() as f64 / request.millis() as f64;
        let too_far = found * 1000.0 > ratio.millis() as f64;
        too_far.then(|| format!("{start}, but provided ratio is {found:.6}"))
    }
}
