//! DATA: a run of messages that follow each other, the frame that nearly all bytes travel in.
//!
//! An entry is a varint and that many bytes less one: the varint holds the length *plus one*, which leaves the byte 00
//! free to end the run. For a message under 63 bytes the first byte is therefore also the size of the whole entry,
//! and a run of them is walked with one load, one compare and one add each. [`Run::read`] does just that to
//! check the run once; afterwards [`next_message`], [`for_each_message`] and [`Run::iter`] take messages out without a way to
//! fail.
//!
//! Where an entry begins is known when the head of the one before has been read: a chain of loads, each of which waits for
//! the last. As messages often follow others of their size, both walks guess that it is so again and compare afterwards: the
//! processor goes on with the guess instead of waiting.

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
    let Entry { head, size, .. } = Entry::first(bytes)?;
    Some((&bytes[head..size], size))
}

/// The size of an entry with this first byte, if it is of the short form: one byte, and the message.
#[inline]
pub fn short_entry(first: u8) -> Option<usize> {
    let size = usize::from(first);
    (1..ONE_BYTE).contains(&size).then_some(size)
}

/// First bytes below this are a whole varint.
const ONE_BYTE: usize = 0x40;

/// The message's length and the head's of an entry that does not fit the short form, if all of it is there.
fn long_entry(bytes: &[u8]) -> Option<(usize, usize)> {
    let (value, head) = varint::read(bytes)?;
    let length = usize::try_from(value.checked_sub(1)?).ok()?;
    (length <= bytes.len() - head).then_some((length, head))
}

/// Takes all messages out of a run's entries, in order.
#[inline]
pub fn for_each_message(entries: &[u8], mut each: impl FnMut(&[u8])) {
    for_each_entry(entries, |at, entry| each(&entries[at + entry.head..at + entry.size]));
}

/// Goes through the entries, with the position of each, and says where the last of them ends.
#[inline(always)]
fn for_each_entry(entries: &[u8], mut each: impl FnMut(usize, &Entry)) -> usize {
    let mut at = 0;
    while let Some(entry) = Entry::first(&entries[at..]) {
        loop {
            each(at, &entry);
            at += entry.size;
            if !entry.stands_at(entries, at) {
                break;
            }
        }
    }
    at
}

/// What the head of an entry says.
struct Entry {
    /// The first two bytes of the head, or the only one.
    bytes: [u8; 2],
    /// Bytes of the head.
    head: usize,
    /// Bytes of head and message.
    size: usize,
}

impl Entry {
    /// The entry at the front, if all of it is there.
    #[inline(always)]
    fn first(entries: &[u8]) -> Option<Self> {
        let first = *entries.first()?;
        let (head, size) = match short_entry(first) {
            Some(size) if size <= entries.len() => (1, size),
            Some(_) => return None,
            None => {
                let (length, head) = long_entry(entries)?;
                (head, head + length)
            }
        };
        let second = if head == 1 { 0 } else { entries[1] };
        Some(Entry {
            bytes: [first, second],
            head,
            size,
        })
    }

    /// Whether another with this head, of one byte or two, stands at `at`, and all of it is there.
    #[inline(always)]
    fn stands_at(&self, entries: &[u8], at: usize) -> bool {
        let Some(next) = entries.get(at..at + self.size) else {
            return false;
        };
        match self.head {
            1 => next[0] == self.bytes[0],
            2 => next[..2] == self.bytes,
            _ => false,
        }
    }
}

struct Walked {
    count: u64,
    payload: u64,
    end: usize,
}

/// Goes through the entries to the 00 or the end.
#[inline(always)]
fn walk(entries: &[u8]) -> Result<Walked, FrameError> {
    let (mut count, mut heads) = (0, 0);
    let end = for_each_entry(entries, |_, entry| {
        count += 1;
        heads += entry.head;
    });
    let rest = &entries[end..];
    if rest.first().is_some_and(|&first| first != 0) {
        // A zero in a longer form is neither a message nor the 00 byte that ends a run.
        return Err(match varint::read(rest) {
            Some((0, _)) => FrameError::Number,
            _ => FrameError::Truncated,
        });
    }
    Ok(Walked {
        count,
        payload: (end - heads) as u64,
        end,
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
