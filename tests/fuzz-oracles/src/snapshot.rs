//! A session as bytes: its fields, and the blob that they lie in.
//!
//! The input is taken twice. As fields, as if the seal were no obstacle (a server wrote nonsense, or the cluster's key is stolen): what is read is sound, and
//! written again it is the same bytes. And as a change of a blob that was truly sealed: whatever is changed, it does not open, and says whether
//! another server may know more of it.

use unbroken::snapshot::v1::Generation;
use unbroken::snapshot::{Snapshot, Unusable, Vault};
use unbroken::{ClusterKey, Seed};

const KEY: [u8; 8] = *b"session-";
const TOKEN: u64 = 77;
/// "UNBS", the format, and the id of the key: what stands in the clear.
const FORMAT: usize = 4;
const KEY_ID: core::ops::Range<usize> = 5..9;

/// See the module's head.
pub fn snapshot(data: &[u8]) {
    fields(data);
    blob(data);
}

fn fields(data: &[u8]) {
    let Ok(snapshot) = Snapshot::parse(data) else {
        return;
    };
    let mut again = Vec::new();
    snapshot.encode(&mut again);
    assert!(again == data, "what was read is written differently");
    assert!(snapshot.size_hint() >= again.len(), "the hint is too small");
    assert!((snapshot.base..=snapshot.base + u64::from(snapshot.count)).contains(&snapshot.carried));
    assert!(snapshot.attempt >= snapshot.current.number);
    // An entry takes a byte at least, so a large count needs as many bytes.
    assert!(snapshot.count as usize <= snapshot.messages.len());
}

/// The first two bytes say where the blob is changed, the others how: they are XORed into it, or it ends there if there are none.
fn blob(data: &[u8]) {
    let [high, low, change @ ..] = data else { return };
    let vault = Vault::new(b"game", &[ClusterKey::from_bytes([0xc1; 32]).expect("not zeros")]);
    let mut rng = unbroken::crypto::Rng::new(&Seed::new([5; 32]));
    let honest = vault.seal(&honest(), &KEY, TOKEN, &mut rng);
    let mut changed = honest.clone();
    let at = usize::from(u16::from_be_bytes([*high, *low])) % honest.len();
    if change.is_empty() {
        changed.truncate(at);
    }
    let from = at.min(changed.len());
    for (byte, with) in changed[from..].iter_mut().zip(change) {
        *byte ^= with;
    }
    match vault.open(&changed, &KEY, TOKEN) {
        Ok(opened) => {
            assert!(changed == honest, "a changed blob opens");
            assert!(opened.snapshot() == Ok(self::honest()));
        }
        Err(Unusable::Foreign) => {
            let clear = |range: core::ops::Range<usize>| changed[range.clone()] != honest[range];
            assert!(
                clear(FORMAT..FORMAT + 1) || clear(KEY_ID),
                "our own blob is taken for that of another build"
            );
        }
        Err(Unusable::Damaged) => assert!(changed != honest, "an honest blob does not open"),
    }
}

fn honest() -> Snapshot<'static> {
    Snapshot {
        session: *b"session-id-of-16",
        attempt: 9,
        current: Generation {
            number: 7,
            secret: &[0x77; 32],
        },
        pending: Some(Generation {
            number: 9,
            secret: &[0x99; 32],
        }),
        delivered: 41,
        base: 100,
        carried: 102,
        count: 3,
        messages: b"\x03hi\x01\x06there",
        peer_max_message: 1 << 20,
        welcome: b"welcome",
        mail: 12,
        life: core::time::Duration::from_millis(29_500),
        user: Some(b"anna"),
        app: Some(b"the application's state"),
    }
}
