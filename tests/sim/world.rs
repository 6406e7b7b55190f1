//! The world: real time, the queue of coming events, and their effect on clients and servers.

use super::checker::{Fenced, Section};
use super::client::{Before, Client, Command, Run, Target};
use super::dice::Dice;
use super::faults::Fault;
use super::network::Conn;
use super::scripts::{Parcel, Reply, is_revoked};
use super::server::Server;
use super::worker::Worker;
use redlock_cli::lock::{
    Agreement, ClusterSize, Holder, InstanceResponse, NoVoteReason, Response, RestartGuard,
    Schedule, ServerName, Time, Ttl, server_list,
};
use redlock_cli::policy::{
    ChildEvent, End, Event, MinHoldOn, OnLost, ProgressStyle, RunOptions, Session, Signal,
    WaitLimit,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(crate) const MS: u64 = 1_000_000;

/// A coming event.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    Wake { client: usize, version: u64 },
    Tell { client: usize, child: ChildEvent },
    InstanceResponse { client: usize, heard: Box<InstanceResponse> },
    Connected { client: usize, conn: usize, why: Option<NoVoteReason> },
    Reply { client: usize, conn: usize, reply: Box<Reply> },
    Woken { client: usize, conn: usize, slot: u32 },
    Ended { client: usize, conn: usize },
    Arrives(Box<Parcel>),
    Silent { conn: usize },
    Closed { conn: usize },
    Breaks { conn: usize },
    GuardianKills { client: usize, version: u64 },
    CommandEnds { client: usize, number: u64, end: End },
    Fault(Fault),
}

impl Happening {
    /// The redlock that has to be awake for the event.
    const fn client(&self) -> Option<usize> {
        match self {
            Self::Wake { client, .. }
            | Self::Tell { client, .. }
            | Self::InstanceResponse { client, .. }
            | Self::Connected { client, .. }
            | Self::Reply { client, .. }
            | Self::Woken { client, .. }
            | Self::Ended { client, .. } => Some(*client),
            _ => None,
        }
    }
}

/// Counts of a world, which show that things happened in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) sections: u64,
    pub(crate) extensions: u64,
    pub(crate) set_agains: u64,
    pub(crate) attempts: u64,
    pub(crate) wakes: u64,
    pub(crate) losses: u64,
    pub(crate) restarts: u64,
    pub(crate) asides: u64,
    pub(crate) late: u64,
    pub(crate) revoked: u64,
}

pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) dice: Dice,
    pub(crate) servers: Vec<Server>,
    /// The server to which each host name leads.
    pub(crate) names: Vec<usize>,
    /// The time of the last move of each name.
    pub(crate) moved_at: BTreeMap<usize, u64>,
    pub(crate) clients: Vec<Client>,
    pub(crate) conns: Vec<Conn>,
    pub(crate) sections: Vec<Section>,
    /// The commands with a fencing token, in the order of their starts.
    pub(crate) fences: Vec<Fenced>,
    /// Whether all runs without slots have fencing tokens.
    pub(crate) is_fenced: bool,
    pub(crate) figures: Figures,
    /// Faults found so far.
    pub(crate) wrong: Vec<String>,
    /// Values that a client may leave on a server, since its release was lost, or a request was
    /// executed after its release.
    pub(crate) ghosts: BTreeSet<(usize, usize, String)>,
    pub(crate) in_flight: BTreeMap<(usize, usize), u32>,
    /// Delays of messages: the usual range, and the number in a thousand that take up to a second.
    pub(crate) delays: (u64, u64),
    pub(crate) slow: u64,
    /// The next client is stopped before this action.
    pub(crate) freezes_next: Option<Before>,
    /// Whether all clocks run at the same rate.
    is_exact: bool,
    is_traced: bool,
    queue: BTreeMap<(u64, u64), Happening>,
    happened: u64,
}

impl World {
    /// A world of so many servers that have been up for long and have marks. `seed` decides the
    /// clocks and delays.
    pub(crate) fn new(seed: u64, servers: usize) -> Self {
        let now = 10_000 * MS;
        let mut world = Self {
            now,
            dice: Dice::new(seed),
            servers: vec![],
            names: (0..servers).collect(),
            moved_at: BTreeMap::new(),
            clients: vec![],
            conns: vec![],
            sections: vec![],
            fences: vec![],
            is_fenced: false,
            figures: Figures::default(),
            wrong: vec![],
            ghosts: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            delays: (MS / 10, 3 * MS),
            slow: 0,
            freezes_next: None,
            is_exact: false,
            is_traced: std::env::var_os("TRACE").is_some(),
            queue: BTreeMap::new(),
            happened: 0,
        };
        for _ in 0..servers {
            world.add_server();
        }
        world
    }

