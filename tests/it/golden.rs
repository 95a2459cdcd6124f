//! Golden files: what was decided once and must not drift unseen.
//!
//! `UNBROKEN_BLESS=1 cargo test --test it golden` writes them anew; then the diff is read and committed.

use std::fmt::Write as _;

use unbroken::crypto::Rng;
use unbroken::session::phase::{INPUTS, Input, STATES, next};
use unbroken::snapshot::v1::Generation;
use unbroken::snapshot::{FORMATS, Snapshot, Vault};
use unbroken::{ClusterKey, Seed, State};

use crate::{read, root};

/// Holds `now` against the file, or writes the file if that is asked for.
fn compare(name: &str, now: &str) {
    let path = root().join("tests/golden").join(name);
    if std::env::var_os("UNBROKEN_BLESS").is_some() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI compares golden files, it does not write them"
        );
        std::fs::write(&path, now).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        return;
    }
    let before = read(&path);
    for (number, (before, now)) in before.lines().zip(now.lines()).enumerate() {
        assert_eq!(before, now, "{}, line {}", path.display(), number + 1);
    }
    assert!(
        before == now,
        "{} differs in its end; if the change is meant, run with UNBROKEN_BLESS=1 and commit it",
        path.display()
    );
}

#[test]
fn the_whole_table_of_states_and_inputs() {
    let name = |value: &dyn std::fmt::Debug| format!("{value:?}");
    let mut table = String::from(
        "# Where each input leads from each state; `.` where it means nothing and changes nothing.\n\
         # Written by tests/it/golden.rs from src/session/phase.rs.\n\n",
    );
    let mut row = |head: String, cells: Vec<String>| {
        let mut line = format!("{head:<14}");
        for cell in cells {
            let _ = write!(line, "{cell:<12}");
        }
        let _ = writeln!(table, "{}", line.trim_end());
    };
    row(String::new(), STATES.iter().map(|state| name(state)).collect());
    for input in INPUTS {
        let cell = |&state: &State| next(state, input).map_or(".".into(), |state| name(&state));
        row(name(&input), STATES.iter().map(cell).collect());
    }
    compare("states.txt", &table);
}

/// A snapshot that a server wrote once must be readable by every later one. The file is the blob as it lay in a store; what must come out of it is written
/// here by hand.
#[test]
fn a_snapshot_of_format_1_still_opens() {
    let generation = |number, secret| Generation { number, secret };
    let expected = Snapshot {
        session: *b"session-id-of-16",
        attempt: 9,
        current: generation(7, &[0x77; 32]),
        pending: Some(generation(9, &[0x99; 32])),
        delivered: 41,
        base: 100,
        carried: 102,
        count: 3,
        messages: b"\x03hi\x01\x06there",
        peer_max_message: 1 << 20,
        welcome: b"welcome",
        mail: 12,
        life: std::time::Duration::from_millis(29_500),
        user: Some(b"anna"),
        app: Some(b"the application's state"),
    };
    let (key, token) = (*b"session-", 77);
    let cluster = ClusterKey::from_bytes([0xc1; 32]).expect("not zeros");
    let vault = Vault::new(b"game", &[cluster]);
    let path = root().join("tests/golden/snapshot-1.hex");
    if std::env::var_os("UNBROKEN_BLESS").is_some() && !path.exists() {
        let blob = vault.seal(&expected, &key, token, &mut Rng::new(&Seed::new([5; 32])));
        let hex: String = blob.iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(&path, hex + "\n").expect("the golden file is written");
    }
    let hex = read(&path);
    let hex = hex.trim().as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex");
    let blob: Vec<u8> = hex.chunks(2).map(byte).collect();
    let opened = vault.open(&blob, &key, token).expect("it opens");
    assert!(opened.snapshot() == Ok(expected), "other fields than were written");
}

/// The newest format and the one before it, each with a blob that a server wrote once.
#[test]
fn every_format_that_is_read_has_a_blob_that_must_open() {
    let numbers = FORMATS.map(|format| format.number);
    assert_eq!(
        numbers[0] as usize,
        golden_snapshots().count(),
        "each format that ever was has its blob"
    );
    let before = numbers[0] - 1;
    assert!(
        before == 0 || numbers.contains(&before),
        "{numbers:?}: the one before is read, too"
    );
    for number in numbers {
        assert!(
            golden_snapshots().any(|name| name == format!("snapshot-{number}.hex")),
            "{number}"
        );
    }
}

fn golden_snapshots() -> impl Iterator<Item = String> {
    let files = std::fs::read_dir(root().join("tests/golden")).expect("it can be listed");
    let names = files.map(|file| file.expect("it can be read").file_name().into_string().expect("text"));
    names.filter(|name| name.starts_with("snapshot-"))
}

/// `STATES` and `INPUTS` are written by hand; a variant that is missing there would be missing in the golden file, too.
#[test]
fn the_table_has_every_state_and_every_input() {
    for (index, state) in STATES.iter().enumerate() {
        assert_eq!(*state as usize, index, "states stand in order, none is left out");
    }
    let last = |state: State| match state {
        State::None
        | State::Connecting
        | State::Handshaking
        | State::Connected
        | State::Restore
        | State::Standby
        | State::Established
        | State::Closed => STATES.len() == 8,
    };
    assert!(last(State::Closed));
    for (index, input) in INPUTS.iter().enumerate() {
        let place = match input {
            Input::Dial => 0,
            Input::LinkUp => 1,
            Input::KeysAgreed => 2,
            Input::AwaitPosition => 3,
            Input::Position => 4,
            Input::Authorised => 5,
            Input::LinkLost => 6,
            Input::Switched => 7,
            Input::GaveUp => 8,
            Input::Close => 9,
        };
        assert_eq!(place, index);
    }
    assert_eq!(INPUTS.len(), 10);
}

#[test]
fn closed_is_final_and_reached_from_everywhere() {
    for state in STATES {
        let closed = next(state, Input::Close);
        assert_eq!(closed, (state != State::Closed).then_some(State::Closed), "{state:?}");
    }
    for input in INPUTS {
        assert_eq!(next(State::Closed, input), None, "{input:?}");
    }
}

#[test]
fn no_state_but_closed_is_a_dead_end_and_each_is_reached() {
    let mut reached = vec![State::None];
    let mut at = 0;
    while at < reached.len() {
        for input in INPUTS {
            if let Some(state) = next(reached[at], input)
                && !reached.contains(&state)
            {
                reached.push(state);
            }
        }
        at += 1;
    }
    assert_eq!(reached.len(), STATES.len());
    for state in STATES {
        let onward = INPUTS
            .iter()
            .filter(|input| !matches!(input, Input::Close))
            .any(|&input| next(state, input).is_some());
        assert_eq!(onward, state != State::Closed, "{state:?}");
    }
}
