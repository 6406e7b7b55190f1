//! What goes into one write: what a new connection needs first, the request, and what comes with it.

use super::cluster::Conduct;
use super::commands::{greeting, hello, info};
use super::endpoint::Endpoint;
use super::errand::Known;
use super::link::Link;
use super::planted::Planted;
use super::reply::{Asked, Part};
use crate::lock::{Ask, Guard, Parting};
use redis::Cmd;

/// The commands of one write, and what each is for.
pub(super) struct Batch {
    pub(super) commands: Vec<Cmd>,
    pub(super) parts: Vec<Part>,
    /// Whether it is the first on its connection.
    pub(super) is_first: bool,
    pub(super) asked: Asked,
}

impl Batch {
    /// The write that carries out `ask` on `link`.
    pub(super) fn new(
        (ask, link): (&Ask, &mut Link),
        conduct: &Conduct,
        endpoint: &Endpoint,
        (known, planted): (&mut Known, &Planted),
    ) -> Self {
        let asked = Asked { wall: (conduct.wall_clock)(), marks: conduct.guard != Guard::Off };
        let is_first = link.is_fresh();
        let mut batch = Self { commands: Vec::with_capacity(4), parts: Vec::with_capacity(4), is_first, asked };
        if is_first {
            batch.open(ask, conduct, endpoint, planted);
        }
        match ask {
            // A long run asks with its first extension whether the server evicts keys or has replicas, so that a short one does
            // not pay for it. More than one section at once is understood by Redis 7 only.
            Ask::Extend { .. } if known.asks_for_setup() => {
                batch.add(Part::Setup, info("memory"));
                batch.add(Part::Setup, info("replication"));
            }
            Ask::Watch(Some(_)) if link.ears_mut().ask() => batch.add(Part::Subscription, conduct.subscribe()),
            _ => {}
        }
        batch.add(Part::Request, conduct.command(ask, link.ears()));
        // Behind the request: a memory that is lost in between takes the key with it.
        let depends_on_memory = matches!(ask, Ask::Acquire { .. } | Ask::Watch(None)) && asked.marks;
        if known.is_stranger() || (depends_on_memory && known.run_id().is_some()) {
            batch.add(Part::Report, conduct.report(asked.wall, known.run_id()));
        }
        batch
    }

    /// What comes first on a new connection.
    fn open(&mut self, ask: &Ask, conduct: &Conduct, endpoint: &Endpoint, planted: &Planted) {
        for command in greeting(endpoint) {
            self.add(Part::Greeting, command);
        }
        if endpoint.may_greet() {
            self.add(Part::Hello, hello());
        }
        // A server that refuses the rights to release could be locked and neither held nor released.
        if let Ask::Acquire { slot, .. } = ask {
            self.add(Part::Probe, conduct.probe(*slot));
        }
        // What a broken connection may have left behind is released, but for what is asked about now.
        let own = match ask {
            Ask::Acquire { value, .. } | Ask::Extend { value, .. } | Ask::Release { value, .. } => Some(value.as_str()),
            Ask::Watch(_) => None,
        };
        for plant in planted.owed(own) {
            self.add(Part::Probe, conduct.release(plant.slot, &plant.value, Parting::Stay));
        }
    }

    fn add(&mut self, part: Part, command: Cmd) {
        self.commands.push(command);
        self.parts.push(part);
    }
}
