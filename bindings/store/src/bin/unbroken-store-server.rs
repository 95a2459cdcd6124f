//! The store process: it has the file, and lends it to the servers of this machine or its private network.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use unbroken_store::{EmbeddedStore, StoreServer};

/// Keeps sessions in a file and lends it to servers, which reach it by `RemoteStore`. Ends at SIGTERM or SIGINT; all that was confirmed is in the
/// file, also after SIGKILL.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// The file; it is made if there is none.
    #[arg(long)]
    file: PathBuf,
    /// Where to listen: host:port (port 0: any), or unix:/path. The connection is not encrypted: keep it within a private network.
    #[arg(long, default_value = "127.0.0.1:7377")]
    listen: String,
    /// A file with the secret that clients must know; white space around it does not count.
    #[arg(long)]
    secret_file: Option<PathBuf>,
    /// After how many seconds a write that the disk has not taken is given up; that of the servers' `RemoteStore` should be a little longer.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
}

#[tokio::main]
async fn main() -> std::process::ExitCode {
    // Where the log cannot be written (the disk may be full), the store goes on without.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .log_internal_errors(false)
        .init();
    match run(Options::parse()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("unbroken-store-server: {problem}");
            std::process::ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), String> {
    let secret = match &options.secret_file {
        Some(path) => std::fs::read(path)
            .map_err(|error| format!("--secret-file {}: {error}", path.display()))?
            .trim_ascii()
            .to_vec(),
        None => Vec::new(),
    };
    if options.secret_file.is_some() && secret.len() < 16 {
        return Err("--secret-file: the secret is shorter than 16 bytes; use random ones".into());
    }
    let store = EmbeddedStore::builder(&options.file)
        .timeout(Duration::from_secs(options.timeout))
        .open()
        .map_err(|error| error.to_string())?;
    let server = StoreServer::builder(store)
        .secret(secret)
        .bind(&options.listen)
        .await
        .map_err(|error| error.to_string())?;
    // On stdout, for whoever started it with port 0. Where that cannot be written, nobody reads it.
    let _ = writeln!(std::io::stdout(), "listening at {}", server.address());
    server.serve_until(terminated()).await;
    Ok(())
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn terminated() {
    drop(tokio::signal::ctrl_c().await);
}
