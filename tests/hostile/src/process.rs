//! The other processes, and how they are asked.
//!
//! A role prints one line of JSON when it is ready, then reads lines: each is a question, which it answers by one line of JSON. It ends when its
//! standard input does, so no process outlives the one that started it.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

/// What can go wrong in the trial itself.
pub type Fault = Box<dyn Error + Send + Sync>;

/// Another process of this program.
pub struct Process {
    child: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    pub id: u32,
}

impl Process {
    /// Starts this program in a role. Returns what it said when it was ready.
    pub async fn start<T: DeserializeOwned>(arguments: &[String]) -> Result<(Process, T), Fault> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(questions), Some(answers), Some(id)) = (child.stdin.take(), child.stdout.take(), child.id()) else {
            return Err("a process ended at once".into());
        };
        let mut process = Process {
            child,
            questions,
            answers: BufReader::new(answers).lines(),
            id,
        };
        let ready = process.answer().await?;
        Ok((process, ready))
    }

    /// Asks, and waits for the answer.
    pub async fn ask<T: DeserializeOwned>(&mut self, question: &str) -> Result<T, Fault> {
        self.questions.write_all(format!("{question}\n").as_bytes()).await?;
        self.answer().await
    }

    /// Ends it.
    pub async fn end(mut self) -> Result<(), Fault> {
        drop(self.questions);
        let status = self.child.wait().await?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("a process ended by {status}").into())
        }
    }

    async fn answer<T: DeserializeOwned>(&mut self) -> Result<T, Fault> {
        match self.answers.next_line().await? {
            Some(line) => Ok(serde_json::from_str(&line)?),
            None => Err("a process died without an answer".into()),
        }
    }
}

/// In a role: says one thing.
pub fn say(what: &impl Serialize) -> Result<(), Fault> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, what)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// In a role: the questions, until there are no more. Read by a thread: tokio's own standard input would keep the runtime from ending.
pub fn questions() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// From here on panics are counted, in whatever task they are.
pub fn count_panics() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Relaxed);
        usual(panic);
    }));
}

/// How many there were.
pub fn panics() -> u64 {
    PANICS.load(Relaxed)
}
