//! `unbroken-sim --seeds A..B [--profile NAME] [--jobs N] [--trace N]`: runs the seeds and says what came of it.

use core::ops::Range;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use unbroken_sim::{Profile, Totals, run_seed};

const USAGE: &str = "usage: unbroken-sim --seeds A..B [--profile NAME] [--jobs N] [--trace N]\n\
                     without --profile the seeds go through all profiles in turn";

struct Args {
    seeds: Range<u64>,
    profile: Option<Profile>,
    jobs: u64,
    trace: usize,
}

fn main() -> ExitCode {
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
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= args.seeds.end || failed.lock().unwrap().len() >= 10 {
                        break;
                    }
                    let profile = args
                        .profile
                        .unwrap_or(Profile::ALL[(seed % Profile::ALL.len() as u64) as usize]);
                    match run_seed(profile, seed, args.trace) {
                        Ok(one) => {
                            let mut totals = totals.lock().unwrap();
                            *totals += one;
                            if shows {
                                eprint!("\r{totals}   ");
                                let _ = std::io::stderr().flush();
                            }
                        }
                        Err(failure) => {
                            eprintln!("\n{failure}\n");
                            failed.lock().unwrap().push((profile, seed));
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
    if failed.is_empty() {
        println!("no violation");
        return ExitCode::SUCCESS;
    }
    for (profile, seed) in &failed {
        println!("violation: --profile {} --seeds {seed}..{}", profile.name(), seed + 1);
    }
    ExitCode::FAILURE
}
