//! The faults, one by one.

use super::client::{Before, Command};
use super::world::{Happening, MS, World};
use redlock_cli::policy::{Event, Signal};

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// A server accepts connections and executes nothing until then.
    Hang { server: usize, until: u64 },
    /// A server ends and starts again, with or without its memory; `step` sets its clock meanwhile.
    Restart { server: usize, forgets: bool, step: i64 },
    /// A server refuses connections until then.
    Down { server: usize, until: u64 },
    /// A server refuses to report until then.
    Busy { server: usize, until: u64 },
    /// FLUSHALL.
    Flush { server: usize },
    /// A third party deletes the locks.
    Delete { server: usize },
    /// A server's clock is set.
    StepClock { server: usize, by: i64 },
    /// The same two faults, for locks that have a server to spare.
    Vanish { server: usize, step: Option<i64> },
    /// A host name leads to another server. The old one ends, or goes on for connected clients.
    MoveName { host: usize, ends: bool },
    /// A connection breaks.
    Cut { client: usize, instance: usize },
    /// The same, with the next request on its way.
    CutNext { client: usize, instance: usize },
    /// Requests on a connection are lost on the way, without an error.
    Forget { client: usize, instance: usize },
    /// Nothing arrives there until then, or nothing comes back.
    Part { client: usize, instance: usize, until: u64, only_back: bool },
    /// A redlock is stopped, as by SIGSTOP; its guardian is not.
    Freeze { client: usize },
    /// The same, right before this action.
    FreezeBefore { client: usize, before: Before },
    /// A stopped redlock goes on.
    Thaw { client: usize },
    /// A redlock is killed; its guardian kills the command.
    Kill { client: usize },
    /// A redlock gets SIGTERM.
    Interrupt { client: usize },
    /// An operator revokes the lock of a redlock on a server.
    Revoke { server: usize, client: usize },
    /// An operator deletes the lock of a redlock on a server.
    ForceDelete { server: usize, client: usize },
}

impl Fault {
    pub(crate) fn strike(self, world: &mut World) {
        let now = world.now;
        match self {
            Self::Hang { server, until } => {
                let it = &mut world.servers[server];
                it.hangs_until = it.hangs_until.max(until);
            }
            Self::Restart { server, forgets, step } => world.restart(server, forgets, step),
            Self::Down { server, until } => {
                world.servers[server].down_until = until;
                world.end_connections(server);
            }
            Self::Busy { server, until } => world.servers[server].busy_until = until,
            Self::Flush { server } => world.servers[server].flush(now),
            Self::Delete { server } => world.servers[server].delete_all(now),
            Self::StepClock { server, by } => world.servers[server].step(now, by),
            Self::Vanish { server, step } if world.has_spare(server) => match step {
                None => world.servers[server].delete_all(now),
                Some(by) => world.servers[server].step(now, by),
            },
            Self::Vanish { .. } => {}
            Self::MoveName { host, ends } => world.move_name(host, ends),
            Self::Cut { client, instance } => {
                if let Some(conn) = world.conn_of(client, instance) {
                    world.break_off(conn);
                }
            }
            Self::CutNext { client, instance } => {
                world.clients[client].workers[instance].cuts_next = true;
            }
            Self::Forget { client, instance } => {
                if let Some(conn) = world.conn_of(client, instance) {
                    world.conns[conn].swallows = true;
                }
            }
            Self::Part { client, instance, until, only_back } => {
                let worker = &mut world.clients[client].workers[instance];
                worker.blocked_here = worker.blocked_here.max(until);
                if !only_back {
                    worker.blocked_there = worker.blocked_there.max(until);
                }
            }
            Self::Freeze { client } => world.clients[client].is_frozen = true,
            Self::FreezeBefore { client, before } => {
                world.clients[client].freezes_before = Some(before);
            }
            Self::Thaw { client } => {
                world.clients[client].freezes_before = None;
                world.thaw(client);
            }
            Self::Kill { client } => {
                if !world.clients[client].is_over() {
                    world.clients[client].is_dead = true;
                    world.leaves(client);
                    if matches!(world.clients[client].command, Command::Running { .. }) {
                        world.kill(client);
                    }
                }
            }
            Self::Revoke { server, client } => world.force_release(server, client, false),
            Self::ForceDelete { server, client } => world.force_release(server, client, true),
            Self::Interrupt { client } => {
                if !world.clients[client].is_frozen {
                    world.event(client, Event::Signal(Signal::TERM));
                }
            }
        }
    }
}

impl World {
    fn conn_of(&self, client: usize, instance: usize) -> Option<usize> {
        let is_it = |conn: &usize| {
            self.conns[*conn].instance == instance && self.conns[*conn].client == client
        };
        (0..self.conns.len()).rev().find(is_it).filter(|conn| self.is_current(*conn))
    }

    fn force_release(&mut self, server: usize, client: usize, deletes: bool) {
        if self.now < self.servers[server].down_until {
            return;
        }
        let id = self.clients[client].holder.id.clone();
        let values = self.servers[server].force_release(self.now, &id, deletes);
        self.figures.revoked += values.len() as u64;
    }

    /// Whether each value on this server is on more servers than a quorum.
    fn has_spare(&mut self, server: usize) -> bool {
        let now = self.now;
        let quorum = self.servers.len() / 2 + 1;
        self.servers[server].all(now).iter().all(|(key, value)| {
            let has = |it: &&super::server::Server| {
                it.keeps_until(*key, value).is_some_and(|until| until > now)
            };
            self.servers.iter().filter(has).count() > quorum
        })
    }

    fn restart(&mut self, server: usize, forgets: bool, step: i64) {
        self.figures.restarts += 1;
        let now = self.now;
        self.servers[server].step(now, step);
        self.servers[server].restart(now, forgets);
        self.end_connections(server);
    }

    /// The server's end of all connections is closed, and the clients notice that soon.
    fn end_connections(&mut self, server: usize) {
        for conn in 0..self.conns.len() {
            if self.conns[conn].server == server && self.conns[conn].hears {
                let after = self.dice.between(MS / 10, 2 * MS);
                self.conns[conn].breaks(0, 0);
                let client = self.conns[conn].client;
                self.at(self.now + after, Happening::Ended { client, conn });
            }
        }
    }

    fn move_name(&mut self, host: usize, ends: bool) {
        let (old, fresh) = (self.names[host], self.add_server());
        self.servers[fresh].unmark();
        self.names[host] = fresh;
        self.moved_at.insert(host, self.now);
        if ends {
            self.servers[old].harmed_at = Some(self.now);
            self.servers[old].down_until = u64::MAX;
            self.end_connections(old);
        }
    }
}
