//! The game: a table of cards, one for each player. A move puts something on a heap, and the dealer answers with a move of its own that depends on everything that
//! happened before. So a move that is lost, played twice or played on an older table changes every answer that follows.
//!
//! The rules are pure: the server plays them in the session's handler, the client plays them by itself as the reference.

/// Heaps on the table.
const HEAPS: usize = 8;
/// Bytes of a move.
pub const MOVE: usize = 9;
/// Bytes of an answer: number of the turn 8, heap 1, digest 8.
pub const ANSWER: usize = 17;

/// All there is to know of one table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    turn: u64,
    heaps: [u64; HEAPS],
    digest: u64,
}

/// What a player does: his turn's number and the heap he plays on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    pub turn: u64,
    pub heap: u8,
}

/// What the dealer answers.
pub type Answer = [u8; ANSWER];

impl Table {
    /// A fresh table for a player.
    pub fn new(player: u32) -> Self {
        Table {
            turn: 0,
            heaps: [0; HEAPS],
            digest: mix(u64::from(player) + 1),
        }
    }

    /// Turns played.
    pub fn turn(&self) -> u64 {
        self.turn
    }

    /// Plays a move as it comes, even if it is not its turn: whoever compares will see.
    pub fn play(&mut self, played: Move) -> Answer {
        let heap = usize::from(played.heap) % HEAPS;
        self.heaps[heap] += played.turn + 1;
        self.digest = mix(self.digest ^ played.turn ^ self.heaps[heap].rotate_left(heap as u32));
        let dealt = (self.digest % HEAPS as u64) as usize;
        self.heaps[dealt] = self.heaps[dealt].wrapping_mul(3) ^ self.digest;
        self.turn += 1;
        let mut answer = [0; ANSWER];
        answer[..8].copy_from_slice(&self.turn.to_be_bytes());
        answer[8] = dealt as u8;
        answer[9..].copy_from_slice(&self.digest.to_be_bytes());
        answer
    }

    /// As bytes, beginning with a version.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for number in [self.turn, self.digest].iter().chain(&self.heaps) {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// From what [`Table::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (version, rest) = bytes.split_first().ok_or("a table of no bytes")?;
        if *version != VERSION || rest.len() != 8 * (2 + HEAPS) {
            return Err(format!("a table of version {version} in {} bytes", bytes.len()));
        }
        let mut numbers = rest
            .chunks_exact(8)
            .map(|chunk| u64::from_be_bytes(chunk.try_into().unwrap_or_default()));
        let (turn, digest) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let mut heaps = [0; HEAPS];
        heaps.iter_mut().zip(numbers).for_each(|(heap, number)| *heap = number);
        Ok(Table { turn, heaps, digest })
    }
}

impl Move {
    /// As a message.
    pub fn to_bytes(self) -> [u8; MOVE] {
        let mut bytes = [0; MOVE];
        bytes[..8].copy_from_slice(&self.turn.to_be_bytes());
        bytes[8] = self.heap;
        bytes
    }

    /// From a message.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; MOVE] = bytes.try_into().ok()?;
        let (turn, heap) = bytes.split_at(8);
        Some(Move {
            turn: u64::from_be_bytes(turn.try_into().ok()?),
            heap: heap[0],
        })
    }
}

const VERSION: u8 = 1;

/// SplitMix64's last step: every bit depends on every bit.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(moves: &[(u64, u8)]) -> (Table, Vec<Answer>) {
        let mut table = Table::new(7);
        let answers = moves
            .iter()
            .map(|&(turn, heap)| table.play(Move { turn, heap }))
            .collect();
        (table, answers)
    }

    #[test]
    fn whatever_goes_wrong_shows_in_every_later_answer() {
        let right: Vec<(u64, u8)> = (0..20).map(|turn| (turn, (turn % 8) as u8)).collect();
        let (_, good) = played(&right);
        for at in 0..10 {
            let mut lost = right.clone();
            lost.remove(at);
            let mut doubled = right.clone();
            doubled.insert(at, right[at]);
            let mut swapped = right.clone();
            swapped.swap(at, at + 1);
            for wrong in [lost, doubled, swapped] {
                let (_, bad) = played(&wrong);
                assert!(
                    good[at + 1..].iter().zip(&bad[at + 1..]).all(|(good, bad)| good != bad),
                    "at {at}"
                );
            }
        }
    }

    #[test]
    fn a_table_survives_as_bytes() {
        let (table, _) = played(&[(0, 3), (1, 5), (2, 200)]);
        assert_eq!(Table::from_bytes(&table.to_bytes()), Ok(table));
        assert!(Table::from_bytes(&[]).is_err() && Table::from_bytes(&[9; 81]).is_err());
    }

    #[test]
    fn a_move_survives_as_bytes() {
        let played = Move { turn: 77, heap: 3 };
        assert_eq!(Move::from_bytes(&played.to_bytes()), Some(played));
        assert_eq!(Move::from_bytes(&[0; 8]), None);
    }
}
