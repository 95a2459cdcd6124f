//! What the host must do next, flat.

use unbroken::{Output, Target};

use crate::status::{Failure, Outcome, Reply, unbroken_status::*};

/// The smallest buffer that `poll_output` functions take, in bytes; 65536 make the most of batching.
pub const UNBROKEN_MIN_BUFFER: usize = 256;
const _: () = assert!(UNBROKEN_MIN_BUFFER == unbroken::MIN_BUFFER);

/// What the host must do next.
#[repr(i32)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum unbroken_output_kind {
    /// Write the first `len` bytes of the buffer to `link`, in order, after all that was to be written to it before.
    UNBROKEN_OUTPUT_SEND = 1,
    /// Open a connection and report it up or down. If `len` is 0, to the configured address; else to the one in the buffer, `host:port` in
    /// UTF-8, `len` bytes and a NUL, which names one very server.
    UNBROKEN_OUTPUT_OPEN_LINK = 2,
    /// Close the connection, after what was written to it before has left (a FIN, not a reset). The link's name is not used again; nothing
    /// that still comes from it needs to be reported. But read it and throw it away until the peer's FIN or for 2 s: bytes that come to a
    /// closed socket have it reset, and what the peer had not read yet is lost.
    UNBROKEN_OUTPUT_CLOSE_LINK = 3,
}

use unbroken_output_kind::*;

/// One thing to do.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct unbroken_output {
    /// An `unbroken_output_kind`.
    pub kind: i32,
    /// `OPEN_LINK`: 1 if `network` says which network to bind to; 0 leaves it to the system.
    pub has_network: i32,
    /// The link.
    pub link: u64,
    /// `OPEN_LINK`: the network to bind to, if `has_network` is not 0 and the platform can.
    pub network: u64,
    /// `SEND`, `OPEN_LINK`: how many bytes of the buffer count.
    pub len: u64,
    /// Zero.
    pub reserved: [u64; 2],
}

/// One poll of a session's or an endpoint's output into flat form.
pub(crate) fn poll(
    buffer: &mut [u8],
    flat: &mut crate::memory::Out<unbroken_output>,
    poll: impl FnOnce(&mut [u8]) -> Option<Output>,
) -> Outcome {
    if buffer.len() < UNBROKEN_MIN_BUFFER {
        flat.set(unbroken_output {
            len: UNBROKEN_MIN_BUFFER as u64,
            ..Default::default()
        });
        return Err(UNBROKEN_ERR_BUFFER_TOO_SMALL.into());
    }
    let output = match poll(buffer) {
        None => {
            flat.set(unbroken_output::default());
            return Ok(Reply::Empty);
        }
        Some(Output::Send { link, len }) => unbroken_output {
            kind: UNBROKEN_OUTPUT_SEND as i32,
            link: link.0,
            len: len as u64,
            ..Default::default()
        },
        Some(Output::OpenLink { link, target, network }) => unbroken_output {
            kind: UNBROKEN_OUTPUT_OPEN_LINK as i32,
            link: link.0,
            has_network: i32::from(network.is_some()),
            network: network.map_or(0, |network| network.0),
            len: address(buffer, &target)? as u64,
            ..Default::default()
        },
        Some(Output::CloseLink { link }) => unbroken_output {
            kind: UNBROKEN_OUTPUT_CLOSE_LINK as i32,
            link: link.0,
            ..Default::default()
        },
    };
    flat.set(output);
    Ok(Reply::Done)
}

/// Puts an address and a NUL into the buffer. Addresses have at most 255 bytes, so it fits.
fn address(buffer: &mut [u8], target: &Target) -> Result<usize, Failure> {
    let Target::Advised(address) = target else {
        return Ok(0);
    };
    let Some(place) = buffer.get_mut(..=address.len()) else {
        return Err(UNBROKEN_ERR_BUFFER_TOO_SMALL.into());
    };
    place[..address.len()].copy_from_slice(address.as_bytes());
    place[address.len()] = 0;
    Ok(address.len())
}
