//! What this Redis is, and whether by its settings it keeps what it confirms.

use std::time::Duration;

use ::redis;
use redis::{Cmd, ErrorKind, RedisError, Value};
use tokio::time::Instant;

use super::link::Keeper;
use super::{Confirm, Inner};
use crate::StoreError;

/// The first version with all that the scripts use.
const OLDEST: u32 = 6;

impl Inner {
    /// That it is there, lets us in, is new enough, and offers the confirmation that is wanted.
    pub(super) async fn verify(&self, deadline: Instant) -> Result<(), StoreError> {
        let mut server = redis::cmd("INFO");
        server.arg("server");
        let told = self.keepers[0]
            .call(&server, deadline)
            .await
            .map_err(|trouble| self.trouble(trouble.error()))?;
        let version = field(&told, "redis_version").unwrap_or_default();
        if version
            .split('.')
            .next()
            .and_then(|major| major.parse::<u32>().ok())
            .is_some_and(|major| major < OLDEST)
        {
            return Err(StoreError::Refused {
                store: self.name.clone(),
                problem: format!("its version is {version}; it must be {OLDEST} or later"),
            });
        }
        let Some(wait) = self.confirmation(Duration::from_millis(1)) else {
            return Ok(());
        };
        match self.keepers[0].call(&wait, deadline).await {
            Ok(_)
                if matches!(self.confirm, Confirm::Disk { .. })
                    && self.fsync(deadline).await.as_deref() == Some("no") =>
            {
                Err(StoreError::Option {
                    option: "confirm",
                    problem: format!(
                        "{:?} waits for the log to be synced, and {} never does so: its appendfsync is no; set it to everysec or always",
                        self.confirm, self.name
                    ),
                })
            }
            Ok(_) => Ok(()),
            Err(trouble) if matches!(trouble.error().kind(), ErrorKind::Server(_)) => Err(StoreError::Option {
                option: "confirm",
                problem: format!(
                    "{} (version {version}) does not offer {:?}: {}; `Disk` needs Redis 7.2 or Valkey, with `appendonly yes`",
                    self.name,
                    self.confirm,
                    trouble.error()
                ),
            }),
            Err(trouble) => Err(self.trouble(trouble.error())),
        }
    }

    /// Whether what was written by connections of this number at the earliest is kept as is wanted. Redis answers for what the same connection has written
    /// only: a new one has written nothing, and would be told at once that all of it is kept.
    pub(super) async fn is_confirmed(&self, since: u64, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        let Some(wait) = self.confirmation(left.max(Duration::from_millis(1))) else {
            return true;
        };
        let replicas_of = |value: &Value| matches!((value, self.confirm), (Value::Int(have), Confirm::Replicas(want)) if *have >= want.into());
        let synced = |value: &Value| match (value, self.confirm) {
            (Value::Array(have), Confirm::Disk { replicas }) => {
                matches!(have[..], [Value::Int(1..), Value::Int(have)] if have >= replicas.into())
            }
            _ => false,
        };
        let answer = self.keepers[0].call_by_number(&wait, deadline).await;
        let answer = answer.map_err(|trouble| trouble.error().to_string());
        let confirmed = answer
            .as_ref()
            .is_ok_and(|(number, value)| *number == since && (replicas_of(value) || synced(value)));
        if !confirmed {
            tracing::warn!(target: "unbroken::store", ?answer, wanted = ?self.confirm, "a write was not confirmed in time");
        }
        confirmed
    }

    fn confirmation(&self, wait: Duration) -> Option<Cmd> {
        let wait = wait.as_millis() as u64;
        match self.confirm {
            Confirm::Primary => None,
            Confirm::Replicas(replicas) => Some(redis::cmd("WAIT").arg(replicas).arg(wait).to_owned()),
            Confirm::Disk { replicas } => Some(redis::cmd("WAITAOF").arg(1).arg(replicas).arg(wait).to_owned()),
        }
    }

