//! The worked examples in the appendix of `docs/PROTOCOL.md` are what the code does.
//!
//! `made` builds them from fixed keys with the crate's own crypto and wire code, `page` writes them as text, and `by_hand`
//! computes the cryptographic ones a second time from HMAC, X25519 and AES-GCM alone. The third and most independent proof
//! is `tests/stranger/client/examples.py`, which reads the document.
//!
//! `UNBROKEN_BLESS=1 cargo test --test protocol` writes the appendix anew; then the diff is read and committed.

mod by_hand;
mod made;
mod page;
mod rules;

use std::path::Path;

const BEGIN: &str = "<!-- examples: begin -->\n";
const END: &str = "<!-- examples: end -->\n";

#[test]
fn the_appendix_is_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/PROTOCOL.md");
    let document = std::fs::read_to_string(&path).expect("docs/PROTOCOL.md");
    let (before, rest) = document.split_once(BEGIN).expect("the mark in front of the examples");
    let (written, after) = rest.split_once(END).expect("the mark behind the examples");
    let now = page::render(&made::sections());
    if std::env::var_os("UNBROKEN_BLESS").is_some() {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI compares the examples, it does not write them"
        );
        std::fs::write(&path, [before, BEGIN, &now, END, after].concat()).expect("docs/PROTOCOL.md can be written");
        return;
    }
    for (written, now) in written.lines().zip(now.lines()) {
        assert_eq!(
            written, now,
            "the appendix differs; if that is meant, see the head of this file"
        );
    }
    assert_eq!(written.lines().count(), now.lines().count(), "the appendix is cut off");
}

#[test]
fn the_key_schedule_by_hand_gives_the_same() {
    let sections = made::sections();
    for link in by_hand::LINKS {
        for (name, bytes) in by_hand::derive(&by_hand::Known::of(&sections, link)) {
            assert_eq!(page::find(&sections, link.keys, name), bytes, "{} {name}", link.keys);
        }
    }
    // The crate shows its mac1 key only by what it makes of it.
    let judged = [
        page::find(&sections, "A.7", "header"),
        page::find(&sections, "A.7", "Noise message 1")[..32].to_vec(),
    ];
    let mac1 = by_hand::hmac(&page::find(&sections, "A.4", "mac1 key"), &[&judged.concat()]);
    assert_eq!(mac1[..16], page::find(&sections, "A.7", "mac1"));
}

#[test]
fn rekey_by_hand_gives_the_same() {
    let sections = made::sections();
    let value = |name: &str| page::find(&sections, "A.12", name);
    let before = value("key before");
    assert_eq!(
        by_hand::seal(&before, 65535, &[], &value("plaintext")),
        value("record 65535")
    );
    let after = by_hand::seal(&before, u64::MAX, &[], &[0; 32])[..32].to_vec();
    assert_eq!(after, value("key after"));
    assert_eq!(
        by_hand::seal(&after, 65536, &[], &value("plaintext")),
        value("record 65536")
    );
}
