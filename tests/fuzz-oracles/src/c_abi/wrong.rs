//! Functions called wrongly: a flaw of the handle or of an argument. What the call says is judged by [`Calls`]; that nothing happened, here.

use unbroken_c_calls::{Calls, ClientConfig, Data, Group, Handle, Id, Keys, Kind, Reply, ServerConfig, Space};

use super::program::{OddConfig, OddReply, shape};
use super::world::World;

/// What can be wrong with the arguments of a verb.
const OUT: u8 = 1;
const IN: u8 = 2;
const SPACE: u8 = 4;
const ID: u8 = 8;

struct Args {
    data: Data<'static>,
    space: Space,
    id: Id,
    now: u64,
}

type Verb = (u8, fn(&mut Calls, Handle, &Args));

const SESSION: &[Verb] = &[
    (0, |c, h, a| _ = c.session_link_up(h, 1, a.now)),
    (0, |c, h, a| _ = c.session_link_down(h, 1, a.now)),
    (0, |c, h, _| _ = c.session_link_blocked(h, 1)),
    (0, |c, h, _| _ = c.session_link_writable(h, 1)),
    (0, |c, h, a| _ = c.session_network(h, 1, 1, a.now)),
    (0, |c, h, a| _ = c.session_timeout(h, a.now)),
    (0, |c, h, _| _ = c.session_disconnect(h, 1)),
    (0, |c, h, a| _ = c.session_retry(h, a.now)),
    (0, |c, h, _| _ = c.free(Kind::Session, h)),
    (IN, |c, h, a| _ = c.session_input(h, 1, a.data, a.now)),
    (IN, |c, h, a| _ = c.session_send(h, a.data, true)),
    (IN, |c, h, a| _ = c.session_send_unreliable(h, a.data)),
    (OUT, |c, h, _| _ = c.session_recv(h, true)),
    (OUT | SPACE, |c, h, a| _ = c.session_output(h, a.space, a.now)),
    (OUT, |c, h, _| _ = c.session_event(h)),
    (OUT | SPACE, |c, h, a| _ = c.session_event_data(h, a.space)),
    (OUT, |c, h, _| _ = c.session_deadline(h)),
    (OUT, |c, h, _| _ = c.session_state(h)),
    (OUT, |c, h, _| _ = c.session_id(h)),
    (OUT, |c, h, _| _ = c.session_acked(h)),
    (SPACE, |c, h, a| _ = c.session_stats(h, a.space)),
    (SPACE, |c, h, a| _ = c.session_link_health(h, a.space)),
];

