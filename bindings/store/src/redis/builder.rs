//! Options of a store in Redis.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::redis;
use redis::cluster::ClusterClientBuilder;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError};
use tokio::time::Instant;

use super::lanes::Lanes;
use super::link::{AGAIN, Connector, Keeper};
use super::ops::Ops;
use super::permits::Permits;
use super::{Inner, RedisStore};
use crate::StoreError;
use crate::doubts::Doubts;
use crate::mailboxes::RECEIVE_WAIT;

/// How many connections requests share.
const CONNECTIONS: usize = 8;

/// ... to a cluster, to each of its nodes. Each has few requests at a time; see `permits`.
const CONNECTIONS_TO_A_CLUSTER: usize = 16;

/// When a write counts as done. What replicas and disks have is asked on the connection that wrote it; if that is lost before the answer, nobody knows, and
/// the write is `Failed`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum Confirm {
    /// As soon as Redis says so. With `appendfsync always` it is on the disk then.
    #[default]
    Primary,
    /// When this many replicas have it in memory, too (`WAIT`). Not with a cluster.
    Replicas(u32),
    /// When it is synced to the disk (`WAITAOF`) of the primary and of this many replicas. Redis 7.2 or Valkey with `appendonly yes`. With `appendfsync everysec` a write
    /// waits up to a second for that, and nothing is lost; with `no` none would ever be confirmed, and it is refused. Not with a cluster.
    Disk {
        /// How many replicas.
        replicas: u32,
    },
}

/// Options of a [`RedisStore`].
#[derive(Clone)]
pub struct RedisBuilder {
    urls: Vec<String>,
    topology: Topology,
    prefix: String,
    timeout: Duration,
    confirm: Confirm,
    credentials: Option<(Option<String>, String)>,
    database: i64,
    tls: Tls,
}

#[derive(Clone)]
enum Topology {
    One,
    Sentinel(String),
    Cluster,
}

/// PEM files' contents.
#[derive(Clone, Default)]
struct Tls {
    root: Option<Vec<u8>>,
    client: Option<(Vec<u8>, Vec<u8>)>,
}

impl RedisBuilder {
    pub(super) fn new(urls: Vec<String>) -> Self {
        RedisBuilder {
            urls,
            topology: Topology::One,
            prefix: "unbroken:".into(),
            timeout: Duration::from_secs(5),
            confirm: Confirm::default(),
            credentials: None,
            database: 0,
            tls: Tls::default(),
        }
    }

    /// The URLs are those of Sentinels (with their own credentials), which know the primary by this name.
    pub fn sentinel(mut self, primary: impl Into<String>) -> Self {
        self.topology = Topology::Sentinel(primary.into());
        self
    }

    /// The URLs are those of some nodes of a cluster.
    pub fn cluster(mut self) -> Self {
        self.topology = Topology::Cluster;
        self
    }

