//! The examples, made by the crate from fixed keys: one session from its first connect to its end.

use unbroken::crypto::{HandleCipher, Initiator, Key, Responder, Sealer, Split};
use unbroken::wire::flight::{
    Accept, AcceptOk, Hello, LostStatus, NOISE_OVERHEAD, Position, Refuse, RefuseCode, Resume, ResumeHeader, Versions,
    Window,
};
use unbroken::wire::frame::{self, Ack, Close, CloseKind};
use unbroken::wire::prelude::{FlightKind, Prelude};
use unbroken::wire::varint;
use unbroken::{ClusterKey, ServerKey};

use crate::by_hand;
use crate::page::Section;

const REALM: &[u8] = b"example";
const ADDRESS: &str = "192.0.2.1:4000";
const WINDOW: Window = Window {
    messages: 4096,
    bytes: 1 << 20,
    max_message: 1 << 20,
};
const VERSIONS: Versions = Versions { min: 1, max: 1 };
const SESSION: [u8; 16] = *b"\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xca\xcb\xcc\xcd\xce\xcf";
const NOTHING: Position = Position {
    recv_next: 0,
    recv_offset: 0,
    delivered: 0,
};

/// 32 bytes that count up.
fn counting(from: u8) -> [u8; 32] {
    std::array::from_fn(|index| from.wrapping_add(index as u8))
}

fn server() -> ServerKey {
    ServerKey::from_bytes(counting(0x01)).expect("a key")
}

fn handles() -> HandleCipher {
    HandleCipher::new(&ClusterKey::from_bytes(counting(0x21)).expect("a key"))
}

fn locator() -> [u8; 8] {
    *SESSION.first_chunk().expect("sixteen bytes")
}

pub fn sections() -> Vec<Section> {
    let mut sections = vec![keys()];
    let first = first_connect(&mut sections);
    records(&mut sections, &first);
    sections.push(handle());
    let second = resume(&mut sections, &first);
    later_records(&mut sections, &second);
    sections.push(refuse());
    sections.push(rekey(&first));
    query(&mut sections);
    sections.push(varints());
    sections.push(other_frames());
    // What the crate keeps to itself.
    for link in by_hand::LINKS {
        let derived = by_hand::derive(&by_hand::Known::of(&sections, link));
        let keys = sections.iter_mut().find(|section| section.number == link.keys);
        let values = &mut keys.expect("the section of the keys").values;
        let hidden = derived
            .into_iter()
            .filter(|(name, _)| ["ck", "PRK", "mac1 key"].contains(name));
        values.splice(0..0, hidden.map(|(name, bytes)| (name.to_string(), bytes)));
    }
    sections
}

fn keys() -> Section {
    let mut section = Section::new(
        "A.1",
        "What both ends know beforehand",
        "The realm is `example`. The cluster key is the servers' own.",
    );
    section
        .add("server private key", counting(0x01))
        .add("server public key", server().public().0)
        .add("key id", server().id())
        .add("realm", REALM)
        .add("cluster key", counting(0x21));
    section
}

fn prelude(kind: FlightKind, length: usize) -> [u8; 12] {
    Prelude {
        version: 1,
        kind,
        key_id: server().id(),
        length: length as u16,
    }
    .encode()
}

fn hello_payload() -> Vec<u8> {
    let mut payload = Vec::new();
    Hello {
        versions: VERSIONS,
        capabilities: 0,
        window: WINDOW,
    }
    .encode(&mut payload);
    payload
}

/// The server's message 2 for a payload, and the whole ACCEPT around it.
fn answer(section: &mut Section, responder: Responder, e: u8, accept: &Accept<'_>) -> (Vec<u8>, Split) {
    let outer = prelude(FlightKind::Accept, accept.encoded_len() + NOISE_OVERHEAD);
    let (mut payload, mut message) = (Vec::new(), Vec::new());
    accept.encode(&outer, &mut payload);
    let split = responder
        .finish(counting(e), &payload, &mut message)
        .expect("message 2");
    section
        .add("server ephemeral private key", counting(e))
        .add("prelude", outer)
        .add("payload", &payload)
        .add("Noise message 2", &message)
        .add("whole ACCEPT", [&outer[..], &message].concat());
    (message, split)
}

