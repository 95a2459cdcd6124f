//! The applications: what they send, what they are told, and whether that can be.
//!
//! A message follows from its flow and its number, so whoever gets one knows what it must be. A server's application keeps two counters for each session, and they
//! are the state that goes into its snapshots.

use unbroken_c_calls::abi::unbroken_event;
use unbroken_c_calls::abi::unbroken_event_kind::*;
use unbroken_c_calls::abi::unbroken_state::*;
use unbroken_c_calls::abi::unbroken_status::*;
use unbroken_c_calls::{Data, Handle, Message, Space};

use super::program::Side;
use super::world::{MESSAGES, World};
use crate::host;

/// One end's counters of reliable messages.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Talk {
    pub sent: u64,
    pub received: u64,
}

/// A server's application of one session.
#[derive(Clone, Default, Debug)]
pub(super) struct App {
    pub client: Option<usize>,
    pub talk: Talk,
    pub let_in: bool,
    pub mail: u64,
}

impl App {
    pub fn bytes(&self) -> Vec<u8> {
        let client = self.client.map_or(u64::MAX, |client| client as u64);
        [self.talk.sent, self.talk.received, client, self.mail]
            .into_iter()
            .flat_map(u64::to_be_bytes)
            .collect()
    }

    fn of(bytes: &[u8]) -> App {
        let numbers: Vec<u64> = bytes
            .as_chunks()
            .0
            .iter()
            .map(|number| u64::from_be_bytes(*number))
            .collect();
        let [sent, received, client, mail] = numbers[..] else {
            panic!("the application's state comes back with {} bytes", bytes.len());
        };
        App {
            client: usize::try_from(client).ok().filter(|client| *client < 2),
            talk: Talk { sent, received },
            let_in: true,
            mail,
        }
    }
}

pub(super) const USER: &[u8] = b"anna";

impl World {
    fn message(&self, flow: u8, number: u64) -> Vec<u8> {
        let length = self.lengths[(number as usize + usize::from(flow)) % 4];
        host::message(flow, number as usize, length)
    }

    /// A client's session at a server: where it is, and its id.
    fn place(&self, who: usize) -> Option<(usize, [u8; 16])> {
        let id = self.clients[who].id?;
        let mut places = self
            .apps
            .keys()
            .filter(|(_, of)| *of == id)
            .copied()
            .collect::<Vec<_>>();
        places.sort_unstable();
        // Two if one of them has not noticed yet that the session was taken over.
        places.into_iter().find(|(server, id)| {
            let handle = self.servers[*server].handle;
            handle != Handle::NULL && self.apps[&(*server, *id)].let_in
        })
    }

    pub(super) fn send(&mut self, side: Side, who: u8, ask: bool) {
        let who = self.client(who);
        let (sent, number, status, told) = match side {
            Side::Client => {
                let Talk { sent, .. } = self.clients[who].talk;
                let bytes = self.message(who as u8, sent);
                if sent >= MESSAGES {
                    return;
                }
                let (status, number) = self
                    .calls
                    .session_send(self.clients[who].handle, Data::Bytes(&bytes), ask);
                (sent, number, status, &mut self.clients[who].talk)
            }
            Side::Server => {
                let Some((server, id)) = self.place(who) else { return };
                let handle = self.servers[server].handle;
                let leaving = self.calls.served_is_leaving(handle, Some(id));
                let App {
                    talk: Talk { sent, .. },
                    ..
                } = self.apps[&(server, id)];
                if leaving != (0, Some(0)) || sent >= MESSAGES {
                    return;
                }
                let bytes = self.message(2 + who as u8, sent);
                let (status, number) = self.calls.served_send(handle, Some(id), Data::Bytes(&bytes), ask);
                let app = self.apps.get_mut(&(server, id)).expect("it was there");
                (sent, number, status, &mut app.talk)
            }
        };
        if status == UNBROKEN_OK as i32 {
            assert_eq!(number, ask.then_some(sent), "numbers are given out in order");
            told.sent += 1;
        } else {
            let fine = [
                UNBROKEN_ERR_WOULD_BLOCK,
                UNBROKEN_ERR_CLOSED,
                UNBROKEN_ERR_UNKNOWN_SESSION,
            ];
            assert!(
                fine.iter().any(|fine| *fine as i32 == status),
                "a message within all limits gives {status}"
            );
        }
    }

    pub(super) fn send_unreliable(&mut self, side: Side, who: u8, size: u16) {
        let who = self.client(who);
        let bytes = vec![0x77; usize::from(size % 20_000)];
        let status = match side {
            Side::Client => self
                .calls
                .session_send_unreliable(self.clients[who].handle, Data::Bytes(&bytes)),
            Side::Server => {
                let Some((server, id)) = self.place(who) else { return };
                self.calls
                    .served_send_unreliable(self.servers[server].handle, Some(id), Data::Bytes(&bytes))
            }
        };
        assert!(
            bytes.len() <= 16_320 || status < 0,
            "an unreliable message of {} bytes is taken",
            bytes.len()
        );
    }

