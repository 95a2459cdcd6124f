//! The load balancer in front of the servers: HAProxy as it is deployed, or a small one with the same manners.
//!
//! Both take new connections to servers that say they are ready, in turn, pass TCP through as it is, and let connections that stand go on.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Child;

use crate::fleet::{Place, log, program};
use crate::options::Balancer as Choice;

/// A balancer that runs; dropped, it stops.
pub struct Balancer {
    pub address: SocketAddr,
    /// For people.
    pub name: &'static str,
    _haproxy: Option<Child>,
}

/// Starts one.
pub async fn start(choice: Choice, servers: &[Place], folder: &Path) -> Result<Balancer, Box<dyn Error>> {
    let haproxy = program("haproxy");
    match (choice, haproxy) {
        (Choice::Haproxy, None) => Err("haproxy is not installed; install it or choose --balancer small".into()),
        (Choice::Small, _) | (Choice::Auto, None) => small(servers).await,
        (_, Some(haproxy)) => start_haproxy(&haproxy, servers, folder).await,
    }
}

async fn start_haproxy(haproxy: &Path, servers: &[Place], folder: &Path) -> Result<Balancer, Box<dyn Error>> {
    let address = crate::fleet::free_address()?;
    let backends: String = (1..)
        .zip(servers)
        .map(|(n, place)| {
            format!(
                "  server s{n} {} check port {} inter 200 fall 1 rise 1\n",
                place.listen,
                place.probe.port()
            )
        })
        .collect();
    let config = format!(
        "defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 90s\n  timeout server 90s\n  retries 3\n  option redispatch\n\
         listen game\n  bind {address}\n  balance roundrobin\n  option httpchk GET /ready\n{backends}"
    );
    let file = folder.join("haproxy.cfg");
    std::fs::write(&file, config)?;
    let child = tokio::process::Command::new(haproxy)
        .args(["-db", "-f"])
        .arg(&file)
        .stdout(log(folder, "haproxy")?)
        .stderr(log(folder, "haproxy")?)
        .kill_on_drop(true)
        .spawn()?;
    Ok(Balancer {
        address,
        name: "HAProxy",
        _haproxy: Some(child),
    })
}

async fn small(servers: &[Place]) -> Result<Balancer, Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let servers: Arc<[Place]> = servers.into();
    let turn = Arc::new(AtomicUsize::new(0));
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((client, _)) => drop(tokio::spawn(pass(client, servers.clone(), turn.clone()))),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    });
    Ok(Balancer {
        address,
        name: "the example's own balancer",
        _haproxy: None,
    })
}

/// One connection: to the next server that is ready, or nowhere.
async fn pass(mut client: TcpStream, servers: Arc<[Place]>, turn: Arc<AtomicUsize>) {
    let first = turn.fetch_add(1, Relaxed);
    for n in 0..servers.len() {
        let place = servers[(first + n) % servers.len()];
        if !is_ready(place.probe).await {
            continue;
        }
        if let Ok(mut server) = TcpStream::connect(place.listen).await {
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let _ = copy_bidirectional(&mut client, &mut server).await;
            return;
        }
    }
}

/// Whether the server with this probe takes new connections.
pub async fn is_ready(probe: SocketAddr) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(probe).await.ok()?;
        stream.write_all(b"GET /ready HTTP/1.0\r\n\r\n").await.ok()?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.ok()?;
        status.ends_with(b"200").then_some(())
    };
    matches!(tokio::time::timeout(Duration::from_secs(1), ask).await, Ok(Some(())))
}
