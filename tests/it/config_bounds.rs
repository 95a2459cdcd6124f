//! F-61: a value out of bounds is refused when the configuration is built; the error names the field and the value, and the bounds
//! themselves are allowed.

use std::time::Duration;

use unbroken::{
    Backoff, ClientConfig, ClusterKey, ConfigError, Durability, Limits, PublicKey, ServerConfig, ServerKey, Shard,
    Timing,
};

fn client() -> unbroken::config::ClientConfigBuilder {
    ClientConfig::builder(PublicKey([5; 32]))
}

fn server() -> unbroken::config::ServerConfigBuilder {
    let cluster = ClusterKey::from_bytes([9; 32]).expect("not zero");
    ServerConfig::builder(key(7), cluster)
}

fn key(byte: u8) -> ServerKey {
    ServerKey::from_bytes([byte; 32]).expect("not zero")
}

/// The error of both builders, which must be the same one.
fn build(limits: &Limits, timing: &Timing) -> Result<(), ConfigError> {
    let client = client().limits(limits.clone()).timing(timing.clone()).build().map(drop);
    let server = server().limits(limits.clone()).timing(timing.clone()).build().map(drop);
    assert_eq!(client, server);
    client
}

fn build_backoff(backoff: &Backoff) -> Result<(), ConfigError> {
    client().backoff(backoff.clone()).build().map(drop)
}

#[track_caller]
fn refused(result: Result<(), ConfigError>, field: &str, value: &str) {
    let error = result.expect_err(field);
    assert_eq!(error.field, field);
    assert!(
        error.problem.contains(value),
        "{field}: `{}` does not name {value}",
        error.problem
    );
    let text = error.to_string();
    assert!(text.contains(field) && text.contains(value), "{text}");
}

/// Both bounds are taken, one step beyond each is not.
#[track_caller]
fn number<T>(
    field: &str,
    min: u32,
    max: u32,
    base: T,
    set: fn(&mut T, u32),
    build: impl Fn(&T) -> Result<(), ConfigError>,
) where
    T: Clone,
{
    let with = |value| {
        let mut changed = base.clone();
        set(&mut changed, value);
        build(&changed)
    };
    assert_eq!(with(min), Ok(()), "{field} = {min}");
    assert_eq!(with(max), Ok(()), "{field} = {max}");
    if let Some(below) = min.checked_sub(1) {
        refused(with(below), field, &below.to_string());
    }
    refused(with(max + 1), field, &(max + 1).to_string());
    refused(with(u32::MAX), field, &u32::MAX.to_string());
}

#[track_caller]
fn span<T>(
    field: &str,
    min_ms: u64,
    max_ms: u64,
    base: T,
    set: fn(&mut T, Duration),
    build: impl Fn(&T) -> Result<(), ConfigError>,
) where
    T: Clone,
{
    let with = |value| {
        let mut changed = base.clone();
        set(&mut changed, value);
        build(&changed)
    };
    let (min, max) = (Duration::from_millis(min_ms), Duration::from_millis(max_ms));
    let step = Duration::from_micros(1);
    assert_eq!(with(min), Ok(()), "{field} = {min:?}");
    assert_eq!(with(max), Ok(()), "{field} = {max:?}");
    if let Some(below) = min.checked_sub(step) {
        refused(with(below), field, &format!("{below:?}"));
    }
    refused(with(max + step), field, &format!("{:?}", max + step));
    refused(with(Duration::MAX), field, &format!("{:?}", Duration::MAX));
}

