//! What a client without a credential can make an endpoint hold, counted byte by byte: not more than `Limits` says (L-16, L-20, F-105).
//!
//! This file has its own allocator, which counts; so it is its own program.

use core::cell::Cell;
use std::alloc::{GlobalAlloc, Layout, System};

use unbroken::{ClusterKey, Limits, LinkId, ServerConfig, ServerKey};
use unbroken_sim::ServerBench;
use unbroken_sim::raw::{RawClient, RawLink, frames};

thread_local! {
    /// Bytes held, and the most since it was last set back.
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: i64) {
    LIVE.set(LIVE.get() + bytes);
    PEAK.set(PEAK.get().max(LIVE.get()));
}

// SAFETY: everything is passed on to the system's allocator as it came; the counter itself allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        // SAFETY: as above.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        // SAFETY: as above.
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Payload of one FRAGMENT that fills a record.
const PART: usize = 16_000;

fn limits() -> Limits {
    Limits {
        message: 256 << 10,
        window_bytes: 256 << 10,
        unacked_bytes: 256 << 10,
        window_messages: 1024,
        ..Limits::default()
    }
}

/// As [`Limits`] has it: the window twice, 64 bytes for a message, unreliable ones both ways; and something for the session.
fn documented() -> i64 {
    let limits = limits();
    let inbox = 2 * i64::from(limits.window_bytes) + 64 * i64::from(limits.window_messages);
    inbox + 2 * 2 * i64::from(limits.unreliable_bytes) + (64 << 10)
}

/// Somebody with a HELLO and no credential.
struct Stranger {
    bench: ServerBench,
    link: LinkId,
    wire: RawLink,
    before: i64,
}

impl Stranger {
    fn new() -> Self {
        let key = ServerKey::from_bytes([1; 32]).unwrap();
        let cluster = ClusterKey::from_bytes([2; 32]).unwrap();
        let config = ServerConfig::builder(key.clone(), cluster)
            .limits(limits())
            .build()
            .unwrap();
        let mut bench = ServerBench::new(config);
        let mut client = RawClient::new(key.public(), b"", 3);
        let (flight, pending) = client.hello();
        let before = LIVE.get();
        let (link, answer) = bench.connect(&flight);
        let (_, wire, _) = client.accept(pending, &answer).expect("an ACCEPT");
        Stranger {
            bench,
            link,
            wire,
            before,
        }
    }

    /// One record; what the endpoint holds by then, the buffers of this test not counted.
    fn say(&mut self, plaintext: &[u8]) -> i64 {
        let record = self.wire.seal(plaintext);
        let mine = record.capacity() as i64;
        self.bench.endpoint.handle_input(self.link, &record, self.bench.now);
        let held = LIVE.get() - self.before - mine;
        drop(record);
        self.bench.pump();
        self.bench.links.take(self.link);
        held
    }

    fn is_cut(&self) -> bool {
        self.bench.links.closed.contains(&self.link)
    }

    #[track_caller]
    fn assert_bounded(&self, held: i64, round: u64) {
        assert!(
            held <= documented(),
            "{held} bytes in round {round}; {} are documented",
            documented()
        );
    }
}

/// All of message `seq` but its last byte.
fn all_but_one_byte(stranger: &mut Stranger, seq: u64) -> i64 {
    let total = limits().message as usize;
    let body = vec![7; total - 1 - seq as usize];
    let mut most = 0;
    for (n, part) in body.chunks(PART).enumerate() {
        let frame = frames::fragment(seq, total as u64, (n * PART) as u64, part);
        most = most.max(stranger.say(&frame) - frame.capacity() as i64 - body.capacity() as i64);
    }
    most
}

#[test]
fn l16_l20_fragments_that_a_whole_message_supersedes_are_given_back() {
    let mut stranger = Stranger::new();
    for seq in 0..60 {
        let held = all_but_one_byte(&mut stranger, seq);
        assert!(!stranger.is_cut(), "within the window");
        stranger.assert_bounded(held, seq);
        let held = stranger.say(&frames::data(seq, &[b"x"]));
        assert!(!stranger.is_cut(), "within the window");
        stranger.assert_bounded(held, seq);
    }
}

#[test]
fn l16_l20_small_messages_in_large_records_hold_little() {
    let mut stranger = Stranger::new();
    for seq in 0..1024 {
        let mut plaintext = frames::data(seq, &[b"x"]);
        plaintext.resize(16_384, 0);
        let held = stranger.say(&plaintext) - plaintext.capacity() as i64;
        assert!(!stranger.is_cut(), "within the window");
        stranger.assert_bounded(held, seq);
    }
    // One more is beyond the window.
    stranger.say(&frames::data(1024, &[b"x"]));
    assert!(stranger.is_cut());
}

#[test]
fn l16_l20_unreliable_messages_beyond_their_bound_are_dropped() {
    let mut stranger = Stranger::new();
    for round in 0..100 {
        let plaintext = frames::unreliable(&[7; 16_000]);
        let held = stranger.say(&plaintext) - plaintext.capacity() as i64;
        stranger.assert_bounded(held, round);
    }
    assert!(!stranger.is_cut());
}

#[test]
fn l16_l20_a_full_window_holds_what_is_documented() {
    let mut stranger = Stranger::new();
    let mut sent = 0;
    for seq in 0..17 {
        let body = [7; PART];
        let plaintext = frames::data(seq, &[&body]);
        let held = stranger.say(&plaintext) - plaintext.capacity() as i64;
        stranger.assert_bounded(held, seq);
        sent += usize::from(!stranger.is_cut());
    }
    assert_eq!(sent, limits().window_bytes as usize / PART);
}

#[test]
fn the_counter_counts() {
    let before = LIVE.get();
    let bytes = std::hint::black_box(vec![1u8; 1000]);
    assert_eq!(LIVE.get() - before, 1000);
    drop(bytes);
    assert_eq!(LIVE.get(), before);
    assert!(PEAK.get() >= before + 1000);
}
