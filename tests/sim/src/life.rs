//! The oracle for the events of one end of one session: what may follow what, and which endings are legal (G2, G8).

use unbroken::{CloseReason, Event, FailReason, HandoverCause};

/// What has been seen of one end.
#[derive(Debug, Default)]
pub struct Life {
    pub established: bool,
    pub in_handover: bool,
    pub handovers: u64,
    pub failed: u64,
    pub closed: Option<CloseReason>,
    /// The server's application did not let it in.
    pub refused: Option<u32>,
    /// This end's application asked for the end.
    pub disconnected: Option<u32>,
    /// The last `HandoverFailed` that was final: `Closed` must follow.
    pub doomed: Option<FailReason>,
    /// Given up; only `retry` or a network event starts anew.
    pub resting: bool,
    /// The server asked the client to move, and no handover has ended since.
    pub draining: bool,
    pub events: u64,
}

impl Life {
    /// Judges the next event.
    pub fn see(&mut self, event: &Event) -> Result<(), String> {
        self.events += 1;
        if let Some(reason) = self.closed {
            return Err(format!(
                "{event:?} after Closed({reason:?}): Closed comes last, and once"
            ));
        }
        if self.doomed.is_some() && !matches!(event, Event::State(_) | Event::Closed(_) | Event::Readable) {
            return Err(format!("{event:?} between a final HandoverFailed and Closed"));
        }
        if let Some(code) = self.refused
            && !matches!(event, Event::State(_) | Event::Readable)
            && *event != Event::Closed(CloseReason::Refused { code })
            // It had said goodbye before it heard.
            && !matches!(event, Event::Closed(CloseReason::Local { code }) if self.disconnected == Some(*code))
        {
            return Err(format!("{event:?} after Refused"));
        }
        match event {
            Event::Refused { .. } if self.established => return Err("Refused after Established".to_string()),
            Event::Refused { code, .. } => self.refused = Some(*code),
            Event::Established { .. } if core::mem::replace(&mut self.established, true) => {
                return Err("Established twice".to_string());
            }
            // At a server: what a client sends is its application's from the verdict on.
            Event::Readable | Event::Mail if !self.established => {
                return Err(format!("{event:?} before Established"));
            }
            Event::HandoverBegin { cause } => {
                if core::mem::replace(&mut self.in_handover, true) {
                    return Err(format!("HandoverBegin({cause:?}) within a handover"));
                }
                if *cause == HandoverCause::Drain && !self.draining {
                    return Err("HandoverBegin(Drain) though no server asked for it".to_string());
                }
                self.resting = false;
            }
            Event::Draining { .. } => self.draining = true,
            Event::HandoverEnd(_) => {
                if !core::mem::replace(&mut self.in_handover, false) {
                    return Err("HandoverEnd without a HandoverBegin".to_string());
                }
                self.handovers += 1;
                self.draining = false;
            }
            Event::HandoverFailed { reason, .. } => {
                if !core::mem::replace(&mut self.in_handover, false) && self.established {
                    return Err(format!("HandoverFailed({reason:?}) without a HandoverBegin"));
                }
                self.failed += 1;
                if reason.is_final() {
                    self.doomed = Some(*reason);
                } else {
                    self.resting = true;
                }
            }
            Event::Closed(reason) => {
                if self.in_handover {
                    return Err(format!(
                        "Closed({reason:?}) within a handover: HandoverFailed is missing"
                    ));
                }
                if let Some(doom) = self.doomed.filter(|doom| *doom != FailReason::from(*reason)) {
                    return Err(format!("Closed({reason:?}) after HandoverFailed({doom:?})"));
                }
                self.closed = Some(*reason);
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn the_oracle_sees_events_out_of_order() {
        let begin = Event::HandoverBegin {
            cause: HandoverCause::LinkLost,
        };
        let closed = Event::Closed(CloseReason::Expired);
        let failed = Event::HandoverFailed {
            reason: FailReason::Expired,
            acked: unbroken::MessageId(0),
        };
        let judge = |events: &[&Event]| {
            let mut life = Life {
                established: true,
                ..Life::default()
            };
            events.iter().try_for_each(|e| life.see(e))
        };
        judge(&[&begin, &failed, &closed]).unwrap();
        judge(&[&begin, &begin]).unwrap_err();
        judge(&[&failed]).unwrap_err();
        judge(&[&begin, &closed]).unwrap_err();
        judge(&[&closed, &closed]).unwrap_err();
        judge(&[&begin, &failed, &Event::Closed(CloseReason::RolledBack)]).unwrap_err();
        judge(&[&begin, &failed, &begin]).unwrap_err();
        let asked = Event::Draining { window: Duration::ZERO };
        let moves = Event::HandoverBegin {
            cause: HandoverCause::Drain,
        };
        judge(&[&asked, &moves]).unwrap();
        judge(&[&moves]).unwrap_err();
        judge(&[&Event::Readable, &Event::Mail]).unwrap();
        for early in [Event::Readable, Event::Mail] {
            Life::default().see(&early).unwrap_err();
        }
    }
}
