//! Functions of a session, an endpoint or a loopback as a whole.

use super::*;
use crate::config::{self, ClientConfig, Reply, ServerConfig};

const SMALL: &[unbroken_status] = &[UNBROKEN_ERR_BUFFER_TOO_SMALL];
const MAYBE: &[unbroken_status] = &[UNBROKEN_EMPTY];
const CONFIG: &[unbroken_status] = &[
    UNBROKEN_ERR_CONFIG,
    UNBROKEN_ERR_STRUCT_SIZE,
    UNBROKEN_ERR_NULL,
    UNBROKEN_ERR_LENGTH,
    UNBROKEN_ERR_RANDOM,
];
pub(super) const REFUSED: &[unbroken_status] = &[
    UNBROKEN_ERR_WOULD_BLOCK,
    UNBROKEN_ERR_TOO_LARGE,
    UNBROKEN_ERR_CLOSED,
    UNBROKEN_ERR_NO_LINK,
    UNBROKEN_ERR_FULL,
    UNBROKEN_ERR_UNKNOWN_SESSION,
];

macro_rules! told {
    ($kind:ident: $($name:ident($($arg:ident: $type:ty),*) = $ffi:ident $documented:expr;)*) => {
        impl Calls { $(
            pub fn $name(&mut self, of: Handle $(, $arg: $type)*) -> Status {
                self.tell(Verb(stringify!($ffi), Kind::$kind, $documented), of, |of| $ffi(named(of) $(, $arg)*))
            }
        )* }
    };
}

told! { Session:
    session_link_up(link: u64, now: u64) = unbroken_session_handle_link_up &[];
    session_link_down(link: u64, now: u64) = unbroken_session_handle_link_down &[];
    session_link_blocked(link: u64) = unbroken_session_handle_link_blocked &[];
    session_link_writable(link: u64) = unbroken_session_handle_link_writable &[];
    session_network(event: i32, network: u64, now: u64) = unbroken_session_handle_network &[UNBROKEN_ERR_ARGUMENT];
    session_timeout(now: u64) = unbroken_session_handle_timeout &[];
    session_disconnect(code: u32) = unbroken_session_disconnect &[];
    session_retry(now: u64) = unbroken_session_retry &[];
}

told! { Endpoint:
    endpoint_link_up(link: u64, now: u64) = unbroken_endpoint_handle_link_up &[];
    endpoint_link_down(link: u64, now: u64) = unbroken_endpoint_handle_link_down &[];
    endpoint_link_blocked(link: u64) = unbroken_endpoint_handle_link_blocked &[];
    endpoint_link_writable(link: u64) = unbroken_endpoint_handle_link_writable &[];
    endpoint_timeout(now: u64) = unbroken_endpoint_handle_timeout &[];
    endpoint_retire() = unbroken_endpoint_retire &[];
    endpoint_turn_away() = unbroken_endpoint_turn_away &[];
    endpoint_stay() = unbroken_endpoint_stay &[];
}

told! { Loopback:
    loopback_refuse(refuse: i32) = unbroken_loopback_refuse &[];
}

macro_rules! asked {
    ($kind:ident: $($name:ident -> $type:ty = $ffi:ident $documented:expr;)*) => {
        impl Calls { $(
            pub fn $name(&mut self, of: Handle) -> Answer<$type> {
                let verb = Verb(stringify!($ffi), Kind::$kind, $documented);
                // SAFETY: the place is writable for its type, or null.
                self.ask(verb, of, None, |of, out: *mut $type| unsafe { $ffi(named(of), out.cast()) })
            }
        )* }
    };
}

asked! { Session:
    session_event -> unbroken_event = unbroken_session_poll_event MAYBE;
    session_deadline -> u64 = unbroken_session_poll_timeout MAYBE;
    session_state -> i32 = unbroken_session_state &[];
    session_id -> [u8; 16] = unbroken_session_id MAYBE;
    session_acked -> u64 = unbroken_session_acked &[];
}

