//! Whether gateways can be reached.

use std::net::IpAddr;

use super::{
    address::Network,
    place::{PAIRS_MAX, Place, Report},
};
use crate::userdata::finding::Code;

impl Report<'_, '_> {
    /// Warns of a gateway that is in none of the networks of its interface. An interface that has no fixed address of the
    /// family, or one without a network of its own, may reach anything.
    pub(super) fn gateway(&mut self, place: &Place, gateway: IpAddr, networks: &[Network]) {
        let is_link_local = matches!(gateway, IpAddr::V6(address) if address.is_unicast_link_local());
        let mut family = networks.iter().filter(|it| it.address.is_ipv4() == gateway.is_ipv4()).peekable();
        if is_link_local || family.peek().is_none() || networks.len() > PAIRS_MAX {
            return;
        }
        if family.all(|network| network.prefix < network.prefix_max() && !network.contains(gateway)) {
            let message = "the gateway is in none of the networks of this interface".to_owned();
            self.push(Code::Gateway, place, message, None);
        }
    }
}
