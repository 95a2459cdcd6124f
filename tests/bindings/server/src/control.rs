//! The control port: one connection is one test, and has at most one fault proxy, which ends with it.
//!
//! | command | answer |
//! |---|---|
//! | `proxy SEED EVERY` | the port of a new proxy before the server; on average one fault per link and EVERY ms, none with 0 |
//! | `hasty` | the port of a new proxy without faults before another server, where a session expires after 3 s without a link |
//! | `cut` | all links are cut, by RST and FIN in turn: links cut so far, by order or by plan |
//! | `stall on`, `refuse on`, `... off` | `ok` |
//! | `calm` | `ok`: no more faults from the plan |
//! | `cluster SEED EVERY` | as `proxy`, before the balancer of several servers that have a store between them (`cluster.rs`) |
//! | `takeover` | `ok`: another server stands in for the one before, which is gone |
//! | `restored` | how often a session has come to one of these servers from another so far |
//! | `links` | connections the proxy has forwarded so far |
//! | `end NAME` | how the session of that credential ended; waits for it up to 15 s |
//! | `kick NAME CODE` | `ok`, once the session of that credential has begun, or `no such session` after 15 s |

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use unbroken_fault_proxy::{Plan, Proxy};
use unbroken_tokio::Server;

use crate::cluster::Cluster;
use crate::ends::Ends;

/// What all tests share.
pub struct Servers {
    pub patient: Server,
    pub hasty: Server,
    pub ends: Arc<Ends>,
}

pub async fn serve(stream: TcpStream, servers: Arc<Servers>) {
    let mut control = Control {
        servers,
        proxy: None,
        cluster: None,
        orders: 0,
    };
    let (input, mut output) = stream.into_split();
    let mut lines = BufReader::new(input).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = control.obey(&line).await + "\n";
        if output.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// How long what was asked for is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

struct Control {
    servers: Arc<Servers>,
    proxy: Option<Proxy>,
    cluster: Option<Cluster>,
    orders: u64,
}

impl Control {
    async fn obey(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        let on = words.get(1) == Some(&"on");
        match (words.as_slice(), &mut self.cluster) {
            (["takeover"], Some(cluster)) => {
                let done = cluster.take_over().await;
                return done.map_or_else(|error| format!("error: {error}"), |()| "ok".into());
            }
            (["restored"], Some(cluster)) => return cluster.restored().to_string(),
            _ => {}
        }
        match (words.as_slice(), &self.proxy) {
            (["proxy", ..], _) => {
                self.start(self.servers.patient.local_addr(), number(1), number(2))
                    .await
            }
            (["hasty"], _) => self.start(self.servers.hasty.local_addr(), 0, 0).await,
            (["cluster", ..], _) => match Cluster::start().await {
                Ok(cluster) => {
                    let balancer = cluster.address();
                    self.cluster = Some(cluster);
                    self.start(balancer, number(1), number(2)).await
                }
                Err(error) => format!("error: {error}"),
            },
            (["end", name], _) => self.servers.ends.end_of(name, PATIENCE).await,
            (["kick", name, _], _) => match self.servers.ends.running(name, PATIENCE).await {
                Some(session) => {
                    session.kick(number(2) as u32);
                    "ok".into()
                }
                None => "no such session".into(),
            },
            (["cut"], Some(proxy)) => {
                self.orders += 1;
                proxy.cut_all(self.orders.is_multiple_of(2));
                // The order reaches the links by their own tasks.
                tokio::time::sleep(Duration::from_millis(2)).await;
                proxy.counts().cut().to_string()
            }
            (["calm"], Some(proxy)) => {
                proxy.calm();
                "ok".into()
            }
            (["links"], Some(proxy)) => proxy.counts().links.to_string(),
            (["stall", _], Some(proxy)) => {
                proxy.stall(on);
                "ok".into()
            }
            (["refuse", _], Some(proxy)) => {
                proxy.refuse(on);
                "ok".into()
            }
            _ => format!("error: `{line}` is no command, or needs a proxy"),
        }
    }

    /// A proxy before that address.
    async fn start(&mut self, behind: SocketAddr, seed: u64, every: u64) -> String {
        let ms = Duration::from_millis;
        let plan = Plan {
            // Short ones: the rounds are to be full of faults, not of waiting.
            stall: ms(30)..ms(300),
            refuse: ms(20)..ms(100),
            delay: ms(50)..ms(300),
            every: (every > 0).then_some(ms(every)),
            ..Plan::new(seed, ms(every))
        };
        let here = ([127, 0, 0, 1], 0).into();
        match Proxy::start(here, behind, plan).await {
            Ok(proxy) => {
                let port = proxy.local_addr().port().to_string();
                self.proxy = Some(proxy);
                port
            }
            Err(error) => format!("error: {error}"),
        }
    }
}
