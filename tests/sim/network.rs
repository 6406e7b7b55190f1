//! Connections: first in, first out in both directions, and breakable. Requests on a connection
//! that breaks may still be executed, up to some request, and much later.

use super::scripts::{Parcel, Reply};
use super::world::{Happening, World};
use redlock_cli::lock::{AfterRelease, Request};

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Conn {
    pub(crate) client: usize,
    pub(crate) instance: usize,
    pub(crate) server: usize,
    /// The number of the server's start at the other end.
    pub(crate) run: u64,
    /// Whether the client's end is open, and whether the server still writes.
    pub(crate) is_open: bool,
    pub(crate) hears: bool,
    /// Whether a firewall has forgotten the connection, and drops its bytes.
    pub(crate) swallows: bool,
    /// The first request that will not be executed any more.
    pub(crate) lost_from: u64,
    /// Delay of the requests before that one.
    pub(crate) late: u64,
    sent: u64,
    done: u64,
    last_there: u64,
    last_here: u64,
    has_timeout: bool,
    /// Requests that arrived before an earlier one.
    parked: Vec<Parcel>,
}

impl Conn {
    pub(crate) const fn new(client: usize, instance: usize, server: usize, run: u64) -> Self {
        Self {
            client,
            instance,
            server,
            run,
            is_open: true,
            hears: true,
            swallows: false,
            lost_from: u64::MAX,
            late: 0,
            sent: 0,
            done: 0,
            last_there: 0,
            last_here: 0,
            has_timeout: false,
            parked: vec![],
        }
    }

    /// The kernel takes no further write. Its bytes up to a request that is still on its way
    /// arrive, with this delay.
    pub(crate) fn breaks(&mut self, passes: u64, late: u64) {
        (self.is_open, self.hears, self.late) = (false, false, late);
        self.lost_from = self.lost_from.min(self.done + passes);
    }

    pub(crate) const fn under_way(&self) -> u64 {
        self.sent - self.done
    }
}

impl World {
    /// The kernel of the client takes a write.
    pub(crate) fn transmit(&mut self, mut parcel: Parcel) {
        let delay = self.delay();
        let (now, number) = (self.now, parcel.conn);
        let conn = &mut self.conns[number];
        let (client, server) = (conn.client, conn.server);
        let worker = &mut self.clients[client].workers[conn.instance];
        let (blocked, is_cut) = (worker.blocked_there, std::mem::take(&mut worker.cuts_next));
        parcel.seq = conn.sent;
        conn.sent += 1;
        conn.last_there = (conn.last_there + 1).max(now + delay).max(blocked + 1);
        let (arrives, ttl) =
            (conn.last_there, u64::try_from(parcel.target.ttl.as_nanos()).unwrap());
        // TCP_USER_TIMEOUT is the TTL.
        if (conn.swallows || arrives > now + ttl) && !std::mem::replace(&mut conn.has_timeout, true)
        {
            self.at(now + ttl, Happening::Silent { conn: number });
        }
        *self.in_flight.entry((client, server)).or_default() += 1;
        self.at(arrives, Happening::Arrives(Box::new(parcel)));
        if is_cut {
            self.at(now, Happening::Breaks { conn: number });
        }
    }

    /// A write arrives at the kernel of its server.
    pub(crate) fn arrives(&mut self, mut parcel: Box<Parcel>) {
        let now = self.now;
        let conn = &mut self.conns[parcel.conn];
        let server = conn.server;
        let is_lost =
            conn.swallows || parcel.seq >= conn.lost_from || conn.run != self.servers[server].run;
        if !is_lost && conn.late > 0 && !std::mem::replace(&mut parcel.was_late, true) {
            let late = conn.late;
            return self.at(now + late, Happening::Arrives(parcel));
        }
        if !is_lost && parcel.seq > conn.done {
            // An earlier request is delayed.
            return conn.parked.push(*parcel);
        }
        let hangs_until = self.servers[server].hangs_until;
        if !is_lost && now < hangs_until {
            return self.at(hangs_until + 1, Happening::Arrives(parcel));
        }
        conn.done = conn.done.max(parcel.seq + 1);
        for parked in std::mem::take(&mut conn.parked) {
            self.at(now, Happening::Arrives(Box::new(parked)));
        }
        if let Some(count) = self.in_flight.get_mut(&(parcel.client, server)) {
            *count -= 1;
        }
        if is_lost {
            self.lost(&parcel, server);
        } else {
            self.executed(&parcel, server);
        }
        self.check_left(parcel.client, server);
    }

