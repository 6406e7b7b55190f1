//! A contender that is a job of several steps: it acquires, works, extends and releases by separate
//! redlock processes, through a handle. No redlock would stop the job, so it writes that it is
//! alive only before the deadline in its handle.

use crate::command::OVER;
use crate::history::Diary;
use crate::support::clock;
use crate::support::run::REDLOCK;
use nix::poll::poll;
use redlock_cli::lock::{ClusterSize, Handle, LockValue, RestartGuard, Time};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// Variable of a job: its number, the length of its work in milliseconds, its TTL in milliseconds,
/// and the arguments of its acquisition, one a line.
pub(crate) const JOB: &str = "CHAOS_JOB";

const NO_QUORUM: i32 = 69;
const LOST: i32 = 74;
const BUSY: i32 = 75;

/// The variable that makes this program a job.
pub(crate) fn orders(
    id: u32,
    (length, ttl): (Duration, Duration),
    words: &[String],
) -> (&'static str, String) {
    let numbers = [u128::from(id), length.as_millis(), ttl.as_millis()].map(|n| n.to_string());
    (JOB, [&numbers, words].concat().join("\n"))
}

/// Does the job, and returns its exit code.
pub(crate) fn obey(orders: &str) -> i32 {
    let mut lines = orders.lines();
    let mut number = || lines.next().and_then(|line| line.parse().ok()).expect("a number");
    let (id, length, ttl): (u64, u64, u64) = (number(), number(), number());
    let id = u32::try_from(id).expect("a number of a contender");
    let words: Vec<&str> = lines.collect();
    match step(id, &words).wait().expect("a child").code() {
        Some(0) => work(id, Duration::from_millis(length), Duration::from_millis(ttl)),
        code => code.expect("nothing kills a step"),
    }
}

fn work(id: u32, length: Duration, ttl: Duration) -> i32 {
    let mut held = Held::read(Path::new("."), id).expect("a handle");
    let mut diary = Diary::of_slot(id, held.slot);
    if !diary.write_before("start", held.deadline) {
        return give_back(id, LOST);
    }
    let until = clock::now() + length;
    let mut next = clock::now() + ttl / 3;
    let mut extension: Option<Child> = None;
    while clock::now() < until && !Path::new(OVER).exists() {
        if !diary.write_before("alive", held.deadline) {
            return give_back(id, LOST);
        }
        // Polls nothing, as a pause of a millisecond.
        let _ = poll(&mut [], 1_u8);
        match extension.as_mut().map(|child| child.try_wait().expect("a child")) {
            None if clock::now() >= next => extension = Some(step(id, &["extend"])),
            None | Some(None) => {}
            Some(Some(status)) => {
                extension = None;
                next = clock::now() + ttl / 3;
                match status.code() {
                    Some(0) => held = Held::read(Path::new("."), id).expect("a handle"),
                    // The lock lasts until its deadline.
                    Some(NO_QUORUM | BUSY) => {}
                    code => return give_back(id, code.expect("nothing kills a step")),
                }
            }
        }
    }
    diary.write_before("end", held.deadline);
    if let Some(mut extension) = extension {
        let _ = extension.wait();
    }
    give_back(id, 0)
}

/// Releases the lock. If too few servers answer, the job still counts as good.
fn give_back(id: u32, code: i32) -> i32 {
    let released = step(id, &["release"]).wait().expect("a child").code();
    match released.expect("nothing kills a step") {
        0 | NO_QUORUM => code,
        other if code == 0 => other,
        _ => code,
    }
}

/// One step with the handle of a job.
fn step(id: u32, words: &[&str]) -> Child {
    let mut command = Command::new(REDLOCK);
    command.args(words).arg("--handle").arg(path(Path::new("."), id)).env_remove(JOB);
    command.spawn().expect("redlock can be started")
}

fn path(dir: &Path, id: u32) -> PathBuf {
    dir.join(format!("handle-{id}"))
}

/// The state of a lock, as its handle shows it.
struct Held {
    deadline: Duration,
    slot: u32,
    value: LockValue,
}

impl Held {
    fn read(dir: &Path, id: u32) -> Option<Self> {
        let handle = Handle::parse(&fs::read_to_string(path(dir, id)).ok()?).expect("a handle");
        let size = ClusterSize::redlock(handle.servers.len()).expect("servers");
        let now = u64::try_from(clock::now().as_nanos()).expect("a moment");
        let now = (handle.clock.as_str(), Time::from_nanos(now));
        let held_lock =
            handle.held_lock(size, RestartGuard::Off, now).expect("leases of this boot");
        let deadline = held_lock
            .deadline()
            .map_or(Duration::ZERO, |deadline| deadline.since(Time::from_nanos(0)));
        Some(Self { deadline, slot: handle.slot + 1, value: handle.lock_value().expect("a value") })
    }
}

/// The process id in the lock value of a job.
pub(crate) fn holder(dir: &Path, id: u32) -> Option<u32> {
    Some(Held::read(dir, id)?.value.pid)
}
