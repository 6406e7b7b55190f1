//! The handle of an acquisition that outlives its process: whatever a later process needs to extend
//! and to release exactly this acquisition on exactly these servers.
//!
//! A handle has no URL and no password. Its lock value has the nonce, so a reader of a handle can
//! release the lock.

use super::{
    ClusterSize, HeldLock, InstanceLease, Key, LockValue, RestartGuard, ServerName, Target, Time,
    Ttl,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// An acquisition, as one line of JSON.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct Handle {
    /// Version of this format: 1.
    pub redlock_handle: u32,
    /// State of the lock at the last use of the handle.
    pub state: HandleState,
    /// Names of the locks.
    pub names: Vec<String>,
    /// Keys that are set.
    pub keys: Vec<String>,
    /// First key of the lock if it has slots.
    pub slots_of: Option<String>,
    /// Slot, from 0.
    pub slot: u32,
    /// The lock value, which the keys hold.
    pub value: String,
    /// Fencing token of `value`, for programs that read a handle.
    #[serde(default)]
    pub fence: Option<u64>,
    /// Name of each server, as [`ServerName`] is shown, in the order of `leases`.
    pub servers: Vec<String>,
    /// Lease on each server, by the clock of `clock`.
    pub leases: Vec<InstanceLease>,
    /// Clock of the leases: boot of a host, and time namespace. Leases of another clock prove
    /// nothing.
    pub clock: String,
    /// Host of that clock.
    pub host: String,
    /// End of `--min-hold`, by that clock.
    pub min_hold_until: Time,
    /// `--cooldown`.
    pub cooldown: Duration,
    /// Process that extends the lock.
    #[serde(default)]
    pub keeper: Option<Keeper>,
}

/// State of the lock of a handle, as the last process that used the handle knew it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HandleState {
    /// Acquired, and not released.
    Held,
    /// Found lost.
    Lost,
    /// Released.
    Released,
}

/// A process that extends a lock.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Keeper {
    /// Pid namespace of `pid`.
    pub space: String,
    /// Process id.
    pub pid: i32,
    /// Start of the process, in clock ticks since boot.
    pub started: u64,
}

/// Reason why a text is no usable handle.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandleError {
    /// The text is no handle of this version.
    Malformed,
    /// The handle names other servers than those of this command.
    OtherServers,
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "expected a handle that 'redlock acquire' or 'redlock hold' printed",
            Self::OtherServers => {
                "the handle is of a lock on other servers; name those that it was acquired on"
            }
        })
    }
}

impl std::error::Error for HandleError {}

/// Hides the lock value.
impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({:?} {:?})", self.names, self.state)
    }
}

impl Handle {
    /// Parses a handle.
    ///
    /// # Errors
    /// [`HandleError::Malformed`] for any other text, and for a handle whose parts do not fit.
    pub fn parse(text: &str) -> Result<Self, HandleError> {
        let handle: Self = serde_json::from_str(text.trim()).map_err(|_| HandleError::Malformed)?;
        let fits = handle.redlock_handle == 1
            && handle.lock_value().is_some_and(|value| [None, value.fence].contains(&handle.fence))
            && handle.target().is_some()
            && handle.servers.len() == handle.leases.len();
        fits.then_some(handle).ok_or(HandleError::Malformed)
    }

    /// The handle as one line, without an end of a line.
    #[must_use]
    pub fn to_line(&self) -> String {
        // A struct of strings and numbers always has a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The lock value.
    #[must_use]
    pub fn lock_value(&self) -> Option<LockValue> {
        LockValue::parse(&self.value)
    }

    /// The TTL.
    #[must_use]
    pub fn ttl(&self) -> Option<Ttl> {
        Ttl::new(Duration::from_millis(self.lock_value()?.ttl_ms)).ok()
    }

    /// The keys of the lock, with all slots.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        let slots = self.lock_value()?.slots;
        let target = if let Some(first) = &self.slots_of {
            Target::slots(&Key::literal(first.as_str()).ok()?, slots)
        } else {
            let keys = self.keys.iter().map(|key| Key::literal(key.as_str()).ok());
            Target::all(keys.collect::<Option<Vec<_>>>()?)
        };
        let is_same = !self.keys.is_empty() && target.keys_of(self.slot) == self.keys;
        is_same.then_some(target)
    }

    /// For each server of the handle the position of the same server in `servers`.
    ///
    /// # Errors
    /// [`HandleError::OtherServers`] unless both name the same servers, each the same number of
    /// times.
    pub fn order(&self, servers: &[ServerName]) -> Result<Vec<usize>, HandleError> {
        let mut order: Vec<usize> = vec![];
        for name in &self.servers {
            let is_it = |(at, server): &(usize, &ServerName)| {
                !order.contains(at) && server.to_string() == *name
            };
            let found = servers.iter().enumerate().find(is_it);
            order.push(found.map(|(at, _)| at).ok_or(HandleError::OtherServers)?);
        }
        (order.len() == servers.len()).then_some(order).ok_or(HandleError::OtherServers)
    }

    /// Whether any server has a name that means another server on another host.
    #[must_use]
    pub fn has_local_servers(&self) -> bool {
        self.servers.iter().any(|name| name.starts_with('~'))
    }