    /// User and password of the servers behind Sentinels. Else they stand in the URL.
    pub fn credentials(mut self, user: Option<&str>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.map(Into::into), password.into()));
        self
    }

    /// The database of the servers behind Sentinels; 0 unless told. Else it stands in the URL.
    pub fn database(mut self, number: i64) -> Self {
        self.database = number;
        self
    }

    /// What all keys begin with; `unbroken:` unless told, up to 64 bytes without braces. Servers that share sessions share it; two realms in one
    /// Redis must not.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// After how long a request without an answer is given up: 5 s unless told, from 100 ms to 60 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// When a write counts as done.
    pub fn confirm(mut self, confirm: Confirm) -> Self {
        self.confirm = confirm;
        self
    }

    /// (TLS) Trust this authority, in PEM, instead of the system's.
    #[cfg(feature = "tls")]
    pub fn tls_root(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.root = Some(pem.into());
        self
    }

    /// (TLS) Show this certificate with this key, both in PEM.
    #[cfg(feature = "tls")]
    pub fn tls_client(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls.client = Some((certificate.into(), key.into()));
        self
    }

    /// Connects, waiting up to the time-out (behind Sentinels 5 s at least), and logs a warning if by its settings Redis may forget what it confirms.
    ///
    /// # Errors
    /// [`StoreError::Option`] for an option out of bounds or one that this Redis does not offer, [`StoreError::Unreachable`],
    /// [`StoreError::Refused`].
    pub async fn connect(self) -> Result<RedisStore, StoreError> {
        crate::check_timeout(self.timeout)?;
        if self.prefix.len() > 64 || self.prefix.contains(['{', '}']) {
            return Err(StoreError::Option {
                option: "prefix",
                problem: format!(
                    "`{}` is longer than 64 bytes or has a brace in it, which would change its slot",
                    self.prefix
                ),
            });
        }
        if matches!(self.topology, Topology::Cluster) && self.confirm != Confirm::Primary {
            return Err(StoreError::Option {
                option: "confirm",
                problem: format!(
                    "{:?} works with one primary, not with a cluster; use `appendfsync always` there",
                    self.confirm
                ),
            });
        }
        let infos = self.infos()?;
        let name = match &self.topology {
            Topology::One => format!("Redis at {}", addresses(&infos)),
            Topology::Sentinel(primary) => format!("Redis `{primary}` of the Sentinels at {}", addresses(&infos)),
            Topology::Cluster => format!("the Redis cluster at {}", addresses(&infos)),
        };
        let connector = Arc::new(self.connector(infos).map_err(|error| url_error(&error))?);
        // What is confirmed is what one connection has written.
        let connections = match (&self.topology, self.confirm) {
            (_, Confirm::Replicas(_) | Confirm::Disk { .. }) => 1,
            (Topology::Cluster, Confirm::Primary) => CONNECTIONS_TO_A_CLUSTER,
            _ => CONNECTIONS,
        };
        let store = RedisStore(Arc::new(Inner {
            name,
            keepers: (0..connections)
                .map(|_| Keeper::new(connector.clone(), self.timeout))
                .collect(),
            connector,
            ops: Ops::new(self.prefix),
            lanes: Lanes::new(),
            permits: match self.topology {
                Topology::Cluster => Permits::apart(connections),
                _ => Permits::shared(),
            },
            idle: Mutex::default(),
            doubts: Doubts::default(),
            timeout: self.timeout,
            confirm: self.confirm,
        }));
        let patience = store.0.connector.patience(self.timeout);
        let deadline = Instant::now() + patience;
        store.0.verify(deadline).await?;
        let mut checked = crate::Store::check(&store).await;
        // Each shared connection is looked up anew, for which a request alone may have too little time.
        while patience > self.timeout
            && matches!(checked, Err(StoreError::Unreachable { .. }))
            && Instant::now() < deadline
        {
            tokio::time::sleep(AGAIN).await;
            checked = crate::Store::check(&store).await;
        }
        match checked {
            Err(warning @ StoreError::Forgets { .. }) => tracing::warn!(target: "unbroken::store", "{warning}"),
            checked => checked?,
        }
        Ok(store)
    }

    fn infos(&self) -> Result<Vec<ConnectionInfo>, StoreError> {
        let infos = self.urls.iter().map(|url| url.as_str().into_connection_info());
        let infos = infos
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| url_error(&error))?;
        match (infos.len(), &self.topology) {
            (0, _) => Err(url_problem("there is none; write at least one".into())),
            (2.., Topology::One) => Err(url_problem(format!(
                "there are {}, for one server; say `sentinel` or `cluster` if they are more",
                infos.len()
            ))),
            _ => Ok(infos),
        }
    }

    fn connector(&self, infos: Vec<ConnectionInfo>) -> Result<Connector, RedisError> {
        Ok(match &self.topology {
            Topology::One => {
                let info = infos.into_iter().next().expect("one URL");
                Connector::One(Box::new(self.client(info)?))
            }
            Topology::Sentinel(primary) => {
                let (recipe, primary) = (self.clone(), primary.clone());
                let client = move || recipe.sentinels(&primary, &infos)?.build();
                // What is wrong with it is said at once.
                client()?;
                Connector::Sentinel(Box::new(client))
            }
            Topology::Cluster => {
                let address = infos[0].addr().clone();
                let builder = ClusterClientBuilder::new(infos)
                    // Nothing is sent twice; see `link`.
                    .retries(0)
                    // It waits for all nodes that it was named by, also for one that is gone, and then looks for the others: both must fit into an attempt.
                    .connection_timeout(self.timeout / 4)
                    .response_timeout(self.timeout + RECEIVE_WAIT)
                    .overall_response_timeout(None);
                Connector::Cluster(Box::new(self.secure_cluster(builder, &address).build()?))
            }
        })
    }

    fn sentinels(&self, primary: &str, infos: &[ConnectionInfo]) -> Result<SentinelClientBuilder, RedisError> {
        let addresses = infos.iter().map(|info| info.addr().clone());
        let mut builder = SentinelClientBuilder::new(addresses, primary, SentinelServerType::Master)?
            .set_client_to_redis_db(self.database);
        if let Some((user, password)) = &self.credentials {
            builder = builder.set_client_to_redis_password(password);
            if let Some(user) = user {
                builder = builder.set_client_to_redis_username(user);
            }
        }
        let own = infos[0].redis_settings();
        if let Some(user) = own.username() {
            builder = builder.set_client_to_sentinel_username(user);
        }
        if let Some(password) = own.password() {
            builder = builder.set_client_to_sentinel_password(password);
        }
        Ok(self.secure_sentinels(builder, infos[0].addr()))
    }
}

