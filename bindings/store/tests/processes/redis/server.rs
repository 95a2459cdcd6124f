//! Redis servers of our own: on free ports, in directories that go with them, ended by their handles.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server process. It dies with this.
pub struct Server {
    pub port: u16,
    program: PathBuf,
    place: TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// A server that keeps what it confirms.
    pub fn start() -> Self {
        Server::with(&["--appendonly yes", "--appendfsync always"])
    }

    /// A server with these options.
    pub fn with(options: &[&str]) -> Self {
        let port = free_port();
        Server::at(port, &[&[format!("--port {port}").as_str()], options].concat())
    }

    /// A server with these options, which make it listen at `port`.
    pub fn at(port: u16, options: &[&str]) -> Self {
        Server::of("redis-server", port, options)
    }

    /// Another program than the system's.
    pub fn of(program: impl Into<PathBuf>, port: u16, options: &[&str]) -> Self {
        let words = ["--bind 127.0.0.1"]
            .iter()
            .chain(options)
            .flat_map(|option| option.split(' '));
        let arguments = words.chain(["--save", ""]).map(Into::into).collect();
        Server::launch(program.into(), port, place(), arguments)
    }

    /// A server that has what this one has, as soon as this returns.
    pub fn replica_of(primary: &Server) -> Self {
        let follow = format!("--replicaof 127.0.0.1 {}", primary.port);
        let replica = Server::with(&[&follow, "--appendonly yes", "--appendfsync always"]);
        eventually("the replica follows", || {
            primary.tells(&["INFO", "replication"], "state=online")
        });
        replica
    }

    /// A Sentinel that watches the primary at this port by the name `sessions`.
    pub fn sentinel(primary: u16, quorum: u32) -> Self {
        let (port, place) = (free_port(), place());
        let settings = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor sessions 127.0.0.1 {primary} {quorum}\n\
             sentinel down-after-milliseconds sessions 1000\nsentinel failover-timeout sessions 5000\n"
        );
        std::fs::write(place.path().join("sentinel.conf"), settings).expect("it is written");
        let arguments = ["sentinel.conf", "--sentinel"].map(Into::into).into();
        Server::launch("redis-server".into(), port, place, arguments)
    }

    fn launch(program: PathBuf, port: u16, place: TempDir, arguments: Vec<String>) -> Self {
        // Where a test fails, the store's warnings are beside it.
        let _ = tracing_subscriber::fmt().with_test_writer().try_init();
        let mut server = Server {
            port,
            program,
            place,
            arguments,
            child: None,
        };
        server.restart();
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn place(&self) -> &Path {
        self.place.path()
    }

    /// Makes a user `game` with the password `secret`, with the rights that the README names for one, and these.
    pub fn admit(&self, more: &[&str]) {
        let readme = include_str!("../../../README.md");
        let named = readme
            .split_once("An ACL user needs `")
            .and_then(|(_, rest)| rest.split_once('`'));
        let rights: Vec<&str> = named.expect("the README names them").0.split(' ').collect();
        let user = ["ACL", "SETUSER", "game", "on", ">secret", "~unbroken:*"];
        assert_eq!(self.cli(&[&user[..], &rights, more].concat()), "OK");
    }

    /// As a crash does it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it can be killed");
            child.wait().expect("it ends");
        }
    }

    /// STOP makes it stand still with its connections open, CONT lets it go on.
    pub fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("it runs");
        let sent = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status();
        assert!(sent.expect("kill runs").success());
    }

    /// Again, with the files it left.
    pub fn restart(&mut self) {
        self.kill();
        let log = File::create(self.place().join("log")).expect("a log");
        let child = Command::new(&self.program)
            .current_dir(self.place())
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn();
        self.child = Some(child.unwrap_or_else(|error| {
            panic!(
                "{} does not start: {error}; tests/run store installs it",
                self.program.display()
            )
        }));
        let port = self.port;
        eventually("it listens", || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    }

    /// Whether it answers a command, and says this. A server that changes its role closes its connections.
    pub fn tells(&self, arguments: &[&str], what: &str) -> bool {
        let output = Command::new("redis-cli")
            .args(["-p", &self.port.to_string()])
            .args(arguments)
            .output();
        String::from_utf8_lossy(&output.expect("redis-cli runs").stdout).contains(what)
    }

    /// What redis-cli prints for a command to this server.
    pub fn cli(&self, arguments: &[&str]) -> String {
        cli(&[&["-p", &self.port.to_string()], arguments].concat())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

pub fn cli(arguments: &[impl AsRef<std::ffi::OsStr> + std::fmt::Debug]) -> String {
    let output = Command::new("redis-cli")
        .args(arguments)
        .output()
        .expect("redis-cli runs");
    let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(
        output.status.success(),
        "redis-cli {arguments:?}: {told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    told
}

/// A port that is free, and so is the one that a cluster's node opens beside it. Below the range from which the system takes its own.
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(12_000..20_000);
        let is_free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        if is_free(port) && is_free(port + 10_000) {
            return port;
        }
    }
}

/// Waits for what happens by itself.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !condition() {
        assert!(Instant::now() < deadline, "it never comes: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A directory in memory, where the system has such: these servers sync each write, and somebody else's writes to the same disk may take a minute.
fn place() -> TempDir {
    let place = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    place.expect("a directory")
}