    fn lost(&mut self, parcel: &Parcel, server: usize) {
        if let Request::Release { value, .. } = &parcel.request {
            self.ghosts.insert((parcel.client, server, value.clone()));
        }
    }

    fn executed(&mut self, parcel: &Parcel, server: usize) {
        let conns = &self.conns;
        let (reply, bells) =
            self.servers[server].execute(self.now, parcel, |conn| conns[conn].hears);
        self.figures.late += u64::from(parcel.was_late);
        for (_, value) in &parcel.owed {
            self.ghosts.remove(&(parcel.client, server, value.clone()));
        }
        let is_given_up = !self.is_current(parcel.conn);
        match &parcel.request {
            Request::Release { value, .. } => {
                let _ = self.ghosts.remove(&(parcel.client, server, value.clone()));
            }
            Request::Acquire { value, .. } | Request::Extend { value, .. } if is_given_up => {
                self.ghosts.insert((parcel.client, server, value.clone()));
            }
            _ => {}
        }
        if matches!(
            parcel.request,
            Request::Release { after_release: AfterRelease::LeaveQueue { .. }, .. }
        ) {
            self.conns[parcel.conn].hears = false;
        }
        for (client, conn, slot) in bells {
            self.figures.wakes += 1;
            // One wake-up in fifty is lost, since a wake-up is only a hint.
            if !self.dice.chance(20) {
                let arrives = self.comes_back(conn);
                self.at(arrives, Happening::Woken { client, conn, slot });
            }
        }
        if self.conns[parcel.conn].is_open {
            self.answer(parcel, reply);
        }
    }

    fn answer(&mut self, parcel: &Parcel, reply: Reply) {
        let (client, conn) = (parcel.client, parcel.conn);
        let arrives = self.comes_back(conn);
        self.at(arrives, Happening::Reply { client, conn, reply: Box::new(reply) });
    }

    /// The moment at which the client reads what the server writes now.
    fn comes_back(&mut self, number: usize) -> u64 {
        let (now, delay) = (self.now, self.delay());
        let conn = &mut self.conns[number];
        let blocked = self.clients[conn.client].workers[conn.instance].blocked_here;
        conn.last_here = (conn.last_here + 1).max(now + delay).max(blocked + 1);
        conn.last_here
    }

    /// The client's kernel gives the connection up, since no byte was acknowledged for too long.
    pub(crate) fn silent(&mut self, number: usize) {
        let (passes, late) = (self.dice.between(0, 2), 0);
        let conn = &mut self.conns[number];
        if conn.is_open && (conn.swallows || conn.under_way() > 0) {
            conn.breaks(passes, late);
            let client = conn.client;
            self.at(self.now, Happening::Ended { client, conn: number });
        }
        self.conns[number].has_timeout = false;
    }

    /// Breaks the connection at once. The client notices.
    pub(crate) fn break_off(&mut self, number: usize) {
        let under_way = self.conns[number].under_way();
        let passes = self.dice.between(0, under_way);
        let ttl =
            u64::try_from(self.clients[self.conns[number].client].target.ttl.as_nanos()).unwrap();
        let late = if self.dice.chance(500) { 0 } else { self.dice.between(1, 3 * ttl) };
        self.conns[number].breaks(passes, late);
        let client = self.conns[number].client;
        self.at(self.now, Happening::Ended { client, conn: number });
    }

    /// The process has ended. Requests that were not written are lost, and its kernel closes the
    /// connections.
    pub(crate) fn leave_connections(&mut self, client: usize) {
        for instance in 0..self.clients[client].workers.len() {
            let worker = &mut self.clients[client].workers[instance];
            let servers = worker.servers.clone();
            for value in worker.unsent_releases() {
                self.ghosts.extend(servers.iter().map(|server| (client, *server, value.clone())));
            }
        }
        for conn in self.conns.iter_mut().filter(|conn| conn.client == client) {
            conn.is_open = false;
        }
        for conn in (0..self.conns.len())
            .filter(|conn| self.conns[*conn].client == client)
            .collect::<Vec<_>>()
        {
            let after = self.delay();
            self.at(self.now + after, Happening::Closed { conn });
        }
    }
}