fn derived(number: &'static str, title: &'static str, words: &'static str, split: &Split) -> Section {
    let mut section = Section::new(number, title, words);
    section
        .add("h", split.transcript)
        .add("k_client", split.client.as_bytes())
        .add("k_server", split.server.as_bytes())
        .add("rs", split.resumption.secret())
        .add("psk", split.resumption.psk().as_bytes());
    section
}

fn first_connect(sections: &mut Vec<Section>) -> Split {
    let payload = hello_payload();
    let header = prelude(FlightKind::Hello, payload.len() + NOISE_OVERHEAD);
    let mut message = Vec::new();
    let initiator = Initiator::nk(
        &server().public(),
        REALM,
        &header,
        counting(0x41),
        &payload,
        &mut message,
    )
    .expect("message 1");
    let mut section = Section::new(
        "A.2",
        "HELLO",
        "Versions 1 to 1, no capabilities, a window of 4096 messages and 1 MiB, messages up to 1 MiB. The header of a HELLO is \
         its prelude; the prologue is that of U-2.",
    );
    section
        .add("client ephemeral private key", counting(0x41))
        .add("header", header)
        .add("prologue", [b"unbroken/1\x07", REALM, &header].concat())
        .add("payload", &payload)
        .add("Noise message 1", &message)
        .add("whole HELLO", [&header[..], &message].concat());
    sections.push(section);

    let mut section = Section::new(
        "A.3",
        "ACCEPT of the HELLO",
        "Status Ok, the handle of A.6, session id `c0c1...cf`, token 1, nothing received yet, the same window, `detached_ms` \
         30000, address `192.0.2.1:4000`, `send_base` 0, \
         `send_end` 0.",
    );
    let mut opened = Vec::new();
    let responder = Responder::nk(&server(), REALM, &header, &message, &mut opened).expect("message 1 is good");
    assert_eq!(opened, payload);
    let accept = Accept::Ok(AcceptOk {
        handle: handles().seal(locator(), 0),
        session_id: SESSION,
        token: 1,
        position: NOTHING,
        window: WINDOW,
        detached_ms: 30_000,
        address: ADDRESS,
        send_base: 0,
        send_end: 0,
    });
    let (message, split) = answer(&mut section, responder, 0x61, &accept);
    sections.push(section);
    let mut opened = Vec::new();
    let client = initiator.finish(&message, &mut opened).expect("message 2 is good");
    assert_eq!(client.transcript, split.transcript);
    sections.push(derived(
        "A.4",
        "The keys of the first link",
        "What U-27 and U-28 give after A.2 and A.3.",
        &split,
    ));
    split
}

/// Adds the records of a link, in order.
fn seal(section: &mut Section, split: &Split, plaintexts: &[(&str, Vec<u8>)]) {
    let (mut client, mut server) = (Sealer::new(&split.client), Sealer::new(&split.server));
    for (name, plaintext) in plaintexts {
        let sealer = if name.starts_with("client") {
            &mut client
        } else {
            &mut server
        };
        section
            .add(format!("{name}, plaintext"), plaintext)
            .add(*name, record(sealer, plaintext));
    }
}

/// A record whole: the length, and what the cipher says.
fn record(sealer: &mut Sealer, plaintext: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 2 + plaintext.len() + 16];
    let length = (plaintext.len() + 16) as u16;
    out[..2].copy_from_slice(&length.to_be_bytes());
    sealer.seal(plaintext, &mut out[2..]).expect("few records");
    out
}

fn data(seq: u64, messages: &[&[u8]]) -> Vec<u8> {
    let mut out = [0; 9];
    let used = frame::data_header(&mut out, seq);
    let mut run = out[..used].to_vec();
    for message in messages {
        let used = frame::message_header(&mut out, message.len());
        run.extend_from_slice(&out[..used]);
        run.extend_from_slice(message);
    }
    run
}