#[test]
fn f61_every_field_of_limits() {
    // A new field does not compile here before somebody thinks of its bounds.
    let Limits {
        message: _,
        unacked_bytes: _,
        unacked_messages: _,
        window_bytes: _,
        window_messages: _,
        unreliable_bytes: _,
        handshake: _,
        pending_handshakes: _,
        sessions: _,
        detached: _,
        tombstone: _,
        tombstones: _,
        snapshot: _,
    } = Limits::default();
    let timing = Timing::default();
    let build = |limits: &Limits| build(limits, &timing);
    let base = Limits::default();
    let wide = Limits {
        unacked_bytes: 64 << 20,
        window_bytes: 64 << 20,
        ..base.clone()
    };
    number("limits.message", 1024, 16 << 20, wide, |l, v| l.message = v, build);
    let small = Limits {
        message: 5000,
        ..base.clone()
    };
    number(
        "limits.unacked_bytes",
        5000,
        64 << 20,
        small.clone(),
        |l, v| l.unacked_bytes = v,
        build,
    );
    number(
        "limits.window_bytes",
        5000,
        64 << 20,
        small,
        |l, v| l.window_bytes = v,
        build,
    );
    number(
        "limits.unacked_messages",
        1,
        65_536,
        base.clone(),
        |l, v| l.unacked_messages = v,
        build,
    );
    number(
        "limits.window_messages",
        1,
        65_536,
        base.clone(),
        |l, v| l.window_messages = v,
        build,
    );
    number(
        "limits.unreliable_bytes",
        0,
        1 << 20,
        base.clone(),
        |l, v| l.unreliable_bytes = v,
        build,
    );
    number(
        "limits.pending_handshakes",
        1,
        1 << 20,
        base.clone(),
        |l, v| l.pending_handshakes = v,
        build,
    );
    number(
        "limits.sessions",
        1,
        1 << 24,
        base.clone(),
        |l, v| l.sessions = v,
        build,
    );
    number(
        "limits.tombstones",
        0,
        1 << 24,
        base.clone(),
        |l, v| l.tombstones = v,
        build,
    );
    number(
        "limits.snapshot",
        64 << 10,
        64 << 20,
        base.clone(),
        |l, v| l.snapshot = v,
        build,
    );
    span(
        "limits.handshake",
        100,
        60_000,
        base.clone(),
        |l, v| l.handshake = v,
        build,
    );
    span(
        "limits.detached",
        1000,
        86_400_000,
        base.clone(),
        |l, v| l.detached = v,
        build,
    );
    span("limits.tombstone", 0, 86_400_000, base, |l, v| l.tombstone = v, build);
}

#[test]
fn f61_every_field_of_timing() {
    let Timing {
        ack_messages: _,
        ack_bytes: _,
        ack_delay: _,
        idle_probe: _,
        dead_after: _,
        lease: _,
    } = Timing::default();
    let limits = Limits::default();
    let build = |timing: &Timing| build(&limits, timing);
    let base = Timing::default();
    number(
        "timing.ack_messages",
        1,
        4096,
        base.clone(),
        |t, v| t.ack_messages = v,
        build,
    );
    number(
        "timing.ack_bytes",
        1,
        1 << 20,
        base.clone(),
        |t, v| t.ack_bytes = v,
        build,
    );
    span("timing.ack_delay", 0, 500, base.clone(), |t, v| t.ack_delay = v, build);
    span(
        "timing.idle_probe",
        1000,
        3_600_000,
        base.clone(),
        |t, v| t.idle_probe = v,
        build,
    );
    span(
        "timing.dead_after",
        500,
        300_000,
        base.clone(),
        |t, v| t.dead_after = v,
        build,
    );
    span("timing.lease", 1000, 300_000, base, |t, v| t.lease = v, build);
}

#[test]
fn f61_every_field_of_backoff() {
    let Backoff {
        base: _,
        cap: _,
        give_up_after: _,
    } = Backoff::default();
    let wide = Backoff {
        cap: Duration::from_secs(3600),
        ..Backoff::default()
    };
    span("backoff.base", 1, 60_000, wide, |b, v| b.base = v, build_backoff);
    let slow = Backoff {
        base: Duration::from_millis(700),
        ..Backoff::default()
    };
    span("backoff.cap", 700, 3_600_000, slow, |b, v| b.cap = v, build_backoff);
    span(
        "backoff.give_up_after",
        1000,
        86_400_000,
        Backoff::default(),
        |b, v| b.give_up_after = v,
        build_backoff,
    );
}

#[test]
fn f61_what_the_builders_take_themselves() {
    let text = |length| vec![b'a'; length];
    assert!(client().realm(text(255)).credential(text(8192)).build().is_ok());
    refused(client().realm(text(256)).build().map(drop), "realm", "256");
    refused(client().credential(text(8193)).build().map(drop), "credential", "8193");
    let pins = |count: u8| (1..count).fold(client(), |builder, byte| builder.also_pin(PublicKey([byte; 32])));
    assert!(pins(8).build().is_ok());
    refused(pins(9).build().map(drop), "pins", "9");

    let name = |length| "a".repeat(length);
    assert!(server().realm(text(255)).address(name(255)).build().is_ok());
    refused(server().realm(text(256)).build().map(drop), "realm", "256");
    refused(server().address(name(256)).build().map(drop), "address", "256");
    let keys = |count: u8| (1..count).fold(server(), |builder, byte| builder.also_key(key(byte)));
    assert!(keys(8).build().is_ok());
    refused(keys(9).build().map(drop), "keys", "9");
}

