//! What the programs in the namespaces obey: orders on standard input, one a line, and one answer each on standard output.
//!
//! | order | what |
//! |---|---|
//! | `talk`, `quiet` | send a message every [`TICK`](crate::talk::TICK), or none |
//! | `hint available N`, `hint changed N`, `hint lost N` | tell the session what an operating system would |
//! | `finish` | stop sending, let what is under way arrive, answer with the books |

use tokio::io::{AsyncBufReadExt, BufReader, Lines, Stdin};
use unbroken_tokio::{NetworkEvent, NetworkId};

/// An order.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Order {
    Talk(bool),
    Hint(NetworkEvent),
    Finish,
}

/// Standard input.
pub struct Orders(Lines<BufReader<Stdin>>);

impl Orders {
    /// Says that the program is ready for them.
    pub fn open() -> Self {
        println!("ready");
        Orders(BufReader::new(tokio::io::stdin()).lines())
    }

    /// The next one. When whoever gives orders is gone, that is `Finish`.
    pub async fn next(&mut self) -> Order {
        match self.0.next_line().await {
            Ok(Some(line)) => parse(&line).unwrap_or_else(|| panic!("no order: {line}")),
            _ => Order::Finish,
        }
    }
}

/// The answer to an order.
pub fn done() {
    println!("ok");
}

fn parse(line: &str) -> Option<Order> {
    let words: Vec<_> = line.split_whitespace().collect();
    Some(match words[..] {
        ["talk"] => Order::Talk(true),
        ["quiet"] => Order::Talk(false),
        ["finish"] => Order::Finish,
        ["hint", kind, number] => {
            let network = NetworkId(number.parse().ok()?);
            Order::Hint(match kind {
                "available" => NetworkEvent::Available(network),
                "changed" => NetworkEvent::Changed(network),
                "lost" => NetworkEvent::Lost(network),
                _ => return None,
            })
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        assert_eq!(
            parse("hint lost 2"),
            Some(Order::Hint(NetworkEvent::Lost(NetworkId(2))))
        );
        assert_eq!(parse(" talk "), Some(Order::Talk(true)));
        assert_eq!(parse("hint lost"), None);
        assert_eq!(parse("shout"), None);
    }
}
