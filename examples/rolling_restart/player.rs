//! A client that plays, and its reference: the same game, played here, by itself, without a network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, watch};
use unbroken_tokio::{Client, ClientConfig};

use crate::chronicle::Chronicle;
use crate::game::{Answer, Move, Table};
use crate::run::Stage;
use crate::server::SHOW;

/// What one client's checker found. It looks at nothing but what the application sent and got.
#[derive(Clone, Debug, Default)]
pub struct Finding {
    /// Turns played.
    pub played: u64,
    /// Answers that were the next that the reference expects.
    pub answered: u64,
    /// Answers that had been there before.
    pub doubled: u64,
    /// Answers that the reference does not know: a turn was lost, played twice, or played on another table.
    pub wrong: u64,
    /// The whole table at the end was the reference's.
    pub equal: bool,
    /// Why the session ended, if it did so by itself.
    pub ended: Option<String>,
}

/// A client's game from the first connect to the last word.
pub struct Player {
    pub number: u32,
    pub balancer: SocketAddr,
    pub config: Arc<ClientConfig>,
    pub turn_every: Duration,
    pub seed: u64,
}

/// What the reference expects.
struct Reference {
    table: Table,
    expected: VecDeque<(Answer, Instant)>,
    last: Option<Answer>,
}

impl Player {
    /// Plays until the stage says that it is over.
    pub async fn play(self, chronicle: Arc<Chronicle>, mut stage: watch::Receiver<Stage>) -> Finding {
        let mut finding = Finding::default();
        let client = match Client::builder(self.balancer, self.config.clone()).start() {
            Ok(client) => client,
            Err(error) => {
                finding.ended = Some(error.to_string());
                return finding;
            }
        };
        let reference = Mutex::new(Reference {
            table: Table::new(self.number),
            expected: VecDeque::new(),
            last: None,
        });
        let mut events = client.events();
        let watch = async {
            while let Some(event) = events.next().await {
                chronicle.event(&event);
            }
        };
        let turns = self.turns(&client, &reference, &chronicle, stage.clone());
        let answers = async {
            while let Some(message) = client.recv().await {
                reference.lock().await.judge(&message.payload, &mut finding, &chronicle);
            }
        };
        let leave = async {
            let _ = stage.wait_for(|stage| *stage == Stage::Over).await;
            client.disconnect(0).await
        };
        let ((), (), (), reason) = tokio::join!(watch, turns, answers, leave);
        finding.played = reference.lock().await.table.turn();
        if !matches!(reason, unbroken_tokio::CloseReason::Local { .. }) {
            finding.ended = Some(reason.to_string());
        }
        finding
    }

    /// Plays a turn every now and then, and asks for the whole table at the end.
    async fn turns(
        &self,
        client: &Client,
        reference: &Mutex<Reference>,
        chronicle: &Chronicle,
        stage: watch::Receiver<Stage>,
    ) {
        let mut rng = fastrand::Rng::with_seed(self.seed ^ (u64::from(self.number) << 32));
        loop {
            let pause = self.turn_every.mul_f64(rng.f64() * 2.0);
            tokio::time::sleep(pause).await;
            if *stage.borrow() != Stage::Playing {
                break;
            }
            let mut reference = reference.lock().await;
            let played = Move {
                turn: reference.table.turn(),
                heap: rng.u8(..8),
            };
            // Taken or not: a message that waits for room is not played yet.
            if client.try_send(played.to_bytes().to_vec()).is_err() {
                continue;
            }
            let answer = reference.table.play(played);
            reference.expected.push_back((answer, Instant::now()));
            chronicle.played();
        }
        let _ = client.send(SHOW).await;
    }
}

impl Reference {
    fn judge(&mut self, payload: &[u8], finding: &mut Finding, chronicle: &Chronicle) {
        if payload.len() != size_of::<Answer>() {
            finding.equal = payload == self.table.to_bytes();
            chronicle.finished();
            return;
        }
        let (next, sent) = match self.expected.front() {
            Some((answer, sent)) => (answer.as_slice(), *sent),
            None => (&[][..], Instant::now()),
        };
        if payload == next {
            finding.answered += 1;
            chronicle.answered(sent.elapsed());
            self.last = self.expected.pop_front().map(|(answer, _)| answer);
        } else if self.last.is_some_and(|last| payload[..8] <= last[..8]) {
            finding.doubled += 1;
        } else {
            finding.wrong += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(answers: impl FnOnce(&[Answer]) -> Vec<Vec<u8>>) -> Finding {
        let mut reference = Reference {
            table: Table::new(1),
            expected: VecDeque::new(),
            last: None,
        };
        let right: Vec<Answer> = (0..5)
            .map(|turn| {
                let answer = reference.table.play(Move { turn, heap: 2 });
                reference.expected.push_back((answer, Instant::now()));
                answer
            })
            .collect();
        let (chronicle, mut finding) = (Chronicle::new(), Finding::default());
        for answer in answers(&right) {
            reference.judge(&answer, &mut finding, &chronicle);
        }
        finding
    }

    #[test]
    fn a_perfect_game_is_seen_as_one() {
        let finding = judged(|right| right.iter().map(|answer| answer.to_vec()).collect());
        assert_eq!((finding.answered, finding.doubled, finding.wrong), (5, 0, 0));
    }

    #[test]
    fn each_fault_is_seen() {
        let finding = judged(|right| vec![right[0].to_vec(), right[0].to_vec(), right[1].to_vec()]);
        assert_eq!((finding.answered, finding.doubled, finding.wrong), (2, 1, 0));
        let finding = judged(|right| vec![right[0].to_vec(), right[2].to_vec()]);
        assert_eq!((finding.answered, finding.doubled, finding.wrong), (1, 0, 1));
        assert!(!judged(|_| vec![Table::new(2).to_bytes()]).equal);
    }
}
