//! A client's flights, and its session up to where it may do harm.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use unbroken::crypto::{Initiator, Opener, Sealer, Split};
use unbroken::wire::flight::{self, Accept, Hello, NOISE_OVERHEAD, ResumeHeader};
use unbroken::wire::frame::{self, Ack};
use unbroken::wire::prelude::{self, FlightKind};

use super::{Line, VERSIONS, WINDOW, head, random};
use crate::server::key;

fn payload() -> Vec<u8> {
    let mut payload = Vec::new();
    Hello {
        versions: VERSIONS,
        capabilities: 0,
        window: WINDOW,
    }
    .encode(&mut payload);
    payload
}

/// A good HELLO, and what opens its answer.
pub fn hello() -> (Vec<u8>, Initiator) {
    let payload = payload();
    let mut out = head(FlightKind::Hello, payload.len() + NOISE_OVERHEAD).to_vec();
    let header = out.clone();
    let initiator = Initiator::nk(&key().public(), b"", &header, random(), &payload, &mut out);
    (out, initiator.unwrap_or_else(|_| panic!("the server's key is good")))
}

/// A QUERY after a handle that nobody gave out, in good Noise.
pub fn query() -> Vec<u8> {
    let payload = payload();
    let mut out = head(FlightKind::Query, ResumeHeader::LEN + payload.len() + NOISE_OVERHEAD).to_vec();
    ResumeHeader {
        handle: random(),
        attempt: 1,
    }
    .encode(&mut out);
    let header = out.clone();
    let initiator = Initiator::nk(&key().public(), b"", &header, random(), &payload, &mut out);
    drop(initiator.unwrap_or_else(|_| panic!("the server's key is good")));
    out
}

/// A RESUME of good form: whose handle, mac1 and Noise message are random. With a header (prelude, handle, attempt), that one stands in front.
pub fn random_resume(header: Option<&[u8]>) -> Vec<u8> {
    let (least, most) = FlightKind::Resume.lengths();
    let mut out = match header {
        Some(header) => header[..flight::MAC1_OFFSET].to_vec(),
        None => {
            let mut out = head(FlightKind::Resume, fastrand::u16(least..most.min(1000)).into()).to_vec();
            ResumeHeader {
                handle: random(),
                attempt: fastrand::u32(1..100),
            }
            .encode(&mut out);
            out
        }
    };
    let length = usize::from(u16::from_be_bytes([out[prelude::LEN - 2], out[prelude::LEN - 1]]));
    let known = out.len();
    out.resize(prelude::LEN + length, 0);
    fastrand::fill(&mut out[known..]);
    out
}

/// A session that was let in.
pub struct Session {
    pub line: Line,
}

impl Session {
    /// Connects as the library would, and asks for as much as may be asked for. Returns when the server has let it in.
    pub async fn open(mut stream: TcpStream, credential: &[u8]) -> io::Result<Session> {
        let (flight, initiator) = hello();
        stream.write_all(&flight).await?;
        let mut head = [0; prelude::LEN];
        stream.read_exact(&mut head).await?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes([head[10], head[11]]))];
        stream.read_exact(&mut answer).await?;
        let mut payload = Vec::new();
        let refused = || io::Error::new(io::ErrorKind::ConnectionRefused, "the server has turned it away");
        let Ok(Split { client, server, .. }) = initiator.finish(&answer, &mut payload) else {
            return Err(refused());
        };
        if !matches!(Accept::parse(&payload, &head), Ok(Accept::Ok(_))) {
            return Err(refused());
        }
        let mut line = Line::new(stream, Sealer::new(&client), Opener::new(&server), Vec::new());
        let mut words = Vec::new();
        frame::auth(&mut words, credential);
        let ack = Ack {
            recv_next: 0,
            messages: WINDOW.messages.into(),
            bytes: WINDOW.bytes.into(),
        };
        let at = words.len();
        words.resize(at + frame::ack_len(&ack), 0);
        frame::ack(&mut words[at..], &ack);
        line.say(&words).await?;
        line.hear().await?;
        Ok(Session { line })
    }
}