const ENDPOINT: &[Verb] = &[
    (0, |c, h, a| _ = c.endpoint_link_up(h, 1, a.now)),
    (0, |c, h, a| _ = c.endpoint_link_down(h, 1, a.now)),
    (0, |c, h, _| _ = c.endpoint_link_blocked(h, 1)),
    (0, |c, h, _| _ = c.endpoint_link_writable(h, 1)),
    (0, |c, h, a| _ = c.endpoint_timeout(h, a.now)),
    (0, |c, h, _| _ = c.endpoint_retire(h)),
    (0, |c, h, _| _ = c.endpoint_turn_away(h)),
    (0, |c, h, _| _ = c.endpoint_stay(h)),
    (0, |c, h, _| _ = c.free(Kind::Endpoint, h)),
    (IN, |c, h, a| _ = c.endpoint_input(h, 1, a.data, a.now)),
    (IN, |c, h, a| _ = c.endpoint_drain(h, 1, a.data)),
    (0, |c, h, _| _ = c.endpoint_announce_keys(h, Some(3), &[1])),
    (OUT | SPACE, |c, h, a| _ = c.endpoint_output(h, a.space, a.now)),
    (OUT, |c, h, _| _ = c.endpoint_event(h)),
    (OUT | SPACE, |c, h, a| _ = c.endpoint_event_data(h, a.space)),
    (OUT | SPACE, |c, h, a| _ = c.endpoint_event_user(h, a.space)),
    (OUT | SPACE, |c, h, a| _ = c.endpoint_store_data(h, a.space)),
    (OUT, |c, h, _| _ = c.endpoint_deadline(h)),
    (OUT, |c, h, _| _ = c.endpoint_store(h)),
    (OUT, |c, h, _| _ = c.endpoint_owner(h)),
    (OUT, |c, h, _| _ = c.endpoint_store_is_up(h)),
    (OUT, |c, h, _| _ = c.endpoint_owes_store(h)),
    (OUT, |c, h, _| _ = c.endpoint_snapshot(h)),
    (SPACE, |c, h, a| _ = c.endpoint_counters(h, a.space)),
    (0, |c, h, a| _ = c.endpoint_handle_store(h, 1, &Reply::default(), a.now)),
    (ID, |c, h, a| _ = c.served_answer_resume(h, a.id, 1, 0)),
    (ID, |c, h, a| _ = c.served_close(h, a.id, 1)),
    (ID, |c, h, a| _ = c.served_kick(h, a.id, 1)),
    (ID, |c, h, a| _ = c.endpoint_kick(h, a.id, 1)),
    (ID, |c, h, a| _ = c.served_swap_out(h, a.id)),
    (ID, |c, h, a| _ = c.served_commit(h, a.id)),
    (ID | OUT, |c, h, a| _ = c.served_state(h, a.id)),
    (ID | OUT, |c, h, a| _ = c.served_has_room(h, a.id)),
    (ID | OUT, |c, h, a| _ = c.served_is_leaving(h, a.id)),
    (ID | IN, |c, h, a| _ = c.served_send(h, a.id, a.data, true)),
    (ID | IN, |c, h, a| _ = c.served_send_unreliable(h, a.id, a.data)),
    (ID | OUT, |c, h, a| _ = c.served_recv(h, a.id, true)),
    (ID | OUT, |c, h, a| _ = c.served_recv_mail(h, a.id)),
    (ID | IN, |c, h, a| _ = c.served_authorise(h, a.id, 1, 0, a.data, None)),
    (ID | IN, |c, h, a| {
        _ = c.served_authorise(h, a.id, 1, 0, Data::Null(0), Some(a.data))
    }),
    (ID | IN, |c, h, a| _ = c.served_bind_user(h, a.id, a.data)),
    (ID | SPACE, |c, h, a| _ = c.served_stats(h, a.id, a.space)),
    (ID | IN, |c, h, a| _ = c.endpoint_save(h, a.id, Some(a.data))),
];

const LOOPBACK: &[Verb] = &[
    (0, |c, h, a| _ = c.loopback_step(h, [h; 2], a.now)),
    (0, |c, h, a| _ = c.loopback_cut(h, [h; 2], a.now)),
    (0, |c, h, _| _ = c.loopback_refuse(h, 1)),
    (0, |c, h, _| _ = c.free(Kind::Loopback, h)),
    (OUT, |c, h, _| _ = c.loopback_new(h, h)),
];

/// A verb by its number, and for what kind it is.
fn verb(number: u8) -> (Kind, &'static Verb) {
    let number = usize::from(number) % (SESSION.len() + ENDPOINT.len() + LOOPBACK.len());
    match number.checked_sub(SESSION.len()) {
        None => (Kind::Session, &SESSION[number]),
        Some(number) => match number.checked_sub(ENDPOINT.len()) {
            None => (Kind::Endpoint, &ENDPOINT[number]),
            Some(number) => (Kind::Loopback, &LOOPBACK[number]),
        },
    }
}

impl World {
    pub(super) fn wrong(&mut self, number: u8, target: u8, flaws: u8, size: u16) {
        let (kind, (can, call)) = verb(number);
        let right = self.some(kind, target);
        let handle = match target % 5 {
            0 => Some(Handle::NULL),
            1 => self.freed.get(usize::from(size) % self.freed.len().max(1)).copied(),
            // The lowest bit says "handle"; without it, or beyond all slots, it is none.
            2 => right.map(|handle| Handle(handle.0 ^ 1 << (size % 2 * 20))),
            3 => self.some(
                if kind == Kind::Session {
                    Kind::Endpoint
                } else {
                    Kind::Session
                },
                target,
            ),
            _ => right,
        };
        let Some(handle) = handle else { return };
        let is_right = self.calls.is_alive(handle) && right == Some(handle);
        let flaws = flaws & can;
        // It would do what it does; other steps are for that.
        if is_right && flaws == 0 || self.calls.is_alive(handle) && target % 5 == 2 {
            return;
        }
        let big = usize::from(size);
        let args = Args {
            data: match (flaws & IN, size % 3) {
                (0, _) => Data::Bytes(b"some"),
                (_, 0) => Data::Huge,
                (_, 1) => Data::Null(usize::MAX - big),
                _ => Data::Null(1 + big),
            },
            space: match (flaws & SPACE, size % 3) {
                (0, _) => Space::Of(300),
                (_, 0) => Space::Huge,
                (_, 1) => Space::Null(usize::MAX - big),
                _ => Space::Null(1 + big),
            },
            id: (flaws & ID == 0).then(|| self.clients[0].id.unwrap_or([3; 16])),
            now: self.now,
        };
        let before = self.looks(handle, kind, is_right);
        self.calls.null = flaws & OUT != 0;
        call(&mut self.calls, handle, &args);
        self.calls.null = false;
        assert_eq!(
            before,
            self.looks(handle, kind, is_right),
            "a call that failed changed something"
        );
    }

