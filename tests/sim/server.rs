//! The part of a Redis server that a lock needs: keys with an expiry, the mark, the queues, a wall
//! clock that can be set, and a memory that can be lost.

use super::scripts::is_revoked;
use redlock_cli::lock::{Account, FenceCounter, MarkSeen, Marking, NoVoteReason, ServerReport};
use std::collections::BTreeMap;
use std::time::Duration;

/// One lock key: the number of the name, and the slot.
pub(crate) type Key = (u32, u32);

/// Nanoseconds of the wall clock at the beginning of the world.
const EPOCH: u64 = 1_700_000_000_000_000_000;

/// The time of a wall clock that is right, since 1970.
pub(crate) fn right_wall(now: u64) -> Duration {
    Duration::from_nanos(EPOCH + now)
}

/// The report that the server gives about itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    Open,
    /// The user of redlock may not run INFO.
    NotPermitted,
    /// The mark cannot be written.
    Unmarkable,
}

#[derive(Clone, Debug)]
struct Entry {
    value: String,
    /// By the server's wall clock, in milliseconds.
    expires: u64,
}

#[derive(Debug)]
pub(crate) struct Server {
    number: usize,
    keys: BTreeMap<Key, Entry>,
    mark: Option<String>,
    /// The counters of the fences.
    pub(super) counters: BTreeMap<Key, FenceCounter>,
    /// The contenders in each queue: beginning of the wait, client, and connection.
    pub(super) queues: BTreeMap<u32, Vec<(Duration, usize, usize)>>,
    /// The rate of its clock, in units of 1/100,000.
    rate: u64,
    /// How far its wall clock is ahead, in nanoseconds.
    ahead: i64,
    /// Its start, in seconds of its wall clock.
    started: i64,
    /// Number of its starts.
    pub(crate) run: u64,
    pub(crate) manner: Manner,
    /// The server accepts connections and executes nothing until then.
    pub(crate) hangs_until: u64,
    /// Until then, another script runs behind each request, so that the report is refused.
    pub(crate) busy_until: u64,
    /// Until then the server refuses connections.
    pub(crate) down_until: u64,
    /// The last loss of a key that was neither released nor expired.
    pub(crate) harmed_at: Option<u64>,
}

impl Server {
    /// A server that has been up for long and has a mark as old, with a clock that is `ahead` by so
    /// many nanoseconds.
    pub(crate) fn new(number: usize, now: u64, rate: u64, ahead: i64) -> Self {
        let mut server = Self {
            number,
            keys: BTreeMap::new(),
            mark: None,
            counters: BTreeMap::new(),
            queues: BTreeMap::new(),
            rate,
            ahead,
            started: 0,
            run: 0,
            manner: Manner::Open,
            hangs_until: 0,
            busy_until: 0,
            down_until: 0,
            harmed_at: None,
        };
        server.started = seconds(server.wall(now)) - 1_000_000;
        let hour = Duration::from_secs(3_600);
        server.mark =
            Some(server.new_mark(
                server.wall(now).saturating_sub(hour),
                right_wall(now).saturating_sub(hour),
            ));
        server
    }

    /// Makes the server one that no run has used.
    pub(crate) fn unmark(&mut self) {
        self.mark = None;
    }

    fn new_mark(&self, server: Duration, host: Duration) -> String {
        format!("{} {} {}", self.run_id(), server.as_micros(), host.as_micros())
    }

    pub(crate) fn run_id(&self) -> String {
        format!("s{}r{}", self.number, self.run)
    }

    /// Its wall clock, since 1970.
    pub(crate) fn wall(&self, now: u64) -> Duration {
        Duration::from_nanos((EPOCH + now * self.rate / 100_000).saturating_add_signed(self.ahead))
    }

    fn millis(&self, now: u64) -> u64 {
        u64::try_from(self.wall(now).as_millis()).unwrap()
    }

    /// The real time until which `key` has `value`. `None` if it has another value.
    pub(crate) fn keeps_until(&self, key: Key, value: &str) -> Option<u64> {
        let keeps = |entry: &&Entry| entry.value == value || is_revoked(&entry.value, value);
        let entry = self.keys.get(&key).filter(keeps)?;
        let since_epoch =
            (entry.expires * 1_000_000).saturating_add_signed(-self.ahead).saturating_sub(EPOCH);
        Some(since_epoch * 100_000 / self.rate)
    }

