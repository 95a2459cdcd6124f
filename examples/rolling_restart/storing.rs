//! The store that the servers share. One file cannot be opened by three processes, so on one machine a process of its own owns it and serves the others;
//! on several machines that is Redis.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::process::Child;
use unbroken_store::{EmbeddedStore, RedisStore, RemoteStore, StoreServer};
use unbroken_tokio::Store;

use crate::fleet::{free_address, spawn};
use crate::options::{Keep, Options};

/// A store that runs; dropped, its process ends.
pub struct Running {
    /// For the servers.
    pub url: String,
    /// For people.
    pub name: &'static str,
    _process: Option<Child>,
}

/// Starts a store process, or names the Redis that was chosen, after a look whether it works.
pub async fn start(options: &Options, folder: &Path) -> Result<Running, Box<dyn Error>> {
    let running = match &options.redis {
        Some(url) => Running {
            url: url.clone(),
            name: "Redis",
            _process: None,
        },
        None => {
            let listen = free_address()?;
            let file = folder.join("sessions.redb");
            let arguments = [
                "keep",
                "--listen",
                &listen.to_string(),
                "--file",
                &file.to_string_lossy(),
            ]
            .map(String::from);
            let process = spawn(&arguments, folder, "store")?;
            wait_for(listen).await?;
            Running {
                url: listen.to_string(),
                name: "a store process with one file",
                _process: Some(process),
            }
        }
    };
    connect(&running.url).await?.check().await?;
    Ok(running)
}

/// A server's way to the store.
pub async fn connect(url: &str) -> Result<Arc<dyn Store>, Box<dyn Error>> {
    if url.contains("://") {
        return Ok(Arc::new(RedisStore::connect(url).await?));
    }
    Ok(Arc::new(RemoteStore::connect(url).await?))
}

/// The store process: one owns the file, the others ask it.
pub async fn keep(options: Keep) -> Result<(), Box<dyn Error>> {
    let store = EmbeddedStore::open(&options.file)?;
    let server = StoreServer::builder(store).bind(&options.listen.to_string()).await?;
    server.serve_until(std::future::pending()).await;
    Ok(())
}

async fn wait_for(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    for _ in 0..200 {
        if TcpStream::connect(address).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(format!("the store process did not listen on {address} within 10 s").into())
}