    /// Takes one message, compares it with what must be; whether there was one.
    pub(super) fn recv(&mut self, side: Side, who: u8) -> bool {
        let who = self.client(who);
        match side {
            Side::Client => {
                let ask = self.clients[who].talk.received.is_multiple_of(2);
                let (_, message) = self.calls.session_recv(self.clients[who].handle, ask);
                let Some(message) = message else { return false };
                let Talk { received, .. } = self.clients[who].talk;
                if self.is_due(&message, 2 + who as u8, received, ask) {
                    self.clients[who].talk.received += 1;
                    self.deeds.received[0] += 1;
                }
                true
            }
            Side::Server => {
                let Some((server, id)) = self.place(who) else {
                    return false;
                };
                let handle = self.servers[server].handle;
                if self.calls.served_is_leaving(handle, Some(id)) != (0, Some(0)) {
                    return false;
                }
                while let (_, Some(mail)) = self.calls.served_recv_mail(handle, Some(id)) {
                    assert!(mail.payload.starts_with(b"mail"), "mail is {:?}", mail.payload);
                    self.apps.get_mut(&(server, id)).expect("it was there").mail += 1;
                    self.deeds.mail += 1;
                }
                let App {
                    talk: Talk { received, .. },
                    client,
                    ..
                } = self.apps[&(server, id)];
                assert!(
                    client.is_none_or(|client| client == who),
                    "client {who} has the session of {client:?}"
                );
                let (status, message) = self.calls.served_recv(handle, Some(id), true);
                let Some(message) = message else {
                    if status == UNBROKEN_ERR_UNKNOWN_SESSION as i32 {
                        self.apps.remove(&(server, id));
                    }
                    return false;
                };
                if self.is_due(&message, who as u8, received, true) {
                    self.apps.get_mut(&(server, id)).expect("it was there").talk.received += 1;
                    self.deeds.received[1] += 1;
                }
                true
            }
        }
    }