    /// The value of `key` at `now`, and the milliseconds left.
    pub(crate) fn get(&mut self, now: u64, key: Key) -> Option<(String, u64)> {
        let millis = self.millis(now);
        self.keys.retain(|_, entry| millis < entry.expires);
        self.keys.get(&key).map(|entry| (entry.value.clone(), entry.expires - millis))
    }

    /// All keys at `now`.
    pub(crate) fn all(&mut self, now: u64) -> Vec<(Key, String)> {
        let millis = self.millis(now);
        self.keys.retain(|_, entry| millis < entry.expires);
        self.keys.iter().map(|(key, entry)| (*key, entry.value.clone())).collect()
    }

    pub(crate) fn set(&mut self, now: u64, key: Key, value: &str, ttl: Duration) {
        let expires = self.millis(now) + u64::try_from(ttl.as_millis()).unwrap();
        self.keys.insert(key, Entry { value: value.to_owned(), expires });
    }

    /// Replaces a value. The expiry stays.
    pub(crate) fn replace(&mut self, key: Key, value: String) {
        if let Some(entry) = self.keys.get_mut(&key) {
            entry.value = value;
        }
    }

    pub(crate) fn delete(&mut self, key: Key) {
        self.keys.remove(&key);
    }

    /// Deletes all keys of runs, as another client would. The mark stays.
    pub(crate) fn delete_all(&mut self, now: u64) {
        self.keys.clear();
        self.harmed_at = Some(now);
    }

    /// FLUSHALL.
    pub(crate) fn flush(&mut self, now: u64) {
        self.delete_all(now);
        self.mark = None;
        self.counters.clear();
        self.queues.clear();
    }

    /// Its wall clock is set by so many nanoseconds.
    pub(crate) fn step(&mut self, now: u64, by: i64) {
        self.ahead += by;
        if by > 0 {
            self.harmed_at = Some(now);
        }
    }

    /// The server starts anew at `now`, with the keys of its log or with none.
    pub(crate) fn restart(&mut self, now: u64, forgets: bool) {
        if forgets {
            self.flush(now);
        }
        self.queues.clear();
        self.started = seconds(self.wall(now));
        self.run += 1;
    }

    /// The script REPORT. `wall` is the client's clock, if a mark is wanted. `known` is the
    /// `run_id` that need not be replied.
    pub(crate) fn report(
        &mut self,
        now: u64,
        wall: Option<Duration>,
        known: Option<&str>,
    ) -> ServerReport {
        let why = "BUSY Redis is busy running a script".to_owned();
        if now < self.busy_until {
            return ServerReport {
                account: Some(Account::Untold(NoVoteReason::Transient(why))),
                marking: None,
            };
        }
        if self.manner == Manner::NotPermitted && known.is_none() {
            return ServerReport { account: Some(Account::NotPermitted), marking: None };
        }
        let uptime = seconds(self.wall(now)) - self.started;
        let uptime = Duration::from_secs(u64::try_from(uptime).unwrap_or_default());
        let account = known.is_none().then(|| Account::Told { run_id: self.run_id(), uptime });
        ServerReport { account, marking: wall.map(|wall| self.marking(now, wall)) }
    }

    fn marking(&mut self, now: u64, wall: Duration) -> Marking {
        if self.manner == Manner::Unmarkable {
            return Marking::Unavailable;
        }
        let text = match self.mark.clone().filter(|mark| self.is_good(mark, self.wall(now), wall)) {
            Some(text) => text,
            None => self.new_mark(self.wall(now), wall),
        };
        self.mark = Some(text.clone());
        Marking::Seen(MarkSeen { text, server_clock: self.wall(now), host_clock: wall })
    }

    /// Whether a mark is of this start of the server, and not later than now.
    fn is_good(&self, mark: &str, now: Duration, wall: Duration) -> bool {
        let mut words = mark.split(' ');
        let run_id = words.next();
        let mut moment = || Duration::from_micros(words.next().unwrap().parse().unwrap());
        let (by_server, by_host, slack) = (moment(), moment(), Duration::from_secs(10));
        let is_ahead = now.abs_diff(wall) < slack && by_host > wall + slack;
        run_id == Some(self.run_id().as_str()) && by_server <= now && !is_ahead
    }
}

fn seconds(wall: Duration) -> i64 {
    i64::try_from(wall.as_secs()).unwrap()
}

pub(crate) fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap()
}
