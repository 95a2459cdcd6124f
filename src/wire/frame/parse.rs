//! The walk through a record's frames.
//!
//! One `match` over the code byte; each arm reads its fields off a `Reader` that cannot pass the record's end. DATA has
//! its own path (`run`). After an error the walk is over: what follows has no known beginning.

use super::{
    ADDRESS_MAX, AUTH_MAX, AUTH_RESULT_MAX, Ack, Close, CloseKind, Fragment, Frame, FrameError, KeyList, Run, code,
};
use crate::wire::reader::Reader;
use crate::wire::varint;

/// The frames of an opened record.
///
/// PAD and the frames of the future (40 to 7f) are checked and passed over. After an error it yields nothing more.
#[derive(Clone, Debug)]
pub struct Frames<'a> {
    record: &'a [u8],
    at: usize,
    early: bool,
}

impl<'a> Frames<'a> {
    /// The frames of a record's plaintext.
    #[inline]
    pub fn new(plaintext: &'a [u8]) -> Self {
        Self {
            record: plaintext,
            at: 0,
            early: false,
        }
    }

    /// The early frames of a RESUME: only DATA, FRAGMENT and PAD may stand there (U-16).
    pub fn early(frames: &'a [u8]) -> Self {
        Self {
            record: frames,
            at: 0,
            early: true,
        }
    }

    /// The walk from byte `at` on, where [`Frames::position`] said a frame begins: for a reader that must let go of the record
    /// between two frames.
    #[inline]
    pub fn from_position(self, at: usize) -> Self {
        Self { at, ..self }
    }

    /// Where the next frame begins.
    #[inline]
    pub fn position(&self) -> usize {
        self.at
    }

    /// The messages that stand here, if that is what the next frame holds. Nearly every record holds nothing else, and to be
    /// found in this way they need not pass through a [`Frame`]. After an error there is nothing more to be read.
    #[inline(always)]
    pub fn next_run(&mut self) -> Result<Option<Run<'a>>, FrameError> {
        if self.record.get(self.at) != Some(&code::DATA) {
            return Ok(None);
        }
        let (run, end) = Run::read(self.record, self.at + 1)?;
        self.at = end;
        Ok(Some(run))
    }

    /// The next frame that has something to say.
    fn advance(&mut self) -> Result<Option<Frame<'a>>, FrameError> {
        while let Some(&code) = self.record.get(self.at) {
            if let Some(run) = self.next_run()? {
                return Ok(Some(Frame::Data(run)));
            }
            let at = self.at + 1;
            let rest = &self.record[at..];
            if code == code::PAD {
                self.at = self.record.len();
                return match rest.iter().all(|&byte| byte == 0) {
                    true => Ok(None),
                    false => Err(FrameError::Padding),
                };
            }
            if self.early && code != code::FRAGMENT {
                return Err(FrameError::NotEarly(code));
            }
            let mut reader = Reader::new(rest);
            let frame = read(code, &mut reader)?;
            self.at = self.record.len() - reader.rest().len();
            if frame.is_some() {
                return Ok(frame);
            }
        }
        Ok(None)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, FrameError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let frame = self.advance();
        if frame.is_err() {
            self.at = self.record.len();
        }
        frame.transpose()
    }
}

impl core::iter::FusedIterator for Frames<'_> {}

/// Reads what follows `code`, neither PAD nor DATA. `None` for a frame that was skipped.
fn read<'a>(code: u8, reader: &mut Reader<'a>) -> Result<Option<Frame<'a>>, FrameError> {
    Ok(Some(match code {
        code::ACK => Frame::Ack(Ack {
            recv_next: number(reader)?,
            messages: number(reader)?,
            bytes: number(reader)?,
        }),
        code::UNRELIABLE => Frame::Unreliable(sized(reader, usize::MAX)?),
        code::PING => Frame::Ping(reader.array().ok_or(FrameError::Truncated)?),
        code::PONG => Frame::Pong(reader.array().ok_or(FrameError::Truncated)?),
        code::AUTH => Frame::Auth(sized(reader, AUTH_MAX)?),
        code::AUTH_RESULT => Frame::AuthResult {
            accepted: match reader.u8().ok_or(FrameError::Truncated)? {
                0 => true,
                1 => false,
                _ => return Err(FrameError::Number),
            },
            code: reader.u32().ok_or(FrameError::Truncated)?,
            message: sized(reader, AUTH_RESULT_MAX)?,
        },
        code::CLOSE => Frame::Close(Close {
            kind: {
                let kind = reader.u8().ok_or(FrameError::Truncated)?;
                CloseKind::from_byte(kind).ok_or(FrameError::Number)?
            },
            code: reader.u32().ok_or(FrameError::Truncated)?,
            send_end: number(reader)?,
            recv_next: number(reader)?,
        }),
        code::CLOSE_ACK => Frame::CloseAck {
            recv_next: number(reader)?,
        },
        code::DRAIN => Frame::Drain {
            window_ms: reader.u32().ok_or(FrameError::Truncated)?,
            address: {
                let bytes = sized(reader, ADDRESS_MAX)?;
                core::str::from_utf8(bytes).map_err(|_| FrameError::Text)?
            },
        },
        code::KEYS => Frame::Keys(KeyList::take(reader)?),
        code::FRAGMENT => Frame::Fragment(fragment(reader)?),
        code if code::FUTURE.contains(&code) => {
            sized(reader, usize::MAX)?;
            return Ok(None);
        }
        code => return Err(FrameError::UnknownCritical(code)),
    }))
}

fn fragment<'a>(reader: &mut Reader<'a>) -> Result<Fragment<'a>, FrameError> {
    let seq = number(reader)?;
    if seq >= varint::MAX {
        return Err(FrameError::Number);
    }
    let total = u32::try_from(number(reader)?).map_err(|_| FrameError::Size)?;
    let offset = number(reader)?;
    let bytes = sized(reader, usize::MAX)?;
    if bytes.is_empty() {
        return Err(FrameError::Empty);
    }
    // Two numbers below 2^62: no overflow.
    if offset + bytes.len() as u64 > u64::from(total) {
        return Err(FrameError::Size);
    }
    Ok(Fragment {
        seq,
        total,
        // Below `total`, as just checked.
        offset: offset as u32,
        bytes,
    })
}

fn number(reader: &mut Reader<'_>) -> Result<u64, FrameError> {
    reader.varint().ok_or(FrameError::Truncated)
}

/// A length and that many bytes. A length over the frame's own bound is `Size` even if the bytes are not there.
fn sized<'a>(reader: &mut Reader<'a>, max: usize) -> Result<&'a [u8], FrameError> {
    // On 32 bits a length may not fit; it certainly passes the record's end.
    let length = usize::try_from(number(reader)?).unwrap_or(usize::MAX);
    if length > max {
        return Err(FrameError::Size);
    }
    reader.bytes(length).ok_or(FrameError::Truncated)
}
