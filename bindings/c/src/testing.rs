//! Faults on demand, for tests of what happens then (F-59, F-60). Not in a library that is built without the feature `testing`.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::call::{call, with};
use crate::endpoint::{EndpointState, unbroken_endpoint};
use crate::session::{SessionState, unbroken_session};

static NO_RANDOMNESS: AtomicBool = AtomicBool::new(false);

pub(crate) fn randomness_fails() -> bool {
    NO_RANDOMNESS.load(Ordering::Relaxed)
}

/// Panics in a call with this session.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_testing_panic_session(session: *mut unbroken_session) -> i32 {
    call(|| with(session, |_: &mut SessionState| panic!("as the test wants")))
}

/// Panics in a call with this endpoint.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_testing_panic_endpoint(endpoint: *mut unbroken_endpoint) -> i32 {
    call(|| with(endpoint, |_: &mut EndpointState| panic!("as the test wants")))
}

/// Stays in a call with this session for some time.
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_testing_occupy_session(session: *mut unbroken_session, millis: u32) -> i32 {
    call(|| {
        with(session, |_: &mut SessionState| {
            std::thread::sleep(std::time::Duration::from_millis(u64::from(millis)));
            Ok(crate::status::Reply::Done)
        })
    })
}

/// From now on the system's random source fails (`fail` is not 0), or works again (0).
#[unsafe(no_mangle)]
pub extern "C" fn unbroken_testing_random_fails(fail: i32) {
    NO_RANDOMNESS.store(fail != 0, Ordering::Relaxed);
}
