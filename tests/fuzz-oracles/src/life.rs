//! The oracle for the events of one end of one session: what may follow what.

use unbroken::{CloseReason, Event, FailReason};

/// What one end has been told so far.
#[derive(Debug, Default)]
pub struct Life {
    pub established: bool,
    pub in_handover: bool,
    pub closed: Option<CloseReason>,
    doomed: Option<FailReason>,
}

impl Life {
    /// Judges the next event; panics if it may not come now.
    pub fn see(&mut self, event: &Event) {
        assert!(
            self.closed.is_none(),
            "{event:?} after Closed({:?}): Closed comes once, last",
            self.closed
        );
        let last = matches!(event, Event::State(_) | Event::Closed(_));
        assert!(
            last || self.doomed.is_none(),
            "{event:?} between a final HandoverFailed and Closed"
        );
        match event {
            Event::Established { .. } => {
                assert!(!core::mem::replace(&mut self.established, true), "Established twice");
            }
            Event::HandoverBegin { .. } => {
                assert!(self.established, "{event:?} of a session that never stood");
                assert!(
                    !core::mem::replace(&mut self.in_handover, true),
                    "{event:?} within a handover"
                );
            }
            Event::HandoverEnd(_) => {
                assert!(
                    core::mem::replace(&mut self.in_handover, false),
                    "HandoverEnd without HandoverBegin"
                );
            }
            Event::HandoverFailed { reason, .. } => {
                let active = core::mem::replace(&mut self.in_handover, false);
                assert!(
                    active || !self.established,
                    "HandoverFailed({reason:?}) without HandoverBegin"
                );
                self.doomed = reason.is_final().then_some(*reason);
            }
            Event::Closed(reason) => {
                assert!(
                    !self.in_handover,
                    "Closed({reason:?}) within a handover: HandoverFailed is missing"
                );
                if let Some(doom) = self.doomed {
                    assert_eq!(
                        doom,
                        FailReason::from(*reason),
                        "HandoverFailed and Closed say different things"
                    );
                }
                self.closed = Some(*reason);
            }
            _ => {}
        }
    }

    /// Whether a final HandoverFailed was told and Closed never came.
    pub fn is_left_hanging(&self) -> bool {
        self.doomed.is_some() && self.closed.is_none()
    }
}
