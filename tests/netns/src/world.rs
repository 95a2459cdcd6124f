//! One world: the namespaces `PREFIX-c` (client), `PREFIX-r` (between) and `PREFIX-s` (server) with the two paths, made by
//! `tests/netns/world`, and the processes that a scenario runs in them.
//!
//! ```text
//!     PREFIX-c                          PREFIX-r                         PREFIX-s
//!   wifi      10.81.1.2  ──  wifi-near  ≈ delay, loss ≈  wifi-far  ──  wifi      10.81.1.1 ┐
//!   cellular  10.81.2.2  ──  cell-near  ≈ delay, loss ≈  cell-far  ──  cellular  10.81.2.1 ┴ 10.81.0.1, the server
//! ```

use std::error::Error;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::options::Means;

pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// One way, half of the round trip that the targets are set for.
pub const DELAY_MS: u32 = 25;
/// Longest time for a program to answer.
const ANSWER: Duration = Duration::from_secs(15);

/// A path's names, in the orders and in the namespaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Path {
    Wifi,
    Cellular,
}

impl Path {
    pub const BOTH: [Path; 2] = [Path::Wifi, Path::Cellular];

    /// The end within PREFIX-r that leads to the client, and the one to the server.
    fn ends(self) -> [&'static str; 2] {
        match self {
            Path::Wifi => ["wifi-near", "wifi-far"],
            Path::Cellular => ["cell-near", "cell-far"],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Path::Wifi => "wifi",
            Path::Cellular => "cellular",
        }
    }
}

/// See the module's head.
pub struct World {
    prefix: String,
    /// None where the kernel's netem does it.
    shaper: Option<Program>,
}

impl World {
    /// The namespaces exist; the paths begin to work now.
    pub async fn open(prefix: String, means: Means, seed: u64) -> Result<World> {
        let mut world = World { prefix, shaper: None };
        if means == Means::User {
            let mut args = vec!["shape".to_string(), format!("--seed={seed}")];
            args.extend(Path::BOTH.map(|path| format!("{}={}", path.name(), path.ends().join(","))));
            world.shaper = Some(world.spawn('r', &args)?);
        }
        world.restore().await?;
        Ok(world)
    }

    /// Everything as in the beginning: both paths good, Wi-Fi preferred.
    pub async fn restore(&mut self) -> Result<()> {
        for path in Path::BOTH {
            self.shape(path, 0.0).await?;
        }
        self.address("10.81.1.2").await?;
        self.prefer(Path::Wifi).await?;
        self.forget_neighbours().await
    }

    /// Both ends find each other anew, as on a network that has just come up.
    pub async fn forget_neighbours(&self) -> Result<()> {
        for side in ['c', 's'] {
            self.ip(side, "neigh flush all").await?;
        }
        Ok(())
    }

    /// How much a path loses, in each direction; 1 is a black hole. Nobody is told.
    pub async fn shape(&mut self, path: Path, loss: f64) -> Result<()> {
        if let Some(shaper) = &mut self.shaper {
            return shaper.order(&format!("{} {DELAY_MS} {loss}", path.name())).await;
        }
        for end in path.ends() {
            let percent = loss * 100.0;
            self.run(
                'r',
                &format!("tc qdisc replace dev {end} root netem delay {DELAY_MS}ms loss {percent}%"),
            )
            .await?;
        }
        Ok(())
    }

    /// The system's choice for sockets that are not bound to a network.
    pub async fn prefer(&self, path: Path) -> Result<()> {
        let (dev, via) = match path {
            Path::Wifi => ("wifi", "10.81.1.1"),
            Path::Cellular => ("cellular", "10.81.2.1"),
        };
        self.ip('c', &format!("route replace 10.81.0.1 via {via} dev {dev} metric 10"))
            .await
    }

    /// The client's Wi-Fi gets this address instead of the one it has. Its old connections are told nothing.
    pub async fn address(&self, address: &str) -> Result<()> {
        self.ip('c', "address flush dev wifi").await?;
        self.ip('c', &format!("address add {address}/24 dev wifi")).await?;
        // The routes went with the address.
        self.ip('c', "route replace default via 10.81.1.1 dev wifi table 101")
            .await?;
        self.ip('c', "route replace 10.81.0.1 via 10.81.1.1 dev wifi metric 100")
            .await?;
        self.prefer(Path::Wifi).await
    }

    /// The client's kernel ends its connections to the server with RST, as if the process had been killed.
    pub async fn reset(&self) -> Result<()> {
        self.run('c', "ss -K -t dst 10.81.0.1").await
    }

    /// Starts one of this program's parts in a namespace.
    pub fn spawn(&self, side: char, args: &[String]) -> Result<Program> {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}-{side}", self.prefix)]);
        command.arg(std::env::current_exe()?).args(args);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("a program without standard input and output".into());
        };
        Ok(Program {
            _child: child,
            orders,
            answers: BufReader::new(answers).lines(),
        })
    }

    async fn ip(&self, side: char, args: &str) -> Result<()> {
        self.run(side, &format!("ip {args}")).await
    }

    async fn run(&self, side: char, command: &str) -> Result<()> {
        let output = Command::new("ip")
            .args(["netns", "exec", &format!("{}-{side}", self.prefix)])
            .args(command.split(' '))
            .output()
            .await?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("`{command}`: {}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// A running part. It ends when it is dropped.
pub struct Program {
    _child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Program {
    /// Gives an order and waits until it was taken.
    pub async fn order(&mut self, order: &str) -> Result<()> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await?;
        let answer = self.answer().await?;
        if answer == "ok" {
            Ok(())
        } else {
            Err(format!("`{order}` was answered with `{answer}`").into())
        }
    }

    /// The last order; the answer is what the program has to say.
    pub async fn finish<T: serde::de::DeserializeOwned>(mut self) -> Result<T> {
        self.orders.write_all(b"finish\n").await?;
        Ok(serde_json::from_str(&self.answer().await?)?)
    }

    /// The next line.
    pub async fn answer(&mut self) -> Result<String> {
        let line = timeout(ANSWER, self.answers.next_line()).await;
        line.map_err(|_| "a program does not answer")??
            .ok_or_else(|| "a program ended early".into())
    }
}