    /// Whether it is a reliable message; then it is the one that is due.
    fn is_due(&self, message: &Message, flow: u8, due: u64, asked: bool) -> bool {
        let unreliable = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0x77);
        if message.id == Some(-1) {
            assert!(unreliable(&message.payload), "an unreliable message that nobody sent");
            return false;
        }
        let expected = self.message(flow, due);
        if !asked && message.payload != expected && unreliable(&message.payload) {
            return false;
        }
        assert!(
            !asked || message.id == Some(due as i64),
            "{:?} was delivered where {due} was due",
            message.id
        );
        assert!(message.payload == expected, "flow {flow}: message {due} is another");
        true
    }

    // ---- events ----

    pub(super) fn client_events(&mut self, who: u8) -> bool {
        let who = self.client(who);
        let handle = self.clients[who].handle;
        let mut any = false;
        while let (0, Some(event)) = self.calls.session_event(handle) {
            any = true;
            host::trace(&(
                "client",
                who,
                self.now,
                event.kind,
                event.state,
                event.close,
                event.fail,
            ));
            self.flat(&event);
            assert!(!self.clients[who].closed, "event {} after CLOSED", event.kind);
            let data = self.event_data(
                |world, space| world.calls.session_event_data(handle, space),
                event.data_len,
            );
            if event.kind == UNBROKEN_EVENT_ESTABLISHED as i32 {
                assert_eq!(
                    self.calls.session_id(handle),
                    (0, Some(event.session)),
                    "the event has another id"
                );
                assert!(data == b"welcome" || data.is_empty());
                self.clients[who].id = Some(event.session);
            } else if event.kind == UNBROKEN_EVENT_CLOSED as i32 {
                let why = (event.close, &self.explained);
                assert!(why.1.contains(&why.0), "closed for reason {} of {:?}", why.0, why.1);
                self.clients[who].closed = true;
                self.deeds.closed += 1;
            }
        }
        any
    }

    pub(super) fn server_events(&mut self, which: u8) -> bool {
        let which = self.server(which);
        if !self.servers[which].alive {
            return false;
        }
        let handle = self.servers[which].handle;
        let mut any = false;
        while let (0, Some(event)) = self.calls.endpoint_event(handle) {
            any = true;
            host::trace(&(
                "server",
                which,
                self.now,
                event.kind,
                event.state,
                event.close,
                &event.session[..2],
            ));
            self.flat(&event);
            let place = (which, event.session);
            let data = self.event_data(
                |world, space| world.calls.endpoint_event_data(handle, space),
                event.data_len,
            );
            let user = self.event_data(
                |world, space| world.calls.endpoint_event_user(handle, space),
                event.user_len.into(),
            );
            let is = |kind: unbroken_c_calls::abi::unbroken_event_kind| event.kind == kind as i32;
            if is(UNBROKEN_EVENT_AUTHORISE) {
                let [b't', client @ 0..=1] = data[..] else {
                    panic!("a credential of {data:?}")
                };
                let app = App {
                    client: Some(client.into()),
                    let_in: true,
                    ..App::default()
                };
                let state = app.bytes();
                let state = (self.durability != 0).then_some(Data::Bytes(&state));
                let welcome = Data::Bytes(b"welcome");
                let status = self
                    .calls
                    .served_authorise(handle, Some(event.session), 1, 0, welcome, state);
                if status == 0 {
                    self.apps.insert(place, app);
                    assert_ne!(
                        self.calls
                            .served_authorise(handle, Some(event.session), 1, 0, welcome, None),
                        0,
                        "let in twice"
                    );
                }
            } else if is(UNBROKEN_EVENT_RESUME_REQUEST) {
                self.calls.served_answer_resume(handle, Some(event.session), 1, 0);
            } else if is(UNBROKEN_EVENT_ESTABLISHED) {
                self.apps.entry(place).or_insert_with(|| App {
                    let_in: true,
                    ..App::default()
                });
            } else if is(UNBROKEN_EVENT_RESTORED) {
                let app = if event.has_app != 0 {
                    App::of(&data)
                } else {
                    App {
                        let_in: true,
                        ..App::default()
                    }
                };
                assert!(event.has_user == 0 || user == USER, "the user comes back as {user:?}");
                self.deeds.restored += 1;
                self.apps.insert(place, app);
            } else if is(UNBROKEN_EVENT_SWAPPED_OUT) {
                self.apps.remove(&place);
            }
        }
        any
    }

    /// What holds of all events.
    fn flat(&mut self, event: &unbroken_event) {
        self.deeds.events.insert(event.kind);
        let is = |kind: unbroken_c_calls::abi::unbroken_event_kind| event.kind == kind as i32;
        assert!((1..=16).contains(&event.kind) && event.reserved == [0; 10]);
        assert!((0..=7).contains(&event.state) && (is(UNBROKEN_EVENT_STATE) || event.state == 0));
        assert!((0..=6).contains(&event.cause) && (is(UNBROKEN_EVENT_HANDOVER_BEGIN) || event.cause == 0));
        assert!((0..=9).contains(&event.fail) && (is(UNBROKEN_EVENT_HANDOVER_FAILED) || event.fail == 0));
        assert!(
            (0..=10).contains(&event.close) && (is(UNBROKEN_EVENT_CLOSED) || event.close == 0),
            "closed: {}",
            event.close
        );
        let end = is(UNBROKEN_EVENT_HANDOVER_END);
        self.deeds.handovers += u64::from(end);
        assert!(end || event.downtime_us == 0 && event.replayed_bytes == 0 && event.same_server == 0);
        assert!(is(UNBROKEN_EVENT_DRAINING) || event.window_us == 0);
        assert!(is(UNBROKEN_EVENT_RESTORED) || event.user_len == 0 && event.has_app == 0 && event.has_user == 0);
        let with_data = [
            UNBROKEN_EVENT_ESTABLISHED,
            UNBROKEN_EVENT_AUTHORISE,
            UNBROKEN_EVENT_REFUSED,
            UNBROKEN_EVENT_RESTORED,
        ];
        assert!(
            with_data.into_iter().any(is) || event.data_len == 0,
            "event {} has {} bytes",
            event.kind,
            event.data_len
        );
    }

    /// What belongs to an event, in a buffer that is too small and in one that is not.
    pub(super) fn event_data(
        &mut self,
        copy: impl Fn(&mut World, Space) -> unbroken_c_calls::Copied,
        len: u64,
    ) -> Vec<u8> {
        let len = len as usize;
        if let Some(less) = len.checked_sub(1) {
            let small = copy(self, Space::Of(less));
            assert_eq!(
                (small.status, small.len),
                (UNBROKEN_ERR_BUFFER_TOO_SMALL as i32, Some(len))
            );
        }
        let copied = copy(self, Space::Of(len));
        assert_eq!(
            (copied.status, copied.len),
            (0, Some(len)),
            "the event said {len} bytes"
        );
        copied.bytes
    }

    /// Whether a client and its server have what they sent each other; or the session is over, or was never agreed.
    pub(super) fn has_all(&mut self, who: usize) -> bool {
        let client = &self.clients[who];
        let (handle, talk) = (client.handle, client.talk);
        if client.closed {
            return true;
        }
        let state = self.calls.session_state(handle).1;
        let Some((server, id)) = self.place(who) else {
            return false;
        };
        let there = self.apps[&(server, id)].talk;
        state == Some(UNBROKEN_STATE_ESTABLISHED as i32) && talk.sent == there.received && talk.received == there.sent
    }
}
