//! Addresses: which ranges mean what in the cluster, and which pod of this node has which.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// A range of IPv4 addresses, such as `10.128.0.0/18`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    first: Ipv4Addr,
    prefix_bits: u8,
}

/// The text is not a range of IPv4 addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a range of IPv4 addresses; write it like 10.128.0.0/18, with no bits set after the prefix"
)]
pub struct NotACidr(String);

impl Cidr {
    /// The range of all addresses that share the first `prefix_bits` bits, at most 32, with `address`.
    pub const fn around(address: Ipv4Addr, prefix_bits: u8) -> Self {
        let first = Ipv4Addr::from_bits(address.to_bits() & mask(prefix_bits));
        Self { first, prefix_bits }
    }

    /// Its first address, which names the range itself.
    pub const fn first(self) -> Ipv4Addr {
        self.first
    }

    /// Its second address, which stands for the node among its pods.
    pub const fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first.to_bits().saturating_add(1))
    }

    /// How many addresses there are.
    pub const fn size(self) -> u64 {
        1 << (32 - self.prefix_bits)
    }

    /// Whether the address is one of them.
    pub fn contains(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => address.to_bits() & mask(self.prefix_bits) == self.first.to_bits(),
            IpAddr::V6(_) => false,
        }
    }
}

const fn mask(prefix_bits: u8) -> u32 {
    match u32::MAX.checked_shl(32 - prefix_bits as u32) {
        Some(mask) => mask,
        None => 0,
    }
}

impl FromStr for Cidr {
    type Err = NotACidr;

    fn from_str(text: &str) -> Result<Self, NotACidr> {
        let parse = || {
            let (address, bits) = text.split_once('/')?;
            let (address, bits) = (address.parse().ok()?, bits.parse().ok()?);
            (bits <= 32).then(|| Self::around(address, bits)).filter(|range| range.first == address)
        };
        parse().ok_or_else(|| NotACidr(text.to_owned()))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.first, self.prefix_bits)
    }
}

/// Which addresses mean what in the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPlan {
    /// The pods of all nodes.
    pub pods: Cidr,
    /// The services.
    pub services: Cidr,
    /// The nodes, at which pods find node ports.
    pub nodes: Vec<IpAddr>,
}

impl Default for AddressPlan {
    fn default() -> Self {
        Self {
            pods: Cidr::around(Ipv4Addr::new(10, 128, 0, 0), 9),
            services: Cidr::around(Ipv4Addr::new(10, 96, 0, 0), 12),
            nodes: Vec::new(),
        }
    }
}

/// The part of the cluster's pod addresses that one node gets: 16,384, of which it gives out 16,381.
const NODE_PREFIX_BITS: u8 = 18;

impl AddressPlan {
    /// The range of the node with this number; none if the plan has no room for so many nodes.
    pub fn node(&self, number: u32) -> Option<Cidr> {
        let range_bits = NODE_PREFIX_BITS.max(self.pods.prefix_bits);
        let offset = u64::from(number) << (32 - range_bits);
        let inside = u32::try_from(offset).ok().filter(|_| offset < self.pods.size())?;
        let first = Ipv4Addr::from_bits(self.pods.first.to_bits() + inside);
        Some(Cidr::around(first, range_bits))
    }
}

/// The addresses of a range that no pod gets.
const RESERVED: u64 = 3;

/// Every address of the node's range is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("all {count} pod addresses of {range} are in use; delete pods or give the node a larger range")]
pub struct AddressesExhausted {
    /// The node's range.
    pub range: Cidr,
    /// How many addresses it has for pods.
    pub count: u64,
}

/// Gives out the addresses of one range: first those never used, then those given back, the longest free first.
///
/// The first address names the range, the second is the node's own and the last is the broadcast address: pods get none of
/// them.
#[derive(Debug)]
pub(super) struct Addresses {
    range: Cidr,
    used: u64,
    free: VecDeque<Ipv4Addr>,
}

impl Addresses {
    pub(super) fn new(range: Cidr) -> Self {
        Self { range, used: 0, free: VecDeque::new() }
    }

    pub(super) fn take(&mut self) -> Result<Ipv4Addr, AddressesExhausted> {
        let count = self.range.size().saturating_sub(RESERVED);
        if self.used < count {
            self.used += 1;
            let offset = u32::try_from(self.used).expect("a range holds fewer than 2^32 addresses for pods");
            return Ok(Ipv4Addr::from_bits(self.range.gateway().to_bits() + offset));
        }
        let range = self.range;
        self.free.pop_front().ok_or(AddressesExhausted { range, count })
    }

    pub(super) fn give_back(&mut self, address: Ipv4Addr) {
        self.free.push_back(address);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_freed_address_is_reused_last() {
        let mut addresses = Addresses::new("10.128.0.0/29".parse().unwrap());
        let mut take = |give_back: &[u8]| {
            for last in give_back {
                addresses.give_back(Ipv4Addr::new(10, 128, 0, *last));
            }
            addresses.take().map(|address| address.octets()[3]).map_err(|error| error.to_string())
        };
        assert_eq!(take(&[]), Ok(2));
        assert_eq!(take(&[]), Ok(3));
        assert_eq!(take(&[3, 2]), Ok(4));
        assert_eq!((take(&[]), take(&[])), (Ok(5), Ok(6)));
        assert_eq!((take(&[]), take(&[])), (Ok(3), Ok(2)));
        let words =
            "all 5 pod addresses of 10.128.0.0/29 are in use; delete pods or give the node a larger range";
        assert_eq!(take(&[]), Err(words.to_owned()));
    }

    #[test]
    fn the_plan_gives_each_of_512_nodes_a_range_of_its_own() {
        let plan = AddressPlan::default();
        let node = |number| plan.node(number).map(|range| range.to_string());
        assert_eq!(node(0).as_deref(), Some("10.128.0.0/18"));
        assert_eq!(node(1).as_deref(), Some("10.128.64.0/18"));
        assert_eq!(node(511).as_deref(), Some("10.255.192.0/18"));
        assert_eq!(node(512), None);
        assert_eq!(plan.node(0).unwrap().size(), 16_384);
    }

    #[test]
    fn a_range_is_written_with_its_first_address() {
        for text in ["10.128.0.0/9", "0.0.0.0/0", "10.1.2.3/32"] {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), text);
        }
        for text in ["10.128.0.1/9", "10.128.0.0", "10.128.0.0/33", "::/64", "x/8"] {
            assert_eq!(text.parse::<Cidr>(), Err(NotACidr(text.to_owned())));
        }
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains([1, 2, 3, 4].into()));
        let pods: Cidr = "10.128.0.0/9".parse().unwrap();
        assert!(pods.contains([10, 255, 255, 255].into()) && !pods.contains([10, 96, 0, 1].into()));
    }
}
