//! What happens to one client's networks, and what its operating system says about it; drawn from the seed and the client's number.

use std::time::Duration;

use clap::ValueEnum;
use unbroken_tokio::{NetworkEvent, NetworkId};

/// The scenarios.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Scenario {
    /// Out of the door: Wi-Fi fades, then dies without a word; cellular is up
    WalkOut,
    /// Tunnels: cellular only, with gaps; some connections do not survive them
    Subway,
    /// Everything stalls without FIN; afterwards the old connections are gone, silently
    Elevator,
    /// The process is suspended and woken; its connections are dead when it wakes
    Background,
    /// Wi-Fi comes and goes several times a second
    Flapping,
}

/// Which network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Net {
    Wifi,
    Cellular,
}

/// What happens.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Act {
    /// Nothing passes any more, and nobody is told.
    Stall(Net),
    /// It carries again; what waited comes now.
    Carry(Net),
    /// Its connections are reset.
    Cut(Net),
    /// Its connections never carry again and nobody is told, as when a NAT forgets them; new ones work.
    Forget(Net),
    /// The system sends new connections over this one from now on.
    Prefer(Net),
    /// What the operating system tells applications that listen.
    Hint(NetworkEvent),
    /// The process stands still.
    Freeze,
    /// The process runs again.
    Thaw,
}

/// One thing that goes wrong, as the user would call it.
#[derive(Clone, PartialEq, Debug)]
pub struct Trouble {
    pub at: Duration,
    pub length: Duration,
    pub name: &'static str,
    /// Nobody could have sent anything meanwhile: no network was there, or the process stood still. Not counted as downtime.
    pub dark: bool,
}

/// One client's.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Script {
    /// In the order of time.
    pub acts: Vec<(Duration, Act)>,
    pub troubles: Vec<Trouble>,
}

impl Net {
    pub const BOTH: [Net; 2] = [Net::Wifi, Net::Cellular];

    pub fn id(self) -> NetworkId {
        NetworkId(self as u64 + 1)
    }
}

impl Scenario {
    /// The script for one client of a run of this length.
    pub fn script(self, seed: u64, client: u32, length: Duration) -> Script {
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(client).wrapping_mul(0xd1b5_4a32_d192_ed03);
        let mut writer = Writer {
            rng: fastrand::Rng::with_seed(seed),
            at: Duration::ZERO,
            script: Script::default(),
        };
        writer.begin(self);
        // What begins must have time to end before the run does.
        let last = length.saturating_sub(writer.longest(self));
        writer.at = writer.span(1.0, 2.5).min(last);
        loop {
            writer.trouble(self);
            if writer.at > last {
                break;
            }
        }
        let mut script = writer.script;
        script.acts.sort_by_key(|(at, _)| *at);
        script
    }

    /// One line for people.
    pub fn story(self) -> &'static str {
        match self {
            Scenario::WalkOut => {
                "Wi-Fi fades, then swallows everything without a word. Cellular is up. The system says so during the fading, or one to three seconds too late."
            }
            Scenario::Subway => {
                "Cellular only, with a tunnel every few seconds. After every other tunnel the old connection is gone, silently. The system announces every other return. The tunnel itself is not counted as downtime."
            }
            Scenario::Elevator => {
                "Both networks stall for one to three seconds, without FIN and without a hint; when the doors open, what was open on Wi-Fi is gone, silently. The ride itself is not counted as downtime."
            }
            Scenario::Background => {
                "The process is suspended for one to three seconds. When it wakes, its connections are reset, or dead without a word. Its own sleep is not counted as downtime."
            }
            Scenario::Flapping => {
                "Wi-Fi comes and goes, three times in two seconds, with a reset or without a word. The system announces each change."
            }
        }
    }

    /// As on the command line.
    pub fn name(self) -> String {
        self.to_possible_value()
            .map(|value| value.get_name().to_string())
            .unwrap_or_default()
    }
}

/// Draws and writes down.
struct Writer {
    rng: fastrand::Rng,
    at: Duration,
    script: Script,
}

impl Writer {
    fn span(&mut self, from: f64, to: f64) -> Duration {
        Duration::from_secs_f64(from + (to - from) * self.rng.f64())
    }

    fn act(&mut self, at: Duration, act: Act) {
        self.script.acts.push((at, act));
    }

    fn happens(&mut self, length: Duration, name: &'static str, dark: bool) {
        self.script.troubles.push(Trouble {
            at: self.at,
            length,
            name,
            dark,
        });
    }

    fn begin(&mut self, scenario: Scenario) {
        if scenario == Scenario::Subway {
            self.act(Duration::ZERO, Act::Stall(Net::Wifi));
            self.act(Duration::ZERO, Act::Prefer(Net::Cellular));
            self.act(Duration::ZERO, Act::Hint(NetworkEvent::Lost(Net::Wifi.id())));
        }
    }

    /// The time that one trouble may take until a good client is over it.
    fn longest(&self, scenario: Scenario) -> Duration {
        Duration::from_millis(match scenario {
            Scenario::WalkOut => 7000,
            Scenario::Subway | Scenario::Background => 4500,
            Scenario::Elevator => 6500,
            Scenario::Flapping => 2500,
        })
    }

    /// Writes one, and moves on to where the next may begin.
    fn trouble(&mut self, scenario: Scenario) {
        match scenario {
            Scenario::WalkOut => self.walk_out(),
            Scenario::Subway => self.tunnel(),
            Scenario::Elevator => self.ride(),
            Scenario::Background => self.sleep(),
            Scenario::Flapping => self.flap(),
        }
    }

