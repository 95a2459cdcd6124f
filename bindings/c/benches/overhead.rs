//! What the C ABI adds to a call: the same call on the Rust type and through the exported function, by pointer as C does it.
//!
//!     cargo bench -p unbroken-c
//!
//! Prints nanoseconds, the best of some rounds, and what lies between. It judges nothing: machines differ.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant as Clock;

use unbroken::{
    ClientConfig, ClusterKey, Endpoint, Instant, Limits, Seed, ServerConfig, ServerKey, Session, SessionId,
};
use unbroken_c::*;

const ROUNDS: usize = 15;
const CALLS: usize = 20_000;
const MESSAGE: [u8; 64] = [7; 64];

fn main() {
    println!(
        "{:<28} {:>9} {:>9} {:>9} {:>7}",
        "ns a call", "Rust", "C ABI", "added", "ratio"
    );
    let (mut session, handle) = (rust_session(), c_session());

    let (mut state, mut deadline) = (0, 0);
    let call: unsafe extern "C" fn(*mut unbroken_session, *mut i32) -> i32 = black_box(unbroken_session_state);
    report(
        "session state",
        || _ = black_box(black_box(&session).state()),
        // SAFETY: `state` is writable.
        || _ = black_box(unsafe { call(handle, &mut state) }),
    );

    let call: unsafe extern "C" fn(*mut unbroken_session, *mut u64) -> i32 = black_box(unbroken_session_poll_timeout);
    report(
        "session poll_timeout",
        || _ = black_box(black_box(&session).poll_timeout()),
        // SAFETY: `deadline` is writable.
        || _ = black_box(unsafe { call(handle, &mut deadline) }),
    );

    let mut event = unbroken_event::default();
    let call: unsafe extern "C" fn(*mut unbroken_session, *mut unbroken_event) -> i32 =
        black_box(unbroken_session_poll_event);
    report(
        "session poll_event, none",
        || _ = black_box(black_box(&mut session).poll_event()),
        // SAFETY: `event` is writable.
        || _ = black_box(unsafe { call(handle, &mut event) }),
    );

    let (mut data, mut len, mut id) = (std::ptr::null(), 0, 0);
    let call: unsafe extern "C" fn(*mut unbroken_session, *mut *const u8, *mut usize, *mut i64) -> i32 =
        black_box(unbroken_session_recv);
    report(
        "session recv, none",
        || _ = black_box(black_box(&mut session).recv()),
        // SAFETY: all three are writable.
        || _ = black_box(unsafe { call(handle, &mut data, &mut len, &mut id) }),
    );

    let mut buffer = vec![0; 65536];
    let mut output = unbroken_output::default();
    while session.poll_output(&mut buffer, Instant::ZERO).is_some() {}
    let call: unsafe extern "C" fn(*mut unbroken_session, *mut u8, usize, u64, *mut unbroken_output) -> i32 =
        black_box(unbroken_session_poll_output);
    // SAFETY: `buffer` and `output` are writable.
    while unsafe { call(handle, buffer.as_mut_ptr(), buffer.len(), 0, &mut output) } == 0 {}
    let mut second = vec![0; 65536];
    report(
        "session poll_output, none",
        || _ = black_box(black_box(&mut session).poll_output(&mut buffer, Instant::ZERO)),
        // SAFETY: `second` and `output` are writable.
        || _ = black_box(unsafe { call(handle, second.as_mut_ptr(), second.len(), 0, &mut output) }),
    );

    let call: extern "C" fn(*mut unbroken_session, u64) -> i32 = black_box(unbroken_session_handle_timeout);
    report(
        "session handle_timeout",
        || black_box(&mut session).handle_timeout(Instant::ZERO),
        || _ = black_box(call(handle, 0)),
    );

    let call: unsafe extern "C" fn(*mut unbroken_session, *const u8, usize, *mut u64) -> i32 =
        black_box(unbroken_session_send);
    let mut taken = 0;
    unbroken_session_free(handle);
    let (mut rust, mut c) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        let (mut session, handle) = (rust_session(), c_session());
        rust = rust.min(time(|| _ = black_box(session.send_slice(black_box(&MESSAGE)))));
        // SAFETY: the message is readable, `taken` is writable.
        c = c.min(time(|| {
            _ = black_box(unsafe { call(handle, MESSAGE.as_ptr(), MESSAGE.len(), &mut taken) })
        }));
        assert_eq!(session.stats().sent_messages, taken + 1);
        unbroken_session_free(handle);
    }
    line("session send, 64 bytes", rust, c);

    let mut endpoint = Endpoint::new(Arc::new(server_config()), Seed::new([2; 32]), Instant::ZERO);
    let handle = c_endpoint();
    let id = [1; 16];
    let call: unsafe extern "C" fn(*mut unbroken_endpoint, *const u8, *mut i32) -> i32 =
        black_box(unbroken_endpoint_session_state);
    report(
        "endpoint session, unknown",
        || _ = black_box(black_box(&mut endpoint).session(SessionId(id)).is_some()),
        // SAFETY: `id` is 16 readable bytes, `state` is writable.
        || _ = black_box(unsafe { call(handle, id.as_ptr(), &mut state) }),
    );
    unbroken_endpoint_free(handle);
}