asked! { Endpoint:
    endpoint_event -> unbroken_event = unbroken_endpoint_poll_event MAYBE;
    endpoint_deadline -> u64 = unbroken_endpoint_poll_timeout MAYBE;
    endpoint_store -> unbroken_store_request = unbroken_endpoint_poll_store MAYBE;
    endpoint_owner -> [u8; 16] = unbroken_endpoint_owner MAYBE;
    endpoint_store_is_up -> i32 = unbroken_endpoint_store_is_up &[];
    endpoint_owes_store -> i32 = unbroken_endpoint_owes_store &[];
    endpoint_snapshot -> [u8; 16] = unbroken_endpoint_poll_snapshot MAYBE;
}

macro_rules! copied {
    ($kind:ident: $($name:ident = $ffi:ident;)*) => {
        impl Calls { $(
            pub fn $name(&mut self, of: Handle, space: Space) -> Copied {
                let verb = Verb(stringify!($ffi), Kind::$kind, SMALL);
                // SAFETY: the places are writable as said, or null.
                self.copy(verb, of, space, |of, data, size, len| unsafe { $ffi(named(of), data, size, len) })
            }
        )* }
    };
}

copied! { Session: session_event_data = unbroken_session_event_data; }
copied! { Endpoint:
    endpoint_event_data = unbroken_endpoint_event_data;
    endpoint_event_user = unbroken_endpoint_event_user;
    endpoint_store_data = unbroken_endpoint_store_data;
}

impl Calls {
    pub fn session_connect(
        &mut self,
        config: &ClientConfig<'_>,
        seed: Option<[u8; 32]>,
        now: u64,
    ) -> (Status, Option<Handle>) {
        let (built, seed) = (config::client(config), Input::array(seed));
        // SAFETY: the struct and what it leads to are as they say, the seed is of 32 bytes or null, the place is writable or null.
        let call =
            |out: *mut usize| unsafe { unbroken_session_connect(built.pointer(), seed.pointer(), now, out.cast()) };
        self.make("unbroken_session_connect", Kind::Session, CONFIG, call)
    }

    pub fn endpoint_new(
        &mut self,
        config: &ServerConfig<'_>,
        seed: Option<[u8; 32]>,
        now: u64,
    ) -> (Status, Option<Handle>) {
        let (built, seed) = (config::server(config), Input::array(seed));
        // SAFETY: as above.
        let call = |out: *mut usize| unsafe { unbroken_endpoint_new(built.pointer(), seed.pointer(), now, out.cast()) };
        self.make("unbroken_endpoint_new", Kind::Endpoint, CONFIG, call)
    }

    pub fn loopback_new(&mut self, session: Handle, endpoint: Handle) -> (Status, Option<Handle>) {
        // One handle for both is in a call already when it is asked for the second time.
        let documented = &[
            UNBROKEN_ERR_NULL,
            UNBROKEN_ERR_HANDLE,
            UNBROKEN_ERR_KIND,
            UNBROKEN_ERR_BUSY,
        ];
        // SAFETY: the place is writable or null.
        let call = |out: *mut usize| unsafe { unbroken_loopback_new(named(session.0), named(endpoint.0), out.cast()) };
        self.return_lent(&[session, endpoint], "unbroken_loopback_new");
        let (status, made) = self.make("unbroken_loopback_new", Kind::Loopback, documented, call);
        let fits =
            self.alive.get(&session.0) == Some(&Kind::Session) && self.alive.get(&endpoint.0) == Some(&Kind::Endpoint);
        assert!(fits || made.is_none(), "a loopback of what cannot be joined");
        assert!(
            session == endpoint || status != UNBROKEN_ERR_BUSY as Status,
            "nobody else calls"
        );
        (status, made)
    }

