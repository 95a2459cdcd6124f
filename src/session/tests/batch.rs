//! What logs may show of messages and credentials: how many and how long, never what.

extern crate std;

use alloc::format;
use alloc::vec;
use bytes::Bytes;
use core::panic::AssertUnwindSafe;
use std::panic::catch_unwind;

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
fn all_that_is_left_in_a_batch_comes_at_once_and_is_gone_if_that_fails() {
    let mut inbox = Inbox::new(10, 1000, 1000, 1000);
    let mut batch = Batch::new();
    let fill = |inbox: &mut Inbox, batch: &mut Batch, seq: usize| {
        let mut record = vec![];
        run(&mut record, seq, &[vec![1; 3], vec![2; 3], vec![3; 4]]);
        take(inbox, &record).expect("within the window");
        inbox.unreliable(&[9]);
        assert!(inbox.take_all(batch));
    };
    fill(&mut inbox, &mut batch, 0);
    let mut seen = vec![];
    batch.for_each(|message| seen.push((message.id.map(|id| id.0), message.payload.to_vec())));
    let expected = [
        (None, vec![9]),
        (Some(0), vec![1; 3]),
        (Some(1), vec![2; 3]),
        (Some(2), vec![3; 4]),
    ];
    assert_eq!(seen, expected);
    assert!(batch.is_empty());

    fill(&mut inbox, &mut batch, 3);
    let failed = catch_unwind(AssertUnwindSafe(|| {
        batch.for_each(|message| assert_ne!(message.payload, [2; 3], "on purpose"));
    }));
    assert!(failed.is_err());
    assert!(batch.is_empty() && batch.pop().is_none());
    fill(&mut inbox, &mut batch, 6);
    assert_eq!(batch.len(), 4, "it can be filled again");
}

#[test]
fn a_credential_shows_its_length_and_gives_out_its_bytes() {
    let secret = Bytes::from_static(b"secret");
    let credential = Credential::from(secret.clone());
    assert_eq!(format!("{credential:?}"), "Credential(6 bytes)");
    assert_eq!(credential.into_bytes(), secret);
}