    /// All that an end tells of itself. When it is to be called is told as no earlier than now: what waits already is due when it was last called, and that may be this call.
    fn looks(&mut self, handle: Handle, kind: Kind, is_right: bool) -> Option<(Vec<u8>, [Option<u64>; 3])> {
        let now = self.now;
        let calls = &mut self.calls;
        let due = |deadline: Option<u64>| deadline.map(|deadline| deadline.max(now));
        match kind {
            _ if !is_right => None,
            Kind::Session => {
                let state = calls.session_state(handle).1.map(|state| state as u64);
                let numbers = [
                    state,
                    calls.session_acked(handle).1,
                    due(calls.session_deadline(handle).1),
                ];
                let health = calls.session_link_health(handle, Space::Of(16)).1;
                Some((
                    [calls.session_stats(handle, Space::Of(120)).1, health].concat(),
                    numbers,
                ))
            }
            Kind::Endpoint => {
                let owes = calls.endpoint_owes_store(handle).1.map(|owes| owes as u64);
                let numbers = [owes, due(calls.endpoint_deadline(handle).1), None];
                Some((calls.endpoint_counters(handle, Space::Of(224)).1, numbers))
            }
            Kind::Loopback => None,
        }
    }

    /// Something made from an odd configuration: it lives for a moment.
    pub(super) fn odd_config(&mut self, odd: &OddConfig) {
        let long = vec![b'r'; usize::from(odd.realm % 9000)];
        let data = |flaw: u8| match (odd.flaw == flaw, odd.number % 2) {
            (true, 0) => Data::Huge,
            (true, _) => Data::Null(1 + usize::from(odd.number)),
            _ => Data::Bytes(&long[..long.len().min(255)]),
        };
        let group = |number: u8| {
            let set = odd.set.iter().filter(|(group, ..)| group % 3 == number);
            let group = Group {
                shape: shape(odd.inner),
                set: set.map(|(_, field, value)| (*field, *value)).collect(),
            };
            (odd.groups >> number & 1 == 1).then_some(group)
        };
        let key = [odd.keys | 1; 32];
        let keys = Keys {
            count: u32::from(odd.keys % 10),
            bytes: (odd.flaw != 1).then_some(&key),
        };
        let seed = match odd.flaw {
            2 => None,
            3 => Some([0; 32]),
            _ => Some([9; 32]),
        };
        self.calls.null = odd.flaw == 4;
        let (kind, made) = if odd.server {
            let config = ServerConfig {
                shape: shape(odd.own),
                keys,
                cluster_key: match odd.flaw {
                    5 => None,
                    6 => Some([0; 32]),
                    _ => Some([8; 32]),
                },
                older: Keys {
                    count: u32::from(odd.keys / 25),
                    bytes: (odd.flaw != 7).then_some(&key),
                },
                realm: data(8),
                address: data(9),
                limits: group(0),
                timing: group(1),
                authorise_all: odd.number & 1 == 1,
                ask_on_resume: odd.number & 2 == 2,
                shard: (odd.shard.0.into(), odd.shard.1.into()),
                durability: odd.durability.into(),
            };
            (Kind::Endpoint, self.calls.endpoint_new(&config, seed, self.now))
        } else {
            let credential = if odd.flaw == 10 { Data::Bytes(&long) } else { data(9) };
            let (limits, timing, backoff) = (group(0), group(1), group(2));
            let config = ClientConfig {
                shape: shape(odd.own),
                pins: keys,
                realm: data(8),
                credential,
                limits,
                timing,
                backoff,
            };
            (Kind::Session, self.calls.session_connect(&config, seed, self.now))
        };
        self.calls.null = false;
        let bad = [1, 2, 3].contains(&odd.flaw) || odd.server && [5, 6].contains(&odd.flaw);
        assert!(
            !bad || odd.keys.is_multiple_of(10) || made.0 < 0,
            "something was made of nothing"
        );
        let (0, Some(handle)) = made else { return };
        for _ in 0..3 {
            self.now += 1000;
            if kind == Kind::Session {
                self.calls.session_timeout(handle, self.now);
                self.calls.session_event(handle);
                self.calls.session_output(handle, Space::Of(256), self.now);
            } else {
                self.calls.endpoint_timeout(handle, self.now);
                self.calls.endpoint_store(handle);
                self.calls.endpoint_event(handle);
                self.calls.endpoint_output(handle, Space::Of(256), self.now);
            }
        }
        assert_eq!(self.calls.free(kind, handle), 0);
        self.freed.push(handle);
    }