fn ack(recv_next: u64) -> Vec<u8> {
    let mut out = [0; 25];
    let ack = Ack {
        recv_next,
        messages: WINDOW.messages.into(),
        bytes: WINDOW.bytes.into(),
    };
    let used = frame::ack(&mut out, &ack);
    out[..used].to_vec()
}

fn records(sections: &mut Vec<Section>, split: &Split) {
    let mut section = Section::new(
        "A.5",
        "The first records",
        "Client record 0: AUTH with the credential `ticket`. Server record 0: AUTH_RESULT, accepted, code 0, `welcome`. Client \
         record 1: DATA from number 0 on with the messages `hello`, an empty one and `world`, the 00 that ends the run, and an \
         ACK of nothing yet (a window of 4096 messages and 1 MiB). Server record 1: ACK of all three, then zeros up to a \
         multiple of 16. Server record 2: FRAGMENT, the first 16 bytes `0123456789abcdef` of message 0, which has 20000 \
         (in earnest a fragment fills its record).",
    );
    let mut auth = Vec::new();
    frame::auth(&mut auth, b"ticket");
    let mut verdict = Vec::new();
    frame::auth_result(&mut verdict, true, 0, b"welcome");
    let run = [data(0, &[b"hello", b"", b"world"]), vec![frame::DATA_END], ack(0)].concat();
    let mut padded = ack(3);
    padded.resize(16, 0);
    let mut head = [0; 33];
    let used = frame::fragment_header(&mut head, 0, 20_000, 0, 16);
    let fragment = [&head[..used], b"0123456789abcdef"].concat();

    let plaintexts = [
        ("client record 0", auth),
        ("server record 0", verdict),
        ("client record 1", run),
        ("server record 1", padded),
        ("server record 2", fragment),
    ];
    seal(&mut section, split, &plaintexts);
    sections.push(section);
}

fn handle() -> Section {
    let mut section = Section::new(
        "A.6",
        "Handles",
        "For those who write a server (U-26). The generations are 0, of the HELLO, and 1, of the RESUME below.",
    );
    section.add("AES key", by_hand::expand(&counting(0x21), b"unbroken/1 handle"));
    for generation in [0, 1] {
        let block = [&locator()[..], &u32::to_be_bytes(generation), &[0; 4]].concat();
        section.add(format!("block, generation {generation}"), block).add(
            format!("handle, generation {generation}"),
            handles().seal(locator(), generation),
        );
    }
    section
}

