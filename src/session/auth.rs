//! Authorisation: the client's credential, the server application's verdict (U-42).
//!
//! AUTH and its answer are not numbered messages: the client repeats AUTH on each link until it knows the verdict, the server
//! repeats the verdict. Nothing reaches the server's application before it.

use bytes::Bytes;

use super::conversation::Conversation;
use crate::error::CloseReason;
use crate::event::Event;
use crate::wire::frame::{self, CloseKind};

/// See the module's head. One variant says where this end stands.
pub enum Auth {
    /// (client) The verdict is out; the credential goes with each new link.
    Asking { credential: Bytes },
    /// (server) AUTH has not come.
    Expected,
    /// (server) The application is thinking.
    Judging,
    /// Let in; at the server with what it said.
    Accepted { message: Bytes },
    /// Turned away.
    Refused,
}

impl Auth {
    pub fn accepted(&self) -> bool {
        matches!(self, Auth::Accepted { .. })
    }

    /// Whether received messages may reach the application: always at the client.
    #[inline]
    pub fn may_deliver(&self) -> bool {
        matches!(self, Auth::Accepted { .. } | Auth::Asking { .. })
    }
}

impl Conversation {
    /// (server) Tells the verdict on link `index`, if there is one.
    pub fn repeat_verdict(&mut self, index: usize) {
        if let Auth::Accepted { message } = &self.auth {
            frame::auth_result(&mut self.links[index].control, true, 0, message);
        }
    }

    /// (server) The application has judged. Says whether anybody was waiting for it.
    pub fn judge(&mut self, verdict: Verdict) -> bool {
        if !matches!(self.auth, Auth::Judging) || self.closing.has_begun() {
            return false;
        }
        let carrier = self.carrier();
        match verdict {
            Verdict::Accept { mut message } => {
                message.truncate(frame::AUTH_RESULT_MAX);
                self.auth = Auth::Accepted { message };
                if let Some(carrier) = carrier {
                    self.repeat_verdict(carrier);
                }
                self.step_authorised();
                if let Some(session) = self.id {
                    self.events.push_back(Event::Established {
                        session,
                        message: Bytes::new(),
                    });
                }
                self.tell_readable();
            }
            Verdict::Refuse { code, mut message } => {
                message.truncate(frame::AUTH_RESULT_MAX);
                self.auth = Auth::Refused;
                if let Some(carrier) = carrier {
                    frame::auth_result(&mut self.links[carrier].control, false, code, &message);
                }
                self.close(CloseKind::NotAuthorised, code, CloseReason::Refused { code });
            }
        }
        true
    }
}

/// The server application's answer to [`Event::Authorise`](crate::Event::Authorise).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Let the client in.
    Accept {
        /// Told to the client; at most 1024 bytes, the rest is cut off.
        message: Bytes,
    },
    /// Turn it away: the session ends at both ends with [`CloseReason::Refused`](crate::CloseReason::Refused).
    Refuse {
        /// The application's code.
        code: u32,
        /// Told to the client; at most 1024 bytes, the rest is cut off.
        message: Bytes,
    },
}
