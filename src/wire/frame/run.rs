//! DATA: a run of messages that follow each other, the frame that nearly all bytes travel in.
//!
//! An entry is a varint and that many bytes less one: the varint holds the length *plus one*, which leaves the byte 00
//! free to end the run. For a message under 63 bytes the first byte is therefore also the size of the whole entry,
//! and a run of them is walked with one load, one compare and one add each. [`Run::read`] does just that to
//! check the run once; afterwards [`next_message`] and [`Run::iter`] take messages out without a way to fail.

use core::fmt;

use super::FrameError;
use crate::wire::varint;

/// Messages `seq` to `seq + count - 1`. `count` is at least 1 and `seq + count` at most 2^62 - 1 (U-37).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Run<'a> {
    /// The number of the first message.
    pub seq: u64,
    /// How many there are.
    pub count: u64,
    /// The sum of their lengths.
    pub payload: u64,
    /// The entries as they stand in the record, without the 00 that may end them. For [`next_message`].
    pub bytes: &'a [u8],
    /// Where `bytes` begins in the record.
    pub offset: usize,
}

/// The messages of a [`Run`].
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Run<'a> {
    /// The messages, in order.
    #[inline]
    pub fn iter(&self) -> Messages<'a> {
        Messages { rest: self.bytes }
    }

    /// Reads a DATA frame whose sequence number begins at `at` in `record`; also says where the frame ends.
    #[inline(always)]
    pub(super) fn read(record: &'a [u8], at: usize) -> Result<(Self, usize), FrameError> {
        let rest = record.get(at..).ok_or(FrameError::Truncated)?;
        let (seq, taken) = varint::read(rest).ok_or(FrameError::Truncated)?;
        let entries = &rest[taken..];
        let walked = walk(entries)?;
        if walked.count == 0 {
            return Err(FrameError::Empty);
        }
        // Both are far below 2^63: no overflow.
        if seq + walked.count > varint::MAX {
            return Err(FrameError::Number);
        }
        let offset = at + taken;
        let run = Self {
            seq,
            count: walked.count,
            payload: walked.payload,
            bytes: &entries[..walked.end],
            offset,
        };
        // The 00 belongs to the frame, not to what follows: a PAD would take all the rest.
        let terminator = usize::from(walked.end < entries.len());
        Ok((run, offset + walked.end + terminator))
    }
}

/// Takes the message at the front of a run's entries: the message, and how many bytes the entry takes.
///
/// `None` at a 00 byte or at the end. (Also for entries that no parse has checked and that are cut off.)
#[inline]
pub fn next_message(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let first = usize::from(*bytes.first()?);
    if first < ONE_BYTE {
        // For 0 the range is upside down, hence `None`.
        Some((bytes.get(1..first)?, first))
    } else {
        next_long(bytes)
    }
}

/// The size of an entry with this first byte, if it is of the short form: one byte, and the message.
#[inline]
pub fn short_entry(first: u8) -> Option<usize> {
    let size = usize::from(first);
    (1..ONE_BYTE).contains(&size).then_some(size)
}

/// First bytes below this are a whole varint.
const ONE_BYTE: usize = 0x40;

fn next_long(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let (length, head) = long_entry(bytes)?;
    Some((bytes.get(head..head + length)?, head + length))
}

/// The message's length and the head's of an entry that does not fit the short form, if all of it is there.
fn long_entry(bytes: &[u8]) -> Option<(usize, usize)> {
    let (value, head) = varint::read(bytes)?;
    let length = usize::try_from(value.checked_sub(1)?).ok()?;
    (length <= bytes.len() - head).then_some((length, head))
}

struct Walked {
    count: u64,
    payload: u64,
    end: usize,
}

/// Goes through the entries to the 00 or the end. The only state carried from one to the next is the position, so the
/// loop costs what the chain of loads costs; payload and heads come out of the sums afterwards.
#[inline(always)]
fn walk(entries: &[u8]) -> Result<Walked, FrameError> {
    let mut at = 0;
    let mut count = 0;
    // Bytes of heads beyond the one that each entry has.
    let mut long_heads = 0;
    while let Some(&first) = entries.get(at) {
        let first = usize::from(first);
        if first == 0 {
            break;
        }
        if first < ONE_BYTE {
            at += first;
        } else {
            let (length, head) = match long_entry(&entries[at..]) {
                Some(entry) => entry,
                // A zero in a longer form is neither a message nor the 00 byte that ends a run.
                None if varint::read(&entries[at..]).is_some_and(|(value, _)| value == 0) => {
                    return Err(FrameError::Number);
                }
                None => return Err(FrameError::Truncated),
            };
            at += head + length;
            long_heads += head - 1;
        }
        count += 1;
    }
    // A short entry may step over the end, and then nothing more is read.
    if at > entries.len() {
        return Err(FrameError::Truncated);
    }
    Ok(Walked {
        count: count as u64,
        payload: (at - count - long_heads) as u64,
        end: at,
    })
}

impl<'a> Iterator for Messages<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let (message, taken) = next_message(self.rest)?;
        self.rest = &self.rest[taken..];
        Some(message)
    }
}

impl<'a> IntoIterator for &Run<'a> {
    type Item = &'a [u8];
    type IntoIter = Messages<'a>;

    fn into_iter(self) -> Messages<'a> {
        self.iter()
    }
}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seq, count, payload, ..
        } = self;
        write!(f, "Data({seq}, {count} messages, {payload} bytes)")
    }
}
