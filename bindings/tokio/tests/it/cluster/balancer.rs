//! A TCP load balancer that does as it is told: new connections go to the servers of a list, in turn.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::LOCAL;

#[derive(Clone)]
pub(super) struct Balancer {
    pub(super) address: SocketAddr,
    servers: Arc<Mutex<Vec<SocketAddr>>>,
    cuts: watch::Sender<()>,
    mutes: watch::Sender<()>,
    /// Connections that reached a server.
    pub(super) carried: Arc<AtomicUsize>,
}

impl Balancer {
    pub(super) async fn start(servers: &[SocketAddr]) -> Balancer {
        let listener = TcpListener::bind(LOCAL).await.expect("a port");
        let balancer = Balancer {
            address: listener.local_addr().expect("bound"),
            servers: Arc::new(Mutex::new(servers.to_vec())),
            cuts: watch::channel(()).0,
            mutes: watch::channel(()).0,
            carried: Arc::default(),
        };
        tokio::spawn(balancer.clone().accept(listener));
        balancer
    }

    /// From now on new connections go there.
    pub(super) fn send_to(&self, servers: &[SocketAddr]) {
        *self.servers.lock().unwrap() = servers.to_vec();
    }

    /// Cuts all connections.
    pub(super) fn cut(&self) {
        self.cuts.send_replace(());
    }

    /// From all connections that there are nothing comes back to the clients any more.
    pub(super) fn mute(&self) {
        self.mutes.send_replace(());
    }

    async fn accept(self, listener: TcpListener) {
        let mut turn = 0;
        while let Ok((mut client, _)) = listener.accept().await {
            let servers = self.servers.lock().unwrap().clone();
            let Some(server) = servers.get(turn % servers.len().max(1)).copied() else {
                continue;
            };
            turn += 1;
            let (mut cut, mute, carried) = (self.cuts.subscribe(), self.mutes.subscribe(), self.carried.clone());
            tokio::spawn(async move {
                let Ok(mut server) = TcpStream::connect(server).await else {
                    return;
                };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                carried.fetch_add(1, Ordering::Relaxed);
                tokio::select! {
                    () = carry(&mut client, &mut server, mute) => {}
                    _ = cut.changed() => {}
                }
            });
        }
    }
}

async fn carry(client: &mut TcpStream, server: &mut TcpStream, mut mute: watch::Receiver<()>) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let there = async {
        let _ = copy(&mut from_client, &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let back = async {
        tokio::select! {
            _ = copy(&mut from_server, &mut to_client) => {}
            _ = mute.changed() => std::future::pending().await,
        }
        let _ = to_client.shutdown().await;
    };
    tokio::join!(there, back);
}