    /// An answer from the store that it never gave, to a request that was made or not: one that cannot be read is refused, another one
    /// may make the endpoint believe anything, so only who has no sessions gets it.
    pub(super) fn odd_reply(&mut self, server: u8, request: u8, odd: &OddReply) {
        let Some(handle) = self.some(Kind::Endpoint, server) else {
            return;
        };
        let unread = !(1..=10).contains(&odd.kind) || odd.kind == 3 && !(0..=3).contains(&odd.record);
        let (id, fresh) = match self.store.asked.get(usize::from(request)) {
            Some(id) if unread => (*id, false),
            _ => (u64::MAX - u64::from(request), true),
        };
        assert!(unread || fresh);
        let items = (0..odd.items % 5).map(|item| match (odd.flaw, item) {
            (1, 1) => (1, Data::Huge),
            (2, 1) => (1, Data::Null(3)),
            _ => (item.into(), Data::Bytes(&odd.data)),
        });
        let reply = Reply {
            shape: shape((odd.more, odd.tail)),
            kind: odd.kind.into(),
            record: odd.record.into(),
            expired: odd.expired,
            owner_alive: odd.owner_alive,
            token: odd.token.into(),
            cursor: odd.token.into(),
            owner: [odd.token; 16],
            key: odd.has_key.then_some([odd.token; 8]),
            data: if odd.flaw == 3 {
                Data::Huge
            } else {
                Data::Bytes(&odd.data)
            },
            items: items.collect(),
            no_items: match odd.flaw {
                4 => Some(2),
                5 => Some(usize::MAX / 2),
                _ => None,
            },
        };
        let before = self.looks(handle, Kind::Endpoint, true);
        let status = self.calls.endpoint_handle_store(handle, id, &reply, self.now);
        assert!(
            !unread || status < 0,
            "a reply of kind {} and record {} was understood",
            odd.kind,
            odd.record
        );
        assert_eq!(
            before,
            self.looks(handle, Kind::Endpoint, true),
            "a reply to nothing changed something"
        );
    }

    /// Functions that take no handle.
    pub(super) fn library(&mut self, verb: u8, flaw: u8, size: u16, bytes: [u8; 32]) {
        let calls = &mut self.calls;
        let big = usize::from(size % 700);
        let space = match flaw % 6 {
            0 => Space::Huge,
            1 => Space::Null(big),
            _ => Space::Of(big),
        };
        calls.null = flaw % 7 == 1;
        let data = match flaw % 6 {
            0 => Data::Huge,
            1 => Data::Null(big),
            _ => Data::Bytes(&bytes[..big.min(32)]),
        };
        match verb % 8 {
            0 => _ = calls.last_error(space),
            1 => _ = calls.random_seed(),
            2 => {
                let (status, key) = calls.public_key((!flaw.is_multiple_of(5)).then_some(bytes));
                assert!(
                    bytes != [0; 32] || status < 0 && key.is_none(),
                    "zeros are taken for a key"
                );
            }
            3 => _ = calls.route(&[bytes], false, size, data),
            4 => _ = calls.route(&vec![bytes; usize::from(size % 11)], true, size, data),
            5 => {
                _ = calls.mail_note(
                    (!flaw.is_multiple_of(5)).then(|| *bytes.first_chunk().expect("32 bytes")),
                    space,
                )
            }
            6 => _ = calls.init(bytes[0], space),
            _ => {
                assert!(!calls.error_text(size as i16 as i32).is_empty());
                assert_eq!(calls.version().0, unbroken_c_calls::abi::UNBROKEN_ABI_VERSION);
            }
        }
        calls.null = false;
    }
}