    fn make(
        &mut self,
        name: &'static str,
        kind: Kind,
        documented: &'static [unbroken_status],
        call: impl FnOnce(*mut usize) -> Status,
    ) -> (Status, Option<Handle>) {
        let mut out = Output::of::<usize>(std::mem::take(&mut self.null));
        let flaws = [out.flaw()];
        let duty = Duty {
            name,
            kind,
            flaws: &flaws,
            documented,
        };
        let status = self.judged(&duty, None, || call(out.pointer()));
        out.judge(name, status, true);
        let handle = out.flaw().is_none().then(|| out.value::<usize>());
        (status, self.made(name, kind, status, handle))
    }

    /// Loopbacks call both of their ends.
    fn return_lent(&mut self, by: &[Handle], name: &str) {
        for handle in by {
            if let Some(lent) = self.lent.remove(&handle.0) {
                lent.judge(name);
            }
        }
    }

    /// `ends`: what it joins.
    pub fn loopback_step(&mut self, of: Handle, ends: [Handle; 2], now: u64) -> Status {
        self.loopback("unbroken_loopback_step", of, ends, |of| {
            unbroken_loopback_step(named(of), now)
        })
    }

    pub fn loopback_cut(&mut self, of: Handle, ends: [Handle; 2], now: u64) -> Status {
        self.loopback("unbroken_loopback_cut", of, ends, |of| {
            unbroken_loopback_cut(named(of), now)
        })
    }

    fn loopback(
        &mut self,
        name: &'static str,
        of: Handle,
        ends: [Handle; 2],
        call: impl FnOnce(usize) -> Status,
    ) -> Status {
        self.return_lent(&ends, name);
        let gone = ends.iter().any(|end| !self.is_alive(*end));
        let verb = Verb(name, Kind::Loopback, if gone { &[UNBROKEN_ERR_HANDLE] } else { MAYBE });
        let status = self.tell(verb, of, call);
        assert!(!gone || status < 0, "{name} went on without an end");
        status
    }

    pub fn session_input(&mut self, of: Handle, link: u64, data: Data<'_>, now: u64) -> Status {
        let data = Input::new(data);
        let verb = Verb("unbroken_session_handle_input", Kind::Session, &[]);
        // SAFETY: the input is readable as said.
        let call = |of| unsafe { unbroken_session_handle_input(named(of), link, data.pointer(), data.len, now) };
        self.give(verb, of, &[&data], call)
    }

    pub fn endpoint_input(&mut self, of: Handle, link: u64, data: Data<'_>, now: u64) -> Status {
        let data = Input::new(data);
        let verb = Verb("unbroken_endpoint_handle_input", Kind::Endpoint, &[]);
        // SAFETY: the input is readable as said.
        let call = |of| unsafe { unbroken_endpoint_handle_input(named(of), link, data.pointer(), data.len, now) };
        self.give(verb, of, &[&data], call)
    }

    /// The number of the message; none for a caller who does not ask.
    pub fn session_send(&mut self, of: Handle, data: Data<'_>, ask: bool) -> Answer<u64> {
        let data = Input::new(data);
        let mut id = Output::of::<u64>(!ask);
        let verb = Verb("unbroken_session_send", Kind::Session, REFUSED);
        // SAFETY: the input is readable as said, the place writable or null.
        let call = |of| unsafe { unbroken_session_send(named(of), data.pointer(), data.len, id.pointer()) };
        let status = self.give(verb, of, &[&data], call);
        id.judge(verb.0, status, false);
        (status, (status == 0 && ask).then(|| id.value()))
    }

    pub fn session_send_unreliable(&mut self, of: Handle, data: Data<'_>) -> Status {
        let data = Input::new(data);
        let verb = Verb("unbroken_session_send_unreliable", Kind::Session, REFUSED);
        // SAFETY: the input is readable as said.
        let call = |of| unsafe { unbroken_session_send_unreliable(named(of), data.pointer(), data.len) };
        self.give(verb, of, &[&data], call)
    }

