//! What logs may show of messages and credentials: how many and how long, never what.

use alloc::format;
use alloc::vec;
use bytes::Bytes;

use super::inbox::{run, take};
use crate::session::inbox::Inbox;
use crate::session::{Batch, Credential};

#[test]
fn a_batch_holds_unreliable_messages_first_and_shows_how_many_are_left() {
    let mut inbox = Inbox::new(10, 1000, 1000, 1000);
    let mut record = vec![];
    run(&mut record, 0, &[vec![1; 3], vec![2; 3]]);
    take(&mut inbox, &record).expect("within the window");
    for byte in [3, 4, 5] {
        inbox.unreliable(&[byte]);
    }
    let mut batch = Batch::new();
    inbox.take_all(&mut batch);
    assert!(!inbox.has_unreliable(), "they are in the batch");
    let expected: [&[u8]; 5] = [&[3], &[4], &[5], &[1; 3], &[2; 3]];
    for (taken, payload) in expected.into_iter().enumerate() {
        let left = expected.len() - taken;
        assert_eq!(
            (batch.len(), format!("{batch:?}")),
            (left, format!("Batch({left} messages)"))
        );
        assert_eq!(batch.pop().map(|message| message.payload), Some(payload));
    }
    assert!(batch.is_empty());
}

#[test]
fn a_credential_shows_its_length_and_gives_out_its_bytes() {
    let secret = Bytes::from_static(b"secret");
    let credential = Credential::from(secret.clone());
    assert_eq!(format!("{credential:?}"), "Credential(6 bytes)");
    assert_eq!(credential.into_bytes(), secret);
}
