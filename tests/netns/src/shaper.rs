//! The paths, where the kernel has no netem: a process in the namespace between the two ends that forwards every Ethernet frame (ARP
//! too) after the path's delay, or drops it with the path's probability. It looks into no frame and ends no connection, so both
//! TCP stacks see what they would see on a bad path.
//!
//! Orders come on standard input, one a line: `PATH DELAY_MS LOSS`, with a loss from 0 to 1 for each direction; each is answered with
//! a line `ok`. Two threads serve each direction: one reads and draws, one waits and writes.

use std::io::{self, BufRead};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use crate::packet::Port;

/// What a path is like, in both directions.
struct Path {
    name: String,
    delay_us: AtomicU32,
    /// In millionths.
    loss: AtomicU32,
}

/// Until standard input ends. Each path is `NAME=NEAR,FAR`.
pub fn run(paths: &[String], seed: u64) -> io::Result<()> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_string());
    let mut all = Vec::new();
    for (index, path) in (0..).zip(paths) {
        let (name, ends) = path.split_once('=').ok_or_else(|| bad(path))?;
        let (near, far) = ends.split_once(',').ok_or_else(|| bad(path))?;
        let (near, far) = (Arc::new(Port::open(near)?), Arc::new(Port::open(far)?));
        let path = Arc::new(Path {
            name: name.into(),
            delay_us: AtomicU32::new(0),
            loss: AtomicU32::new(0),
        });
        forward(near.clone(), far.clone(), path.clone(), seed.wrapping_add(index * 2));
        forward(far, near, path.clone(), seed.wrapping_add(index * 2 + 1));
        all.push(path);
    }
    for line in io::stdin().lock().lines() {
        let line = line?;
        let mut words = line.split_whitespace();
        let path = words.next().and_then(|name| all.iter().find(|path| path.name == name));
        let delay = words.next().and_then(|word| word.parse::<f64>().ok());
        let loss = words.next().and_then(|word| word.parse::<f64>().ok());
        let (Some(path), Some(delay), Some(loss)) = (path, delay, loss) else {
            return Err(bad(&line));
        };
        path.delay_us.store((delay * 1e3) as u32, Relaxed);
        path.loss.store((loss * 1e6) as u32, Relaxed);
        println!("ok");
    }
    Ok(())
}

/// One direction.
fn forward(from: Arc<Port>, to: Arc<Port>, path: Arc<Path>, seed: u64) {
    let (late, frames) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        for (due, frame) in frames {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            // An interface that is down swallows frames, as a path does.
            let _ = to.write(&frame);
        }
    });
    thread::spawn(move || {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut frame = vec![0; 128 << 10];
        loop {
            let Ok(len) = from.read(&mut frame) else {
                // "Network is down", once for each time that it is.
                thread::sleep(Duration::from_millis(1));
                continue;
            };
            if rng.u32(0..1_000_000) < path.loss.load(Relaxed) {
                continue;
            }
            let due = Instant::now() + Duration::from_micros(path.delay_us.load(Relaxed).into());
            if late.send((due, frame[..len].to_vec())).is_err() {
                return;
            }
        }
    });
}