    /// The leases, if they are by the clock `clock`, which shows `now`: a lease that begins later
    /// than now is by another clock.
    #[must_use]
    pub fn held_lock(
        &self,
        size: ClusterSize,
        guard: RestartGuard,
        (clock, now): (&str, Time),
    ) -> Option<HeldLock> {
        let is_past = |lease: &InstanceLease| lease.confirmed().is_none_or(|sent| sent <= now);
        let is_ours = self.clock == clock && self.leases.iter().all(is_past);
        let ttl = self.ttl().filter(|_| is_ours)?;
        HeldLock::resumed(size, ttl, guard, self.leases.clone())
    }

    /// The process that extends the lock, if its pid means the same process here: on the boot of
    /// `clock`, and in the pid namespace `space`.
    #[must_use]
    pub fn keeper_here(&self, clock: &str, space: &str) -> Option<&Keeper> {
        self.keeper.as_ref().filter(|keeper| self.clock == clock && keeper.space == space)
    }

    /// How long the keys stay set after a release at `now`, by the clock `clock`.
    #[must_use]
    pub fn hold_for(&self, clock: &str, now: Time) -> Duration {
        let left =
            if self.clock == clock { self.min_hold_until.since(now) } else { Duration::ZERO };
        left.max(self.cooldown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers() -> Vec<ServerName> {
        (1..4).map(|port| ServerName::tcp("lock", port, 0)).collect()
    }

    fn handle() -> Handle {
        Handle {
            redlock_handle: 1,
            state: HandleState::Held,
            names: vec!["a".into()],
            keys: vec!["redlock:a".into()],
            slots_of: None,
            slot: 0,
            value: LockValue::example("web1", &servers()).to_line(),
            fence: None,
            servers: servers().iter().map(ToString::to_string).collect(),
            leases: (1..4).map(|second| InstanceLease::example(at(second))).collect(),
            clock: "boot".into(),
            host: "web1".into(),
            min_hold_until: at(40),
            cooldown: Duration::from_secs(2),
            keeper: None,
        }
    }

    fn at(second: u64) -> Time {
        Time::from_nanos(second * 1_000_000_000)
    }

    #[test]
    fn a_handle_survives_the_way_between_two_processes_and_another_text_is_refused() {
        let line = handle().to_line();
        assert!(!line.contains('\n'));
        assert_eq!(Handle::parse(&format!("{line}\n")), Ok(handle()));
        let newer = line.replace("\"redlock_handle\":1", "\"redlock_handle\":2");
        let keyless = line.replace("[\"redlock:a\"]", "[]");
        let short = line.replace("\"servers\":[", "\"servers\":[\"abcdef\",");
        let slotted = line.replace("\"slot\":0", "\"slot\":1").replace("null", "\"redlock:a\"");
        let fenced = line.replace("\"fence\":null", "\"fence\":7");
        for text in ["", "{}", "held", &newer, &keyless, &short, &slotted, &fenced] {
            assert_eq!(Handle::parse(text), Err(HandleError::Malformed), "{text}");
        }
        assert!(!format!("{:?}", handle()).contains("token"));
    }

    #[test]
    fn the_servers_are_found_in_any_order_and_others_are_refused() {
        let mut all = servers();
        all.reverse();
        assert_eq!(handle().order(&all), Ok(vec![2, 1, 0]));
        let other = ServerName::tcp("lock", 4, 0);
        for servers in [&all[..2], &[all.clone(), vec![other.clone()]].concat(), &[other]] {
            assert_eq!(handle().order(servers), Err(HandleError::OtherServers));
        }
    }

    #[test]
    fn only_the_clock_of_the_leases_proves_them() {
        let size = ClusterSize::redlock(3).unwrap();
        let deadline = |clock: &str, now| {
            handle().held_lock(size, RestartGuard::Off, (clock, now))?.deadline()
        };
        let validity = handle().ttl().unwrap().validity();
        assert_eq!(deadline("boot", at(3)), Some(at(2).plus(validity)), "the quorum-th largest");
        assert_eq!(deadline("boot", at(2)), None, "a lease begins later than now");
        assert_eq!(deadline("another", at(3)), None);
        let keeper = Keeper { space: "7".into(), pid: 42, started: 9 };
        let kept = Handle { keeper: Some(keeper.clone()), ..handle() };
        assert_eq!(kept.keeper_here("boot", "7"), Some(&keeper));
        assert_eq!(kept.keeper_here("another", "7"), None, "a pid of another boot");
        assert_eq!(kept.keeper_here("boot", "8"), None, "a pid of another namespace");
        assert_eq!(handle().hold_for("boot", at(10)), Duration::from_secs(30));
        assert_eq!(handle().hold_for("boot", at(39)), Duration::from_secs(2));
        assert_eq!(handle().hold_for("another", at(10)), Duration::from_secs(2));
    }

    #[test]
    fn a_handle_shows_no_value_and_its_errors_say_what_was_expected() {
        let handle = handle();
        let shown = format!("{handle:?}");
        assert!(!shown.is_empty() && !shown.contains(&handle.value), "{shown}");
        for (error, words) in
            [(HandleError::Malformed, "a handle"), (HandleError::OtherServers, "other servers")]
        {
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn a_server_with_a_local_name_is_known_as_one() {
        assert!(!handle().has_local_servers());
        let servers = vec!["~1f".to_owned(), "2e".to_owned()];
        assert!(Handle { servers, ..handle() }.has_local_servers());
    }
}
