//! What a server's process does besides talking: the store, snapshots, verbs on its sessions; and how an end stands.

use unbroken_c_calls::abi::unbroken_health::*;
use unbroken_c_calls::abi::unbroken_state::*;
use unbroken_c_calls::abi::unbroken_status::*;
use unbroken_c_calls::abi::{unbroken_counters, unbroken_stats};
use unbroken_c_calls::{Data, Space};

use super::apps::{App, Talk, USER};
use super::program::Side;
use super::world::World;

impl World {
    /// What a server asks of the store, and the snapshots it wants; whether there was anything.
    pub(super) fn stored(&mut self, which: u8) -> bool {
        let at = self.server(which);
        if !self.servers[at].alive {
            return false;
        }
        let handle = self.servers[at].handle;
        let mut any = self.server_events(which);
        while let (0, Some(id)) = self.calls.endpoint_snapshot(handle) {
            any = true;
            let bytes = self.apps.get(&(at, id)).map(App::bytes);
            let status = self
                .calls
                .endpoint_save(handle, Some(id), bytes.as_deref().map(Data::Bytes));
            assert!(status >= 0, "a small snapshot gives {status}");
        }
        while let (0, Some(asked)) = self.calls.endpoint_store(handle) {
            any = true;
            assert!(self.durability != 0, "an endpoint without a store asks it");
            assert!((1..=9).contains(&asked.op) && asked.reserved == [0; 2]);
            let data = self.event_data(
                |world, space| world.calls.endpoint_store_data(handle, space),
                asked.data_len,
            );
            self.store.serve(&mut self.calls, handle, &asked, data, self.now);
        }
        any
    }

    pub(super) fn served(&mut self, server: u8, who: u8, verb: u8, number: u8) {
        let (server, who) = (self.server(server), self.client(who));
        if !self.servers[server].alive {
            return;
        }
        let handle = self.servers[server].handle;
        let known = self.clients[who].id;
        let id = known.or(Some([number; 16]));
        let status = match verb % 8 {
            0 => self.calls.served_close(handle, id, number.into()),
            1 => self.calls.served_kick(handle, id, number.into()),
            2 | 3 => self.calls.served_swap_out(handle, id),
            4 => self.calls.served_commit(handle, id),
            5 => self.calls.served_bind_user(handle, id, Data::Bytes(USER)),
            6 => self.calls.served_answer_resume(handle, id, number.into(), 7),
            _ => self.calls.served_bind_user(handle, id, Data::Bytes(&vec![b'x'; 1025])),
        };
        assert!(known.is_some() || status < 0, "a session that nobody has is known");
    }

    pub(super) fn of_server(&mut self, server: u8, verb: u8, number: u16) {
        let server = self.server(server);
        if !self.servers[server].alive {
            return;
        }
        let handle = self.servers[server].handle;
        let long = vec![b'1'; usize::from(number % 300)];
        match verb % 6 {
            0 => _ = self.calls.endpoint_retire(handle),
            1 => _ = self.calls.endpoint_turn_away(handle),
            2 => _ = self.calls.endpoint_stay(handle),
            3 => {
                let status = self
                    .calls
                    .endpoint_drain(handle, u64::from(number) << 8, Data::Bytes(&long));
                assert_eq!(status == UNBROKEN_ERR_LENGTH as i32, long.len() > 255);
            }
            4 => {
                let lives = vec![u32::from(number); usize::from(number % 6)];
                _ = self
                    .calls
                    .endpoint_announce_keys(handle, Some(number as u8 | 1), &lives);
            }
            _ => {
                let (_, owner) = self.calls.endpoint_owner(handle);
                assert_eq!(owner == Some([0; 16]), self.durability == 0);
                _ = self.calls.endpoint_drain(handle, 1000, Data::Bytes(&[0xff, 0xfe]));
            }
        }
    }

    pub(super) fn mail(&mut self, who: u8, size: u8) {
        if let Some(id) = self.clients[self.client(who)].id {
            let key = *id.first_chunk().expect("16 bytes");
            let mail = [b"mail".to_vec(), vec![size; size.into()]].concat();
            self.store.mail(&mut self.calls, key, mail, self.now);
        }
    }

    /// How an end stands, in all ways; buffers and structs of any size.
    pub(super) fn ask(&mut self, side: Side, who: u8, size: u16) {
        let client = self.client(who);
        let size = usize::from(size % 400);
        match side {
            Side::Client => {
                let (handle, talk) = (self.clients[client].handle, self.clients[client].talk);
                let acked = self.calls.session_acked(handle).1.expect("it is told");
                assert!(acked <= talk.sent, "{acked} messages of {} are acknowledged", talk.sent);
                let state = self.calls.session_state(handle).1.expect("it is told");
                assert!((0..=7).contains(&state));
                let (status, stats) = self.calls.session_stats(handle, Space::Of(size));
                assert_eq!(status, 0);
                self.counted(&stats, talk);
                let (status, health) = self.calls.session_link_health(handle, Space::Of(size));
                assert_eq!(status, 0);
                carried(&health, state);
                self.calls.session_event_data(handle, Space::Of(size));
            }
            Side::Server => {
                let server = self.server(who);
                if !self.servers[server].alive {
                    return;
                }
                let handle = self.servers[server].handle;
                let (status, counters) = self.calls.endpoint_counters(handle, Space::Of(size));
                assert_eq!((status, counters.len()), (0, size));
                assert!(size_of::<unbroken_counters>() < 400);
                self.calls.endpoint_store_is_up(handle);
                self.calls.endpoint_event_user(handle, Space::Of(size));
                self.calls.endpoint_store_data(handle, Space::Of(size));
                let id = self.clients[client].id;
                if id.is_some() {
                    self.calls.served_state(handle, id);
                    self.calls.served_has_room(handle, id);
                    self.calls.served_stats(handle, id, Space::Of(size));
                }
            }
        }
    }

    /// The counters say what the application knows.
    fn counted(&self, stats: &[u8], talk: Talk) {
        let number = |at: usize| {
            stats
                .as_chunks::<8>()
                .0
                .get(at)
                .map(|number| u64::from_ne_bytes(*number))
        };
        let at = |field: usize| number(field / 8);
        assert!(at(std::mem::offset_of!(unbroken_stats, sent_messages)).is_none_or(|sent| sent == talk.sent));
        let received = at(std::mem::offset_of!(unbroken_stats, received_messages));
        assert!(
            received.is_none_or(|received| received == talk.received),
            "{received:?} of {talk:?} were received"
        );
    }
}

/// What carries a session goes with its state, and a network is named only where a link may be on one.
fn carried(health: &[u8], state: i32) {
    let Some((numbers, network)) = health.split_first_chunk::<8>() else {
        return;
    };
    let [health, has_network] = [0, 4].map(|at| i32::from_ne_bytes(*numbers[at..].first_chunk().expect("4 bytes")));
    assert!((0..=3).contains(&health) && (0..=1).contains(&has_network));
    let is_over = state == UNBROKEN_STATE_NONE as i32 || state == UNBROKEN_STATE_CLOSED as i32;
    assert!(
        !is_over || health == UNBROKEN_HEALTH_IDLE as i32,
        "{health} in state {state}"
    );
    let may_have = [UNBROKEN_HEALTH_SOUND as i32, UNBROKEN_HEALTH_SUSPECT as i32].contains(&health);
    assert!(may_have || has_network == 0, "{health} on a network");
    let network = network.iter().take(8).any(|byte| *byte != 0);
    assert!(has_network == 1 || !network, "a network that nobody is on");
}
