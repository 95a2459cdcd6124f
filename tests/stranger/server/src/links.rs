//! The sockets: one thread reads each, the owner writes. A link may have a budget of bytes, after which it is cut.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::Sender;
use std::time::Duration;

use unbroken::LinkId;

use crate::Report;

pub struct Links {
    sender: Sender<Report>,
    up: BTreeMap<LinkId, (TcpStream, u64)>,
    next: u64,
    random: u64,
    /// Bounds of a new link's budget; (0, 0) for none.
    pub budget: (u64, u64),
    /// Links cut by this end.
    pub cuts: u64,
}

impl Links {
    pub fn new(sender: Sender<Report>) -> Links {
        Links {
            sender,
            up: BTreeMap::new(),
            next: 0,
            random: 0x9e37_79b9_7f4a_7c15,
            budget: (0, 0),
            cuts: 0,
        }
    }

    pub fn add(&mut self, stream: TcpStream) -> LinkId {
        let link = LinkId(self.next);
        self.next += 1;
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(Duration::from_secs(5)));
        let (mut reader, sender) = (stream.try_clone().expect("a second handle"), self.sender.clone());
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            while let Ok(len @ 1..) = reader.read(&mut buffer) {
                if sender.send(Report::Bytes(link, buffer[..len].to_vec())).is_err() {
                    return;
                }
            }
            let _ = sender.send(Report::Down(link));
        });
        let budget = self.draw();
        self.up.insert(link, (stream, budget));
        link
    }

    /// A budget for a new link (xorshift: the runs need no better).
    fn draw(&mut self) -> u64 {
        let (low, high) = self.budget;
        if high == 0 {
            return u64::MAX;
        }
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        low + self.random % (high - low).max(1)
    }

    pub fn all(&self) -> Vec<LinkId> {
        self.up.keys().copied().collect()
    }

    /// Takes from a link's budget: how many of so many bytes may pass.
    pub fn spend(&mut self, link: LinkId, bytes: usize) -> usize {
        let Some((_, budget)) = self.up.get_mut(&link) else {
            return 0;
        };
        let pass = (bytes as u64).min(*budget);
        *budget -= pass;
        pass as usize
    }

    /// Whether a link has used up its budget.
    pub fn spent(&self, link: LinkId) -> bool {
        self.up.get(&link).is_some_and(|(_, budget)| *budget == 0)
    }

    /// Writes as much as the budget lets through; false if the link is to be cut, or is broken.
    pub fn write(&mut self, link: LinkId, bytes: &[u8]) -> bool {
        let pass = self.spend(link, bytes.len());
        let Some((stream, _)) = self.up.get_mut(&link) else {
            return true;
        };
        stream.write_all(&bytes[..pass]).is_ok() && pass == bytes.len()
    }

    /// Closes the socket; whether it was there.
    pub fn remove(&mut self, link: LinkId) -> bool {
        match self.up.remove(&link) {
            Some((stream, _)) => {
                let _ = stream.shutdown(Shutdown::Both);
                true
            }
            None => false,
        }
    }
}
