//! The end of a run: all faults are healed, all contenders end, and nothing may be left.

use crate::command::OVER;
use crate::contender::{Contender, NAME, SIDE};
use crate::nemesis::Nemesis;
use crate::promise::{LONGEST_TTL, SERVERS};
use crate::support::{Run, clock, processes};
use crate::world::World;
use std::time::Duration;

/// Remains of a run, which should leave none.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// The contenders that did not end, or not in time, each with its number.
    pub(crate) stuck: Vec<(u32, String)>,
    /// All other processes of the run.
    pub(crate) processes: Vec<String>,
    /// The keys, each with its server.
    pub(crate) keys: Vec<String>,
}

/// Long enough for a dozen contenders to have the lock one after the other, if each command ends at
/// once.
const TO_LEAVE: Duration = Duration::from_secs(60);
/// Delay of an expiry and a wake-up on a busy machine.
const MARGIN: Duration = Duration::from_millis(500);

/// Ends the run.
pub(crate) fn end(world: &mut World, nemesis: &mut Nemesis, slots: usize) -> Leftovers {
    nemesis.leave(world);
    std::fs::write(world.cluster.dir().join(OVER), "").expect("a file");
    world.journal.note("all faults are healed, and all commands are told to end");
    let mut left = Leftovers::default();
    let gone = clock::within(TO_LEAVE, || {
        world.crowd.look(&world.cluster);
        world.crowd.is_empty().then_some(())
    });
    left.stuck.extend(world.crowd.overdue().iter().map(|id| (*id, "was overdue".into())));
    if gone.is_none() {
        for contender in world.crowd.remaining() {
            left.stuck.push((contender.id, described(&contender)));
            contender.destroy();
        }
    }
    world.journal.note("all contenders are gone");
    // The keys expire after the longest TTL. There is no other event to wait for.
    let gone = clock::now();
    world.until_all_answer();
    let _ =
        clock::within((gone + LONGEST_TTL + MARGIN).saturating_sub(clock::now()), || None::<()>);
    left.keys = world.keys(|key| !key.starts_with("redlock-queue:"));
    // A place in the queue outlives a contender that died in the queue. It also outlives a
    // contender whose last requests were lost with a connection that the server had paused. The
    // next release removes such places, so one more run comes last.
    let count = slots.to_string();
    let of_all = if slots > 1 { ["--slots", &count] } else { ["-l", SIDE] };
    let last = Run::redlock(&world.cluster).env("REDLOCK_URLS", world.cluster.urls_of(0..SERVERS));
    let last = last.args(["run", "-n"]).args(of_all).args([NAME, "--", "true"]).finish();
    if !last.status.success() {
        left.stuck.push((
            0,
            format!("(one more at the end) ended with {}, saying: {}", last.status, last.stderr),
        ));
    }
    let _ = clock::within(Duration::from_secs(5), || world.keys(|_| true).is_empty().then_some(()));
    left.keys.extend(world.keys(|_| true));
    left.keys.sort();
    left.keys.dedup();
    let none = clock::within(Duration::from_secs(5), || {
        world.cluster.processes().is_empty().then_some(())
    });
    if none.is_none() {
        left.processes.push(processes::described(&world.cluster.processes()));
    }
    left
}

fn described(contender: &Contender) -> String {
    let pid = contender.pid();
    let state = processes::state(pid).unwrap_or('?');
    let waits_in = std::fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    format!("did not end (process {pid}, state {state}, in {waits_in}, {:?})", contender.treatment)
}
