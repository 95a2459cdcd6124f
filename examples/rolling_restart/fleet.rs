//! The processes of a run: started, told to leave, killed, and never left behind.

use std::error::Error;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::balancer::is_ready;
use crate::chronicle::{Chronicle, Condition};
use crate::options::Options;

/// How long a process may take to start.
const START: Duration = Duration::from_secs(20);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(200);

/// Where a server is found, through all its restarts.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub listen: SocketAddr,
    /// Where it says whether it is ready.
    pub probe: SocketAddr,
}

impl Place {
    pub fn find() -> io::Result<Self> {
        Ok(Place {
            listen: free_address()?,
            probe: free_address()?,
        })
    }
}

/// One of the servers.
pub struct Server {
    index: usize,
    place: Place,
    arguments: Vec<String>,
    folder: PathBuf,
    chronicle: Arc<Chronicle>,
    child: Option<Child>,
}

impl Server {
    /// Not running yet.
    pub fn new(
        index: usize,
        place: Place,
        store: &str,
        options: &Options,
        folder: &Path,
        chronicle: Arc<Chronicle>,
    ) -> Self {
        let arguments = [
            ["--listen", &place.listen.to_string()],
            ["--probe", &place.probe.to_string()],
            ["--store", store],
            ["--durability", options.durability.name()],
            ["--window", &options.window.to_string()],
            ["--seed", &options.seed.to_string()],
        ];
        Server {
            index,
            place,
            arguments: ["serve"]
                .iter()
                .chain(arguments.as_flattened())
                .map(|word| (*word).into())
                .collect(),
            folder: folder.into(),
            chronicle,
            child: None,
        }
    }

    /// Starts the process and waits until it is ready. One that ends by itself meanwhile, as its store is away, is started again, as systemd or
    /// Kubernetes would.
    pub async fn start(&mut self) -> Result<(), Box<dyn Error>> {
        self.chronicle.server(self.index, Condition::Starting);
        let name = format!("server-{}", self.index + 1);
        let mut ended = 0;
        let ready = async {
            let mut child = spawn(&self.arguments, &self.folder, &name)?;
            while !is_ready(self.place.probe).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
                if child.try_wait()?.is_some() {
                    ended += 1;
                    tokio::time::sleep(AGAIN).await;
                    child = spawn(&self.arguments, &self.folder, &name)?;
                }
            }
            Ok::<_, Box<dyn Error>>(child)
        };
        let child = tokio::time::timeout(START, ready).await.map_err(|_| {
            let file = log_file(&self.folder, &name);
            let said = std::fs::read_to_string(&file).unwrap_or_default();
            let last = said.lines().last().unwrap_or("nothing");
            format!(
                "server {} was not ready within {START:?}, and ended by itself {ended} times; the last that it said, in {}: {last}",
                self.index + 1,
                file.display()
            )
        })??;
        self.child = Some(child);
        self.chronicle.server(self.index, Condition::Serving);
        Ok(())
    }

    /// SIGTERM, and waits until the process has left. It must exit with 0.
    pub async fn leave(&mut self, patience: Duration) -> Result<(), Box<dyn Error>> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        self.chronicle.server(self.index, Condition::Leaving);
        let number = self.index + 1;
        let pid = child
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id as i32))
            .ok_or("it has ended by itself")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = tokio::time::timeout(patience, child.wait()).await.map_err(|_| {
            format!(
                "server {number} did not leave within {patience:?}; see {}",
                self.folder.display()
            )
        })??;
        self.chronicle.server(self.index, Condition::Down);
        if !status.success() {
            return Err(format!("server {number} left with {status}; see {}", self.folder.display()).into());
        }
        Ok(())
    }

    /// -9.
    pub async fn kill(&mut self) -> Result<(), Box<dyn Error>> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
            self.chronicle.server(self.index, Condition::Killed);
        }
        Ok(())
    }
}

/// This program, as another process.
pub fn spawn(arguments: &[String], folder: &Path, name: &str) -> Result<Child, Box<dyn Error>> {
    Ok(Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log(folder, name)?)
        .stderr(log(folder, name)?)
        .kill_on_drop(true)
        .spawn()?)
}

/// A file for what a process says.
pub fn log(folder: &Path, name: &str) -> io::Result<File> {
    File::options().create(true).append(true).open(log_file(folder, name))
}

fn log_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

/// An address on loopback that nobody uses at the moment, each time another. Its port is below those that systems give to outgoing connections (from 32,768 or
/// 49,152): the players' many must not take a server's place while that is away.
pub fn free_address() -> io::Result<SocketAddr> {
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    static TRIED: AtomicU16 = AtomicU16::new(0);
    // Runs beside each other begin elsewhere.
    let first = std::process::id() as usize * 97;
    loop {
        let tried = TRIED.fetch_add(1, Relaxed);
        let port = PORTS.start + ((first + usize::from(tried)) % PORTS.len()) as u16;
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && usize::from(tried) < PORTS.len() => {}
            bound => return bound?.local_addr(),
        }
    }
}

/// Where a program is installed.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian keeps servers where users do not look.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(name)).find(|file| file.is_file())
}
