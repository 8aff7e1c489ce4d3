//! PriorityLevelConfigurations: how many requests of a priority are answered at a time, and how others wait.

use api::Resource;
use api::field::FieldError;
use jiff::Timestamp;
use k8s_openapi::api::flowcontrol::v1::{
    LimitResponse, LimitedPriorityLevelConfiguration, PriorityLevelConfiguration,
    PriorityLevelConfigurationSpec, QueuingConfiguration,
};
use serde_json::{Value, json};

use super::flow_defaults;
use super::flow_schema::{GROUP, check_conditions};
use crate::builtin::{Builtin, Column, Definition};
use crate::cells::{self, text};
use crate::path::Path;
use crate::tree;

const TYPES: [&str; 2] = ["Exempt", "Limited"];
const RESPONSES: [&str; 2] = ["Queue", "Reject"];
const MOST_QUEUES: i32 = 10_000_000;

/// A flow's hand is drawn with the bits of one hash.
const HASH_BITS: u32 = 60;

const NOT_NEGATIVE: &str = "must be a non-negative integer";

/// The kind PriorityLevelConfiguration.
pub struct PriorityLevels;

impl Builtin for PriorityLevels {
    type Typed = PriorityLevelConfiguration;

    const RESOURCE: Resource =
        Resource::new(GROUP, "v1", "prioritylevelconfigurations", "PriorityLevelConfiguration", false);

    const DEFINITION: Definition = Definition {
        subresources: &["status"],
        generation: &["spec"],
        ..Definition::new("prioritylevelconfiguration")
    };

    fn set_defaults(level: &mut Value) {
        let spec = tree::object(level, "spec");
        if let Some(exempt) = tree::field(spec, "exempt").filter(|exempt| exempt.is_object()) {
            tree::set_default(exempt, "nominalConcurrencyShares", 0);
            tree::set_default(exempt, "lendablePercent", 0);
        }
        let Some(limited) = tree::field(spec, "limited").filter(|limited| limited.is_object()) else {
            return;
        };
        tree::set_default(limited, "nominalConcurrencyShares", 30);
        tree::set_default(limited, "lendablePercent", 0);
        let response = tree::field(limited, "limitResponse");
        let queuing = response.and_then(|response| tree::field(response, "queuing"));
        if let Some(queuing) = queuing.filter(|queuing| queuing.is_object()) {
            for (field, value) in [("handSize", 8), ("queues", 64), ("queueLengthLimit", 50)] {
                if queuing[field].as_i64().unwrap_or(0) == 0 {
                    tree::set(queuing, field, Some(value.into()));
                }
            }
        }
    }

    fn prepare_create(level: &mut Value) {
        tree::set(level, "status", Some(json!({})));
    }

    fn check(level: &PriorityLevelConfiguration, errors: &mut Vec<FieldError>) {
        let name = level.metadata.name.as_deref().unwrap_or_default();
        let path = Path::new("spec");
        let Some(spec) = &level.spec else {
            errors.push(FieldError::required(path, ""));
            return;
        };
        check_spec(name, spec, &path, errors);
        // How much of it the exempt level lends is for users to say.
        let fixed = |spec: &PriorityLevelConfigurationSpec| {
            let exempt = if name == flow_defaults::EXEMPT { None } else { spec.exempt.clone() };
            PriorityLevelConfigurationSpec { exempt, ..spec.clone() }
        };
        let mandatory = flow_defaults::mandatory_level(name).and_then(|level| level.spec);
        if mandatory.is_some_and(|mandatory| fixed(&mandatory) != fixed(spec)) {
            let value = serde_json::to_value(spec).unwrap_or_default();
            let words = format!("spec of '{name}' must equal the fixed value");
            errors.push(FieldError::invalid(path, value, words));
        }
    }

    fn check_status(level: &PriorityLevelConfiguration, errors: &mut Vec<FieldError>) {
        let conditions = level.status.as_ref().and_then(|status| status.conditions.as_deref());
        let kinds = conditions.unwrap_or_default().iter().map(|condition| condition.type_.as_deref());
        check_conditions(kinds, errors);
    }

    const COLUMNS: &'static [Column] = &[
        cells::NAME,
        text("Type", "Whether its requests are limited."),
        text("NominalConcurrencyShares", "Its share of the requests that are answered at a time."),
        text("Queues", "Its queues."),
        text("HandSize", "So many queues a flow may use."),
        text("QueueLengthLimit", "So many requests may wait in a queue."),
        cells::AGE,
    ];

    fn row(level: &PriorityLevelConfiguration, now: Timestamp) -> Vec<Value> {
        let spec = level.spec.as_ref();
        let limited = spec.and_then(|spec| spec.limited.as_ref());
        let queuing = limited
            .and_then(|limited| limited.limit_response.as_ref())
            .and_then(|response| response.queuing.as_ref());
        let count = |count: Option<i32>| count.map_or_else(|| Value::from(cells::NONE), Value::from);
        vec![
            cells::name(&level.metadata),
            spec.map_or("", |spec| spec.type_.as_str()).into(),
            count(limited.and_then(|limited| limited.nominal_concurrency_shares)),
            count(queuing.and_then(|queuing| queuing.queues)),
            count(queuing.and_then(|queuing| queuing.hand_size)),
            count(queuing.and_then(|queuing| queuing.queue_length_limit)),
            cells::age(&level.metadata, now),
        ]
    }
}

