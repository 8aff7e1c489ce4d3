//! Which of the nodes that can take a pod is best: the emptiest and most balanced, the preferred, the one with the
//! fewest of the same controller's pods.

use super::demand::Demand;
use super::filter::tolerates;
use super::node::Node;

/// Every score is from 0 to this.
const FULL: i64 = 100;

/// What counts how much, as in Kubernetes' default profile.
const TAINTS: i64 = 3;
const AFFINITY: i64 = 2;
const SPREAD: i64 = 2;

/// What one node says for itself, before it is compared with the others.
struct Raw {
    usage: i64,
    preferred: i64,
    unwelcome: i64,
    siblings: i64,
}

/// The position of the best node in `nodes`; of equals the first.
pub fn best(demand: &Demand, nodes: &[&Node]) -> Option<usize> {
    if nodes.len() <= 1 {
        return (!nodes.is_empty()).then_some(0);
    }
    let raws: Vec<Raw> = nodes.iter().map(|node| raw(demand, node)).collect();
    let most = |of: fn(&Raw) -> i64| raws.iter().map(of).max().unwrap_or(0).max(1);
    let preferred = most(|raw| raw.preferred);
    let unwelcome = most(|raw| raw.unwelcome);
    let siblings = most(|raw| raw.siblings);
    let score = |raw: &Raw| {
        raw.usage
            + AFFINITY * (raw.preferred * FULL / preferred)
            + TAINTS * (FULL - raw.unwelcome * FULL / unwelcome)
            + SPREAD * (FULL - raw.siblings * FULL / siblings)
    };
    let scores = raws.iter().map(score).enumerate();
    let best = scores.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(position, _)| position)
}

fn raw(demand: &Demand, node: &Node) -> Raw {
    let labels = &node.facts.labels;
    let preferred = demand.preferred.iter().filter(|(_, term)| term.matches(&node.name, labels));
    let unwelcome = node
        .facts
        .taints
        .iter()
        .filter(|taint| taint.effect == "PreferNoSchedule" && !tolerates(&demand.tolerations, taint));
    let siblings = if demand.owner.is_empty() { None } else { node.owners.get(&demand.owner) };
    Raw {
        usage: usage(demand, node),
        preferred: preferred.map(|(weight, _)| i64::from(*weight)).sum(),
        unwelcome: i64::try_from(unwelcome.count()).unwrap_or(i64::MAX),
        siblings: siblings.map_or(0, |count| i64::try_from(*count).unwrap_or(i64::MAX)),
    }
}

/// How empty the node stays, and how evenly.
fn usage(demand: &Demand, node: &Node) -> i64 {
    let has = &node.facts.allocatable;
    let cpu = thousandths(node.weight.0.saturating_add(demand.weight.0), has.cpu);
    let memory = thousandths(node.weight.1.saturating_add(demand.weight.1), has.memory);
    let least = ((1000 - cpu) + (1000 - memory)) * FULL / 2000;
    // The deviation of two values is half their distance.
    let balanced = FULL - (cpu - memory).abs() * FULL / 2000;
    least + balanced
}

fn thousandths(used: i64, has: i64) -> i64 {
    if has <= 0 {
        return 1000;
    }
    let share = i128::from(used.max(0)) * 1000 / i128::from(has);
    i64::try_from(share).unwrap_or(1000).min(1000)
}
