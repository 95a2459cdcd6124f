//! Marks: one in a KiB or so, found again, and gone when there is nothing before them.

use alloc::vec::Vec;

use crate::session::batch::Room;
use crate::session::marks::Marks;
use crate::session::outbox::{Cursor, Outbox};

fn at(seq: u64, position: u64) -> Cursor {
    let mut cursor = Outbox::new().rewind();
    (cursor.seq, cursor.position) = (seq, position);
    cursor
}

/// Where a walk to each of these places would begin.
fn found(marks: &Marks, places: &[u64]) -> Vec<Option<u64>> {
    let before = |place| marks.last_where(|mark| mark.position <= place);
    places
        .iter()
        .map(|place| before(*place).map(|mark| mark.position))
        .collect()
}

#[test]
fn a_mark_stands_where_a_message_begins_each_kib_or_behind_the_message_that_passes_it() {
    let mut marks = Marks::new();
    for (seq, position) in [0, 500, 1023, 1024, 1500, 2047, 5000, 5100, 6024]
        .into_iter()
        .enumerate()
    {
        marks.pass(&at(seq as u64, position));
    }
    assert_eq!(
        found(&marks, &[1023, 1024, 4999, 5000, 6023, 9999]),
        [None, Some(1024), Some(1024), Some(5000), Some(5000), Some(6024)]
    );
    marks.forget_until(3);
    assert_eq!(found(&marks, &[4999, 5000]), [None, Some(5000)]);
}

#[test]
fn where_all_is_acked_marks_begin_anew() {
    let mut marks = Marks::new();
    marks.pass(&at(1, 1024));
    marks.restart(&at(2, 1600));
    assert_eq!(found(&marks, &[9999]), [None]);
    for position in [2500, 2623] {
        assert!(!marks.is_due(&at(3, position)), "less than a KiB since");
        marks.pass(&at(3, position));
    }
    marks.pass(&at(4, 2624));
    assert_eq!(found(&marks, &[2623, 2624]), [None, Some(2624)]);
}

/// With messages of 31 bytes a mark falls on a message's beginning exactly; with the others it does not.
#[test]
fn many_messages_given_at_once_are_marked_as_if_they_came_one_by_one() {
    let room = Room {
        messages: 1000,
        payload: 1 << 20,
        longest: 5000,
    };
    for size in [31, 32, 100, 1500] {
        let messages = alloc::vec![alloc::vec![7; size]; 200];
        let mut one_by_one = Outbox::new();
        for message in &messages {
            one_by_one.push(message);
        }
        let mut at_once = Outbox::new();
        assert_eq!(at_once.push_many(&messages, &room), messages.len());
        for seq in 0..=messages.len() as u64 {
            let mark = |outbox: &Outbox| outbox.marks.last_where(|mark| mark.seq <= seq);
            assert_eq!(mark(&at_once), mark(&one_by_one), "{size} bytes, {seq}");
        }
        assert!(at_once.marks.last_where(|_| true).is_some(), "{size}");
    }
}
