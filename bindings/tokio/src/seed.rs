//! The only place where randomness enters: 32 bytes of the system's for each session or endpoint.

use std::io;

use unbroken::Seed;

pub(crate) fn fresh() -> io::Result<Seed> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|e| io::Error::other(format!("the system gives no randomness: {e}")))?;
    Ok(Seed::new(bytes))
}
