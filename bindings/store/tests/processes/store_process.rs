//! The store process: killed, ended, and without room on its disk.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use unbroken_store::conformance::{Subject, pass, suite};
use unbroken_store::{EmbeddedStore, Expect, RemoteStore, Store, StoreOp, StoreReply};

use crate::redis::free_port;
use crate::writers::{live, one, put, under_fire};

suite!(async || {
    let place = tempfile::tempdir().expect("a directory");
    let process = Process::start_with(place.path(), "127.0.0.1:0", &["--timeout", "60"]);
    let builder = RemoteStore::builder(&process.address).timeout(Duration::from_secs(60));
    let store = builder.connect().await.expect("it connects");
    Subject::with_clock(store, move |time| {
        let _ = (&place, &process);
        Box::pin(pass(time))
    })
});

/// `unbroken-store-server` over the file `sessions` in a directory. It is killed with this.
struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn start(place: &Path, listen: &str) -> Self {
        Process::start_with(place, listen, &[])
    }

    fn start_with(place: &Path, listen: &str, options: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_unbroken-store-server"));
        command
            .arg("--file")
            .arg(place.join("sessions"))
            .args(["--listen", listen])
            .args(options);
        Process::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let told = BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line);
        told.expect("it tells where it listens");
        let address = line
            .trim()
            .strip_prefix("listening at ")
            .expect("it tells where it listens")
            .to_owned();
        Process { child, address }
    }

    /// As a crash does it.
    fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_confirmed_is_lost_when_the_process_is_killed() {
    let place = tempfile::tempdir().expect("a directory");
    // Not one that the system hands out: who dials while the process is away could get it for himself.
    let address = format!("127.0.0.1:{}", free_port());
    let mut process = Process::start(place.path(), &address);
    let store = RemoteStore::connect(&address).await.expect("it connects");
    under_fire(store, 50, Duration::from_secs(6), 500, || {
        process.kill();
        process = Process::start(place.path(), &address);
    })
    .await;
}