fn resume(sections: &mut Vec<Section>, first: &Split) -> Split {
    let mut section = Section::new(
        "A.7",
        "RESUME",
        "The link of A.5 broke. The client sends again what was not ACKed, messages 3 `early` and 4 `data`, as early frames. \
         Attempt 1, `last_live` 0, `last_token` 1; of message 0 it has 16 bytes: `recv_next` 0, `recv_offset` 16, `delivered` \
         0; `send_base` 3, `send_end` 5. The window is the same. The psk and the mac1 key are those of A.4.",
    );
    let early = data(3, &[b"early", b"data"]);
    let mut payload = Vec::new();
    Resume {
        versions: VERSIONS,
        last_live: 0,
        last_token: 1,
        position: Position {
            recv_next: 0,
            recv_offset: 16,
            delivered: 0,
        },
        send_base: 3,
        send_end: 5,
        window: WINDOW,
        early: &early,
    }
    .encode(&mut payload);
    let mut header = prelude(FlightKind::Resume, 20 + 16 + payload.len() + NOISE_OVERHEAD).to_vec();
    ResumeHeader {
        handle: handles().seal(locator(), 0),
        attempt: 1,
    }
    .encode(&mut header);
    let psk = first.resumption.psk();
    let mut message = Vec::new();
    let initiator = Initiator::nk_psk0(
        &server().public(),
        psk,
        REALM,
        &header,
        counting(0x81),
        &payload,
        &mut message,
    )
    .expect("message 1");
    let mac1 = first.resumption.mac1(&header, &message[..32]);
    section
        .add("client ephemeral private key", counting(0x81))
        .add("header", &header)
        .add("early frames", &early)
        .add("payload", &payload)
        .add("Noise message 1", &message)
        .add("mac1", mac1)
        .add("whole RESUME", [&header[..], &mac1, &message].concat());
    sections.push(section);

    let mut section = Section::new(
        "A.8",
        "ACCEPT of the RESUME",
        "The server has all five messages, its application took three. The handle is that of generation 1; no address this time; of \
         the server's own messages none was ACKed, \
         `send_base` 0; message 0 was given out, `send_end` 1.",
    );
    let mut opened = Vec::new();
    let responder = Responder::nk_psk0(&server(), psk, REALM, &header, &message, &mut opened).expect("good");
    assert_eq!(opened, payload);
    let accept = Accept::Ok(AcceptOk {
        handle: handles().seal(locator(), 1),
        session_id: SESSION,
        token: 1,
        position: Position {
            recv_next: 5,
            recv_offset: 0,
            delivered: 3,
        },
        window: WINDOW,
        detached_ms: 30_000,
        address: "",
        send_base: 0,
        send_end: 1,
    });
    let (message, split) = answer(&mut section, responder, 0xa1, &accept);
    sections.push(section);
    let mut opened = Vec::new();
    let client = initiator.finish(&message, &mut opened).expect("message 2 is good");
    assert_eq!(client.transcript, split.transcript);
    sections.push(derived(
        "A.9",
        "The keys of the second link",
        "As in A.4, after A.7 and A.8.",
        &split,
    ));
    split
}

fn later_records(sections: &mut Vec<Section>, split: &Split) {
    let mut section = Section::new(
        "A.10",
        "Records of the second link",
        "Client record 0 confirms the keys by an ACK. Server record 0 goes on with message 0 at offset 16 with the bytes `ghij`. \
         Client record 1 is a PING with the token `pingpong`, server record 1 its PONG. Client record 2 closes: kind 0, code \
         7, `send_end` 5, `recv_next` 0. Server record 2 is the CLOSE_ACK with `recv_next` 5. The record numbers began at 0 again.",
    );
    let mut head = [0; 33];
    let used = frame::fragment_header(&mut head, 0, 20_000, 16, 4);
    let fragment = [&head[..used], b"ghij"].concat();
    let (mut ping, mut pong) = (vec![0; frame::PING_LEN], vec![0; frame::PING_LEN]);
    frame::ping(&mut ping, *b"pingpong");
    frame::pong(&mut pong, *b"pingpong");
    let (mut close, mut close_ack) = (Vec::new(), Vec::new());
    frame::close(
        &mut close,
        &Close {
            kind: CloseKind::Application,
            code: 7,
            send_end: 5,
            recv_next: 0,
        },
    );
    frame::close_ack(&mut close_ack, 5);
    let plaintexts = [
        ("client record 0", ack(0)),
        ("server record 0", fragment),
        ("client record 1", ping),
        ("server record 1", pong),
        ("client record 2", close),
        ("server record 2", close_ack),
    ];
    seal(&mut section, split, &plaintexts);
    sections.push(section);
}

fn refuse() -> Section {
    let mut section = Section::new(
        "A.11",
        "REFUSE",
        "Code 4, session not here, retry at once, versions 1 to 1; and code 1, busy, with 1000 ms.",
    );
    for (name, code, retry_ms) in [("not here", RefuseCode::NotHere, 0), ("busy", RefuseCode::Busy, 1000)] {
        let mut flight = prelude(FlightKind::Refuse, 7).to_vec();
        Refuse {
            code,
            retry_ms,
            min_version: 1,
            max_version: 1,
        }
        .encode(&mut flight);
        section.add(name, flight);
    }
    section
}

