//! The hosts: connections, timers, and polling in any order.

use unbroken::{Instant, LinkId, Output};

use super::{At, Ends, Event, World};
use crate::absence::Tally;
use crate::fate::{Fate, Side};
use crate::net::{ConnId, NetEvent, Notice};
use crate::trace::Who;

/// More polls than this in one drain are an endless loop.
const BUDGET: u32 = 200_000;

impl World {
    pub(super) fn on_net(&mut self, event: NetEvent) {
        let mut notices = Vec::new();
        self.net.handle(event, &mut self.queue, &mut notices);
        for notice in notices {
            self.on_notice(notice);
        }
    }

    fn on_notice(&mut self, notice: Notice) {
        let now = self.now();
        match notice {
            Notice::Up(conn, Side::Client) => {
                let Some((i, link)) = self.client_end(conn) else { return };
                self.clients[i].session.handle_link_up(link, now);
                self.after_client(i);
            }
            Notice::Up(conn, Side::Server) => self.balance(conn),
            Notice::Input(conn, Side::Client, bytes) => {
                let Some((i, link)) = self.client_end(conn) else { return };
                self.trace.add(now, Who::Client(i), "input", link.0, bytes.len() as u64);
                self.clients[i].session.handle_input(link, &bytes, now);
                self.after_client(i);
            }
            Notice::Down(conn, Side::Client) => {
                let Some((i, link)) = self.client_end(conn) else { return };
                self.trace.add(now, Who::Client(i), "link down", link.0, conn);
                let client = &mut self.clients[i];
                client.host.links.remove(&link);
                client.host.blocked.remove(&link);
                client.session.handle_link_down(link, now);
                self.after_client(i);
                self.forget(conn);
            }
            Notice::Writable(conn, Side::Client) => {
                let Some((i, link)) = self.client_end(conn) else { return };
                self.clients[i].host.blocked.remove(&link);
                self.clients[i].session.handle_link_writable(link);
                self.after_client(i);
            }
            Notice::Input(conn, Side::Server, _)
            | Notice::Down(conn, Side::Server)
            | Notice::Writable(conn, Side::Server) => {
                let at = self.ends.get(&conn).and_then(|ends| ends.server);
                if let Some(at) = at.filter(|at| self.is_there(*at)) {
                    if let Some(sleep) = &mut self.processes[at.process].asleep {
                        sleep.push(Event::Notice(notice));
                    } else {
                        self.server_notice(at, conn, notice);
                    }
                }
            }
        }
    }

    /// What a process learns of one of its connections.
    pub(super) fn late_notice(&mut self, notice: Notice) {
        let (Notice::Input(conn, ..) | Notice::Down(conn, _) | Notice::Writable(conn, _) | Notice::Up(conn, _)) =
            notice;
        let at = self.ends.get(&conn).and_then(|ends| ends.server);
        if let Some(at) = at.filter(|at| self.is_there(*at)) {
            self.server_notice(at, conn, notice);
        }
    }

    fn server_notice(&mut self, at: At, conn: ConnId, notice: Notice) {
        let (now, link, p) = (self.now(), LinkId(conn), at.process);
        let whose = self.ends.get(&conn).map(|ends| ends.client);
        let process = &mut self.processes[p];
        let before = Tally::of(&process.endpoint);
        match notice {
            Notice::Up(..) => {
                process.host.links.insert(link, conn);
                process.endpoint.handle_link_up(link, now);
            }
            Notice::Input(_, _, bytes) => {
                if !process.host.links.contains_key(&link) {
                    return;
                }
                self.trace.add(now, Who::Server(p), "input", link.0, bytes.len() as u64);
                process.endpoint.handle_input(link, &bytes, now);
            }
            Notice::Down(..) => {
                self.trace.add(now, Who::Server(p), "link down", link.0, 0);
                process.host.links.remove(&link);
                process.host.blocked.remove(&link);
                process.endpoint.handle_link_down(link, now);
                self.forget(conn);
            }
            Notice::Writable(..) => {
                process.host.blocked.remove(&link);
                process.endpoint.handle_link_writable(link);
            }
        }
        self.watch_absence(p, whose, before);
        self.after_process(p);
    }

    /// A connection for any process.
    fn balance(&mut self, conn: ConnId) {
        let p = match self.routes.pop_front() {
            Some(p) => p,
            None => self.rng.below(self.processes.len() as u64) as usize,
        };
        let Some(ends) = self.ends.get(&conn) else { return };
        let i = ends.client;
        let before = self.talks[i]
            .went_to
            .filter(|_| self.options.sticky > 0 && !self.healed && self.rng.permille(self.options.sticky));
        let p = before.unwrap_or(p);
        self.talks[i].went_to = Some(p);
        let at = self.at(p);
        let Some(ends) = self.ends.get_mut(&conn) else { return };
        ends.server = Some(at);
        self.trace_at(p, "accept", conn, i as u64);
        let notice = Notice::Up(conn, Side::Server);
        match &mut self.processes[p].asleep {
            Some(sleep) => sleep.push(Event::Notice(notice)),
            None => self.server_notice(at, conn, notice),
        }
    }

    fn client_end(&self, conn: ConnId) -> Option<(usize, LinkId)> {
        self.ends.get(&conn).map(|ends| (ends.client, ends.link))
    }

    pub(super) fn forget(&mut self, conn: ConnId) {
        if Side::BOTH.iter().all(|side| !self.net.is_open(conn, *side)) {
            self.ends.remove(&conn);
        }
    }

    // ---- clients ----

