//! What each priority level may take: its share of the server's seats, and how much of it lends and borrows.

use std::collections::BTreeMap;
use std::sync::Arc;

/// The name of a priority level.
pub(super) type Name = Arc<str>;

/// What a priority level says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// Its requests never wait and are counted nowhere.
    Exempt,
    Limited(Share),
}

/// How much a limited level asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Its part of the seats, among those of all levels.
    pub shares: u32,
    /// How much of its part others may have while it needs less.
    pub lendable_percent: u32,
    /// How much beyond its part it may have while others need less; as much as there is if not given.
    pub borrowing_percent: Option<u32>,
    /// Where its requests wait; without queues they are refused instead.
    pub queues: Option<Queues>,
}

/// The queues of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Queues {
    pub count: u32,
    /// So many queues are dealt to each flow; its requests wait in the shortest of them.
    pub hand: u32,
    /// The most requests that wait in one queue.
    pub length: u32,
}

/// How many seats a level has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Its own part.
    pub nominal: u32,
    /// What is kept free for it.
    pub least: u32,
    /// The most it can have.
    pub most: u32,
}

/// The seats of each limited level out of `total`, and how many there are in all: more than `total` only if there are so
/// many levels that each having one takes more.
pub(super) fn limits(rules: &BTreeMap<Name, Rule>, total: u32) -> (BTreeMap<Name, Limits>, u32) {
    let limited = || {
        rules.iter().filter_map(|(name, rule)| match rule {
            Rule::Exempt => None,
            Rule::Limited(share) => Some((name, share)),
        })
    };
    let sum: u64 = limited().map(|(_, share)| u64::from(share.shares)).sum();
    let nominal = |share: &Share| {
        let part = (u64::from(total) * u64::from(share.shares)).div_ceil(sum.max(1));
        u32::try_from(part).unwrap_or(u32::MAX)
    };
    let total = limited().map(|(_, share)| nominal(share)).sum::<u32>().max(total);
    let of = |share: &Share| {
        let nominal = nominal(share);
        let most = share.borrowing_percent.map(|percent| nominal.saturating_add(part(nominal, percent)));
        Limits {
            nominal,
            least: nominal.saturating_sub(part(nominal, share.lendable_percent)),
            most: most.unwrap_or(total).min(total),
        }
    };
    (limited().map(|(name, share)| (name.clone(), of(share))).collect(), total)
}

fn part(of: u32, percent: u32) -> u32 {
    let rounded = (u64::from(of) * u64::from(percent) + 50) / 100;
    u32::try_from(rounded).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_shared_as_kubernetes_shares_them() {
        let share = |shares, lendable_percent, borrowing_percent| {
            Rule::Limited(Share { shares, lendable_percent, borrowing_percent, queues: None })
        };
        // The levels of a new cluster.
        let rules: BTreeMap<Name, Rule> = [
            ("catch-all", share(5, 0, None)),
            ("exempt", Rule::Exempt),
            ("global-default", share(20, 50, None)),
            ("leader-election", share(10, 0, None)),
            ("node-high", share(40, 25, None)),
            ("system", share(30, 33, None)),
            ("workload-high", share(40, 50, None)),
            ("workload-low", share(100, 90, Some(50))),
        ]
        .map(|(name, rule)| (name.into(), rule))
        .into();
        let (limits, total) = limits(&rules, 600);
        let row = |name: &str, nominal, least, most| {
            assert_eq!(limits[name], Limits { nominal, least, most }, "{name}");
        };
        assert_eq!((limits.len(), total), (7, 602));
        row("catch-all", 13, 13, 602);
        row("global-default", 49, 24, 602);
        row("leader-election", 25, 25, 602);
        row("node-high", 98, 73, 602);
        row("system", 74, 50, 602);
        row("workload-low", 245, 24, 368);
    }

    #[test]
    fn no_numbers_overflow() {
        let share = Share {
            shares: u32::MAX,
            lendable_percent: u32::MAX,
            borrowing_percent: Some(u32::MAX),
            queues: None,
        };
        let rules = BTreeMap::from([("a".into(), Rule::Limited(share))]);
        let (limits, total) = limits(&rules, 600);
        assert_eq!((limits["a"], total), (Limits { nominal: 600, least: 0, most: 600 }, 600));
        assert_eq!(super::limits(&BTreeMap::new(), 600), (BTreeMap::new(), 600));
    }
}
