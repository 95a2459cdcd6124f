//! The client with a session, bound to networks.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use unbroken_tokio::{Binding, Client, ClientConfig, Event, NetworkId};

use crate::book::{self, Direction, Handover, Shared};
use crate::order::{self, Order, Orders};
use crate::server;
use crate::talk::{self, END, Mode};

/// How long what is under way may take to arrive in the end.
const DRAIN: Duration = Duration::from_secs(8);

/// A network, as on the command line.
#[derive(Clone, Debug)]
pub struct Bound(NetworkId, Binding);

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, binding) = text.split_once('=').ok_or("write NUMBER=IP or NUMBER=DEVICE")?;
        let number = number.parse().map_err(|_| format!("`{number}` is no number"))?;
        let binding = match binding.parse::<IpAddr>() {
            Ok(source) => Binding::Source(source),
            Err(_) => Binding::Device(binding.into()),
        };
        Ok(Bound(NetworkId(number), binding))
    }
}

/// Until it is told to finish; prints its book.
pub async fn run(address: SocketAddr, networks: Vec<Bound>) -> Result<(), Box<dyn std::error::Error>> {
    let config = Arc::new(ClientConfig::builder(server::key().public()).build()?);
    let mut builder = Client::builder(address, config);
    for Bound(network, binding) in networks {
        builder = builder.network(network, binding);
    }
    let client = builder.connect().await?;
    let book = Shared::default();
    let mode = watch::Sender::new(Mode::default());
    let name = |book: &Shared| book.write(|book| book.names.extend(client.id().map(|id| id.to_string())));
    name(&book);

    let mut events = client.events();
    let watch = async {
        while let Some(event) = events.next().await {
            book.write(|book| note(&mut book.handovers, &event));
        }
    };
    let receive = async {
        while let Some(message) = client.recv().await {
            if message.payload == END {
                break;
            }
            book.received(Direction::Down, &message.payload);
        }
    };
    let send = talk::talk(mode.subscribe(), book.clone(), Direction::Up, async |message| {
        client.send(message).await.is_ok()
    });
    let obey = async {
        let mut orders = Orders::open();
        loop {
            match orders.next().await {
                Order::Talk(on) => mode.send_modify(|mode| mode.talking = on),
                Order::Hint(event) => client.network(event),
                Order::Finish => break,
            }
            order::done();
        }
        mode.send_modify(|mode| mode.finishing = true);
    };
    let finish = async {
        tokio::join!(obey, send);
        let _ = client.send(END).await;
    };
    let all = async {
        let mut receive = std::pin::pin!(receive);
        tokio::select! {
            () = &mut receive => return,
            () = finish => {}
        }
        // Both have said END: nothing is under way.
        let _ = timeout(DRAIN, receive).await;
    };
    tokio::select! {
        () = all => {}
        () = watch => {}
    }
    name(&book);
    let reason = client.disconnect(0).await;
    book.write(|book| book.ended = Some(reason.to_string()));
    println!("{}", serde_json::to_string(&book.copy())?);
    Ok(())
}

fn note(handovers: &mut Vec<Handover>, event: &Event) {
    match event {
        Event::HandoverBegin { cause } => handovers.push(Handover {
            cause: format!("{cause:?}"),
            begun: book::now(),
            ended: None,
        }),
        Event::HandoverEnd(end) => {
            if let Some(last) = handovers.last_mut() {
                last.ended = Some((book::now(), end.downtime.as_micros() as u64));
            }
        }
        _ => {}
    }
}