    /// The same with right clocks. Each message takes a millisecond.
    pub(crate) fn exact(servers: usize) -> Self {
        let mut world = Self::new(1, servers);
        let now = world.now;
        world.servers = (0..servers).map(|number| Server::new(number, now, 100_000, 0)).collect();
        (world.delays, world.is_exact) = ((MS, MS), true);
        world
    }

    /// Another server that has been up for long.
    pub(crate) fn add_server(&mut self) -> usize {
        let number = self.servers.len();
        let hour = 3_600_000_000_000;
        let ahead =
            i64::try_from(self.dice.between(0, 2 * hour)).unwrap() - i64::try_from(hour).unwrap();
        let rate = self.dice.between(99_800, 100_200);
        let (rate, ahead) = if self.is_exact { (100_000, 0) } else { (rate, ahead) };
        self.servers.push(Server::new(number, self.now, rate, ahead));
        number
    }

    /// Adds a client that begins at once.
    pub(crate) fn client(&mut self, run: Run) -> usize {
        let (mut offset, mut rate) =
            (self.dice.between(0, 1 << 50), self.dice.between(99_800, 100_200));
        let mut ahead = i64::try_from(self.dice.between(0, 600 * MS)).unwrap() - 300_000_000;
        if self.is_exact {
            (offset, rate, ahead) = (0, 100_000, 0);
        }
        let begun = Time::from_nanos(offset + self.now * rate / 100_000);
        let schedule =
            Schedule::new(Ttl::new(Duration::from_millis(run.ttl)).unwrap(), None, None).unwrap();
        let guard = run
            .guard
            .map_or(RestartGuard::Off, |length| RestartGuard::For(Duration::from_millis(length)));
        let (holder, servers) =
            (holder(&run, schedule.ttl(), self.clients.len()), server_names(&run.hosts));
        let agreement =
            Agreement::new(&holder.owner, run.slots, servers, guard, schedule.op_timeout());
        let (names, ttl) = (run.names.clone(), schedule.ttl().length());
        let (slots, kind) = (run.slots, agreement.kind());
        let target = Target { names, slots, ttl, kind, is_older: false };
        let is_fenced = self.is_fenced && run.slots == 1;
        self.clients.push(Client {
            session: Session::new(
                options(&run, is_fenced, schedule, guard, begun),
                agreement,
                begun,
            ),
            holder,
            schedule,
            target,
            guard,
            offset,
            rate,
            ahead,
            workers: vec![Worker::default(); run.hosts.len()],
            hosts: run.hosts,
            value: String::new(),
            slot: 0,
            proposal: None,
            is_frozen: false,
            freezes_before: self.freezes_next.take(),
            is_dead: false,
            undone: vec![],
            inbox: vec![],
            command: Command::None,
            number: 0,
            runtime: run.runtime,
            obeys_after: run.obeys_after,
            guard_version: 0,
            wake_version: 0,
            notices: vec![],
            keeps: false,
            outcome: None,
            ended_at: 0,
        });
        let client = self.clients.len() - 1;
        self.event(client, Event::Woke);
        client
    }

    pub(crate) fn at(&mut self, when: u64, happening: Happening) {
        self.happened += 1;
        self.queue.insert((when.max(self.now), self.happened), happening);
    }

    pub(crate) fn fault(&mut self, when: u64, fault: Fault) {
        self.at(when, Happening::Fault(fault));
    }

    /// Lets the world go on until `until`, or until nothing more will happen.
    pub(crate) fn run(&mut self, until: u64) {
        while let Some(entry) = self.queue.first_entry() {
            if entry.key().0 > until {
                break;
            }
            let ((when, _), happening) = entry.remove_entry();
            self.now = when;
            if self.is_traced {
                eprintln!("{:>9.3} {happening:?}", (Duration::from_nanos(when)).as_secs_f64());
            }
            self.happen(happening);
        }
        self.now = self.now.max(until);
    }

