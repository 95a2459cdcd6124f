//! Authorisation: the client's credential, the server application's verdict (U-42).
//!
//! AUTH and its answer are not numbered messages: the client repeats AUTH on each link until it knows the verdict, the server
//! repeats the verdict. Nothing reaches the server's application before it.

use bytes::Bytes;
use core::fmt;

use super::conversation::Conversation;
use crate::error::CloseReason;
use crate::event::{Event, State};
use crate::wire::frame::{self, CloseKind};

/// See the module's head. One variant says where this end stands.
pub enum Auth {
    /// (client) The verdict is out; the credential goes with each new link.
    Asking { credential: Bytes },
    /// (server) AUTH has not come. With `open_to_all` nobody is asked when it does.
    Expected { open_to_all: bool },
    /// (server) The application is thinking.
    Judging,
    /// Let in; at the server with what it said.
    Accepted { message: Bytes },
    /// (server) Turned away: nothing of it reaches the application.
    Dismissed,
    /// (client) Not let in, with the application's code. What had arrived is its application's all the same (U-61).
    Refused { code: u32 },
}

impl Auth {
    pub fn accepted(&self) -> bool {
        matches!(self, Auth::Accepted { .. })
    }

    /// Turned away, at either end: the session ends, if it has not.
    pub fn refused(&self) -> bool {
        matches!(self, Auth::Dismissed | Auth::Refused { .. })
    }

    /// Whether received messages may reach the application: always at the client.
    #[inline]
    pub fn may_deliver(&self) -> bool {
        matches!(self, Auth::Accepted { .. } | Auth::Asking { .. } | Auth::Refused { .. })
    }
}

impl Conversation {
    /// (server) Tells the verdict on link `index`, if there is one and it would be read.
    pub fn repeat_verdict(&mut self, index: usize) {
        let room = self.links[index].control.len() < frame::AUTH_MAX;
        if let Auth::Accepted { message } = &self.auth
            && room
            && self.closing.allows_more()
        {
            frame::auth_result(&mut self.links[index].control, true, 0, message);
        }
    }

    /// (server) The credential has come. Judged on the spot, so that what stands behind it in the same record finds it judged.
    pub fn ask(&mut self, credential: &[u8], open_to_all: bool) {
        self.auth = Auth::Judging;
        if open_to_all && self.settings.store_first {
            self.waved_through = true;
        } else if open_to_all {
            self.judge(Verdict::Accept { message: Bytes::new() });
        } else {
            let credential = Credential(Bytes::copy_from_slice(credential));
            self.events.push_back(Event::Authorise { credential });
        }
    }

    /// (server) The application is to judge, and has not.
    pub fn awaits_verdict(&self) -> bool {
        matches!(self.auth, Auth::Judging) && !self.closing.has_begun()
    }

    /// (server) The application has judged. Says whether anybody was waiting for it. If the client has said what it wanted and closed
    /// meanwhile, or is being put out, a good verdict still opens what it sent.
    pub fn judge(&mut self, mut verdict: Verdict) -> bool {
        if !matches!(self.auth, Auth::Judging) {
            return false;
        }
        let (Verdict::Accept { message } | Verdict::Refuse { message, .. }) = &mut verdict;
        message.truncate(frame::AUTH_RESULT_MAX);
        if self.closing.has_begun() {
            if let Verdict::Accept { message } = verdict {
                self.let_in(message);
            }
            return true;
        }
        // Not on a link that the client may never have seen accepted; on one that it does use it asks again, and is told there.
        let carrier = self.newest_confirmed();
        match verdict {
            Verdict::Accept { message } => {
                self.let_in(message);
                if let Some(carrier) = carrier {
                    self.repeat_verdict(carrier);
                }
                if self.settings.store_first {
                    // Now it may speak.
                    self.acks.force();
                }
            }
            Verdict::Refuse { code, message } => {
                self.auth = Auth::Dismissed;
                // Nothing of it will ever be in the store.
                self.gate = None;
                if let Some(carrier) = carrier {
                    frame::auth_result(&mut self.links[carrier].control, false, code, &message);
                }
                self.close(CloseKind::NotAuthorised, code, CloseReason::Refused { code });
            }
        }
        true
    }

    /// (server) From now on what the client says is the application's, which is told so before anything of it. Behind Closed nothing is told.
    pub fn let_in(&mut self, message: Bytes) {
        self.auth = Auth::Accepted { message };
        if self.state == State::Closed {
            return;
        }
        self.step_authorised();
        if let Some(session) = self.id {
            let message = Bytes::new();
            self.events.push_back(Event::Established { session, message });
        }
        self.tell_readable();
    }
}

/// What a client shows to be let in. It is a secret: `Debug` tells its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Bytes);

impl Credential {
    /// The bytes.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl From<Bytes> for Credential {
    fn from(bytes: Bytes) -> Self {
        Credential(bytes)
    }
}

impl core::ops::Deref for Credential {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({} bytes)", self.0.len())
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