fn rekey(first: &Split) -> Section {
    let mut section = Section::new(
        "A.12",
        "REKEY",
        "`k_client` of A.4 as if the client had sent 65535 records: the last record under the first key and the first under the \
         next. The plaintext of both is one PAD byte. Without the length field.",
    );
    let key = Key::from_bytes(*first.client.as_bytes());
    let mut sealer = Sealer::starting_at(&key, 65_535);
    let mut records = [[0; 17]; 2];
    for record in &mut records {
        sealer.seal(&[0], record).expect("few records");
    }
    let after = &by_hand::seal(key.as_bytes(), u64::MAX, &[], &[0; 32])[..32];
    section
        .add("key before", key.as_bytes())
        .add("plaintext", [0])
        .add("record 65535", records[0])
        .add("key after", after)
        .add("record 65536", records[1]);
    section
}

fn query(sections: &mut Vec<Section>) {
    let mut section = Section::new(
        "A.13",
        "QUERY",
        "After the REFUSE with code 4: the handle of generation 1, attempt 3, a payload as in A.2.",
    );
    let payload = hello_payload();
    let mut header = prelude(FlightKind::Query, 20 + payload.len() + NOISE_OVERHEAD).to_vec();
    ResumeHeader {
        handle: handles().seal(locator(), 1),
        attempt: 3,
    }
    .encode(&mut header);
    let mut message = Vec::new();
    Initiator::nk(
        &server().public(),
        REALM,
        &header,
        counting(0xc1),
        &payload,
        &mut message,
    )
    .expect("message 1");
    section
        .add("client ephemeral private key", counting(0xc1))
        .add("header", &header)
        .add("payload", &payload)
        .add("Noise message 1", &message)
        .add("whole QUERY", [&header[..], &message].concat());
    sections.push(section);

    let mut section = Section::new(
        "A.14",
        "ACCEPT of the QUERY",
        "Status 2, Closed, kind 2 (kicked), code 321, send_end 5.",
    );
    let mut opened = Vec::new();
    let responder = Responder::nk(&server(), REALM, &header, &message, &mut opened).expect("good");
    let status = LostStatus::Closed {
        kind: CloseKind::Kicked,
        code: 321,
        send_end: 5,
    };
    answer(&mut section, responder, 0xe1, &Accept::Lost(status));
    sections.push(section);
}

fn other_frames() -> Section {
    let mut section = Section::new(
        "A.16",
        "Other frames",
        "Without their records. UNRELIABLE `hi`. AUTH_RESULT, refused, code 77, `no such ticket`. DRAIN within 5000 ms to \
         `192.0.2.2:4000`. KEYS with the server public key of A.1 for 86400 s. A frame of the future, code 40, with three bytes.",
    );
    let mut unreliable = Vec::new();
    frame::unreliable_header(&mut unreliable, 2);
    unreliable.extend_from_slice(b"hi");
    let (mut verdict, mut drain, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    frame::auth_result(&mut verdict, false, 77, b"no such ticket");
    frame::drain(&mut drain, 5000, "192.0.2.2:4000");
    let key = frame::Key {
        public: server().public().0,
        lifetime_s: 86_400,
    };
    frame::keys(&mut keys, &[key]);
    section
        .add("UNRELIABLE", unreliable)
        .add("AUTH_RESULT", verdict)
        .add("DRAIN", drain)
        .add("KEYS", keys)
        .add("future", [0x40, 3, 1, 2, 3]);
    section
}

fn varints() -> Section {
    let mut section = Section::new(
        "A.15",
        "Varints",
        "In front the value in decimal. The last two are longer than needed, which a receiver accepts.",
    );
    let values = [
        0,
        37,
        63,
        64,
        15_293,
        16_383,
        16_384,
        494_878_333,
        1_073_741_823,
        1_073_741_824,
        (1 << 62) - 1,
    ];
    for value in values {
        let mut out = Vec::new();
        varint::put(&mut out, value);
        section.add(value.to_string(), out);
    }
    for (value, bytes) in [(37, &[0x40, 0x25][..]), (37, &[0xc0, 0, 0, 0, 0, 0, 0, 0x25])] {
        assert_eq!(varint::read(bytes), Some((value, bytes.len())));
        section.add(format!("{value}, in {} bytes", bytes.len()), bytes);
    }
    section
}
