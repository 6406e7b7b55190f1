//! Locks that a redlock around this one holds, as `REDLOCK_HELD` names them.
//!
//! The variable outlives its lock in daemons, terminal multiplexers and queued jobs, and names no
//! servers. So a line counts only if its redlock is an ancestor of this process and holds the lock
//! on the servers of this run.

use crate::lock::{Handle, HandleState, Key, Target};
use crate::supervisor;

/// One line of the variable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct OuterLock {
    pub(super) key: String,
    holder: Option<OuterRedlock>,
    /// The lock of a handle. The handle itself is the proof that the lock is meant for this
    /// process, and the servers prove that the lock is held.
    handle: Option<OfHandle>,
}

/// The lock of a handle.
#[derive(Clone, Debug, Eq, PartialEq)]
struct OfHandle {
    /// The public id.
    id: String,
    /// The key that is set.
    key: String,
    /// The fencing token.
    token: Option<u64>,
}

/// The redlock that holds the lock.
#[derive(Clone, Debug, Eq, PartialEq)]
struct OuterRedlock {
    pid: i32,
    /// Start of the process, in clock ticks since boot.
    started: u64,
    id: String,
}

impl OuterLock {
    /// Reads `KEY PID.START.ID`. A key may hold spaces. A line without a valid last part is a key
    /// without a holder.
    pub(super) fn parse(line: &str) -> Self {
        let parsed = line.rsplit_once(' ').and_then(|(key, holder)| {
            let mut parts = holder.splitn(3, '.');
            let pid = parts.next()?.parse().ok()?;
            let started = parts.next()?.parse().ok()?;
            let id = parts.next()?.to_owned();
            Some(Self {
                key: key.to_owned(),
                holder: Some(OuterRedlock { pid, started, id }),
                handle: None,
            })
        });
        parsed.unwrap_or_else(|| Self { key: line.to_owned(), holder: None, handle: None })
    }

    /// The locks of a handle that is not known to be lost or released.
    pub(super) fn of_handle(handle: &Handle) -> Vec<Self> {
        let id = handle.lock_value().map(|value| value.id).unwrap_or_default();
        let lock = |key: &String| Self {
            key: handle.slots_of.clone().unwrap_or_else(|| key.clone()),
            holder: None,
            handle: Some(OfHandle { id: id.clone(), key: key.clone(), token: handle.fence }),
        };
        let keys = handle.keys.iter().filter(|_| handle.state == HandleState::Held);
        keys.map(lock).collect()
    }

    /// Whether this is the lock of a handle.
    pub(super) const fn is_of_handle(&self) -> bool {
        self.handle.is_some()
    }

    /// The fencing token of its handle.
    pub(super) fn token(&self) -> Option<u64> {
        self.handle.as_ref()?.token
    }

    /// The line for the processes of this run: this process holds `key` under the public id `id`.
    pub(super) fn line(key: &str, id: &str) -> String {
        // A start of 0 matches no process, so that the line is ignored.
        let started = supervisor::own_start().unwrap_or_default();
        format!("{key} {}.{started}.{id}", std::process::id())
    }

    /// The line for the processes of this run, if its redlock is around this one.
    pub(super) fn passed_on(&self) -> Option<String> {
        let OuterRedlock { pid, started, id } =
            self.holder.as_ref().filter(|_| self.is_around())?;
        Some(format!("{} {pid}.{started}.{id}", self.key))
    }

    /// A line of the parent process.
    #[cfg(test)]
    pub(super) fn of_parent(key: &str) -> Self {
        let pid = nix::unistd::getppid().as_raw();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let mut fields = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace();
        let started = fields.nth(19).unwrap().parse().unwrap();
        Self {
            key: key.into(),
            holder: Some(OuterRedlock { pid, started, id: "4f".into() }),
            handle: None,
        }
    }

    /// The key of the lock, or of its slot if the slot is known.
    pub(super) fn held_key(&self) -> Option<Key> {
        if let Some(OfHandle { key, .. }) = &self.handle {
            return Key::literal(key.as_str()).ok();
        }
        let key = Key::literal(self.key.as_str()).ok()?;
        self.slot_key(&key).or(Some(key))
    }

    /// The key of the slot that is held, of the lock with this `key`. `None` without slots, and for
    /// all but the innermost redlock, whose slot alone is known (`REDLOCK_SLOT`).
    pub(super) fn slot_key(&self, key: &Key) -> Option<Key> {
        if let Some(OfHandle { key, .. }) = &self.handle {
            return Key::literal(key.as_str()).ok();
        }
        let set = |name| std::env::var(name).ok();
        let slot: u32 = set("REDLOCK_SLOT")?.parse().ok()?;
        set("REDLOCK_ID").filter(|innermost| Some(innermost.as_str()) == self.id())?;
        let slots = Target::slots(key, slot);
        Key::literal(slots.keys_of(slot.checked_sub(1)?).first()?).ok()
    }

    /// Whether the redlock that holds the lock is alive and an ancestor of this process.
    pub(super) fn is_around(&self) -> bool {
        let holder = self.holder.as_ref();
        self.is_of_handle()
            || holder.is_some_and(|holder| supervisor::is_ancestor(holder.pid, holder.started))
    }

    /// The public id of the run that holds the lock.
    pub(super) fn id(&self) -> Option<&str> {
        let of_handle = self.handle.as_ref().map(|handle| handle.id.as_str());
        of_handle.or_else(|| self.holder.as_ref().map(|holder| holder.id.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_its_key_and_its_holder_and_another_form_names_no_holder() {
        let holder = |pid, started, id: &str| Some(OuterRedlock { pid, started, id: id.into() });
        for (line, key, expected) in [
            ("redlock:a 7.99.4f", "redlock:a", holder(7, 99, "4f")),
            ("a key 7.99.4f", "a key", holder(7, 99, "4f")),
            ("redlock:a", "redlock:a", None),
            ("a key", "a key", None),
            ("a 7.99", "a 7.99", None),
            ("a x.99.4f", "a x.99.4f", None),
        ] {
            let expected = OuterLock { key: key.into(), holder: expected, handle: None };
            assert_eq!(OuterLock::parse(line), expected, "{line}");
        }
        let own = OuterLock::parse(&OuterLock::line("redlock:a", "4f"));
        assert_eq!(own.key, "redlock:a");
        assert!(!own.is_around(), "no process is its own ancestor");
    }
}
