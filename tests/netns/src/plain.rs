//! The peer: plain TCP that reconnects on errors, as applications do without a session layer. It connects where the system's
//! routes lead, takes a connection for dead after an error, the peer's FIN, or [`PATIENCE`] without a byte, and connects anew. Nothing is
//! sent twice, so nothing is doubled; what was under way is gone.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use crate::book::{Book, Direction, SIZE, Shared};
use crate::order::{self, Order, Orders};
use crate::talk::{self, Mode};

/// Silence after which a connection is given up. Widely used values are 5 to 30 s.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time for one connect, and between two.
const CONNECT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);

/// The connection of the moment.
type Current = Rc<RefCell<Option<Arc<TcpStream>>>>;

/// The client: until it is told to finish; prints its book.
pub async fn client(server: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    let book = Shared::default();
    let mode = watch::Sender::new(Mode::default());
    let current = Current::default();
    let (first, connected) = oneshot::channel();
    let mut first = Some(first);
    let live = async {
        loop {
            if let Ok(Ok(stream)) = timeout(CONNECT, TcpStream::connect(server)).await {
                let _ = stream.set_nodelay(true);
                let name = stream
                    .local_addr()
                    .map_or_else(|e| e.to_string(), |local| local.to_string());
                book.write(|book| book.names.push(name));
                let stream = Arc::new(stream);
                current.replace(Some(stream.clone()));
                first.take().map(|first| first.send(()));
                receive(&stream, &book, Direction::Down, Some(PATIENCE)).await;
                current.replace(None);
            }
            sleep(PAUSE).await;
        }
    };
    let send = talk::talk(mode.subscribe(), book.clone(), Direction::Up, async |message| {
        send(&current, &message)
    });
    let obey = async {
        let _ = connected.await;
        let mut orders = Orders::open();
        loop {
            match orders.next().await {
                Order::Talk(on) => mode.send_modify(|mode| mode.talking = on),
                Order::Finish => break,
                Order::Hint(_) => {}
            }
            order::done();
        }
        mode.send_modify(|mode| mode.finishing = true);
        // What is under way on a good path arrives meanwhile.
        sleep(Duration::from_millis(300)).await;
    };
    let talk = async { tokio::join!(send, obey) };
    tokio::select! {
        _ = talk => {}
        () = live => {}
    }
    println!("{}", serde_json::to_string(&book.copy())?);
    Ok(())
}

/// The server's half, within the program that has sessions too. It runs on a thread of its own.
pub struct Served {
    ask: mpsc::UnboundedSender<oneshot::Sender<Book>>,
}

impl Served {
    /// Listens, and talks to whoever came last.
    pub async fn start(address: SocketAddr, mode: watch::Receiver<Mode>) -> io::Result<Served> {
        let listener = TcpListener::bind(address).await?.into_std()?;
        let (ask, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<Book>>();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let local = tokio::task::LocalSet::new();
            let book = Shared::default();
            runtime.expect("a runtime").block_on(local.run_until(async {
                let listener = TcpListener::from_std(listener).expect("a listener");
                let current = Current::default();
                let accept = accept(listener, current.clone(), book.clone());
                let send = talk::talk(mode, book.clone(), Direction::Down, async |message| {
                    send(&current, &message)
                });
                tokio::select! {
                    () = accept => {}
                    () = async { send.await; std::future::pending().await } => {}
                    reply = asked.recv() => if let Some(reply) = reply { let _ = reply.send(book.copy()); },
                }
            }));
        });
        Ok(Served { ask })
    }

    /// Its book; it ends.
    pub fn copy(self) -> Book {
        let (reply, book) = oneshot::channel();
        let _ = self.ask.send(reply);
        let wait = std::thread::spawn(move || book.blocking_recv().unwrap_or_default());
        wait.join().unwrap_or_default()
    }
}

async fn accept(listener: TcpListener, current: Current, book: Shared) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            continue;
        };
        let _ = stream.set_nodelay(true);
        book.write(|book| book.names.push(from.to_string()));
        let stream = Arc::new(stream);
        current.replace(Some(stream.clone()));
        let (current, book) = (current.clone(), book.clone());
        tokio::task::spawn_local(async move {
            receive(&stream, &book, Direction::Up, None).await;
            let mut current = current.borrow_mut();
            if current.as_ref().is_some_and(|newest| Arc::ptr_eq(newest, &stream)) {
                *current = None;
            }
        });
    }
}

/// Sends if there is a connection and it takes the whole message; else the message is lost. The stream never ends because of it.
fn send(current: &Current, message: &[u8]) -> bool {
    if let Some(stream) = current.borrow().as_ref() {
        // A partly written message would shift all that follow; with buffers this empty it does not happen, and the hash would show it.
        let _ = stream.try_write(message);
    }
    true
}

/// Until the connection ends, or nothing comes for too long.
async fn receive(stream: &TcpStream, book: &Shared, way: Direction, patience: Option<Duration>) {
    let mut held = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let readable = timeout(patience.unwrap_or(Duration::from_secs(3600)), stream.readable()).await;
        let Ok(Ok(())) = readable else { return };
        match stream.try_read(&mut piece) {
            Ok(0) => return,
            Ok(n) => held.extend_from_slice(&piece[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        }
        let whole = held.len() - held.len() % SIZE;
        held.drain(..whole)
            .as_slice()
            .chunks(SIZE)
            .for_each(|message| book.received(way, message));
    }
}
