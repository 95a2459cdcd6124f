//! Runs seeds on all cores and says what came of it. A run that fails is made as simple as it can be before it is shown.

use core::ops::Range;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use unbroken_sim::shrink::{self, Reductions};
use unbroken_sim::{Profile, Totals, runner};

const USAGE: &str = "\
usage: unbroken-sim --seeds A..B [--profile NAME] [--jobs N] [--trace N] [--shrink N] [--reduce NAME,NAME...]
  --profile  all seeds under this one; without it they go through all profiles in turn
  --jobs     threads; all cores
  --trace    events that are shown of a run that fails; 60
  --shrink   runs that may be spent on making a failing one simpler; 200
  --reduce   take this out of the setting of each seed, as a run that was shrunk says";

/// Whoever looks at a file instead of a terminal is told how far it has come once in so long.
const NEWS: Duration = Duration::from_secs(30);

struct Args {
    seeds: Range<u64>,
    profile: Option<Profile>,
    jobs: u64,
    trace: usize,
    shrink: usize,
    reductions: Reductions,
}

fn main() -> ExitCode {
    if unbroken_sim::is_asked_for_help() {
        println!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    match parse(std::env::args().skip(1)) {
        Ok(args) => run(&args),
        Err(problem) => {
            eprintln!("{problem}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Args, String> {
    let jobs = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let mut parsed = Args {
        seeds: 0..100,
        profile: None,
        jobs,
        trace: 60,
        shrink: 200,
        reductions: Reductions::new(),
    };
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
        match arg.as_str() {
            "--seeds" => {
                let (from, to) = value.split_once("..").ok_or("--seeds needs A..B")?;
                let number = |text: &str| text.parse::<u64>().map_err(|e| format!("--seeds {value}: {e}"));
                parsed.seeds = number(from)?..number(to)?;
            }
            "--profile" => parsed.profile = Some(value.parse()?),
            "--jobs" => parsed.jobs = value.parse::<u64>().map_err(|e| format!("--jobs {value}: {e}"))?.max(1),
            "--trace" => parsed.trace = value.parse::<usize>().map_err(|e| format!("--trace {value}: {e}"))?,
            "--shrink" => parsed.shrink = value.parse::<usize>().map_err(|e| format!("--shrink {value}: {e}"))?,
            "--reduce" => {
                let named = |name| shrink::named(name).ok_or_else(|| format!("no reduction {name}"));
                parsed.reductions = value.split(',').map(named).collect::<Result<_, _>>()?;
            }
            _ => return Err(format!("no option {arg}")),
        }
    }
    if parsed.seeds.is_empty() {
        return Err("--seeds is empty: nothing would be proved".to_string());
    }
    Ok(parsed)
}

fn run(args: &Args) -> ExitCode {
    // The runner prints violations itself, whole.
    std::panic::set_hook(Box::new(|_| {}));
    let started = Instant::now();
    let next = AtomicU64::new(args.seeds.start);
    let totals = Mutex::new(Totals::default());
    let failed = Mutex::new(Vec::new());
    let shows = std::io::stderr().is_terminal();
    let told = Mutex::new(Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= args.seeds.end || failed.lock().unwrap().len() >= 10 {
                        break;
                    }
                    let profile = args.profile.unwrap_or(Profile::of(seed));
                    match runner::run_reduced(profile, seed, &args.reductions, args.trace) {
                        Ok(one) => {
                            let mut totals = totals.lock().unwrap();
                            *totals += one;
                            if shows {
                                eprint!("\r{totals}   ");
                                let _ = std::io::stderr().flush();
                            } else if told.lock().unwrap().elapsed() >= NEWS {
                                *told.lock().unwrap() = Instant::now();
                                eprintln!("{totals}");
                            }
                        }
                        Err(failure) => {
                            failed.lock().unwrap().push((profile, seed));
                            // Its seed stands there at once, should the shrinking take long.
                            eprintln!("\nseed {seed} of profile {}: {}", profile.name(), failure.what);
                            eprintln!("\n{}\n", runner::simplest(failure, args.trace, args.shrink));
                        }
                    }
                }
            });
        }
    });
    let (totals, failed) = (totals.into_inner().unwrap(), failed.into_inner().unwrap());
    if shows {
        eprintln!();
    }
    println!(
        "{totals}; digest {:016x}; {:.1} s",
        totals.digest,
        started.elapsed().as_secs_f64()
    );
    let missing = totals.servers.missing();
    if failed.is_empty() && args.profile == Some(Profile::Cluster) && totals.runs >= 100 && !missing.is_empty() {
        println!("vacuous: {}", missing.join(", "));
        return ExitCode::FAILURE;
    }
    if failed.is_empty() {
        println!("no violation");
        return ExitCode::SUCCESS;
    }
    for (profile, seed) in &failed {
        println!("violation: --profile {} --seeds {seed}..{}", profile.name(), seed + 1);
    }
    ExitCode::FAILURE
}
