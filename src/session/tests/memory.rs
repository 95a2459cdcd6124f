//! What the inbox holds beyond the messages that wait, and the exact bounds of what it takes.

use alloc::vec;
use alloc::vec::Vec;

use super::inbox::{part, run, take};
use crate::session::inbox::{Inbox, InboxError};

/// A reader that is always behind: the buffer never runs empty. What was taken goes all the same, before it is more than what waits and 32 KiB.
#[test]
fn what_was_taken_does_not_stay_behind_what_waits() {
    const SIZE: usize = 1000;
    for waiting in [10, 100] {
        let mut inbox = Inbox::new(1000, 1 << 20, 1 << 20, 0);
        let mut most = 0;
        for seq in 0..3000 {
            let mut record = Vec::new();
            run(&mut record, seq, &[vec![seq as u8; SIZE]]);
            take(&mut inbox, &record).expect("within the window");
            if seq >= waiting {
                let message = inbox.pop().expect("one waits");
                assert_eq!(message.payload, [(seq - waiting) as u8; SIZE]);
            }
            most = most.max(inbox.memory());
        }
        let living = (waiting + 2) * (SIZE + 10);
        // A vector that grows may take twice what it needs.
        let bound = 2 * (living + living.max(32 << 10)) + 32 * 2 * waiting;
        assert!(most <= bound, "{most} bytes for {living}, more than {bound}");
    }
}

/// The same when all that waits is the beginning of a large message.
#[test]
fn what_was_taken_does_not_stay_before_the_beginning_of_a_large_message() {
    let large = vec![3; 40_000];
    let mut inbox = Inbox::new(1000, 1 << 20, 1 << 20, 0);
    let mut record = Vec::new();
    run(&mut record, 0, &vec![vec![1; 10_000]; 5]);
    part(&mut record, 5, &large, 0, 10_000);
    take(&mut inbox, &record).expect("within the window");
    while inbox.pop().is_some() {}
    let before = inbox.memory();
    let mut rest = Vec::new();
    part(&mut rest, 5, &large, 10_000, 30_000);
    take(&mut inbox, &rest).expect("within the window");
    assert_eq!(inbox.memory(), before, "50,000 bytes had been taken: there was room");
    assert_eq!(inbox.pop().map(|message| message.payload == large), Some(true));
}

/// A peer that sends again what is known, and a byte of news behind it, cannot make each such byte hold a record.
#[test]
fn what_is_known_holds_no_memory_before_what_is_new() {
    let known = vec![1; 15_000];
    for whole in [true, false] {
        let mut inbox = Inbox::new(300, 150_000, 1 << 16, 0);
        for seq in 0..250 {
            let mut record = Vec::new();
            run(&mut record, 0, core::slice::from_ref(&known));
            let news = vec![seq as u8; 1];
            if seq > 0 && whole {
                run(&mut record, seq, &[news]);
            } else if seq > 0 {
                part(&mut record, seq, &news, 0, 1);
            }
            take(&mut inbox, &record).expect("within the window");
        }
        let memory = inbox.memory();
        assert!(memory < 128 << 10, "{memory} bytes for 15,249");
        assert_eq!(inbox.pop().map(|message| message.payload == known), Some(true));
        for seq in 1..250 {
            assert_eq!(
                inbox.pop().map(|message| message.payload.to_vec()),
                Some(vec![seq as u8])
            );
        }
    }
}

/// F-40: credit is used to the last byte, in pieces too, and not beyond.
#[test]
fn the_window_is_filled_to_the_byte() {
    let mut inbox = Inbox::new(10, 3, 8, 0);
    let mut record = Vec::new();
    run(&mut record, 0, &[vec![1; 2]]);
    part(&mut record, 1, &[2; 4], 0, 1);
    assert_eq!(take(&mut inbox, &record), Ok(true), "three bytes");
    let mut more = Vec::new();
    part(&mut more, 1, &[2; 4], 1, 1);
    assert_eq!(take(&mut inbox, &more), Err(InboxError::Credit), "four");
    more.clear();
    part(&mut more, 1, &[2; 4], 1, 3);
    assert_eq!(take(&mut inbox, &more), Err(InboxError::Credit), "six");
    assert!(inbox.pop().is_some());
    assert_eq!(take(&mut inbox, &more), Err(InboxError::Credit), "four, by themselves");
    assert_eq!((inbox.next(), inbox.offset()), (1, 1));
}

#[test]
fn a_message_is_taken_up_to_the_bound_and_not_beyond_it() {
    const MAX: usize = 50;
    for (size, expected) in [(MAX, Ok(true)), (MAX + 1, Err(InboxError::Size))] {
        let mut inbox = Inbox::new(10, 1000, MAX as u32, 0);
        let mut record = Vec::new();
        run(&mut record, 0, &[vec![1; size], vec![2; 1]]);
        assert_eq!(take(&mut inbox, &record), expected, "{size} in a run");
        let mut inbox = Inbox::new(10, 1000, MAX as u32, 0);
        record.clear();
        part(&mut record, 0, &vec![1; size], 0, 1);
        assert_eq!(take(&mut inbox, &record), expected, "{size} in fragments");
    }
}

/// It grows to twice its size each time, and before twice the window it does not grow by little, whatever that is made of: else each record would move all that waits.
#[test]
fn the_buffer_of_a_reader_that_is_late_grows_seldom() {
    for (window_messages, size, together) in [(1000, 4000, 1), (200, 1000, 1), (1 << 17, 63, 200)] {
        let window_bytes = window_messages * size as u32;
        let mut inbox = Inbox::new(window_messages, window_bytes, 1 << 16, 0);
        let (mut memory, mut grown) = (0, 0);
        for seq in (0..4 * window_messages as usize).step_by(together) {
            while inbox.next() + together as u64 - inbox.delivered() > window_messages.into() {
                inbox.pop().expect("one waits");
            }
            // A frame of the future, to be skipped.
            let mut record = vec![0x40, 38];
            record.resize(40, 0);
            run(&mut record, seq, &vec![vec![seq as u8; size]; together]);
            take(&mut inbox, &record).expect("within the window");
            grown += u32::from(inbox.memory() != memory);
            memory = inbox.memory();
        }
        assert!(grown <= 22, "{grown} times to {memory} bytes, with messages of {size}");
    }
}