    pub fn session_recv(&mut self, of: Handle, ask: bool) -> Answer<Message> {
        let verb = Verb("unbroken_session_recv", Kind::Session, MAYBE);
        // SAFETY: the places are writable or null.
        self.borrow(verb, of, None, ask, |of, data, len, id| unsafe {
            unbroken_session_recv(named(of), data, len, id)
        })
    }

    /// What is to be done, and the bytes that go with it.
    pub fn session_output(&mut self, of: Handle, space: Space, now: u64) -> Answer<(unbroken_output, Vec<u8>)> {
        let verb = Verb(
            "unbroken_session_poll_output",
            Kind::Session,
            &[UNBROKEN_EMPTY, UNBROKEN_ERR_BUFFER_TOO_SMALL],
        );
        // SAFETY: the places are writable as said, or null.
        let call = |of, data, size, out| unsafe { unbroken_session_poll_output(named(of), data, size, now, out) };
        self.output(verb, of, space, call)
    }

    pub fn endpoint_output(&mut self, of: Handle, space: Space, now: u64) -> Answer<(unbroken_output, Vec<u8>)> {
        let verb = Verb(
            "unbroken_endpoint_poll_output",
            Kind::Endpoint,
            &[UNBROKEN_EMPTY, UNBROKEN_ERR_BUFFER_TOO_SMALL],
        );
        // SAFETY: the places are writable as said, or null.
        let call = |of, data, size, out| unsafe { unbroken_endpoint_poll_output(named(of), data, size, now, out) };
        self.output(verb, of, space, call)
    }

    fn output(
        &mut self,
        verb: Verb,
        of: Handle,
        space: Space,
        call: impl FnOnce(usize, *mut u8, usize, *mut unbroken_output) -> Status,
    ) -> Answer<(unbroken_output, Vec<u8>)> {
        let Verb(name, kind, documented) = verb;
        let (mut bytes, mut out) = (
            Output::new(space),
            Output::of::<unbroken_output>(std::mem::take(&mut self.null)),
        );
        let flaws = [bytes.flaw(), out.flaw()];
        let duty = Duty {
            name,
            kind,
            flaws: &flaws,
            documented,
        };
        let status = self.call(&duty, of, |of| call(of, bytes.pointer(), bytes.len, out.pointer()));
        let small = status == UNBROKEN_ERR_BUFFER_TOO_SMALL as Status;
        bytes.judge(name, status, false);
        out.judge(name, status, small);
        if out.untouched() {
            return (status, None);
        }
        let output: unbroken_output = out.value();
        assert_eq!(output.reserved, [0; 2]);
        let room = bytes.bytes().len();
        if small {
            assert!(room < UNBROKEN_MIN_BUFFER && output.len == UNBROKEN_MIN_BUFFER as u64 && output.kind == 0);
            return (status, None);
        }
        assert!(room >= UNBROKEN_MIN_BUFFER, "{name} made do with {room} bytes");
        assert!(
            output.len <= room as u64,
            "{name} says to have written {} bytes into {room}",
            output.len
        );
        (status, Some((output, bytes.bytes()[..output.len as usize].to_vec())))
    }

    pub fn session_stats(&mut self, of: Handle, space: Space) -> (Status, Vec<u8>) {
        let verb = Verb("unbroken_session_stats", Kind::Session, &[]);
        // SAFETY: the place is writable as said, or null.
        let call = |of, out: *mut u8, size| unsafe { unbroken_session_stats(named(of), out.cast(), size) };
        self.count(verb, of, space, size_of::<unbroken_stats>(), None, call)
    }

    pub fn session_link_health(&mut self, of: Handle, space: Space) -> (Status, Vec<u8>) {
        let verb = Verb("unbroken_session_link_health", Kind::Session, &[]);
        // SAFETY: the place is writable as said, or null.
        let call = |of, out: *mut u8, size| unsafe { unbroken_session_link_health(named(of), out.cast(), size) };
        self.count(verb, of, space, size_of::<unbroken_link_health>(), None, call)
    }

