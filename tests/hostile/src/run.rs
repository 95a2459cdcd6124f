//! The phases: calm, attack, after.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::attacks::{self, Arms, Attack, Tally};
use crate::findings::{Done, Findings, Met, Moment, Recorded};
use crate::options::Options;
use crate::prey;
use crate::priority;
use crate::proc;
use crate::process::{Fault, Process};
use crate::recorder::{self, Recorder};
use crate::servers::{self, Promise};
use crate::watch::{Course, Watch, mib};
use crate::{honest, server, table, verdict};

/// Before anything is measured.
const WARM: Duration = Duration::from_secs(3);
/// Before the attack, and again when all of it is over: what else the machine does changes, and so both of it count as calm. Of 100 clients that is 60,000
/// round trips.
const CALM: Duration = Duration::from_secs(15);
/// A session without a link lives for 30 s and a tombstone for 30 s more; twice that is the longest that the server may need.
const SETTLE: Duration = Duration::from_secs(120);
/// Looks in a row, a second apart.
const LOOKS: u32 = 3;
/// The least that the clients of hostile servers are watched for.
const PREY: Duration = Duration::from_secs(40);

pub async fn run(options: &Options) -> Result<ExitCode, Fault> {
    let show = Show::new(options);
    let first = priority::first();
    let (mut server, ready): (_, server::Ready) = Process::start(&["server".into()]).await?;
    let honest = [
        "honest".into(),
        ready.address.to_string(),
        options.clients.to_string(),
        options.seed.to_string(),
    ];
    let (mut honest, _): (_, u32) = Process::start(&honest).await?;
    priority::usual();
    let recorder = Recorder::start(ready.address).await?;
    let mut findings = Findings {
        clients: options.clients,
        served_first: first,
        ..Findings::default()
    };

    show.wait("the honest clients come", WARM).await;
    let watch = Watch::start(server.id);
    let _: honest::Report = honest.ask("calm").await?;
    show.wait("calm", CALM).await;
    let _: honest::Report = honest.ask("between").await?;
    findings.calm = watch.course();
    findings.before = moment(&mut server).await?;

    let time = Duration::from_secs(60 * options.minutes);
    let watch = Watch::start(server.id);
    let _: honest::Report = honest.ask("attack").await?;
    let attacks: Vec<_> = attacks::all(options.half_handshakes)
        .into_iter()
        .map(Arc::new)
        .collect();
    let arms = Arc::new(Arms {
        target: ready.address,
        library: recorder.library.clone(),
    });
    let tallies = attack(&attacks, &arms, time, &show).await;
    let _: honest::Report = honest.ask("between").await?;
    findings.attack = watch.course();
    findings.seconds = time.as_secs_f64();
    findings.attacks = attacks
        .iter()
        .zip(&tallies)
        .map(|(attack, tally)| done(attack, tally, time))
        .collect();

    // Both at once: the server comes to rest, and other clients are among hostile servers.
    let (settled, among) = tokio::join!(
        settle(&mut server, findings.before),
        among_hostile_servers(options, &recorder, &show),
    );
    (findings.after, findings.settled_seconds) = settled?;
    Among {
        met: findings.hostile_servers,
        course: findings.prey,
        panics: findings.prey_panics,
    } = among?;

    let _: honest::Report = honest.ask("calm").await?;
    show.wait("calm again", CALM).await;
    findings.honest = honest.ask("over").await?;
    let book = recorder.end().await;
    findings.recorded = Recorded {
        clients: recorder::CLIENTS.into(),
        sent: book.sent,
        in_order: book.seen.good,
        wrong: book.seen.wrong(),
        connections: book.recorded,
        ended: book.ended,
    };
    findings.server = server.ask("tell").await?;
    honest.end().await?;
    server.end().await?;
    show.done();

    let wrong = verdict::judge(&findings);
    if options.json {
        println!("{}", table::json(&findings, &wrong)?);
    } else {
        print!("{}", table::text(&findings));
    }
    for why in &wrong {
        eprintln!("FAILED: {why}");
    }
    Ok(if wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// All attacks at once, for so long.
async fn attack(attacks: &[Arc<Attack>], arms: &Arc<Arms>, time: Duration, show: &Show) -> Vec<Arc<Tally>> {
    let tallies = attacks::tallies(attacks);
    let mut tasks = JoinSet::new();
    for (attack, tally) in attacks.iter().zip(&tallies) {
        tasks.spawn(attacks::run(attack.clone(), arms.clone(), tally.clone()));
    }
    show.wait("attack", time).await;
    tasks.shutdown().await;
    tallies
}

fn done(attack: &Attack, tally: &Tally, time: Duration) -> Done {
    let (kinds, failed, tolerated) = tally.read();
    let total: u64 = kinds.iter().sum();
    let floor = attack.aim * time.as_secs_f64() / 2.0;
    Done {
        name: attack.name,
        unit: attack.unit,
        kinds: attack.kinds.iter().copied().zip(kinds).collect(),
        total,
        per_second: total as f64 / time.as_secs_f64(),
        floor: floor as u64,
        failed,
        tolerated,
    }
}

async fn moment(server: &mut Process) -> Result<Moment, Fault> {
    let report: server::Report = server.ask("tell").await?;
    let look = proc::look(server.id)?;
    Ok(Moment {
        rss_mib: mib(look.rss),
        descriptors: look.descriptors,
        sessions: report.sessions,
        links: report.links,
    })
}

/// Waits until the server has as many sessions, links and descriptors as before, in several looks in a row: an honest client that dials beside a late link has
/// two for a moment. What it has then, and how long that took.
async fn settle(server: &mut Process, before: Moment) -> Result<(Moment, f64), Fault> {
    let begun = Instant::now();
    let mut like = 0;
    loop {
        sleep(Duration::from_secs(1)).await;
        let now = moment(server).await?;
        like = if now.is_like(&before) { like + 1 } else { 0 };
        if like == LOOKS || begun.elapsed() > SETTLE {
            return Ok((now, begun.elapsed().as_secs_f64()));
        }
    }
}

struct Among {
    met: Vec<Met>,
    course: Course,
    panics: u64,
}

/// The other half of the trial: clients of the library and servers that are not.
async fn among_hostile_servers(options: &Options, recorder: &Recorder, show: &Show) -> Result<Among, Fault> {
    let mut tasks = JoinSet::new();
    let mut posts = Vec::new();
    let mut arguments = vec!["prey".to_owned()];
    for kind in &servers::KINDS {
        let post = servers::open(kind, recorder.library.clone(), &mut tasks).await?;
        arguments.push(post.address.to_string());
        posts.push(post);
    }
    let (mut prey, _): (_, usize) = Process::start(&arguments).await?;
    let watch = Watch::start(prey.id);
    let time = PREY.max(Duration::from_secs(5 * options.minutes));
    show.wait("honest clients among hostile servers", time).await;
    let course = watch.course();
    let report: prey::Report = prey.ask("tell").await?;
    prey.end().await?;
    let met = servers::KINDS.iter().zip(posts).zip(report.fates);
    let met = met.map(|((kind, post), fate)| Met {
        name: kind.name,
        promise: kind.promise,
        dials: post.dials.load(Relaxed),
        most_dials: most_dials(kind.promise, time),
        fate,
    });
    Ok(Among {
        met: met.collect(),
        course,
        panics: report.panics,
    })
}

/// What the documented back-off allows all clients of a kind together. After a link that did not stand: at random up to 100 ms, doubling up to 5 s, which is
/// some ten dials until they give up, and 40 with a wide margin. After one that stood: 16 at once, then one in half a second at once and the others up to half a
/// second later at random, which is 5.5 in a second, and 9 with a margin.
fn most_dials(promise: Promise, time: Duration) -> u64 {
    let rounds = time.as_secs_f64() / prey::GIVE_UP.as_secs_f64() + 1.0;
    let each = match promise {
        Promise::ConnectGivesUp | Promise::HandoverGivesUp => 40.0 * rounds,
        Promise::Stands => 32.0 + 9.0 * time.as_secs_f64(),
    };
    prey::CLIENTS as u64 * each as u64
}

/// How far it is, for whoever looks at a terminal.
struct Show(ProgressBar);

impl Show {
    fn new(options: &Options) -> Show {
        let bar = if options.json || !std::io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(0)
        };
        if let Ok(style) = ProgressStyle::with_template("{msg:40} {bar:30} {pos}/{len} s") {
            bar.set_style(style);
        }
        Show(bar)
    }

    async fn wait(&self, what: &'static str, time: Duration) {
        self.0.set_message(what);
        self.0.set_length(time.as_secs());
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.0.set_position(begun.elapsed().as_secs());
            sleep((time - begun.elapsed().min(time)).min(Duration::from_millis(500))).await;
        }
    }

    fn done(&self) {
        self.0.finish_and_clear();
    }
}
