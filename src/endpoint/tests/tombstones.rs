//! What is remembered, for how long, and how much of it at most.

use core::time::Duration;

use crate::endpoint::tombstones::Tombstones;
use crate::error::CloseReason;
use crate::time::Instant;
use crate::wire::flight::LostStatus;
use crate::wire::frame::CloseKind;

const LIFE: Duration = Duration::from_secs(30);

#[test]
fn an_end_is_remembered_for_its_time() {
    let mut stones = Tombstones::new(10);
    let start = Instant::from_millis(1000);
    stones.bury([1; 8], CloseReason::Kicked { code: 7 }, 9, start + LIFE);
    stones.bury([2; 8], CloseReason::Expired, 0, start + LIFE * 2);
    let kicked = LostStatus::Closed {
        kind: CloseKind::Kicked,
        code: 7,
        send_end: 9,
    };
    stones.sweep(start + (LIFE - Duration::from_micros(1)));
    assert_eq!((stones.find(&[1; 8]), stones.len()), (Some(kicked), 2));
    stones.sweep(start + LIFE);
    assert_eq!((stones.find(&[1; 8]), stones.len()), (None, 1));
    assert!(stones.find(&[2; 8]).is_some() && stones.find(&[3; 8]).is_none());
}

/// A session that was taken for dead, and came back, is not told of as dead.
#[test]
fn an_end_that_was_none_is_forgotten() {
    let mut stones = Tombstones::new(10);
    for number in [1, 2] {
        stones.bury([number; 8], CloseReason::Expired, 0, Instant::ZERO + LIFE);
    }
    stones.forget(&[1; 8]);
    assert!(stones.find(&[1; 8]).is_none() && stones.find(&[2; 8]).is_some());
}

/// A session came back, and ended once more.
#[test]
fn a_second_end_is_remembered_for_its_own_time_and_takes_no_place_twice() {
    let start = Instant::from_millis(1000);
    let mut stones = Tombstones::new(2);
    stones.bury([1; 8], CloseReason::Expired, 0, start + LIFE);
    stones.forget(&[1; 8]);
    assert_eq!(stones.len(), 0);
    stones.bury([1; 8], CloseReason::Kicked { code: 7 }, 0, start + LIFE * 2);
    stones.bury([2; 8], CloseReason::Expired, 0, start + LIFE * 2);
    assert_eq!(stones.len(), 2, "there is room for both");
    stones.sweep(start + LIFE);
    assert!(stones.find(&[1; 8]).is_some() && stones.find(&[2; 8]).is_some());
    stones.sweep(start + LIFE * 2);
    assert!(stones.find(&[1; 8]).is_none() && stones.len() == 0);
}

#[test]
fn the_oldest_makes_room() {
    let mut stones = Tombstones::new(3);
    for number in 0..100u8 {
        stones.bury(
            [number; 8],
            CloseReason::Expired,
            0,
            Instant::ZERO + LIFE * u32::from(number),
        );
        assert!(stones.len() <= 3);
    }
    assert!((97..100).all(|number| stones.find(&[number; 8]).is_some()));
    assert!(stones.find(&[96; 8]).is_none());
    let mut none = Tombstones::new(0);
    none.bury([1; 8], CloseReason::Expired, 0, Instant::FAR_FUTURE);
    assert_eq!((none.len(), none.find(&[1; 8])), (0, None));
}

/// What a late client learns is what its own end would have been told.
#[test]
fn each_reason_is_told_honestly() {
    let closed = |kind, code| LostStatus::Closed {
        kind,
        code,
        send_end: 3,
    };
    for (reason, status) in [
        (CloseReason::Local { code: 4 }, closed(CloseKind::Application, 4)),
        (
            CloseReason::Peer {
                code: 5,
                truncated: true,
            },
            closed(CloseKind::Application, 5),
        ),
        (CloseReason::Expired, closed(CloseKind::Expired, 0)),
        (CloseReason::Kicked { code: 6 }, closed(CloseKind::Kicked, 6)),
        (CloseReason::Superseded, closed(CloseKind::Superseded, 0)),
        (CloseReason::Refused { code: 7 }, closed(CloseKind::NotAuthorised, 7)),
        (CloseReason::UnknownSession, LostStatus::Unknown),
        (CloseReason::RolledBack, LostStatus::RolledBack),
        (CloseReason::OwnerCrashed, LostStatus::OwnerCrashed),
        (CloseReason::Overflow, closed(CloseKind::Overflow, 0)),
        (CloseReason::VersionMismatch, closed(CloseKind::Internal, 0)),
        (CloseReason::Internal, closed(CloseKind::Internal, 0)),
    ] {
        let mut stones = Tombstones::new(1);
        stones.bury([1; 8], reason, 3, Instant::FAR_FUTURE);
        assert_eq!(stones.find(&[1; 8]), Some(status), "{reason:?}");
    }
}