fn report(name: &str, mut rust: impl FnMut(), mut c: impl FnMut()) {
    let (mut best_rust, mut best_c) = (f64::MAX, f64::MAX);
    for _ in 0..ROUNDS {
        best_rust = best_rust.min(time(&mut rust));
        best_c = best_c.min(time(&mut c));
    }
    line(name, best_rust, best_c);
}

fn line(name: &str, rust: f64, c: f64) {
    println!("{name:<28} {rust:>9.1} {c:>9.1} {:>9.1} {:>6.1}x", c - rust, c / rust);
}

fn time(mut call: impl FnMut()) -> f64 {
    let begun = Clock::now();
    for _ in 0..CALLS {
        call();
    }
    begun.elapsed().as_nanos() as f64 / CALLS as f64
}

fn limits() -> Limits {
    Limits {
        unacked_messages: 65_536,
        unacked_bytes: 64 << 20,
        ..Limits::default()
    }
}

fn server_key() -> ServerKey {
    ServerKey::from_bytes([7; 32]).expect("not zero")
}

fn rust_session() -> Session {
    let config = ClientConfig::builder(server_key().public())
        .limits(limits())
        .build()
        .expect("valid");
    Session::connect(Arc::new(config), Seed::new([1; 32]), Instant::ZERO)
}

fn server_config() -> ServerConfig {
    let cluster = ClusterKey::from_bytes([9; 32]).expect("not zero");
    ServerConfig::builder(server_key(), cluster).build().expect("valid")
}

fn c_session() -> *mut unbroken_session {
    let pin = server_key().public().0;
    let mut handle = std::ptr::null_mut();
    // SAFETY: plain structs of integers and pointers, zeroed and then initialised by the library; all pointers lead to live locals.
    let status = unsafe {
        let (mut config, mut bounds): (unbroken_client_config, unbroken_limits) = std::mem::zeroed();
        unbroken_client_config_init(&mut config, size_of_val(&config));
        unbroken_limits_init(&mut bounds, size_of_val(&bounds));
        (bounds.unacked_messages, bounds.unacked_bytes) = (65_536, 64 << 20);
        (config.pins, config.pin_count, config.limits) = (pin.as_ptr(), 1, &bounds);
        unbroken_session_connect(&config, [1; 32].as_ptr(), 0, &mut handle)
    };
    assert_eq!(status, 0);
    handle
}

fn c_endpoint() -> *mut unbroken_endpoint {
    let (key, cluster) = ([7; 32], [9; 32]);
    let mut handle = std::ptr::null_mut();
    // SAFETY: as in `c_session`.
    let status = unsafe {
        let mut config: unbroken_server_config = std::mem::zeroed();
        unbroken_server_config_init(&mut config, size_of_val(&config));
        (config.keys, config.key_count, config.cluster_key) = (key.as_ptr(), 1, cluster.as_ptr());
        unbroken_endpoint_new(&config, [2; 32].as_ptr(), 0, &mut handle)
    };
    assert_eq!(status, 0);
    handle
}