fn check_spec(
    name: &str,
    spec: &PriorityLevelConfigurationSpec,
    path: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    let kind = spec.type_.as_str();
    if (name == flow_defaults::EXEMPT) != (kind == "Exempt") {
        let words = "type must be 'Exempt' if and only if name is 'exempt'";
        errors.push(FieldError::invalid(path.child("type"), kind, words));
    }
    match (kind, &spec.limited, &spec.exempt) {
        ("Exempt", limited, exempt) => {
            if limited.is_some() {
                let words = "must be nil if the type is not Limited";
                errors.push(FieldError::forbidden(path.child("limited"), words));
            }
            if let Some(exempt) = exempt {
                let shares = exempt.nominal_concurrency_shares;
                check_shares(shares, exempt.lendable_percent, &path.child("exempt"), errors);
            }
        }
        ("Limited", limited, exempt) => {
            if exempt.is_some() {
                let words = "must be nil if the type is Limited";
                errors.push(FieldError::forbidden(path.child("exempt"), words));
            }
            match limited {
                None => {
                    let words = "must not be empty when type is Limited";
                    errors.push(FieldError::required(path.child("limited"), words));
                }
                Some(limited) => check_limited(limited, &path.child("limited"), errors),
            }
        }
        _ => errors.push(FieldError::unsupported(path.child("type"), kind, &TYPES)),
    }
}

fn check_shares(shares: Option<i32>, lendable: Option<i32>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if let Some(shares) = shares.filter(|shares| *shares < 0) {
        errors.push(FieldError::invalid(path.child("nominalConcurrencyShares"), shares, NOT_NEGATIVE));
    }
    if let Some(percent) = lendable.filter(|percent| !(0..=100).contains(percent)) {
        let words = "must be between 0 and 100, inclusive";
        errors.push(FieldError::invalid(path.child("lendablePercent"), percent, words));
    }
}

fn check_limited(limited: &LimitedPriorityLevelConfiguration, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    check_shares(limited.nominal_concurrency_shares, limited.lendable_percent, path, errors);
    if let Some(percent) = limited.borrowing_limit_percent.filter(|percent| *percent < 0) {
        let words = "if specified, must be a non-negative integer";
        errors.push(FieldError::invalid(path.child("borrowingLimitPercent"), percent, words));
    }
    let absent = LimitResponse::default();
    let response = limited.limit_response.as_ref().unwrap_or(&absent);
    let path = path.child("limitResponse");
    match (response.type_.as_str(), &response.queuing) {
        ("Reject", None) => {}
        ("Reject", Some(_)) => {
            let words = "must be nil if limited.limitResponse.type is not Limited";
            errors.push(FieldError::forbidden(path.child("queuing"), words));
        }
        ("Queue", None) => {
            let words = "must not be empty if limited.limitResponse.type is Limited";
            errors.push(FieldError::required(path.child("queuing"), words));
        }
        ("Queue", Some(queuing)) => check_queuing(queuing, &path.child("queuing"), errors),
        (other, _) => errors.push(FieldError::unsupported(path.child("type"), other, &RESPONSES)),
    }
}

fn check_queuing(queuing: &QueuingConfiguration, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let length = queuing.queue_length_limit.unwrap_or(0);
    let (queues, hand) = (queuing.queues.unwrap_or(0), queuing.hand_size.unwrap_or(0));
    let mut refuse = |field: &str, value: i32, words: String| {
        errors.push(FieldError::invalid(path.child(field), value, words));
    };
    if length <= 0 {
        refuse("queueLengthLimit", length, "must be positive".to_owned());
    }
    if queues <= 0 {
        refuse("queues", queues, "must be positive".to_owned());
    } else if queues > MOST_QUEUES {
        refuse("queues", queues, format!("must not be greater than {MOST_QUEUES}"));
    }
    if hand <= 0 {
        refuse("handSize", hand, "must be positive".to_owned());
    } else if hand > queues {
        refuse("handSize", hand, format!("should not be greater than queues ({queues})"));
    } else if entropy_bits(queues, hand) > HASH_BITS {
        let words = format!(
            "required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {HASH_BITS}"
        );
        refuse("handSize", hand, words);
    }
}

/// So many bits it takes to draw a hand; one more than allowed if it is more.
fn entropy_bits(queues: i32, hand: i32) -> u32 {
    let hands = (0..hand).try_fold(1_u128, |hands, drawn| {
        let hands = hands.checked_mul(u128::try_from(queues - drawn).ok()?)?;
        (hands <= 1 << HASH_BITS).then_some(hands)
    });
    hands.map_or(HASH_BITS + 1, |hands| u128::BITS - (hands - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hand_takes_the_bits_of_all_hands_there_are() {
        let row = |queues, hand, bits| assert_eq!(entropy_bits(queues, hand), bits, "{queues} {hand}");
        row(1, 1, 0);
        row(64, 6, 36);
        row(128, 6, 42);
        row(128, 9, HASH_BITS + 1);
        row(MOST_QUEUES, MOST_QUEUES, HASH_BITS + 1);
    }
}
