//! `campaign --state FILE`: runs seeds until the goals are reached, on all cores. What was found is in the file after each block; the same
//! command goes on from there, so it may be stopped at any time.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use unbroken_sim::campaign::{Goals, State, profile_of};
use unbroken_sim::runner;

const USAGE: &str = "\
usage: campaign --state FILE [--jobs N] [--seeds N] [--failures N] [--handovers N] [--rollbacks N] [--seconds N]
  --state      where it is written down how far the campaign has come; a new file begins a new one
  --jobs       threads; all cores
  --seeds      goals; by default 100,000 seeds, 10,000,000 link failures, 100,000 handovers and 10,000 rollbacks of the store
  --seconds    stop after about so long, to go on later; without it, when all goals are reached";

/// Seeds between two saves: some seconds of work, and enough that the cores seldom wait for each other.
const BLOCK: u64 = 128;
/// So many violations end a campaign: there is something to mend first.
const ENOUGH: usize = 20;

struct Args {
    state: PathBuf,
    jobs: u64,
    goals: Goals,
    seconds: Option<u64>,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Args, String> {
    let (mut state, mut goals, mut seconds) = (None, Goals::default(), None);
    let mut jobs = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|e| format!("{arg} {value}: {e}"));
        match arg.as_str() {
            "--state" => state = Some(PathBuf::from(value)),
            "--jobs" => jobs = number()?.max(1),
            "--seeds" => goals.seeds = number()?,
            "--failures" => goals.failures = number()?,
            "--handovers" => goals.handovers = number()?,
            "--rollbacks" => goals.rollbacks = number()?,
            "--seconds" => seconds = Some(number()?),
            _ => return Err(format!("no option {arg}")),
        }
    }
    let state = state.ok_or("--state is missing")?;
    Ok(Args {
        state,
        jobs,
        goals,
        seconds,
    })
}

/// Which build this is: a digest of the program itself.
fn build() -> Result<String, String> {
    let own = std::env::current_exe()
        .and_then(std::fs::read)
        .map_err(|e| format!("cannot read itself: {e}"))?;
    let mut hasher = DefaultHasher::new();
    own.hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}

fn load(path: &Path) -> Result<State, String> {
    let build = build()?;
    if !path.exists() {
        return Ok(State::new(build));
    }
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let state = State::load(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    if state.build != build {
        let path = path.display();
        return Err(format!(
            "{path} belongs to another build of the simulator; begin a new file"
        ));
    }
    Ok(state)
}

/// Whole or not at all.
fn save(path: &Path, state: &State) -> Result<(), String> {
    let beside = path.with_extension("new");
    let written = std::fs::write(&beside, state.save()).and_then(|()| std::fs::rename(&beside, path));
    written.map_err(|e| format!("{}: {e}", path.display()))
}

fn run_block(state: &mut State, jobs: u64) {
    let end = state.next + BLOCK;
    let next = AtomicU64::new(state.next);
    let shared = Mutex::new(&mut *state);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let profile = profile_of(seed);
                    match runner::run_seed(profile, seed, 60) {
                        Ok(totals) => shared.lock().unwrap().add(profile, &totals),
                        Err(failure) => {
                            println!("{failure}\n");
                            shared
                                .lock()
                                .unwrap()
                                .violations
                                .push((profile.name().to_string(), seed));
                        }
                    }
                }
            });
        }
    });
    state.next = end;
}

fn run(args: &Args) -> Result<bool, String> {
    let started = Instant::now();
    let mut state = load(&args.state)?;
    println!("from seed {}", state.next);
    while !state.missing(&args.goals).is_empty() && state.violations.len() < ENOUGH {
        run_block(&mut state, args.jobs);
        save(&args.state, &state)?;
        println!(
            "{} seeds, {} link failures, {} handovers, {} takeovers, {} rollbacks, {} violations",
            state.next,
            state.sum("link-failures"),
            state.sum("handovers"),
            state.sum("takeovers"),
            state.sum("rollbacks"),
            state.violations.len(),
        );
        if args
            .seconds
            .is_some_and(|most| started.elapsed() >= Duration::from_secs(most))
        {
            break;
        }
    }
    println!("{state}");
    for (profile, seed) in &state.violations {
        println!(
            "violation: unbroken-sim --profile {profile} --seeds {seed}..{}",
            seed + 1
        );
    }
    let missing = state.missing(&args.goals);
    match &missing[..] {
        [] => println!("all goals are reached"),
        _ => println!("so far {}; the same command goes on", missing.join(", ")),
    }
    println!("{} violations", state.violations.len());
    Ok(state.violations.is_empty())
}

fn main() -> ExitCode {
    if unbroken_sim::is_asked_for_help() {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    // The runner shows what went wrong in a seed, whole.
    std::panic::set_hook(Box::new(|_| {}));
    match parse(std::env::args().skip(1)) {
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            ExitCode::from(2)
        }
        Ok(args) => match run(&args) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::FAILURE,
            Err(problem) => {
                eprintln!("{problem}");
                ExitCode::FAILURE
            }
        },
    }
}
