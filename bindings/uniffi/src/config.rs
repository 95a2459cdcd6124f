//! The configuration, as one record.

use std::fmt;
use std::time::Duration;

use unbroken::{Backoff, ConfigError, Limits, PublicKey, Timing};

use crate::error::UnbrokenError;

/// A client's configuration. What is left out has the library's default; bounds are checked when the
/// session is made, and those of sizes are in the README's table. Times are in milliseconds, sizes in bytes.
#[derive(Clone, PartialEq, Eq, Default, uniffi::Record)]
pub struct ClientConfig {
    /// The server's public keys to trust, 32 bytes each, 1 to 8; the first is tried first.
    pub pins: Vec<Vec<u8>>,
    /// What the server's application judges, at most 8192 bytes. It travels encrypted.
    #[uniffi(default)]
    pub credential: Vec<u8>,
    /// The service's name, at most 255 bytes; both ends must have the same.
    #[uniffi(default = "")]
    pub realm: String,
    /// Largest reliable message; default 1 MiB.
    #[uniffi(default = None)]
    pub message: Option<u32>,
    /// Sent and not acknowledged payload, kept for replay; default 1 MiB.
    #[uniffi(default = None)]
    pub unacked_bytes: Option<u32>,
    /// The same as a number of messages; default 4,096.
    #[uniffi(default = None)]
    pub unacked_messages: Option<u32>,
    /// Received payload that the application has not taken; default 1 MiB.
    #[uniffi(default = None)]
    pub window_bytes: Option<u32>,
    /// The same as a number of messages; default 4,096.
    #[uniffi(default = None)]
    pub window_messages: Option<u32>,
    /// Unreliable payload waiting to be sent; default 64 KiB.
    #[uniffi(default = None)]
    pub unreliable_bytes: Option<u32>,
    /// From asking for a connection until it stands, and from there to the whole answer of the server; default 5 s each.
    #[uniffi(default = None)]
    pub handshake_ms: Option<u32>,
    /// An idle link is probed after this much silence: 1 s to 1 h, default 25 s.
    #[uniffi(default = None)]
    pub idle_probe_ms: Option<u32>,
    /// A link that should answer and does not is given up after this long, or twice the time in which it becomes suspect: 500 ms to 5 min,
    /// default 5 s.
    #[uniffi(default = None)]
    pub dead_after_ms: Option<u32>,
    /// Bound of the first delay between two dials; it doubles each time: 1 ms to 60 s, default 100 ms.
    #[uniffi(default = None)]
    pub backoff_base_ms: Option<u32>,
    /// What it grows to: at least the first, and at most 1 h; default 5 s.
    #[uniffi(default = None)]
    pub backoff_cap_ms: Option<u32>,
    /// Dialling in vain for this long ends in `HandoverFailed(GaveUp)`: 1 s to 24 h, default 60 s.
    #[uniffi(default = None)]
    pub give_up_after_ms: Option<u32>,
}

/// Without the credential.
impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

impl ClientConfig {
    pub(crate) fn build(self) -> Result<unbroken::ClientConfig, UnbrokenError> {
        let mut pins = Vec::new();
        for pin in &self.pins {
            let bytes = <[u8; 32]>::try_from(pin.as_slice()).map_err(|_| {
                UnbrokenError::config(format!(
                    "configuration field `pins`: a key has {} bytes, not 32",
                    pin.len()
                ))
            })?;
            pins.push(PublicKey(bytes));
        }
        let [first, more @ ..] = pins.as_slice() else {
            return Err(UnbrokenError::config(
                "configuration field `pins`: no key, so no server can be trusted",
            ));
        };
        let (limits, timing, backoff) = (self.limits(), self.timing(), self.backoff());
        let builder = more
            .iter()
            .fold(unbroken::ClientConfig::builder(*first), |builder, pin| {
                builder.also_pin(*pin)
            });
        let builder = builder.realm(self.realm).credential(self.credential);
        let built = builder.limits(limits).timing(timing).backoff(backoff).build();
        built.map_err(|error| refused(&error))
    }

    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        let fields = [
            (&mut limits.message, self.message),
            (&mut limits.unacked_bytes, self.unacked_bytes),
            (&mut limits.unacked_messages, self.unacked_messages),
            (&mut limits.window_bytes, self.window_bytes),
            (&mut limits.window_messages, self.window_messages),
            (&mut limits.unreliable_bytes, self.unreliable_bytes),
        ];
        for (field, value) in fields {
            *field = value.unwrap_or(*field);
        }
        set(&mut limits.handshake, self.handshake_ms);
        limits
    }

    fn timing(&self) -> Timing {
        let mut timing = Timing::default();
        set(&mut timing.idle_probe, self.idle_probe_ms);
        set(&mut timing.dead_after, self.dead_after_ms);
        timing
    }

    fn backoff(&self) -> Backoff {
        let mut backoff = Backoff::default();
        set(&mut backoff.base, self.backoff_base_ms);
        set(&mut backoff.cap, self.backoff_cap_ms);
        set(&mut backoff.give_up_after, self.give_up_after_ms);
        backoff
    }
}

/// The core's refusal, with the field as the record has it.
fn refused(error: &ConfigError) -> UnbrokenError {
    let field = match error.field {
        "limits.handshake" => "handshake_ms",
        "timing.idle_probe" => "idle_probe_ms",
        "timing.dead_after" => "dead_after_ms",
        "backoff.base" => "backoff_base_ms",
        "backoff.cap" => "backoff_cap_ms",
        "backoff.give_up_after" => "give_up_after_ms",
        other => other.strip_prefix("limits.").unwrap_or(other),
    };
    UnbrokenError::config(format!("configuration field `{field}`: {}", error.problem))
}

fn set(field: &mut Duration, ms: Option<u32>) {
    if let Some(ms) = ms {
        *field = Duration::from_millis(ms.into());
    }
}