    pub(crate) fn happen(&mut self, happening: Happening) {
        if let Some(client) = happening.client() {
            if self.clients[client].is_over() {
                return;
            }
            if self.clients[client].is_frozen {
                return self.clients[client].inbox.push(happening);
            }
        }
        match happening {
            Happening::Wake { client, version } if self.clients[client].wake_version == version => {
                self.event(client, Event::Woke);
            }
            Happening::Tell { client, child } => self.event(client, Event::Child(child)),
            Happening::InstanceResponse { client, heard } => {
                self.event(client, Event::Response(*heard));
            }
            Happening::Connected { client, conn, why } => self.connected(client, conn, why),
            Happening::Reply { client, conn, reply } => self.replied(client, conn, *reply),
            Happening::Woken { client, conn, slot } if self.is_current(conn) => {
                let (instance, sent, response) =
                    (self.conns[conn].instance, Time::default(), Response::Woken(slot));
                self.event(
                    client,
                    Event::Response(InstanceResponse {
                        instance,
                        sent,
                        report: None,
                        clock: None,
                        response,
                    }),
                );
            }
            Happening::Ended { client, conn } => self.ended(client, conn),
            Happening::Arrives(parcel) => self.arrives(parcel),
            Happening::Silent { conn } => self.silent(conn),
            Happening::Closed { conn } => self.conns[conn].hears = false,
            Happening::Breaks { conn } if self.conns[conn].is_open => self.break_off(conn),
            Happening::GuardianKills { client, version }
                if self.clients[client].guard_version == version =>
            {
                self.at(self.now, Happening::Tell { client, child: ChildEvent::Expired });
                self.kill(client);
            }
            Happening::CommandEnds { client, number, end }
                if self.clients[client].number == number =>
            {
                self.command_ends(client, end);
            }
            Happening::Fault(fault) => fault.strike(self),
            // An event for an earlier state has no effect.
            _ => {}
        }
    }

    pub(crate) fn delay(&mut self) -> u64 {
        if self.dice.chance(self.slow) {
            return self.dice.between(self.delays.1, 1_000 * MS);
        }
        self.dice.between(self.delays.0, self.delays.1)
    }

    /// Checks after a client's end that none of its values is left on a server that has executed
    /// all its requests.
    pub(crate) fn check_left(&mut self, client: usize, server: usize) {
        let it = &self.clients[client];
        let is_done = self.in_flight.get(&(client, server)).is_none_or(|count| *count == 0);
        // A server without a name is unreachable.
        if it.outcome.is_none() || !is_done || !self.names.contains(&server) {
            return;
        }
        let mine = format!("\"token\":\"{client}-");
        for (key, value) in self.servers[server].all(self.now) {
            let it = &self.clients[client];
            let is_own = |own: &str| value == own || is_revoked(&value, own);
            let is_kept = it.keeps && is_own(&it.value)
                || it.target.is_older && value.starts_with("{\"revoked\":");
            let is_ghost = |(of, on, left): &(usize, usize, String)| {
                (*of, *on) == (client, server) && is_own(left)
            };
            if value.contains(&mine) && !is_kept && !self.ghosts.iter().any(is_ghost) {
                self.wrong.push(format!("{value} is left under {key:?} on server {server}"));
            }
        }
    }
}

/// The names of these hosts, the same for every client.
fn server_names(hosts: &[usize]) -> Vec<ServerName> {
    hosts.iter().map(|host| ServerName::tcp(&format!("host-{host}"), 6379, 0)).collect()
}

fn holder(run: &Run, ttl: Ttl, client: usize) -> Holder {
    Holder {
        id: client.to_string(),
        owner: format!("sim@client-{client}"),
        pid: 1,
        cmd: "command".into(),
        reason: None,
        ttl,
        n: run.hosts.len(),
        slots: run.slots,
        servers: server_list(&server_names(&run.hosts)),
    }
}

fn options(
    run: &Run,
    is_fenced: bool,
    schedule: Schedule,
    guard: RestartGuard,
    begun: Time,
) -> RunOptions {
    let millis = Duration::from_millis;
    RunOptions {
        size: ClusterSize::redlock(run.hosts.len()).unwrap(),
        schedule,
        guard,
        wait_limit: run.wait_limit.map_or(WaitLimit::Forever, |length| match length {
            0 => WaitLimit::Once,
            length => WaitLimit::Until(begun.plus(millis(length))),
        }),
        delay: Duration::ZERO,
        slots: run.slots,
        is_fenced,
        progress: ProgressStyle::News,
        min_hold: millis(run.min_hold),
        min_hold_on: MinHoldOn::Always,
        cooldown: millis(run.cooldown),
        stop_signal: Signal::TERM,
        escalates: false,
        on_lost: OnLost::Stop,
        max_runtime: run.max_runtime.map(millis),
        awaits_descendants: false,
    }
}

/// A redlock with a TTL of one second over the first `hosts`. Its command runs for `runtime` ms and
/// ignores signals.
pub(crate) fn plain(hosts: usize, runtime: u64) -> Run {
    Run {
        ttl: 1_000,
        names: vec![0],
        slots: 1,
        hosts: (0..hosts).collect(),
        runtime: runtime * MS,
        obeys_after: None,
        wait_limit: None,
        min_hold: 0,
        cooldown: 0,
        max_runtime: None,
        guard: Some(1_000),
    }
}
