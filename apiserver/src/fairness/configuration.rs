//! What the stored flow schemas and priority levels say, with those that must always be there.

use std::collections::BTreeMap;

use api::Object;
use k8s_openapi::api::flowcontrol::v1::{
    FlowSchema, LimitedPriorityLevelConfiguration, PriorityLevelConfiguration, PriorityLevelConfigurationSpec,
};
use serde_json::{Value, json};

use super::classify::{Asked, Schema};
use super::limits::{Name, Queues, Rule, Share};

const EXEMPT: &str = "exempt";
const CATCH_ALL: &str = "catch-all";

/// Flow schemas in the order in which they are tried, and the levels they lead to.
pub(super) struct Configuration {
    pub schemas: Vec<Schema>,
    pub levels: BTreeMap<Name, Rule>,
    /// The uids of the levels that are stored.
    pub uids: BTreeMap<Name, String>,
}

impl Configuration {
    /// The configuration in these objects. One that cannot be read counts as not there, and a flow schema of a level that
    /// is not there is passed over, as in Kubernetes.
    pub fn new<'a>(
        schemas: impl Iterator<Item = &'a Object>,
        levels: impl Iterator<Item = &'a Object>,
    ) -> Self {
        let mut new = Self { schemas: Vec::new(), levels: BTreeMap::new(), uids: BTreeMap::new() };
        for object in levels {
            let typed = object.typed::<PriorityLevelConfiguration>();
            if let Some(spec) = typed.ok().and_then(|level| level.spec.as_ref()) {
                new.uids.insert(object.name().into(), object.uid().to_owned());
                new.levels.insert(object.name().into(), rule(object.name(), spec));
            }
        }
        let usual = Share { shares: 5, lendable_percent: 0, borrowing_percent: None, queues: None };
        new.levels.insert(EXEMPT.into(), Rule::Exempt);
        new.levels.entry(CATCH_ALL.into()).or_insert(Rule::Limited(usual));
        for object in schemas {
            let typed = object.typed::<FlowSchema>();
            if let Some(spec) = typed.ok().and_then(|schema| schema.spec.as_ref()) {
                new.schemas.push(Schema::new(object.name(), object.uid(), spec));
            }
        }
        for (name, schema) in [(EXEMPT, exempt()), (CATCH_ALL, catch_all())] {
            if !new.schemas.iter().any(|known| *known.name == *name) {
                new.schemas.extend(mandatory(name, schema));
            }
        }
        let levels = &new.levels;
        new.schemas.retain(|schema| levels.contains_key(&schema.level));
        new.schemas.sort_by(|one, other| (one.precedence, &one.name).cmp(&(other.precedence, &other.name)));
        new
    }

    /// The number of the flow schema a request belongs to; what matches none is caught by the last.
    pub fn classify(&self, asked: &Asked<'_>) -> usize {
        let found = self.schemas.iter().position(|schema| schema.matches(asked));
        found.unwrap_or_else(|| {
            let caught = self.schemas.iter().position(|schema| *schema.name == *CATCH_ALL);
            caught.unwrap_or_default()
        })
    }
}

fn mandatory(name: &str, spec: Value) -> Option<Schema> {
    serde_json::from_value(spec).ok().map(|spec| Schema::new(name, "", &spec))
}

fn exempt() -> Value {
    everything(1, EXEMPT, &["system:masters"], Value::Null)
}

fn catch_all() -> Value {
    let groups = ["system:unauthenticated", "system:authenticated"];
    everything(10_000, CATCH_ALL, &groups, json!({"type": "ByUser"}))
}

fn everything(precedence: i32, level: &str, groups: &[&str], method: Value) -> Value {
    let subjects = groups.iter().map(|group| json!({"kind": "Group", "group": {"name": group}}));
    json!({
        "matchingPrecedence": precedence,
        "priorityLevelConfiguration": {"name": level},
        "distinguisherMethod": method,
        "rules": [{
            "subjects": subjects.collect::<Vec<_>>(),
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true,
                "namespaces": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }],
    })
}

fn rule(name: &str, spec: &PriorityLevelConfigurationSpec) -> Rule {
    match &spec.limited {
        Some(limited) if spec.type_ == "Limited" && name != EXEMPT => Rule::Limited(share(limited)),
        _ => Rule::Exempt,
    }
}

fn share(limited: &LimitedPriorityLevelConfiguration) -> Share {
    let at_least_0 = |number: i32| u32::try_from(number).unwrap_or(0);
    let or = |number: Option<i32>, usual: u32| number.map_or(usual, at_least_0);
    let response = limited.limit_response.as_ref().filter(|response| response.type_ == "Queue");
    let queues = response.map(|response| {
        let queuing = response.queuing.as_ref();
        let of = |number: fn(&k8s_openapi::api::flowcontrol::v1::QueuingConfiguration) -> Option<i32>| {
            queuing.and_then(number)
        };
        Queues {
            count: or(of(|queuing| queuing.queues), 64).max(1),
            hand: or(of(|queuing| queuing.hand_size), 8).max(1),
            length: or(of(|queuing| queuing.queue_length_limit), 50).max(1),
        }
    });
    Share {
        shares: or(limited.nominal_concurrency_shares, 30),
        lendable_percent: or(limited.lendable_percent, 0).min(100),
        borrowing_percent: limited.borrowing_limit_percent.map(at_least_0),
        queues,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::classify::{What, named};
    use super::*;

    fn object(kind: &str, name: &str, spec: Value) -> Object {
        let value = json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": kind,
            "metadata": {"name": name, "uid": format!("uid-{name}")}, "spec": spec});
        Object::from_value(value).unwrap()
    }

    fn schema(name: &str, precedence: i32, level: &str, group: &str) -> Object {
        object("FlowSchema", name, everything(precedence, level, &[group], Value::Null))
    }

    #[test]
    fn the_first_that_matches_decides() {
        let queue = json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 10, "limitResponse":
            {"type": "Queue", "queuing": {"queues": 2}}}});
        let levels = [object("PriorityLevelConfiguration", "low", queue)];
        let schemas = [
            schema("b", 500, "low", "devs"),
            schema("a", 500, "low", "ops"),
            schema("late", 900, "low", "ops"),
            schema("dangling", 2, "nowhere", "ops"),
        ];
        let configuration = Configuration::new(schemas.iter(), levels.iter());
        let names = configuration.schemas.iter().map(|schema| &*schema.name).collect::<Vec<_>>();
        assert_eq!(names, ["exempt", "a", "b", "late", "catch-all"]);
        let row = |groups: &[&str], expected: &str| {
            let user = named("ann", groups);
            let asked = Asked { user: &user, verb: "get", what: What::Path("/x") };
            let found = configuration.classify(&asked);
            assert_eq!(&*configuration.schemas[found].name, expected, "{:?}", user.groups);
        };
        row(&["system:masters", "ops"], "exempt");
        row(&["devs", "ops"], "a");
        row(&["devs"], "b");
        row(&["system:authenticated"], "catch-all");
        row(&[], "catch-all");
        let Rule::Limited(share) = &configuration.levels["low"] else { panic!("limited") };
        assert_eq!((share.shares, share.queues), (10, Some(Queues { count: 2, hand: 8, length: 50 })));
        assert_eq!(configuration.levels["exempt"], Rule::Exempt);
    }
}