    /// Settings by which it may forget. What it does not tell (managed ones hide some) is not complained about.
    pub(super) async fn settings(&self) -> Result<(), StoreError> {
        let deadline = Instant::now() + self.timeout;
        let mut info = redis::cmd("INFO");
        info.arg("memory").arg("persistence");
        let info = match self.keepers[0].call(&info, deadline).await {
            // Before version 7 it tells one section at a time.
            Err(trouble) if matches!(trouble.error().kind(), ErrorKind::Server(_)) => {
                self.keepers[0].call(&redis::cmd("INFO"), deadline).await
            }
            answer => answer,
        };
        let info = info.map_err(|trouble| self.trouble(trouble.error()))?;
        let fsync = self.fsync(deadline).await;
        let mut findings = Vec::new();
        if let Some(policy) = field(&info, "maxmemory_policy").filter(|policy| policy != "noeviction") {
            findings.push(format!(
                "maxmemory-policy is {policy}, so it throws sessions away when its memory is full; set it to noeviction"
            ));
        }
        match field(&info, "aof_enabled").as_deref() {
            Some("0") => findings.push(
                "appendonly is no, so what was written since the last RDB snapshot is lost with its process; set it to yes".into(),
            ),
            Some(_) if self.confirm == Confirm::Primary => {
                if let Some(fsync) = fsync.filter(|fsync| ["everysec", "no"].contains(&fsync.as_str())) {
                    findings.push(format!(
                        "appendfsync is {fsync}, so the last writes are lost with its machine; set it to always, or confirm by Disk"
                    ));
                }
            }
            _ => {}
        }
        if findings.is_empty() {
            return Ok(());
        }
        Err(StoreError::Forgets {
            store: self.name.clone(),
            findings,
        })
    }

    /// When it syncs its log, if it tells.
    async fn fsync(&self, deadline: Instant) -> Option<String> {
        let mut config = redis::cmd("CONFIG");
        config.arg("GET").arg("appendfsync");
        let told = self.keepers[0].call(&config, deadline).await.ok()?;
        let mut found = Vec::new();
        texts(&told, &mut found);
        found
            .into_iter()
            .find(|text| ["always", "everysec", "no"].contains(&text.as_str()))
    }

    pub(super) fn unreachable(&self) -> StoreError {
        StoreError::Unreachable {
            store: self.name.clone(),
            problem: self.keepers.iter().find_map(Keeper::trouble).unwrap_or_else(|| {
                format!(
                    "it did not carry out a write within {:?}; look into its log, and at its memory and disk",
                    self.timeout
                )
            }),
        }
    }

    /// What an error of the first commands means.
    fn trouble(&self, error: &RedisError) -> StoreError {
        let trouble = self.keepers.iter().find_map(Keeper::trouble).unwrap_or_default();
        let text = format!("{error} {trouble}");
        let refused = ["NOAUTH", "WRONGPASS", "NOPERM", "AUTH", "authentication"]
            .iter()
            .any(|sign| text.contains(sign));
        let store = self.name.clone();
        match refused {
            true => StoreError::Refused {
                store,
                problem: format!(
                    "{} (check user and password, and that the user may run scripts on these keys)",
                    text.trim()
                ),
            },
            false => StoreError::Unreachable {
                store,
                problem: format!("{} (check the address, that it runs, and TLS or not)", text.trim()),
            },
        }
    }
}

/// A field of what INFO tells; of the first node, if several tell.
fn field(info: &Value, name: &str) -> Option<String> {
    let mut told = Vec::new();
    texts(info, &mut told);
    let mut lines = told.iter().flat_map(|text| text.lines());
    lines.find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(':')
            .map(|value| value.trim().to_owned())
    })
}

/// All texts in an answer, however nested: a cluster answers by a map of its nodes.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::BulkString(bytes) => found.push(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        Value::Map(pairs) => pairs.iter().for_each(|(_, value)| texts(value, found)),
        _ => {}
    }
}
