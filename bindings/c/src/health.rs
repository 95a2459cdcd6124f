//! What carries a client's session, flat.

use unbroken::LinkHealth;

use crate::call::{call, with};
use crate::memory::write_sized;
use crate::session::{SessionState, unbroken_session};
use crate::status::Reply;

/// What carries a session, for a host that has a second network to offer: it is of use while the link is suspect or lost, and no handover for
/// another reason needs it.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum unbroken_health {
    /// No link is wanted: the session does not stand yet, is suspended, has given up, or ends.
    UNBROKEN_HEALTH_IDLE = 0,
    /// A link carries the session.
    UNBROKEN_HEALTH_SOUND = 1,
    /// A link carries it, and owes an answer for too long.
    UNBROKEN_HEALTH_SUSPECT = 2,
    /// There is none.
    UNBROKEN_HEALTH_LOST = 3,
}

use unbroken_health::*;

/// How the link stands that carries a session. It may grow at its end; the function that fills it takes the caller's idea of its size.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct unbroken_link_health {
    /// An `unbroken_health`.
    pub health: i32,
    /// `SOUND`, `SUSPECT`: 1 if the link was opened on the network that `network` names; 0 if that was the system's choice.
    pub has_network: i32,
    /// The host's number for the network, if `has_network` is not 0.
    pub network: u64,
}

impl From<LinkHealth> for unbroken_link_health {
    fn from(health: LinkHealth) -> Self {
        let (health, network) = match health {
            LinkHealth::Idle => (UNBROKEN_HEALTH_IDLE, None),
            LinkHealth::Sound { network } => (UNBROKEN_HEALTH_SOUND, network),
            LinkHealth::Suspect { network } => (UNBROKEN_HEALTH_SUSPECT, network),
            LinkHealth::Lost => (UNBROKEN_HEALTH_LOST, None),
        };
        unbroken_link_health {
            health: health as i32,
            has_network: network.is_some().into(),
            network: network.map_or(0, |network| network.0),
        }
    }
}

/// What carries the session now; any other call may change it. `struct_size` is
/// `sizeof(unbroken_link_health)`. The link's round trip is in `unbroken_session_stats`.
///
/// # Safety
/// `health` must be writable for `struct_size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unbroken_session_link_health(
    session: *mut unbroken_session,
    health: *mut unbroken_link_health,
    struct_size: usize,
) -> i32 {
    call(|| {
        with(session, |state: &mut SessionState| {
            // SAFETY: the caller promises `struct_size` writable bytes.
            unsafe { write_sized(health, struct_size, &state.session.link_health().into()) }?;
            Ok(Reply::Done)
        })
    })
}