#[cfg(feature = "tls")]
impl RedisBuilder {
    fn client(&self, info: ConnectionInfo) -> Result<Client, RedisError> {
        match info.addr() {
            ConnectionAddr::TcpTls { .. } => Client::build_with_tls(info, self.certificates()),
            _ => Client::open(info),
        }
    }

    fn secure_cluster(&self, builder: ClusterClientBuilder, address: &ConnectionAddr) -> ClusterClientBuilder {
        match address {
            // Certificates alone would mean TLS.
            ConnectionAddr::TcpTls { .. } => builder.certs(self.certificates()),
            _ => builder,
        }
    }

    fn secure_sentinels(&self, builder: SentinelClientBuilder, address: &ConnectionAddr) -> SentinelClientBuilder {
        match address {
            ConnectionAddr::TcpTls { .. } => builder
                .set_client_to_redis_tls_mode(redis::TlsMode::Secure)
                .set_client_to_redis_certificates(self.certificates())
                .set_client_to_sentinel_tls_mode(redis::TlsMode::Secure)
                .set_client_to_sentinel_certificates(self.certificates()),
            _ => builder,
        }
    }

    fn certificates(&self) -> redis::TlsCertificates {
        // If several are compiled in, rustls wants to be told which; it may have been told.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let client_tls = self.tls.client.clone();
        redis::TlsCertificates {
            client_tls: client_tls.map(|(client_cert, client_key)| redis::ClientTlsConfig {
                client_cert,
                client_key,
            }),
            root_cert: self.tls.root.clone(),
        }
    }
}

#[cfg(not(feature = "tls"))]
impl RedisBuilder {
    fn client(&self, info: ConnectionInfo) -> Result<Client, RedisError> {
        let Tls {
            root: None,
            client: None,
        } = &self.tls
        else {
            unreachable!("only set with the feature");
        };
        Client::open(info)
    }

    fn secure_cluster(&self, builder: ClusterClientBuilder, _: &ConnectionAddr) -> ClusterClientBuilder {
        builder
    }

    fn secure_sentinels(&self, builder: SentinelClientBuilder, _: &ConnectionAddr) -> SentinelClientBuilder {
        builder
    }
}

/// Shows no password.
impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBuilder")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

fn addresses(infos: &[ConnectionInfo]) -> String {
    infos
        .iter()
        .map(|info| info.addr().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

fn url_error(error: &RedisError) -> StoreError {
    let hint = match cfg!(feature = "tls") {
        true => "",
        false => "; `rediss://` needs the feature `tls` of unbroken-store",
    };
    url_problem(format!(
        "{error}; write redis://[[user]:password@]host[:port][/database]{hint}"
    ))
}

fn url_problem(problem: String) -> StoreError {
    StoreError::Option { option: "url", problem }
}
