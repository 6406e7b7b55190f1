//! What may go wrong, one by one.

use super::client::Command;
use super::world::World;
use redlock_cli::policy::Event;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// An instance answers nobody until then.
    Hang { instance: usize, until: u64 },
    /// An instance ends and starts again, with or without its memory.
    Restart { instance: usize, forgets: bool },
    /// One connection breaks.
    Cut { client: usize, instance: usize },
    /// A redlock is stopped, as by SIGSTOP; its guardian is not.
    Freeze { client: usize },
    /// It goes on.
    Thaw { client: usize },
    /// A redlock is killed; its guardian kills the command.
    Kill { client: usize },
    /// Somebody deletes the key.
    Delete { instance: usize },
    /// An instance's clock jumps forward.
    Step { instance: usize, by: Duration },
}

impl Fault {
    pub(crate) fn strike(self, world: &mut World) {
        match self {
            Self::Hang { instance, until } => world.instances[instance].hangs_until = until,
            Self::Restart { instance, forgets } => {
                world.figures.restarts += 1;
                let now = world.now;
                world.instances[instance].restart(now, forgets);
                (0..world.clients.len()).for_each(|client| world.cut(client, instance));
            }
            Self::Cut { client, instance } => world.cut(client, instance),
            Self::Freeze { client } => world.clients[client].is_frozen = true,
            Self::Thaw { client } => {
                world.clients[client].is_frozen = false;
                // What has come meanwhile is read in its order; the clock has gone on.
                let inbox = std::mem::take(&mut world.clients[client].inbox);
                inbox.into_iter().chain([Event::Woke]).for_each(|event| world.event(client, event));
            }
            Self::Kill { client } => {
                if world.clients[client].outcome.is_none() {
                    world.clients[client].is_dead = true;
                    if matches!(world.clients[client].command, Command::Running { .. }) {
                        world.kill(client);
                    }
                }
            }
            Self::Delete { instance } => world.instances[instance].delete(),
            Self::Step { instance, by } => world.instances[instance].step(by),
        }
    }
}
