//! From the times at which messages arrived to how long they stood still.

use std::time::Duration;

use super::script::Trouble;

/// Silence up to this is normal: the traffic pauses for up to 35 ms, and the round trip is 50 ms.
pub const NORMAL: Duration = Duration::from_millis(100);

/// From and to.
pub type Piece = (Duration, Duration);

/// A time without arrivals.
#[derive(Clone, PartialEq, Debug)]
pub struct Gap {
    pub begun: Duration,
    /// What of it counts: not the time in which nothing could be sent.
    pub pieces: Vec<Piece>,
}

impl Gap {
    pub fn length(&self) -> Duration {
        self.pieces.iter().map(|(from, to)| *to - *from).sum()
    }
}

/// The gaps between `start` and `end` of which more than [`NORMAL`] counts.
pub fn gaps(arrivals: &[Duration], troubles: &[Trouble], start: Duration, end: Duration) -> Vec<Gap> {
    let mut points: Vec<Duration> = vec![start];
    points.extend(arrivals.iter().copied().filter(|at| (start..end).contains(at)));
    points.push(end);
    points.sort_unstable();
    let pairs = points.windows(2).filter(|pair| pair[1] - pair[0] > NORMAL);
    let gaps = pairs.map(|pair| Gap {
        begun: pair[0],
        pieces: without((pair[0], pair[1]), troubles),
    });
    gaps.filter(|gap| gap.length() > NORMAL).collect()
}

/// Leaves the dark times out. They come in the order of time and do not overlap.
fn without(all: Piece, troubles: &[Trouble]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut from, to) = all;
    for trouble in troubles.iter().filter(|trouble| trouble.dark) {
        let light = trouble.at + trouble.length;
        if light <= from || trouble.at >= to {
            continue;
        }
        // Up to NORMAL, it was silent because nobody had anything to say.
        if trouble.at > from + NORMAL {
            pieces.push((from, trouble.at));
        }
        from = light;
    }
    if from < to {
        pieces.push((from, to));
    }
    pieces
}

/// For each trouble the longest gap that began in it, or after it and before the next; zero if there was none.
pub fn per_trouble(ways: &[Vec<Gap>], troubles: &[Trouble]) -> Vec<Duration> {
    let mut longest = vec![Duration::ZERO; troubles.len()];
    for gap in ways.iter().flatten() {
        // The last message before the trouble arrived a little earlier.
        let begun = gap.begun + NORMAL;
        if let Some(index) = troubles.iter().rposition(|trouble| trouble.at <= begun) {
            longest[index] = longest[index].max(gap.length());
        }
    }
    longest
}

/// Time in which at least one of the directions stood still, and those times.
pub fn together(ways: &[Vec<Gap>]) -> (Duration, Vec<Piece>) {
    let mut all: Vec<Piece> = ways.iter().flatten().flat_map(|gap| gap.pieces.clone()).collect();
    all.sort_unstable();
    let mut merged: Vec<Piece> = Vec::new();
    for (from, to) in all {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    (merged.iter().map(|(from, to)| *to - *from).sum(), merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn trouble(at: u64, length: u64, dark: bool) -> Trouble {
        Trouble {
            at: ms(at),
            length: ms(length),
            name: "",
            dark,
        }
    }

    fn gap(from: u64, to: u64) -> Gap {
        Gap {
            begun: ms(from),
            pieces: vec![(ms(from), ms(to))],
        }
    }

    #[test]
    fn gaps_are_found_and_dark_times_are_left_out() {
        let arrivals = [10, 50, 90, 500, 560, 2000].map(ms);
        assert_eq!(gaps(&arrivals, &[], ms(0), ms(2050)), [gap(90, 500), gap(560, 2000)]);
        let dark = [
            trouble(580, 1000, true),
            trouble(1700, 200, true),
            trouble(1990, 500, false),
        ];
        let found = gaps(&arrivals, &dark, ms(0), ms(2050));
        assert_eq!(found[0], gap(90, 500));
        assert_eq!(found[1].pieces, [(ms(1580), ms(1700)), (ms(1900), ms(2000))]);
        assert_eq!(found[1].length(), ms(220));
    }

    #[test]
    fn who_stays_silent_is_silent_to_the_end() {
        assert_eq!(gaps(&[ms(10)], &[], ms(0), ms(900)), [gap(10, 900)]);
    }

    #[test]
    fn each_trouble_has_the_longest_gap_that_began_in_it() {
        let ways = [vec![gap(950, 1400)], vec![gap(1500, 1700), gap(3100, 3300)]];
        let troubles = [
            trouble(1000, 100, false),
            trouble(2000, 100, false),
            trouble(3000, 100, false),
        ];
        assert_eq!(per_trouble(&ways, &troubles), [ms(450), ms(0), ms(200)]);
        assert_eq!(together(&ways).0, ms(450 + 200 + 200));
    }
}