/// SIGTERM ends it with exit code 0, and the file is free and whole.
#[cfg(unix)]
#[tokio::test]
async fn it_ends_when_it_is_told_to() {
    let place = tempfile::tempdir().expect("a directory");
    let socket = format!("unix:{}", place.path().join("socket").display());
    // What a killed one leaves is not in the way.
    Process::start(place.path(), &socket).kill();
    let mut process = Process::start(place.path(), &socket);
    let store = RemoteStore::connect(&process.address).await.expect("it connects");
    assert_eq!(
        one(&store, put([1; 8], Expect::Absent, live(1))).await,
        StoreReply::Done
    );
    let ended = Command::new("kill")
        .args(["-TERM", &process.child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(ended.success());
    assert!(process.child.wait().expect("it ends").success());
    let away = one(&store, StoreOp::Peek { key: [1; 8] }).await;
    assert!(matches!(away, StoreReply::Failed | StoreReply::Unavailable), "{away:?}");
    assert_eq!(
        one(&store, StoreOp::Peek { key: [1; 8] }).await,
        StoreReply::Unavailable,
        "it is known to be away, and nothing is sent"
    );
    let file = EmbeddedStore::open(place.path().join("sessions")).expect("it is free");
    assert!(matches!(
        one(&file, StoreOp::Peek { key: [1; 8] }).await,
        StoreReply::Peeked(Some(_))
    ));
}

#[test]
fn it_says_what_is_wrong_with_its_options() {
    let place = tempfile::tempdir().expect("a directory");
    let (file, short) = (place.path().join("sessions"), place.path().join("short"));
    std::fs::write(&short, "secret").expect("it is written");
    let (file, short) = (file.to_str().expect("text"), short.to_str().expect("text"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("its address").to_string();
    for (arguments, says) in [
        (vec!["--file", "/missing/sessions"], "existing directory"),
        (vec!["--file", file, "--listen", "nowhere"], "host:port"),
        (vec!["--file", file, "--timeout", "0"], "1..=60"),
        (vec!["--file", file, "--listen", &taken], "choose an address"),
        (vec!["--file", file, "--secret-file", short], "16 bytes"),
        (
            vec!["--file", file, "--secret-file", "/missing/secret"],
            "/missing/secret",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_unbroken-store-server"))
            .args(&arguments)
            .output()
            .expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && told.contains(says), "{arguments:?}: {told}");
    }
}

/// Where it listens is told to whoever reads it; a full disk behind its output ends nobody.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn it_serves_though_its_output_cannot_be_written() {
    let place = tempfile::tempdir().expect("a directory");
    let socket = format!("unix:{}", place.path().join("socket").display());
    let full = std::fs::File::options().write(true).open("/dev/full");
    let child = Command::new(env!("CARGO_BIN_EXE_unbroken-store-server"))
        .arg("--file")
        .arg(place.path().join("sessions"))
        .args(["--listen", &socket])
        .stdout(full.expect("it is there"))
        .spawn()
        .expect("it starts");
    let address = socket.clone();
    let _process = Process { child, address };
    let store = RemoteStore::connect(&socket).await.expect("it connects");
    let done = one(&store, put([1; 8], Expect::Absent, live(1))).await;
    assert_eq!(done, StoreReply::Done);
}

/// A disk that is full (here: a limit on the size of its files) fails what cannot be written and loses nothing; with room again it goes on by itself.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn it_survives_a_full_disk() {
    let place = tempfile::tempdir().expect("a directory");
    let server = env!("CARGO_BIN_EXE_unbroken-store-server");
    let mut command = Command::new("bash");
    // Beyond the limit, a write fails instead of killing the process. The limit counts KiB.
    let script = format!(
        "trap '' XFSZ; ulimit -S -f 4096; exec {server} --file {}/sessions --listen 127.0.0.1:0",
        place.path().display()
    );
    command.args(["-c", &script]);
    let process = Process::of(command);
    let store = RemoteStore::connect(&process.address).await.expect("it connects");
    let big = |i: u64| {
        let blob = vec![i as u8; 60_000].into();
        put(
            i.to_be_bytes(),
            Expect::Absent,
            unbroken_store::Record::Parked { token: i, blob },
        )
    };
    let mut done = 0;
    while one(&store, big(done)).await == StoreReply::Done {
        done += 1;
        assert!(done < 1000, "the limit is never reached");
    }
    assert!(done > 5, "only {done} writes fit");
    for i in 0..done {
        assert!(matches!(
            one(&store, StoreOp::Peek { key: i.to_be_bytes() }).await,
            StoreReply::Peeked(Some(_)) | StoreReply::Failed | StoreReply::Unavailable
        ));
    }
    // Smaller still: not even what is there can be changed.
    limit(&process, "--fsize=1:unlimited");
    let full = one(&store, put([0xee; 8], Expect::Absent, live(1))).await;
    assert!(matches!(full, StoreReply::Failed | StoreReply::Unavailable), "{full:?}");
    let error = store.check().await.expect_err("it cannot write").to_string();
    assert!(error.contains("File too large"), "{error}");

    limit(&process, "--fsize=unlimited");
    for i in done..done + 20 {
        assert_eq!(one(&store, big(i)).await, StoreReply::Done, "write {i}");
    }
    for i in 0..done + 20 {
        let found = one(&store, StoreOp::Peek { key: i.to_be_bytes() }).await;
        assert!(
            matches!(&found, StoreReply::Peeked(Some(found)) if found.record.token() == i),
            "{found:?}"
        );
    }
    assert_eq!(store.check().await, Ok(()));
}

#[cfg(target_os = "linux")]
fn limit(process: &Process, limit: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &process.child.id().to_string(), limit])
        .status();
    assert!(status.expect("prlimit runs").success());
}
