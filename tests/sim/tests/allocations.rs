//! A steady-state message costs no heap allocation in the core, on either side.
//!
//! This file has its own allocator, which counts; so it is its own program.

use core::cell::Cell;
use core::time::Duration;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;

use bytes::Bytes;
use unbroken::{
    ClientConfig, ClusterKey, Endpoint, Event, Instant, LinkId, Output, Seed, ServerConfig, ServerKey, Session,
    SessionId, State,
};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes held.
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is passed on to the system's allocator as it came; the counter itself allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        LIVE.set(LIVE.get() + layout.size() as i64);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        LIVE.set(LIVE.get() + size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A session and its endpoint, with a link that is nothing but a buffer.
struct Ends {
    /// Held here as well, so that it does not go with the client.
    _config: Arc<ClientConfig>,
    client: Session,
    server: Endpoint,
    id: SessionId,
    now: Instant,
    buffer: Vec<u8>,
    received: [u64; 2],
    link: Option<LinkId>,
}

impl Ends {
    fn new() -> Self {
        let key = ServerKey::from_bytes([1; 32]).unwrap();
        let client = ClientConfig::builder(key.public()).build().unwrap();
        let server = ServerConfig::builder(key, ClusterKey::from_bytes([2; 32]).unwrap())
            .authorise_all(true)
            .build()
            .unwrap();
        let now = Instant::from_millis(1);
        let client = Arc::new(client);
        let mut ends = Ends {
            _config: client.clone(),
            client: Session::connect(client, Seed::new([3; 32]), now),
            server: Endpoint::new(Arc::new(server), Seed::new([4; 32]), now),
            id: SessionId([0; 16]),
            now,
            buffer: vec![0; 64 << 10],
            received: [0; 2],
            link: None,
        };
        ends.exchange();
        assert_eq!(ends.client.state(), State::Established);
        ends.id = ends.client.id().unwrap();
        ends
    }

    /// Carries everything to the other end and lets both applications read, until nothing moves.
    fn exchange(&mut self) {
        let mut moved = true;
        while core::mem::take(&mut moved) {
            while let Some(output) = self.client.poll_output(&mut self.buffer, self.now) {
                moved = true;
                match output {
                    Output::OpenLink { link, .. } => {
                        self.link = Some(link);
                        self.server.handle_link_up(link, self.now);
                        self.client.handle_link_up(link, self.now);
                    }
                    Output::Send { link, len } => self.server.handle_input(link, &self.buffer[..len], self.now),
                    Output::CloseLink { link } => self.server.handle_link_down(link, self.now),
                }
            }
            while let Some(output) = self.server.poll_output(&mut self.buffer, self.now) {
                moved = true;
                match output {
                    Output::Send { link, len } => self.client.handle_input(link, &self.buffer[..len], self.now),
                    Output::CloseLink { link } => self.client.handle_link_down(link, self.now),
                    Output::OpenLink { .. } => panic!("a server opens no links"),
                }
            }
            while let Some((id, event)) = self.server.poll_event() {
                moved = true;
                if event == Event::Readable {
                    let mut session = self.server.session(id).unwrap();
                    while session.recv().is_some() {
                        self.received[1] += 1;
                    }
                }
            }
            while self.client.poll_event().is_some() {}
            while self.client.recv().is_some() {
                self.received[0] += 1;
                moved = true;
            }
        }
    }

    /// A few messages each way, then a moment passes and the timers with it.
    fn round(&mut self, message: &Bytes, unreliable: bool) {
        for _ in 0..3 {
            self.client.send(message.clone()).unwrap();
            let mut session = self.server.session(self.id).unwrap();
            session.send(message.clone()).unwrap();
            if unreliable {
                session.send_unreliable(message.clone()).unwrap();
            }
        }
        self.exchange();
        self.now += Duration::from_millis(30);
        self.client.handle_timeout(self.now);
        self.server.handle_timeout(self.now);
        self.exchange();
    }
}

/// Allocations in 1000 rounds, after as many to warm up.
fn allocations(size: usize) -> u64 {
    let mut ends = Ends::new();
    // The caller's own allocation is not the core's: a static message has none.
    let message = Bytes::from_static(&[7; 1024]).slice(..size);
    (0..1000).for_each(|_| ends.round(&message, false));
    let (before, received) = (ALLOCATIONS.get(), ends.received);
    (0..1000).for_each(|_| ends.round(&message, false));
    let counted = ALLOCATIONS.get() - before;
    assert_eq!(ends.received, received.map(|n| n + 3000), "all of them were delivered");
    counted
}

#[test]
fn a_message_of_32_bytes_costs_no_allocation() {
    assert_eq!(allocations(32), 0);
}

#[test]
fn a_message_of_1_kib_costs_no_allocation() {
    assert_eq!(allocations(1024), 0);
}

/// Bytes held after so many resumes.
fn held_after(ends: &mut Ends, resumes: u32) -> i64 {
    let message = Bytes::from_static(&[7; 200]);
    for _ in 0..resumes {
        ends.client.send(message.clone()).unwrap();
        ends.server.session(ends.id).unwrap().send(message.clone()).unwrap();
        let link = ends.link.take().unwrap();
        ends.client.handle_link_down(link, ends.now);
        ends.server.handle_link_down(link, ends.now);
        while ends.link.is_none() || ends.client.state() != State::Established {
            ends.now += Duration::from_millis(50);
            ends.client.handle_timeout(ends.now);
            ends.server.handle_timeout(ends.now);
            ends.exchange();
        }
    }
    LIVE.get()
}

#[test]
fn l16_f105_memory_is_flat_over_two_thousand_resumes() {
    let mut ends = Ends::new();
    let few = held_after(&mut ends, 200);
    let many = held_after(&mut ends, 2000);
    assert_eq!(ends.client.stats().handovers, 2200);
    assert!(
        many - few < 16 << 10,
        "{few} bytes after 200 resumes, {many} after 2200"
    );
}

/// A client's session that has gone quiet, itself and all that it holds but the configuration, which many share. `benches/run` measures a server's as well.
#[test]
fn a_quiet_client_takes_no_more_than_two_kib() {
    let mut ends = Ends::new();
    ends.round(&Bytes::from_static(&[7; 1000]), false);
    for _ in 0..90 {
        ends.now += Duration::from_secs(1);
        ends.client.handle_timeout(ends.now);
        ends.server.handle_timeout(ends.now);
        ends.exchange();
    }
    assert_eq!((ends.client.state(), ends.received), (State::Established, [3, 3]));
    let before = LIVE.get();
    drop(ends.client);
    let held = before - LIVE.get() + size_of::<Session>() as i64;
    assert!(held > 1024, "a session cannot be that small: nothing was counted");
    assert!(held <= 2048, "{held} bytes");
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    drop(std::hint::black_box(vec![1u8; 100]));
    assert_eq!(ALLOCATIONS.get() - before, 1);
}

#[test]
fn an_unreliable_message_costs_few_allocations() {
    let mut ends = Ends::new();
    let message = Bytes::from_static(&[7; 32]);
    (0..1000).for_each(|_| ends.round(&message, true));
    let before = ALLOCATIONS.get();
    (0..1000).for_each(|_| ends.round(&message, true));
    let counted = ALLOCATIONS.get() - before;
    assert!(counted <= 3000, "{counted} for 3000 unreliable messages");
}
