//! Plain TCP that reconnects on errors: what applications do without a session layer, done with some care.
//!
//! It connects where the system sends it, waits with sending while it is not connected, takes a connection for dead after an error, a
//! FIN or [`PATIENCE`] of silence, and connects anew. Nothing is sent twice: what was under way in a connection that died is lost.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::network::Network;
use crate::ledger::Direction;
use crate::run::{World, talk};

/// Silence after which a client gives its connection up. Common values are 5 to 30 s; there is always traffic here.
const PATIENCE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
/// Messages that wait in the application for the socket.
const QUEUE: usize = 16;
const LARGEST: u32 = 1 << 20;

/// One end of one client's conversation, over one connection after the other.
pub struct End {
    world: Arc<World>,
    number: u32,
    /// Where messages to be sent go, while there is a connection.
    out: watch::Sender<Option<mpsc::Sender<Vec<u8>>>>,
    frozen: watch::Receiver<bool>,
}

impl End {
    pub fn new(world: Arc<World>, number: u32, frozen: watch::Receiver<bool>) -> Self {
        End {
            world,
            number,
            out: watch::Sender::new(None),
            frozen,
        }
    }

    /// The traffic of one direction.
    pub async fn talk(&self, way: Direction) {
        talk(&self.world, self.number, way, async |message| self.send(message).await).await;
    }

    /// Waits for a connection and hands the message to it. Always says that it was taken; the checker sees what became of it.
    async fn send(&self, message: Vec<u8>) -> bool {
        let _ = self.frozen.clone().wait_for(|frozen| !frozen).await;
        let mut out = self.out.subscribe();
        loop {
            let current = out.borrow_and_update().clone();
            let taken = async {
                match &current {
                    Some(current) => current.reserve().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                permit = taken => match permit {
                    Ok(permit) => {
                        permit.send(message);
                        return true;
                    }
                    // Its connection has just ended; the next one comes.
                    Err(_) => { let _ = out.changed().await; }
                },
                _ = out.changed() => {}
            }
        }
    }

    /// One connection's life. Whatever comes counts as received in `way`.
    async fn serve(&self, stream: TcpStream, way: Direction, patience: Option<Duration>) {
        let (mut read, mut write) = stream.into_split();
        let (queue, mut queued) = mpsc::channel::<Vec<u8>>(QUEUE);
        self.out.send_replace(Some(queue.clone()));
        let writing = async {
            while let Some(message) = queued.recv().await {
                let frame = [&(message.len() as u32).to_be_bytes()[..], &message].concat();
                if write.write_all(&frame).await.is_err() {
                    return;
                }
            }
        };
        let reading = async {
            let mut frozen = self.frozen.clone();
            while let Ok(Ok(message)) = timeout(patience.unwrap_or(Duration::MAX), frame(&mut read)).await {
                let _ = frozen.wait_for(|frozen| !frozen).await;
                self.world.ledger.received(self.number, way, &message);
            }
        };
        tokio::select! {
            () = writing => {}
            () = reading => {}
        }
        self.out.send_if_modified(|out| {
            let mine = out.as_ref().is_some_and(|out| out.same_channel(&queue));
            if mine {
                *out = None;
            }
            mine
        });
    }
}

async fn frame(read: &mut (impl AsyncReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let len = read.read_u32().await?;
    if len > LARGEST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; len as usize];
    read.read_exact(&mut message).await?;
    Ok(message)
}

/// The client's half: dials for ever.
pub async fn dial(end: &End, networks: [Arc<Network>; 2], preferred: watch::Receiver<usize>) {
    let mut frozen = end.frozen.clone();
    loop {
        let _ = frozen.wait_for(|frozen| !frozen).await;
        let network = *preferred.borrow();
        if let Ok(Ok(mut stream)) = timeout(CONNECT, networks[network].connect()).await
            && stream.write_u32(end.number).await.is_ok()
        {
            end.serve(stream, Direction::Down, Some(PATIENCE)).await;
        }
        sleep(PAUSE).await;
    }
}

/// The server's half: the client's number comes first; the newest connection of a client is the one that counts.
pub async fn listen(world: Arc<World>, clients: u32) -> io::Result<(SocketAddr, JoinSet<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    // Nobody freezes a server; dropping the sender leaves the value.
    let (_, awake) = watch::channel(false);
    let ends: Vec<_> = (0..clients)
        .map(|number| Arc::new(End::new(world.clone(), number, awake.clone())))
        .collect();
    let mut tasks = JoinSet::new();
    for end in &ends {
        let end = end.clone();
        tasks.spawn(async move { end.talk(Direction::Down).await });
    }
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            while connections.try_join_next().is_some() {}
            let Ok((mut stream, _)) = listener.accept().await else {
                continue;
            };
            let ends = ends.clone();
            connections.spawn(async move {
                let _ = stream.set_nodelay(true);
                let Ok(number) = stream.read_u32().await else { return };
                if let Some(end) = ends.get(number as usize) {
                    end.serve(stream, Direction::Up, None).await;
                }
            });
        }
    });
    Ok((address, tasks))
}
