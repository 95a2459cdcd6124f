//! The server: sessions on one port, plain TCP on another, each with its books.

use std::net::SocketAddr;
use std::sync::mpsc;

use tokio::sync::watch;
use unbroken_tokio::{ClusterKey, Server, ServerConfig, ServerKey, ServerSession};

use crate::book::{Book, Direction, Shared};
use crate::order::{self, Order, Orders};
use crate::plain;
use crate::talk::{self, END, Mode};

/// The server's secret. The client has the public half.
pub fn key() -> ServerKey {
    ServerKey::from_bytes([0x5a; 32]).expect("a key that is not zero")
}

/// Until it is told to finish; prints `[session's book, plain TCP's book]`.
pub async fn run(sessions: SocketAddr, plain: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    let mode = watch::Sender::new(Mode::default());
    let config = ServerConfig::builder(key(), ClusterKey::from_bytes([0x3c; 32])?)
        .authorise_all(true)
        .build()?;
    let (give, books) = mpsc::channel();
    let listening = mode.subscribe();
    let server = Server::builder(config)
        .workers(1)
        .serve(sessions, move |session: ServerSession| {
            serve(session, listening.clone(), give.clone())
        })
        .await?;
    let raw = plain::Served::start(plain, mode.subscribe()).await?;
    let mut orders = Orders::open();
    loop {
        match orders.next().await {
            Order::Talk(on) => mode.send_modify(|mode| mode.talking = on),
            Order::Finish => break,
            Order::Hint(_) => {}
        }
        order::done();
    }
    // The session has ended by itself: its client said END before the server was told to finish.
    server.shutdown(0, std::time::Duration::from_secs(2)).await;
    let mut book = Book::default();
    for more in books.try_iter() {
        // A second session would be a failure; its name shows it.
        let names = [std::mem::take(&mut book.names), more.names.clone()].concat();
        if book.received.is_empty() {
            book = more;
        }
        book.names = names;
    }
    println!("{}", serde_json::to_string(&[book, raw.copy()])?);
    Ok(())
}

/// One session.
async fn serve(session: ServerSession, mode: watch::Receiver<Mode>, give: mpsc::Sender<Book>) {
    let book = Shared::default();
    book.write(|book| book.names.push(session.id().to_string()));
    let receive = async {
        while let Some(message) = session.recv().await {
            if message.payload == END {
                return;
            }
            book.received(Direction::Up, &message.payload);
        }
    };
    let send = talk::talk(mode, book.clone(), Direction::Down, async |message| {
        session.send(message).await.is_ok()
    });
    tokio::select! {
        () = receive => {}
        () = send => {}
    }
    let _ = session.send(END).await;
    let _ = give.send(book.copy());
    // Returning closes the session, once END is through.
    session.closed().await;
}
