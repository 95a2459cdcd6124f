//! The answers to a batch, together or as they come.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use unbroken::StoreReply;

use crate::BoxFuture;

/// Answers, each with the place that its request has in the batch.
pub type Placed = Vec<(usize, StoreReply)>;

/// The answers to a batch, as they come: see [`Store::submit_apart`](crate::Store::submit_apart).
pub struct Answers(Way);

enum Way {
    /// All at once; `None` when they have been given out.
    Together(Option<BoxFuture<Vec<StoreReply>>>),
    Apart(UnboundedReceiver<Placed>),
}

impl Answers {
    /// Those of a store that answers a batch as a whole.
    pub fn together(replies: BoxFuture<Vec<StoreReply>>) -> Self {
        Answers(Way::Together(Some(replies)))
    }

    /// Those that are sent one by one. They are over when the sender is dropped.
    pub fn apart() -> (UnboundedSender<Placed>, Self) {
        let (sender, receiver) = unbounded_channel();
        (sender, Answers(Way::Apart(receiver)))
    }

    /// The next ones; `None` when there will be no more. Nothing is lost if this future is dropped.
    pub async fn next(&mut self) -> Option<Placed> {
        match &mut self.0 {
            Way::Together(replies) => {
                let all = replies.as_mut()?.await;
                *replies = None;
                Some(all.into_iter().enumerate().collect())
            }
            Way::Apart(receiver) => {
                let mut placed = receiver.recv().await?;
                while let Ok(more) = receiver.try_recv() {
                    placed.extend(more);
                }
                Some(placed)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use unbroken::StoreReply::{Conflict, Done};

    use super::*;

    #[tokio::test]
    async fn a_batch_that_is_answered_as_a_whole_keeps_its_order_and_is_over() {
        let mut answers = Answers::together(Box::pin(async { vec![Done, Conflict] }));
        assert_eq!(answers.next().await, Some(vec![(0, Done), (1, Conflict)]));
        assert_eq!(answers.next().await, None);
    }

    #[tokio::test]
    async fn answers_that_come_apart_are_over_with_their_sender() {
        let (sender, mut answers) = Answers::apart();
        sender.send(vec![(1, Conflict)]).unwrap();
        assert_eq!(answers.next().await, Some(vec![(1, Conflict)]));
        // Those that are there already come at once.
        sender.send(vec![(2, Done)]).unwrap();
        sender.send(vec![(0, Conflict)]).unwrap();
        assert_eq!(answers.next().await, Some(vec![(2, Done), (0, Conflict)]));
        drop(sender);
        assert_eq!(answers.next().await, None);
    }
}
