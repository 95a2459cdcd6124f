//! Which network the next link should use.
//!
//! The host reports networks; the latest reported is the wanted one. A network whose link went silent is *shunned*: the next link
//! is asked for on another one that is up, if there is any (walking out of the Wi-Fi's reach); it is forgiven when the link goes on after all. What fails is not
//! insisted on: after each failure the next one has its turn. Addresses take turns beside that, so when all that was tried has failed the next round begins one network
//! further on: else, of two each, an address would meet the same network every time. What was begun in an order that is no more (another network was wanted then)
//! takes the turn of its own network only.

use alloc::vec::Vec;

use crate::event::NetworkId;

/// Networks remembered; the least wanted is forgotten.
const MAX: usize = 8;

/// See the module's head.
#[derive(Default)]
pub struct Networks {
    /// Those that are up, the wanted one first.
    up: Vec<NetworkId>,
    shunned: Option<NetworkId>,
    /// In this round, and the turn with which it began.
    failures: usize,
    first: usize,
    /// How often turns began anew.
    order: u32,
}

impl Networks {
    /// It came up, or became the default.
    pub fn report(&mut self, network: NetworkId) {
        self.up.retain(|known| *known != network);
        self.up.insert(0, network);
        self.up.truncate(MAX);
        self.shunned = None;
        self.begin_anew();
    }

    pub fn lost(&mut self, network: NetworkId) {
        self.up.retain(|known| *known != network);
        self.begin_anew();
    }

    /// The link on this network has gone silent.
    pub fn shun(&mut self, network: Option<NetworkId>) {
        self.shunned = network;
        self.begin_anew();
    }

    /// What was silent or late carries on. Turns were counted in another order.
    pub fn forgive(&mut self) {
        if self.shunned.take().is_some() {
            self.begin_anew();
        }
    }

    /// The order in which a try is begun now.
    pub fn order(&self) -> u32 {
        self.order
    }

    /// A try on this network failed that was begun in this order.
    pub fn failed(&mut self, network: Option<NetworkId>, order: u32) {
        if order == self.order || network == self.choice() {
            self.failures = self.failures.wrapping_add(1);
        }
    }

    /// All that was under way has failed; what is next is planned.
    pub fn begin_round(&mut self) {
        if core::mem::take(&mut self.failures) > 0 {
            self.first = self.first.wrapping_add(1);
        }
    }

    fn begin_anew(&mut self) {
        (self.failures, self.first) = (0, 0);
        self.order = self.order.wrapping_add(1);
    }

    /// A link carries the session again.
    pub fn carried(&mut self) {
        self.shunned = None;
        self.begin_anew();
    }

    /// The one to ask for now; `None` leaves it to the system.
    pub fn choice(&self) -> Option<NetworkId> {
        self.turn(0)
    }

    /// The one to ask for beside a try on [`Networks::choice`].
    pub fn second_choice(&self) -> Option<NetworkId> {
        self.turn(1)
    }

    fn turn(&self, ahead: usize) -> Option<NetworkId> {
        let turn = self.first.wrapping_add(self.failures).wrapping_add(ahead);
        let turn = turn.checked_rem(self.up.len())?;
        let sound = self.up.iter().filter(|known| Some(**known) != self.shunned);
        let shunned = self.up.iter().filter(|known| Some(**known) == self.shunned);
        sound.chain(shunned).nth(turn).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WIFI: NetworkId = NetworkId(1);
    const CELL: NetworkId = NetworkId(2);

    #[test]
    fn the_latest_is_wanted_unless_it_is_shunned_and_failures_alternate() {
        let mut networks = Networks::default();
        assert_eq!(networks.choice(), None);
        networks.report(CELL);
        networks.report(WIFI);
        assert_eq!(networks.choice(), Some(WIFI));
        networks.shun(Some(WIFI));
        assert_eq!((networks.choice(), networks.second_choice()), (Some(CELL), Some(WIFI)));
        networks.failed(networks.choice(), networks.order());
        assert_eq!((networks.choice(), networks.second_choice()), (Some(WIFI), Some(CELL)));
        networks.failed(networks.choice(), networks.order());
        assert_eq!(networks.choice(), Some(CELL));
        networks.lost(CELL);
        assert_eq!(
            (networks.choice(), networks.second_choice()),
            (Some(WIFI), Some(WIFI)),
            "the only one is better than none"
        );
        networks.carried();
        networks.lost(WIFI);
        assert_eq!(networks.choice(), None);
    }

    /// Of two tries beside each other only one is on the network whose turn it is, and either counts. One that was begun in an order before counts against its own network only.
    #[test]
    fn what_fails_counts_in_the_order_in_which_it_was_begun_or_against_its_own_network() {
        let mut networks = Networks::default();
        networks.report(CELL);
        networks.report(WIFI);
        for (network, next) in [(Some(CELL), CELL), (None, WIFI), (Some(WIFI), CELL)] {
            networks.failed(network, networks.order());
            assert_eq!(networks.choice(), Some(next), "{network:?}");
        }
        let before = networks.order();
        networks.report(WIFI);
        for network in [Some(CELL), None] {
            networks.failed(network, before);
            assert_eq!(networks.choice(), Some(WIFI), "{network:?} of an order before");
        }
        networks.failed(Some(WIFI), before);
        assert_eq!(networks.choice(), Some(CELL), "it is no better in this order");
    }

    #[test]
    fn swarms_of_networks_are_bounded() {
        let mut networks = Networks::default();
        (0..10_000).for_each(|n| networks.report(NetworkId(n)));
        assert_eq!((networks.up.len(), networks.choice()), (MAX, Some(NetworkId(9999))));
    }
}