#[test]
fn f61_a_shard_must_exist() {
    let config = server().build().expect("the defaults are good");
    assert!(config.for_shard(Shard { index: 3, count: 4 }).is_ok());
    for (index, count) in [(4, 4), (0, 0), (u16::MAX, 1)] {
        refused(
            config.for_shard(Shard { index, count }).map(drop),
            "shard.index",
            &index.to_string(),
        );
    }
}

#[test]
fn f61_the_defaults_are_within_their_bounds() {
    assert_eq!(build(&Limits::default(), &Timing::default()), Ok(()));
    assert_eq!(build_backoff(&Backoff::default()), Ok(()));
}

/// L-19: what a forgotten secret looks like.
#[test]
fn l19_a_key_of_zeros_cannot_be_made() {
    assert!(ServerKey::from_bytes([0; 32]).is_err());
    assert!(ClusterKey::from_bytes([0; 32]).is_err());
}

#[test]
fn a_snapshot_has_room_for_all_that_may_be_unacked_where_there_is_a_store() {
    let with = |snapshot, durability| {
        let limits = Limits {
            unacked_bytes: 1 << 20,
            snapshot,
            ..Limits::default()
        };
        server().limits(limits).durability(durability).build().map(drop)
    };
    let least = (1 << 20) + (64 << 10);
    for durability in [Durability::SwapOut, Durability::Durable] {
        assert_eq!(with(least, durability), Ok(()));
        refused(with(least - 1, durability), "limits.snapshot", &least.to_string());
    }
    assert_eq!(with(least - 1, Durability::Memory), Ok(()), "nothing is ever stored");
}

/// No snapshot can be so large, so it is this that must be less.
#[test]
fn what_no_snapshot_has_room_for_is_refused_by_its_own_name_and_what_is_advised_works() {
    let with = |unacked_bytes, snapshot, durability| {
        let limits = Limits {
            unacked_bytes,
            snapshot,
            ..Limits::default()
        };
        server().limits(limits).durability(durability).build().map(drop)
    };
    let largest = 64 << 20;
    let most = largest - (64 << 10);
    for durability in [Durability::SwapOut, Durability::Durable] {
        for snapshot in [Limits::default().snapshot, largest] {
            for unacked in [most + 1, largest] {
                let result = with(unacked, snapshot, durability);
                refused(result, "limits.unacked_bytes", &most.to_string());
            }
            let beyond = with(u32::MAX, snapshot, durability);
            refused(beyond, "limits.unacked_bytes", &u32::MAX.to_string());
        }
        assert_eq!(with(most, largest, durability), Ok(()));
        let too_small = with(most, largest - 1, durability);
        refused(too_small, "limits.snapshot", &largest.to_string());
    }
    assert_eq!(
        with(largest, largest, Durability::Memory),
        Ok(()),
        "nothing is ever stored"
    );
}

/// Each has a length in front of it.
#[test]
fn a_snapshot_has_room_for_the_lengths_of_very_many_messages() {
    for (unacked_messages, rest) in [(24_576, 64 << 10), (24_577, (64 << 10) + 2), (65_536, 144 << 10)] {
        let with = |snapshot| {
            let limits = Limits {
                unacked_messages,
                snapshot,
                ..Limits::default()
            };
            let builder = server().limits(limits).durability(Durability::SwapOut);
            builder.build().map(drop)
        };
        let least = Limits::default().unacked_bytes + rest;
        assert_eq!(with(least), Ok(()), "{unacked_messages}");
        refused(with(least - 1), "limits.snapshot", &least.to_string());
    }
}

#[test]
fn versions_are_a_range_from_1_on() {
    #[expect(clippy::reversed_empty_ranges, reason = "it is what is refused")]
    let bad = [0..=1, 3..=2];
    for range in bad {
        let text = format!("{range:?}");
        refused(client().versions(range.clone()).build().map(drop), "versions", &text);
        refused(server().versions(range).build().map(drop), "versions", &text);
    }
    for range in [1..=1, 1..=255, 7..=7] {
        assert_eq!(client().versions(range.clone()).build().map(drop), Ok(()));
        assert_eq!(server().versions(range).build().map(drop), Ok(()));
    }
}

#[test]
fn what_was_set_can_be_asked() {
    let other = ClusterKey::from_bytes([8; 32]).expect("not zero");
    let limits = Limits {
        sessions: 4711,
        ..Limits::default()
    };
    let config = server()
        .limits(limits)
        .also_cluster(other)
        .durability(Durability::SwapOut)
        .build()
        .expect("good")
        .with_ask_on_resume(true);
    assert_eq!(config.limits().sessions, 4711);
    assert_eq!(config.clusters().len(), 2);
    assert_eq!(config.durability(), Durability::SwapOut);
}
