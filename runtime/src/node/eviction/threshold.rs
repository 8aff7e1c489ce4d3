//! Thresholds: how little of something may be left before pods have to go. Written as the kubelet's: `memory.available<100Mi`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use api::quantity::{Format, Quantity};

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// The memory that nobody needs.
    MemoryAvailable,
    /// The free bytes of the disk with volumes and logs.
    NodefsAvailable,
    /// The free inodes of that disk.
    NodefsInodesFree,
}

/// What a node may lack, as its conditions say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lack {
    /// Memory.
    Memory,
    /// Room on the disk.
    Disk,
}

impl Signal {
    const ALL: [Self; 3] = [Self::MemoryAvailable, Self::NodefsAvailable, Self::NodefsInodesFree];

    /// The kubelet's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MemoryAvailable => "memory.available",
            Self::NodefsAvailable => "nodefs.available",
            Self::NodefsInodesFree => "nodefs.inodesFree",
        }
    }

    /// The resource that is short when it is low.
    pub fn resource(self) -> &'static str {
        match self {
            Self::MemoryAvailable => "memory",
            Self::NodefsAvailable => "ephemeral-storage",
            Self::NodefsInodesFree => "inodes",
        }
    }

    /// What the node lacks then.
    pub fn lack(self) -> Lack {
        match self {
            Self::MemoryAvailable => Lack::Memory,
            Self::NodefsAvailable | Self::NodefsInodesFree => Lack::Disk,
        }
    }

    /// An amount of it as Kubernetes writes it.
    pub fn written(self, amount: u64) -> String {
        let format = if self == Self::NodefsInodesFree { Format::DecimalSi } else { Format::BinarySi };
        Quantity::from_units(i64::try_from(amount).unwrap_or(i64::MAX), format).to_string()
    }
}

/// What there is of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What is left.
    pub available: u64,
    /// All there is.
    pub capacity: u64,
}

/// What was found at one time.
pub type Observations = BTreeMap<Signal, Observation>;

/// How little may be left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Least {
    /// So much.
    Amount(u64),
    /// So many thousandths of all there is.
    Thousandths(u64),
}

/// When pods have to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threshold {
    /// What is looked at.
    pub signal: Signal,
    /// How little of it may be left.
    pub least: Least,
    /// How long less may be left before a pod has to go; no time at all for a hard threshold.
    pub patience: Duration,
}

impl Threshold {
    /// The kubelet's thresholds for a node whose images lie on the same disk.
    pub fn defaults() -> Vec<Self> {
        let hard = |signal, least| Self { signal, least, patience: Duration::ZERO };
        vec![
            hard(Signal::MemoryAvailable, Least::Amount(100 << 20)),
            hard(Signal::NodefsAvailable, Least::Thousandths(100)),
            hard(Signal::NodefsInodesFree, Least::Thousandths(50)),
        ]
    }

    /// Reads thresholds with commas between, all of them with the same patience; an empty text is none.
    pub fn read(text: &str, patience: Duration) -> Result<Vec<Self>, ThresholdError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        parts.map(|part| Ok(Self { patience, ..part.parse()? })).collect()
    }

    /// How much must be left.
    pub fn quantity(&self, capacity: u64) -> u64 {
        match self.least {
            Least::Amount(amount) => amount,
            Least::Thousandths(thousandths) => {
                u64::try_from(u128::from(capacity) * u128::from(thousandths) / 1000).unwrap_or(u64::MAX)
            }
        }
    }

    /// Whether less is left than must be.
    pub fn is_met(&self, observations: &Observations) -> bool {
        let observed = observations.get(&self.signal);
        observed.is_some_and(|observed| observed.available < self.quantity(observed.capacity))
    }
}

/// A threshold that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "threshold `{0}` is none: it must be like memory.available<100Mi, nodefs.available<10% or nodefs.inodesFree<5%"
)]
pub struct ThresholdError(String);

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let read = || {
            let (name, amount) = text.split_once('<')?;
            let signal = Signal::ALL.into_iter().find(|signal| signal.name() == name.trim())?;
            let least = least(amount.trim())?;
            Some(Self { signal, least, patience: Duration::ZERO })
        };
        read().ok_or_else(|| ThresholdError(text.to_owned()))
    }
}

fn least(text: &str) -> Option<Least> {
    if let Some(percent) = text.strip_suffix('%') {
        let thousandths = percent.parse::<Quantity>().ok()?.millis() / 100;
        let thousandths = u64::try_from(thousandths).ok().filter(|thousandths| *thousandths <= 1000)?;
        return Some(Least::Thousandths(thousandths));
    }
    u64::try_from(text.parse::<Quantity>().ok()?.value()).ok().map(Least::Amount)
}

impl fmt::Display for Threshold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.signal.name();
        match self.least {
            Least::Amount(amount) => write!(formatter, "{name}<{}", self.signal.written(amount)),
            Least::Thousandths(parts) if parts % 10 == 0 => write!(formatter, "{name}<{}%", parts / 10),
            Least::Thousandths(parts) => write!(formatter, "{name}<{}.{}%", parts / 10, parts % 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_read_and_written_as_the_kubelet_has_them() {
        let check = |text: &str| {
            let read: Vec<String> = Threshold::read(text, Duration::ZERO)
                .expect("thresholds")
                .iter()
                .map(Threshold::to_string)
                .collect();
            assert_eq!(read.join(","), text);
        };
        check("");
        check("memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%");
        check("nodefs.available<1Gi,nodefs.available<2.5%");
        let defaults: Vec<String> = Threshold::defaults().iter().map(Threshold::to_string).collect();
        assert_eq!(defaults.join(","), "memory.available<100Mi,nodefs.available<10%,nodefs.inodesFree<5%");
        for text in
            ["memory", "memory.available>1Gi", "swap<1", "memory.available<-1", "nodefs.available<101%"]
        {
            assert_eq!(Threshold::read(text, Duration::ZERO), Err(ThresholdError(text.to_owned())));
        }
    }

    #[test]
    fn a_threshold_is_met_when_less_is_left() {
        let check = |threshold: &str, available: u64, expected: bool| {
            let threshold: Threshold = threshold.parse().expect("a threshold");
            let observed = Observation { available, capacity: 1000 };
            assert_eq!(threshold.is_met(&[(Signal::NodefsAvailable, observed)].into()), expected);
        };
        check("nodefs.available<10%", 99, true);
        check("nodefs.available<10%", 100, false);
        check("nodefs.available<99", 98, true);
        check("nodefs.available<0", 0, false);
        check("memory.available<100Mi", 0, false);
    }
}
