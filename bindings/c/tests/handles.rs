//! Handles under stress, from Rust: names are never given twice, threads in one handle are told apart, growth beyond the first chunk.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

use unbroken_c::unbroken_status::*;
use unbroken_c::*;

/// How often something is done. An interpreter (Miri) takes a thousand times as long, and sees at once what elsewhere needs luck.
const fn times(often: u64) -> u64 {
    if cfg!(miri) { often.div_ceil(200) } else { often }
}

fn session() -> usize {
    let mut session = std::ptr::null_mut();
    // SAFETY: a struct of integers and pointers, zeroed and then initialised by the library; all pointers lead to live locals.
    let status = unsafe {
        let mut config: unbroken_client_config = std::mem::zeroed();
        unbroken_client_config_init(&mut config, size_of_val(&config));
        let pin = [3_u8; 32];
        (config.pins, config.pin_count) = (pin.as_ptr(), 1);
        unbroken_session_connect(&config, [1; 32].as_ptr(), 0, &mut session)
    };
    assert_eq!(status, UNBROKEN_OK as i32);
    session.expose_provenance()
}

fn handle(name: usize) -> *mut unbroken_session {
    std::ptr::without_provenance_mut(name)
}

fn state(name: usize) -> i32 {
    let mut state = -1;
    // SAFETY: `state` is writable.
    unsafe { unbroken_session_state(handle(name), &mut state) }
}

#[test]
fn thousands_live_at_once_and_no_name_comes_twice() {
    let mut all = HashSet::new();
    for _ in 0..2 {
        let names: Vec<usize> = (0..times(2500)).map(|_| session()).collect();
        for name in &names {
            assert!(all.insert(*name), "the name was given before");
            assert_eq!(state(*name), UNBROKEN_OK as i32);
        }
        for name in &names {
            assert_eq!(unbroken_session_free(handle(*name)), UNBROKEN_OK as i32);
        }
    }
    for name in all {
        assert_eq!(state(name), UNBROKEN_ERR_HANDLE as i32);
        assert_eq!(unbroken_session_free(handle(name)), UNBROKEN_ERR_HANDLE as i32);
    }
}

#[test]
fn threads_in_one_handle_are_busy_or_in_turn() {
    let name = session();
    let (done, busy) = (AtomicU32::new(0), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for now in 0..times(20_000) {
                    match unbroken_session_handle_timeout(handle(name), now) {
                        0 => done.fetch_add(1, Ordering::Relaxed),
                        other => {
                            assert_eq!(other, UNBROKEN_ERR_BUSY as i32);
                            busy.fetch_add(1, Ordering::Relaxed)
                        }
                    };
                }
            });
        }
    });
    assert_eq!(done.into_inner() + busy.into_inner(), 4 * times(20_000) as u32);
    assert_eq!(unbroken_session_free(handle(name)), UNBROKEN_OK as i32);
}

#[test]
fn a_handle_freed_by_one_of_many_threads_is_freed_once() {
    for _ in 0..times(200) {
        let name = session();
        let freed = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| match unbroken_session_free(handle(name)) {
                    0 => _ = freed.fetch_add(1, Ordering::Relaxed),
                    other => assert!([UNBROKEN_ERR_HANDLE as i32, UNBROKEN_ERR_BUSY as i32].contains(&other)),
                });
            }
        });
        assert_eq!(freed.into_inner(), 1);
    }
}

#[test]
fn another_generation_is_another_name() {
    let name = session();
    // The lowest bit says "handle", the uppermost are the generation; those between name the slot of somebody else.
    for bit in (0..1).chain(usize::BITS - 32..usize::BITS) {
        assert_eq!(state(name ^ 1 << bit), UNBROKEN_ERR_HANDLE as i32, "bit {bit}");
    }
    assert_eq!(unbroken_session_free(handle(name)), UNBROKEN_OK as i32);
}