    pub fn endpoint_counters(&mut self, of: Handle, space: Space) -> (Status, Vec<u8>) {
        let verb = Verb("unbroken_endpoint_counters", Kind::Endpoint, &[]);
        // SAFETY: the place is writable as said, or null.
        let call = |of, out: *mut u8, size| unsafe { unbroken_endpoint_counters(named(of), out.cast(), size) };
        self.count(verb, of, space, size_of::<unbroken_counters>(), None, call)
    }

    pub fn endpoint_drain(&mut self, of: Handle, window: u64, address: Data<'_>) -> Status {
        let address = Input::new(address);
        let verb = Verb("unbroken_endpoint_drain", Kind::Endpoint, &[UNBROKEN_ERR_ARGUMENT]);
        let long = (address.len > 255).then_some(UNBROKEN_ERR_LENGTH as Status);
        let odd = [UNBROKEN_ERR_ARGUMENT as Status, UNBROKEN_ERR_LENGTH as Status].map(Some);
        let flaws = [address.flaw(), long, odd[0].filter(|_| long.is_some())];
        let duty = Duty {
            name: verb.0,
            kind: verb.1,
            flaws: &flaws,
            documented: verb.2,
        };
        // SAFETY: the input is readable as said.
        self.call(&duty, of, |of| unsafe {
            unbroken_endpoint_drain(named(of), window, address.pointer(), address.len)
        })
    }

    /// As many keys as there are lifetimes; `keys` is made as long as that takes.
    pub fn endpoint_announce_keys(&mut self, of: Handle, keys: Option<u8>, lifetimes: &[u32]) -> Status {
        let bytes = vec![keys.unwrap_or(0); 32 * lifetimes.len()];
        let keys = Input::new(keys.map_or(Data::Null(bytes.len()), |_| Data::Bytes(&bytes)));
        let lives: Vec<u8> = lifetimes.iter().flat_map(|life| life.to_ne_bytes()).collect();
        let lives = Input::new(Data::Bytes(&lives));
        let count = (!(1..=4).contains(&lifetimes.len())).then_some(UNBROKEN_ERR_LENGTH as Status);
        let flaws = [keys.flaw(), count];
        let name = "unbroken_endpoint_announce_keys";
        let duty = Duty {
            name,
            kind: Kind::Endpoint,
            flaws: &flaws,
            documented: &[UNBROKEN_ERR_ARGUMENT],
        };
        // SAFETY: the inputs are readable as said.
        let call = |of| unsafe {
            unbroken_endpoint_announce_keys(named(of), keys.pointer(), lives.pointer().cast(), lifetimes.len())
        };
        self.call(&duty, of, call)
    }

    pub fn endpoint_handle_store(&mut self, of: Handle, id: u64, reply: &Reply<'_>, now: u64) -> Status {
        let built = config::reply(reply);
        let documented = &[
            UNBROKEN_ERR_ARGUMENT,
            UNBROKEN_ERR_STRUCT_SIZE,
            UNBROKEN_ERR_NULL,
            UNBROKEN_ERR_LENGTH,
        ];
        let name = "unbroken_endpoint_handle_store";
        // The reply is read before the handle is: which of two wrongs is told is not promised.
        let live = self.alive.get(&of.0) == Some(&Kind::Endpoint);
        let flaws = documented.map(|status| Some(status as Status).filter(|_| !live));
        let duty = Duty {
            name,
            kind: Kind::Endpoint,
            flaws: &flaws,
            documented,
        };
        // SAFETY: the struct and what it leads to are as they say.
        self.call(&duty, of, |of| unsafe {
            unbroken_endpoint_handle_store(named(of), id, built.pointer(), now)
        })
    }
}