    pub(super) fn after_client(&mut self, i: usize) {
        let mut steps = 0;
        loop {
            steps += 1;
            if steps > BUDGET {
                self.fail(format_args!("a drain of client {i} does not end"));
            }
            if !(self.client_output(i) | self.client_event(i) | self.client_reads(i)) {
                break;
            }
        }
        self.check_client(i);
        self.rearm_client(i);
    }

    fn client_output(&mut self, i: usize) -> bool {
        let now = self.now();
        let mut buffer = core::mem::take(&mut self.buffer);
        let output = self.clients[i].session.poll_output(&mut buffer, now);
        match &output {
            Some(Output::Send { link, len }) => {
                let conn = self.clients[i].host.links[link];
                if self.net.write(conn, Side::Client, &buffer[..*len], &mut self.queue) {
                    self.clients[i].host.blocked.insert(*link);
                    self.clients[i].session.handle_link_blocked(*link);
                }
            }
            Some(Output::CloseLink { link }) => {
                if let Some(conn) = self.clients[i].host.links.remove(link) {
                    self.net.close(conn, Side::Client, &mut self.queue);
                    self.forget(conn);
                }
            }
            Some(Output::OpenLink { link, .. }) => {
                if self.talks[i].life.closed.is_some() || self.talks[i].life.disconnected.is_some() {
                    self.fail(format_args!("G8: client {i} asks for a link after the end"));
                }
                let fate = match self.script.pop_front() {
                    Some(fate) => fate,
                    None if self.healed => Fate::default(),
                    None => Fate::draw(&self.options.links, &mut self.fates),
                };
                let conn = self.net.open(fate, &mut self.queue);
                self.trace.add(now, Who::Client(i), "open link", link.0, conn);
                self.clients[i].host.links.insert(*link, conn);
                let ends = Ends {
                    client: i,
                    link: *link,
                    server: None,
                };
                self.ends.insert(conn, ends);
            }
            None => {}
        }
        self.buffer = buffer;
        output.is_some()
    }

    pub(super) fn on_wake_client(&mut self, i: usize, serial: u64) {
        let now = self.now();
        if self.clients[i].host.wakes(serial, now) {
            self.clients[i].session.handle_timeout(now);
            self.after_client(i);
        }
    }

    pub(super) fn rearm_client(&mut self, i: usize) {
        let timeout = self.clients[i].session.poll_timeout();
        if let Some((at, serial)) = self.clients[i].host.arm(timeout, self.queue.now()) {
            self.queue.at(at, Event::WakeClient(i, serial));
        }
    }

    // ---- processes ----

    /// Polls until nothing comes any more, in an order that changes.
    pub(super) fn after_process(&mut self, p: usize) {
        if self.processes[p].asleep.is_some() {
            return;
        }
        let (mut steps, mut idle) = (0, 0);
        let mut turn = self.rng.below(5) as u32;
        let life = self.processes[p].life;
        while idle < 5 {
            steps += 1;
            if steps > BUDGET {
                self.fail(format_args!("a drain of process {p} does not end"));
            }
            let something = match turn % 5 {
                0 => self.process_output(p),
                1 => self.process_event(p),
                2 => self.poll_store(p),
                3 => self.poll_snapshot(p),
                _ => self.process_reads(p),
            };
            if self.processes[p].life != life {
                return;
            }
            idle = if something { 0 } else { idle + 1 };
            turn = if something && self.rng.coin() { turn } else { turn + 1 };
        }
        self.watch_counters(p);
        self.watch_told(p);
        self.rearm_process(p);
    }

    fn process_output(&mut self, p: usize) -> bool {
        let now = self.now();
        let mut buffer = core::mem::take(&mut self.buffer);
        let output = self.processes[p].endpoint.poll_output(&mut buffer, now);
        match &output {
            Some(Output::Send { link, len }) => {
                let Some(&conn) = self.processes[p].host.links.get(link) else {
                    self.fail(format_args!("process {p} writes to {link:?}, which is not open"));
                };
                self.trace_at(p, "write", link.0, *len as u64);
                if self.net.write(conn, Side::Server, &buffer[..*len], &mut self.queue) {
                    self.processes[p].host.blocked.insert(*link);
                    self.processes[p].endpoint.handle_link_blocked(*link);
                }
            }
            Some(Output::CloseLink { link }) => {
                self.trace_at(p, "close link", link.0, 0);
                if let Some(conn) = self.processes[p].host.links.remove(link) {
                    self.net.close(conn, Side::Server, &mut self.queue);
                    self.forget(conn);
                }
            }
            Some(Output::OpenLink { .. }) => self.fail("an endpoint asks for a link"),
            None => {}
        }
        self.buffer = buffer;
        output.is_some()
    }

    pub(super) fn on_wake_process(&mut self, at: At, serial: u64) {
        let now = self.now();
        if self.is_there(at) && self.processes[at.process].host.wakes(serial, now) {
            self.settle(at.process);
        }
    }

    /// Lets a process do all it wants to do now.
    pub(super) fn settle(&mut self, p: usize) {
        let (now, life) = (self.now(), self.processes[p].life);
        self.processes[p].endpoint.handle_timeout(now);
        self.after_process(p);
        let process = &self.processes[p];
        let next: Option<Instant> = process.endpoint.poll_timeout();
        if process.life == life && process.host.blocked.is_empty() && next.is_some_and(|next| next <= now) {
            self.fail(format_args!(
                "contract: after handle_timeout({now:?}) and a full drain of process {p}, poll_timeout is {next:?}"
            ));
        }
    }

    fn rearm_process(&mut self, p: usize) {
        let at = self.at(p);
        let timeout = self.processes[p].endpoint.poll_timeout();
        if let Some((when, serial)) = self.processes[p].host.arm(timeout, self.queue.now()) {
            self.queue.at(when, Event::WakeProcess(at, serial));
        }
    }
}
