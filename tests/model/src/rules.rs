//! What is checked: the mode, the rules in force, and how much of everything there may be.

/// When the store holds a snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mode {
    /// Only while nobody has the session.
    SwapOut,
    /// Always; nothing leaves a process before a snapshot that covers it is confirmed.
    Durable,
}

/// A rule of the protocol. Each can be taken away; the check must then find a counterexample.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rule {
    /// R1: the server keeps two generations of secrets and accepts either.
    TwoGenerations,
    /// R2: an attempt must exceed the highest accepted one.
    Attempt,
    /// R3: what the client claims to know of the server must be possible, and vice versa.
    Counts,
    /// R4: a restored session gives out no numbers before a flight has validated it.
    NumberAfterValidate,
    /// R5: mac1 and AEAD are verified before the store is changed.
    VerifyBeforeClaim,
    /// R6, G4: each write names the token and owner of the record that it replaces.
    Fence,
    /// R6, output commit: (`Durable`) nothing leaves before a snapshot that covers it is confirmed.
    PersistBeforeSend,
    /// A claim of a dead owner's record names the very snapshot that was judged, so that a commit in between makes it fail.
    ClaimNamesSnapshot,
    /// A swap-out of unknown outcome is looked up before the session goes on.
    LookAfterUnknownPark,
    /// A server looks into the store before it says that it lost a session which it has in memory: it may be a zombie.
    LookBeforeLoss,
    /// No RESUME is accepted while the session is being swapped out.
    HoldWhileParking,
    /// R4, the rest: a restored session gives out no numbers before its new link is confirmed. A late flight confirms nothing.
    NumberAfterConfirm,
    /// R3, the client's half: an ACCEPT of a new owner must know all that the former owners' links have brought.
    AcceptKnowsAll,
    /// R3, the client's half: it reads no link of a former owner once it took the ACCEPT of a new one.
    LeaveFormerOwner,
    /// A claim's outcome is taken in although the flight it was for has been given up.
    FinishClaim,
    /// F-80: after a claim of unknown outcome, a record with one's own token and name means success.
    OwnClaimCounts,
}

impl Rule {
    /// All of them, in the order of the README's table.
    pub const ALL: [Rule; 16] = [
        Rule::TwoGenerations,
        Rule::Attempt,
        Rule::Counts,
        Rule::NumberAfterValidate,
        Rule::VerifyBeforeClaim,
        Rule::Fence,
        Rule::PersistBeforeSend,
        Rule::ClaimNamesSnapshot,
        Rule::LookAfterUnknownPark,
        Rule::LookBeforeLoss,
        Rule::HoldWhileParking,
        Rule::NumberAfterConfirm,
        Rule::AcceptKnowsAll,
        Rule::LeaveFormerOwner,
        Rule::FinishClaim,
        Rule::OwnClaimCounts,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Rule::TwoGenerations => "two-generations",
            Rule::Attempt => "attempt",
            Rule::Counts => "counts",
            Rule::NumberAfterValidate => "number-after-validate",
            Rule::VerifyBeforeClaim => "verify-before-claim",
            Rule::Fence => "fence",
            Rule::PersistBeforeSend => "persist-before-send",
            Rule::ClaimNamesSnapshot => "claim-names-snapshot",
            Rule::LookAfterUnknownPark => "look-after-unknown-park",
            Rule::LookBeforeLoss => "look-before-loss",
            Rule::HoldWhileParking => "hold-while-parking",
            Rule::NumberAfterConfirm => "number-after-confirm",
            Rule::AcceptKnowsAll => "accept-knows-all",
            Rule::LeaveFormerOwner => "leave-former-owner",
            Rule::FinishClaim => "finish-claim",
            Rule::OwnClaimCounts => "own-claim-counts",
        }
    }

    /// By its name on the command line.
    pub fn named(name: &str) -> Option<Rule> {
        Rule::ALL.into_iter().find(|rule| rule.name() == name)
    }
}

/// How much of everything there may be. What is bounded by 0 does not happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Bounds {
    /// RESUMEs that the client sends.
    pub attempts: u8,
    /// Messages of the client's application.
    pub client_messages: u8,
    /// Messages of the server's application, in all its lives.
    pub server_messages: u8,
    /// Swap-outs that the server wants by itself.
    pub drains: u8,
    /// Processes that die, and are at once replaced by an empty one.
    pub crashes: u8,
    /// Leases that run out although the process lives: it sleeps, or cannot reach the store, and wakes as a zombie.
    pub lease_losses: u8,
    /// Requests to the store whose answer is lost; they were carried out or not.
    pub lost_replies: u8,
    /// Times that the store reverts to an older confirmed record, or to none.
    pub rollbacks: u8,
    /// Flights that the attacker makes up, with a handle that he saw.
    pub forgeries: u8,
}

impl Bounds {
    /// So many RESUMEs, and nothing else.
    pub fn attempts(attempts: u8) -> Bounds {
        let nothing = Bounds::default();
        Bounds { attempts, ..nothing }
    }

    /// So many messages of the client's application.
    pub fn up(self, up: u8) -> Bounds {
        Bounds {
            client_messages: up,
            ..self
        }
    }

    /// So many messages of the server's application.
    pub fn down(self, down: u8) -> Bounds {
        Bounds {
            server_messages: down,
            ..self
        }
    }

    /// See [`Bounds::drains`].
    pub fn drains(self, drains: u8) -> Bounds {
        Bounds { drains, ..self }
    }

    /// See [`Bounds::crashes`].
    pub fn crashes(self, crashes: u8) -> Bounds {
        Bounds { crashes, ..self }
    }

    /// See [`Bounds::lease_losses`].
    pub fn lease_losses(self, lease_losses: u8) -> Bounds {
        Bounds { lease_losses, ..self }
    }

    /// See [`Bounds::lost_replies`].
    pub fn lost_replies(self, lost_replies: u8) -> Bounds {
        Bounds { lost_replies, ..self }
    }

    /// See [`Bounds::rollbacks`].
    pub fn rollbacks(self, rollbacks: u8) -> Bounds {
        Bounds { rollbacks, ..self }
    }

    /// See [`Bounds::forgeries`].
    pub fn forgeries(self, forgeries: u8) -> Bounds {
        Bounds { forgeries, ..self }
    }
}

/// A model to check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Takeover {
    /// When the store holds a snapshot.
    pub mode: Mode,
    /// How much of everything.
    pub bounds: Bounds,
    /// The rules taken away.
    pub without: Without,
}

/// A set of rules that are taken away.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Without(u16);

impl Without {
    /// One more.
    pub fn and(self, rule: Rule) -> Without {
        Without(self.0 | 1 << rule as u16)
    }

    /// Whether nothing is taken away.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Takeover {
    /// Whether a rule is in force.
    pub fn has(&self, rule: Rule) -> bool {
        self.without.0 & 1 << rule as u16 == 0
    }
}
