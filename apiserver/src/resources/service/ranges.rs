//! The ranges from which services are given addresses and ports.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

/// The addresses services may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    network: u32,
    prefix: u8,
}

impl AddressRange {
    /// The block of `address/prefix`; none if the prefix is not between 8 and 30.
    pub const fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        if prefix < 8 || prefix > 30 {
            return None;
        }
        Some(Self { network: address.to_bits() & (u32::MAX << (32 - prefix)), prefix })
    }

    /// The first address a service can have: that of the API server itself.
    pub fn first(self) -> Ipv4Addr {
        Ipv4Addr::from_bits(*self.usable().start())
    }

    /// Without the first, which names the network, and the last, which means everybody.
    pub(super) fn usable(self) -> RangeInclusive<u32> {
        self.network + 1..=self.network + (u32::MAX >> self.prefix) - 1
    }

    /// Kubernetes leaves the lower addresses to those who choose one: a sixteenth, from 16 up to 256.
    pub(super) fn chosen_by_server(self) -> RangeInclusive<u32> {
        let usable = self.usable();
        let size = usable.end() - usable.start() + 1;
        let low = (size / 16).clamp(16, 256).min(size - 1);
        usable.start() + low..=*usable.end()
    }
}

impl std::fmt::Display for AddressRange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", Ipv4Addr::from(self.network), self.prefix)
    }
}

/// Ranges to give from.
#[derive(Clone, Debug)]
pub struct Ranges {
    /// Cluster addresses.
    pub addresses: AddressRange,
    /// Node ports.
    pub ports: RangeInclusive<u16>,
}
