//! Addresses, prefixes, masks and hardware addresses.

use std::net::{IpAddr, Ipv4Addr};

use super::place::{Place, Report};
use crate::{
    suggestion::{did_you_mean, nearest},
    userdata::{finding::Code, schema::quoted},
};

/// An address with the length of its prefix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Network {
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
}

impl Network {
    /// The longest prefix of the address's family.
    pub(super) fn prefix_max(self) -> u8 {
        if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Whether an address is in this network.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        let bits = |address| match address {
            IpAddr::V4(address) => u128::from(u32::from(address)) << 96,
            IpAddr::V6(address) => u128::from(address),
        };
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
        self.address.is_ipv4() == address.is_ipv4() && (bits(self.address) ^ bits(address)) & mask == 0
    }
}

/// An address, and behind a slash the length of a prefix.
pub(super) fn with_prefix(text: &str) -> Result<(IpAddr, Option<u8>), String> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| not_an_address(text))?;
    let max = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        // cloud-init accepts a mask there.
        Some(mask) if address.is_ipv4() && mask.contains('.') => Some(mask_length(mask)?),
        Some(prefix) => {
            let length = prefix.parse().ok().filter(|&length: &u8| length <= max && !prefix.starts_with('+'));
            Some(length.ok_or_else(|| format!("the prefix must be a number from 0 to {max}"))?)
        }
        None => None,
    };
    Ok((address, prefix))
}

fn not_an_address(text: &str) -> String {
    format!("{} is not an IP address", quoted(text))
}

/// How many bits a mask has.
pub(super) fn mask_length(mask: &str) -> Result<u8, String> {
    let bits =
        u32::from(mask.parse::<Ipv4Addr>().map_err(|_| format!("{} is not a network mask", quoted(mask)))?);
    let length = bits.leading_ones();
    if bits.checked_shl(length).unwrap_or(0) != 0 {
        return Err("the bits of a network mask must be all ones and then all zeros".to_owned());
    }
    Ok(u8::try_from(length).unwrap_or(32))
}

/// Whether a text is a hardware address: of Ethernet, or of InfiniBand.
fn is_mac(text: &str) -> bool {
    let mut count = 0;
    let all = text.split(':').all(|part| {
        count += 1;
        part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    all && matches!(count, 6 | 20)
}

impl Report<'_, '_> {
    fn bad_address(&mut self, place: &Place, why: String) {
        self.push(Code::BadAddress, place, why, None);
    }

    /// The address in a string. Any other string is a finding.
    pub(super) fn address(&mut self, place: &Place) -> Option<IpAddr> {
        let tree = self.tree;
        let text = tree.string(place.node)?;
        let address = text.split(['%', '#']).next().unwrap_or_default().parse();
        if address.is_err() {
            self.bad_address(place, not_an_address(text));
        }
        address.ok()
    }

    /// The address and prefix of a string. A string that is neither is a finding.
    pub(super) fn network(&mut self, place: &Place) -> Option<(IpAddr, Option<u8>)> {
        let tree = self.tree;
        let parsed = with_prefix(tree.string(place.node)?);
        parsed.map_err(|why| self.bad_address(place, why)).ok()
    }

    /// Checks where a route leads: a network, or `default`.
    pub(super) fn destination(&mut self, place: &Place) {
        let Some(text) = self.tree.string(place.node).filter(|text| *text != "default") else { return };
        if nearest(text, ["default"]).is_some() {
            self.push(Code::BadAddress, place, not_an_address(text), Some(did_you_mean("default")));
        } else {
            self.network(place);
        }
    }

    /// The length of a mask. Any other string is a finding.
    pub(super) fn mask(&mut self, place: &Place) -> Option<u8> {
        let tree = self.tree;
        let text = tree.string(place.node)?;
        // Of IPv6, or a length.
        if text.contains(':') || text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        mask_length(text).map_err(|why| self.bad_address(place, why)).ok()
    }

    /// Checks a hardware address.
    pub(super) fn mac(&mut self, place: &Place) {
        let words = ["permanent", "preserve", "random", "stable", "stable-ssid", ""];
        let tree = self.tree;
        if let Some(text) = tree.string(place.node)
            && !is_mac(text)
            && !words.contains(&text)
        {
            let message = format!("{} is not a hardware address", quoted(text));
            self.push(Code::BadMac, place, message, Some("write it like \"52:54:00:ab:cd:ef\"".to_owned()));
        }
    }

    /// Checks an address with a prefix that must be there.
    pub(super) fn full_network(&mut self, place: &Place) -> Option<Network> {
        let (address, prefix) = self.network(place)?;
        if prefix.is_none() {
            let example = if address.is_ipv4() { 24 } else { 64 };
            let message = "the address has no prefix".to_owned();
            let hint = format!("write {address}/{example}, or the prefix of your network");
            self.push(Code::BadAddress, place, message, Some(hint));
        }
        Some(Network { address, prefix: prefix? })
    }
}
