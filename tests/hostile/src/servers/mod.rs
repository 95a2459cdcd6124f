//! Hostile servers: each kind listens on a port of its own and counts who dials it.
//!
//! | file | what | has the key that clients pin |
//! |---|---|---|
//! | `garbage.rs` | random bytes without end | no |
//! | `half_answers.rs` | the beginning of an ACCEPT, then nothing; or a byte in a second | no |
//! | `replayed_answers.rs` | what the real server once answered to somebody else | no |
//! | `refusals.rs` | REFUSE with each code, and no time to wait | no |
//! | `lost_sessions.rs` | lets everybody in once, then says that no session is here, to resumes and questions alike | yes |
//! | `drains.rs` | lets everybody in and sends them on at once, in a circle | yes |
//! | `floods.rs` | lets everybody in and floods them with PINGs, ACKs and unreliable messages | yes |

mod drains;
mod floods;
mod garbage;
mod half_answers;
mod lost_sessions;
mod refusals;
mod replayed_answers;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::hand::Keys;
use crate::recorder::Library;

/// What the library promises of a server like that.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Promise {
    /// `connect` gives up, in its time, and says so.
    ConnectGivesUp,
    /// The session stands, is interrupted, and gives up, in its time, and says so.
    HandoverGivesUp,
    /// The session stands and goes on.
    Stands,
}

/// What a hostile server does with a connection.
type Answering = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A kind of hostile server.
pub struct Kind {
    pub name: &'static str,
    pub promise: Promise,
    answer: fn(Arc<Post>, TcpStream) -> Answering,
}

/// In this order everywhere.
pub const KINDS: [Kind; 8] = [
    garbage::KIND,
    half_answers::KIND,
    half_answers::DRIP,
    replayed_answers::KIND,
    refusals::KIND,
    lost_sessions::KIND,
    drains::KIND,
    floods::KIND,
];

/// What a hostile server has.
pub struct Post {
    pub address: SocketAddr,
    pub library: Arc<Library>,
    pub keys: Keys,
    pub dials: AtomicU64,
}

/// How long a hostile server keeps a connection at most.
const KEPT: Duration = Duration::from_secs(60);

/// Listens; the server runs in `tasks`.
pub async fn open(kind: &'static Kind, library: Arc<Library>, tasks: &mut JoinSet<()>) -> io::Result<Arc<Post>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let post = Arc::new(Post {
        address: listener.local_addr()?,
        library,
        keys: Keys::default(),
        dials: AtomicU64::new(0),
    });
    let owner = post.clone();
    tasks.spawn(async move {
        let mut links = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            owner.dials.fetch_add(1, Relaxed);
            let answer = (kind.answer)(owner.clone(), stream);
            // That a client hangs up is its good right.
            links.spawn(async move { drop(timeout(KEPT, answer).await) });
            while links.try_join_next().is_some() {}
        }
    });
    Ok(post)
}
