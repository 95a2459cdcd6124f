//! Where a store process listens: `host:port`, or `unix:/path`.

use std::fmt;
use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

use super::dial::dial;
use crate::StoreError;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Address {
    Tcp(String),
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

pub(super) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, Address),
}

pub(super) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, StoreError> {
        #[cfg(unix)]
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Address::Unix(path.into()));
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && host != "unix" && port.parse::<u16>().is_ok() => {
                Ok(Address::Tcp(text.into()))
            }
            _ => Err(StoreError::Option {
                option: "address",
                problem: format!("`{text}` is none; write host:port, or unix:/path"),
            }),
        }
    }

    pub(super) async fn connect(&self) -> io::Result<(Reader, Writer)> {
        Ok(match self {
            Address::Tcp(address) => halves(dial(address).await?)?,
            #[cfg(unix)]
            Address::Unix(path) => unix_halves(UnixStream::connect(path).await?),
        })
    }

    pub(super) async fn listen(&self) -> io::Result<Listener> {
        match self {
            Address::Tcp(address) => Ok(Listener::Tcp(TcpListener::bind(address).await?)),
            #[cfg(unix)]
            Address::Unix(path) => {
                use std::os::unix::fs::{FileTypeExt, PermissionsExt};
                // A socket that a killed process left is in the way, and nobody is behind it. Nobody is behind another file, either, and that is no socket.
                let is_socket = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_socket());
                if is_socket
                    && UnixStream::connect(path)
                        .await
                        .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
                {
                    std::fs::remove_file(path)?;
                }
                let listener = UnixListener::bind(path)?;
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
                Ok(Listener::Unix(listener, self.clone()))
            }
        }
    }
}

impl Listener {
    /// Where it is, with the port that the system chose if none was named.
    pub(super) fn address(&self) -> io::Result<Address> {
        match self {
            Listener::Tcp(listener) => Ok(Address::Tcp(listener.local_addr()?.to_string())),
            #[cfg(unix)]
            Listener::Unix(_, address) => Ok(address.clone()),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<(Reader, Writer)> {
        match self {
            Listener::Tcp(listener) => halves(listener.accept().await?.0),
            #[cfg(unix)]
            Listener::Unix(listener, _) => Ok(unix_halves(listener.accept().await?.0)),
        }
    }
}

fn halves(stream: TcpStream) -> io::Result<(Reader, Writer)> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    Ok((Box::new(read), Box::new(write)))
}

#[cfg(unix)]
fn unix_halves(stream: UnixStream) -> (Reader, Writer) {
    let (read, write) = stream.into_split();
    (Box::new(read), Box::new(write))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            #[cfg(unix)]
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