    fn walk_out(&mut self) {
        let start = self.at;
        let fading = self.span(1.5, 2.5);
        let dead = start + fading;
        // Packets are lost more and more often, and TCP waits longer and longer for them.
        let mut at = start;
        let mut pause = 0.06;
        while at < dead {
            let stall = Duration::from_secs_f64(pause * (0.7 + 0.6 * self.rng.f64()));
            self.act(at, Act::Stall(Net::Wifi));
            self.act((at + stall).min(dead), Act::Carry(Net::Wifi));
            at += stall + self.span(0.08, 0.25);
            pause = (pause * 1.35).min(0.4);
        }
        self.act(dead, Act::Stall(Net::Wifi));
        let told = if self.rng.bool() {
            start + fading.mul_f64(0.3 + 0.7 * self.rng.f64())
        } else {
            dead + self.span(1.0, 3.0)
        };
        self.act(told, Act::Prefer(Net::Cellular));
        self.act(told, Act::Hint(NetworkEvent::Available(Net::Cellular.id())));
        self.happens(fading, "Wi-Fi fades", false);
        // Home again, much later.
        let home = dead + self.span(8.0, 9.0);
        self.act(home, Act::Forget(Net::Wifi));
        self.act(home, Act::Carry(Net::Wifi));
        self.act(home, Act::Prefer(Net::Wifi));
        self.act(home, Act::Hint(NetworkEvent::Changed(Net::Wifi.id())));
        self.at = home + self.span(2.0, 3.0);
    }

    fn tunnel(&mut self) {
        let length = self.span(0.5, 2.5);
        let out = self.at + length;
        let gone = self.rng.bool();
        self.act(self.at, Act::Stall(Net::Cellular));
        if gone {
            self.act(out, Act::Forget(Net::Cellular));
        }
        self.act(out, Act::Carry(Net::Cellular));
        if self.rng.bool() {
            self.act(out, Act::Hint(NetworkEvent::Available(Net::Cellular.id())));
        }
        let name = if gone {
            "tunnel, connections forgotten"
        } else {
            "tunnel"
        };
        self.happens(length, name, true);
        self.at = out + self.span(2.0, 4.0);
    }

    fn ride(&mut self) {
        let length = self.span(1.0, 3.0);
        let out = self.at + length;
        for net in Net::BOTH {
            self.act(self.at, Act::Stall(net));
        }
        self.act(out, Act::Forget(Net::Wifi));
        for net in Net::BOTH {
            self.act(out, Act::Carry(net));
        }
        self.happens(length, "elevator", true);
        self.at = out + self.span(4.0, 6.0);
    }

    fn sleep(&mut self) {
        let length = self.span(1.0, 3.0);
        let awake = self.at + length;
        let silent = self.rng.bool();
        self.act(self.at, Act::Hint(NetworkEvent::Suspend));
        self.act(self.at, Act::Freeze);
        for net in Net::BOTH {
            let act = if silent { Act::Forget(net) } else { Act::Cut(net) };
            self.act(self.at + Duration::from_millis(200), act);
        }
        self.act(awake, Act::Thaw);
        self.act(awake, Act::Hint(NetworkEvent::Wake));
        let name = if silent {
            "suspended, connections forgotten"
        } else {
            "suspended, connections reset"
        };
        self.happens(length, name, true);
        self.at = awake + self.span(2.0, 4.0);
    }

    fn flap(&mut self) {
        let start = self.at;
        let mut at = start;
        for _ in 0..3 {
            // Away ...
            let act = if self.rng.bool() {
                Act::Cut(Net::Wifi)
            } else {
                Act::Forget(Net::Wifi)
            };
            self.act(at, act);
            self.act(at, Act::Stall(Net::Wifi));
            let told = at + self.span(0.0, 0.1);
            self.act(told, Act::Prefer(Net::Cellular));
            self.act(told, Act::Hint(NetworkEvent::Changed(Net::Cellular.id())));
            // ... and back.
            at = told + self.span(0.2, 0.5);
            self.act(at, Act::Carry(Net::Wifi));
            self.act(at, Act::Prefer(Net::Wifi));
            self.act(at, Act::Hint(NetworkEvent::Changed(Net::Wifi.id())));
            at += self.span(0.15, 0.4);
        }
        self.happens(at - start, "Wi-Fi flaps", false);
        self.at = at + self.span(1.0, 2.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_script_and_each_has_trouble_that_ends_in_time() {
        let length = Duration::from_secs(10);
        for scenario in Scenario::value_variants() {
            for client in 0..200 {
                let script = scenario.script(7, client, length);
                assert_eq!(script, scenario.script(7, client, length));
                assert_ne!(script, scenario.script(8, client, length));
                assert!(!script.troubles.is_empty(), "{scenario:?}");
                assert!(script.acts.is_sorted_by_key(|(at, _)| *at));
                assert!(
                    script
                        .troubles
                        .iter()
                        .all(|trouble| trouble.at + trouble.length < length),
                    "{scenario:?} {script:?}"
                );
            }
        }
    }

    #[test]
    fn who_is_frozen_is_thawed() {
        for client in 0..50 {
            let script = Scenario::Background.script(1, client, Duration::from_secs(10));
            let count = |wanted| script.acts.iter().filter(|(_, act)| *act == wanted).count();
            assert_eq!(count(Act::Freeze), count(Act::Thaw));
        }
    }
}
