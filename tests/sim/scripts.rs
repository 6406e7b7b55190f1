//! The execution of a request by a server: the semantics of the commands and scripts in
//! `src/instance/scripts.rs`.

use super::client::Target;
use super::server::{Key, Server};
use redlock_cli::lock::{
    AfterRelease, Extension, FenceRegister, FenceVote, IfMissing, LockStatus, LockValue,
    ObservedHolder, Proposal, QueuedSince, Release, Request, Response, Revocation, ServerReport,
    StatusResponse, Vote,
};
use std::time::Duration;

/// One write on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) client: usize,
    pub(crate) conn: usize,
    /// Its number among the writes on its connection.
    pub(crate) seq: u64,
    pub(crate) target: Target,
    /// The slots and the values that are released before the request.
    pub(crate) owed: Vec<(u32, String)>,
    pub(crate) request: Request,
    /// The arguments of the request for a report: the wall clock, if a mark is wanted, and the
    /// `run_id`, if known.
    pub(crate) report: Option<(Option<Duration>, Option<String>)>,
    /// Whether the connection has subscribed.
    pub(crate) listens: bool,
    /// Whether the client has a restart guard.
    pub(crate) is_guarded: bool,
    /// Whether a fault has delayed the parcel since its connection broke.
    pub(crate) was_late: bool,
}

impl Parcel {
    /// A write without a request.
    pub(crate) fn empty(client: usize, conn: usize, target: Target) -> Self {
        let request = Request::Status(None);
        Self {
            client,
            conn,
            seq: 0,
            target,
            owed: vec![],
            request,
            report: None,
            listens: false,
            is_guarded: true,
            was_late: false,
        }
    }
}

/// One reply on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) response: Response,
    /// The fence vote that comes before the response.
    pub(crate) fence: Option<FenceVote>,
    pub(crate) report: Option<ServerReport>,
    pub(crate) clock: Option<Duration>,
}

/// A wake-up that a script publishes: the client, its connection, the slot.
pub(crate) type Bell = (usize, usize, u32);

/// Whether `value` is a revocation of `own`, by the rule of the scripts.
pub(crate) fn is_revoked(value: &str, own: &str) -> bool {
    value.starts_with("{\"revoked\":")
        && !own.is_empty()
        && value.ends_with(&format!(",{}", &own[1..]))
}

impl Server {
    /// Executes a write. `can_hear` tells whether a connection receives messages.
    pub(crate) fn execute(
        &mut self,
        now: u64,
        parcel: &Parcel,
        can_hear: impl Fn(usize) -> bool,
    ) -> (Reply, Vec<Bell>) {
        let mut bells = vec![];
        let is_older = parcel.target.is_older;
        for (slot, value) in &parcel.owed {
            let keys = parcel.target.keys(*slot);
            let _ = self.release(now, &keys, value, Duration::ZERO, is_older);
        }
        let ttl = parcel.target.ttl;
        let (mut clock, mut fence) = (None, None);
        let response = match &parcel.request {
            Request::Acquire { attempt, slot, value, fence: None } => {
                let keys = parcel.target.keys(*slot);
                Response::Vote(*attempt, self.acquire(now, &keys, value, parcel))
            }
            Request::Acquire { attempt, value, fence: Some(proposal), .. } => {
                let vote = self.propose(now, parcel, value, proposal);
                let granted = matches!(vote, FenceVote::Raised | FenceVote::Lacking(_));
                fence = Some(vote);
                Response::Vote(*attempt, if granted { Vote::Granted } else { Vote::Denied })
            }
            Request::Raise { attempt, value, proposal, counters } => {
                Response::Fence(*attempt, self.raise(now, parcel, value, (proposal, counters)))
            }
            Request::Extend { missing, slot, value } => {
                clock = Some(self.wall(now));
                let keys = parcel.target.keys(*slot);
                let extension = self.extend(now, &keys, value, ttl, *missing);
                Response::Extension(match extension {
                    Extension::Revoked(_) if is_older => Extension::Foreign,
                    extension => extension,
                })
            }
            Request::Release { attempt, slot, value, after_release } => {
                let keys = parcel.target.keys(*slot);
                let keep = if let AfterRelease::LeaveQueue { hold_for } = after_release {
                    *hold_for
                } else {
                    Duration::ZERO
                };
                let other = self.release(now, &keys, value, keep, is_older);
                if matches!(after_release, AfterRelease::LeaveQueue { .. }) {
                    self.leave(parcel.client);
                    for key in keys {
                        if self.get(now, key).is_none_or(|(there, _)| there == *value) {
                            bells.extend(self.wake(key.0, key, &can_hear));
                        }
                    }
                }
                Response::Release(*attempt, Release::Done(other))
            }
            Request::Status(queued_since) => {
                let queued_since = queued_since.filter(|_| parcel.listens);
                let (view, rung) = self.watch(now, parcel, queued_since, &can_hear);
                bells.extend(rung);
                Response::Status(StatusResponse::Seen(view))
            }
        };
        let report =
            parcel.report.as_ref().map(|(wall, known)| self.report(now, *wall, known.as_deref()));
        if report.is_some() {
            clock = Some(self.wall(now));
        }
        (Reply { response, fence, report, clock }, bells)
    }

    fn acquire(&mut self, now: u64, keys: &[Key], value: &str, parcel: &Parcel) -> Vote {
        if keys.iter().any(|key| self.get(now, *key).is_some()) {
            return Vote::Denied;
        }
        for key in keys {
            self.set(now, *key, value, parcel.target.ttl);
        }
        if parcel.target.slots > 1 && parcel.listens {
            self.leave(parcel.client);
        }
        Vote::Granted
    }

    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method is of one lifetime")]
    fn propose(
        &mut self,
        now: u64,
        parcel: &Parcel,
        value: &str,
        proposal: &Proposal,
    ) -> FenceVote {
        let vote =
            self.on_register(now, parcel, value, proposal, |register, own| register.propose(own));
        if matches!(vote, FenceVote::Raised | FenceVote::Lacking(_)) {
            for key in parcel.target.keys(0) {
                self.set(now, key, value, parcel.target.ttl);
            }
        }
        vote
    }

    fn raise(
        &mut self,
        now: u64,
        parcel: &Parcel,
        value: &str,
        (proposal, counters): (&Proposal, &[usize]),
    ) -> FenceVote {
        self.on_register(now, parcel, value, proposal, |register, own| {
            register.raise(own, counters)
        })
    }

    /// Runs a step of the fence on the counters of the parcel's keys.
    fn on_register(
        &mut self,
        now: u64,
        parcel: &Parcel,
        value: &str,
        proposal: &Proposal,
        step: impl FnOnce(&mut FenceRegister<'_, String>, &Proposal) -> FenceVote,
    ) -> FenceVote {
        let names = parcel.target.keys(0);
        let nonce = |there: String| if there == value { proposal.nonce.clone() } else { there };
        let mut keys: Vec<_> =
            names.iter().map(|key| self.get(now, *key).map(|(there, _)| nonce(there))).collect();
        let mut counters: Vec<_> =
            names.iter().map(|key| self.counters.get(key).cloned()).collect();
        let is_guarded = parcel.is_guarded;
        let run_id = is_guarded.then(|| self.run_id());
        let mut register = FenceRegister { keys: &mut keys, counters: &mut counters, run_id };
        let vote = step(&mut register, proposal);
        for (key, counter) in names.into_iter().zip(counters) {
            self.counters.extend(counter.map(|counter| (key, counter)));
        }
        vote
    }

    fn extend(
        &mut self,
        now: u64,
        keys: &[Key],
        value: &str,
        ttl: Duration,
        missing: IfMissing,
    ) -> Extension {
        let (mut worst, mut by) = (1, None);
        for key in keys {
            let found = match self.get(now, *key) {
                Some((there, _)) if there == value => 1,
                Some((there, _)) => {
                    by = is_revoked(&there, value)
                        .then(|| Revocation::parse(&there))
                        .flatten()
                        .or(by);
                    4
                }
                None if missing == IfMissing::Leave => 3,
                None => 2,
            };
            if found <= 2 {
                self.set(now, *key, value, ttl);
            }
            worst = worst.max(found);
        }
        let foreign = by.map_or(Extension::Foreign, Extension::Revoked);
        [Extension::Kept, Extension::SetAgain, Extension::Missing, foreign][worst - 1].clone()
    }

    fn release(
        &mut self,
        now: u64,
        keys: &[Key],
        value: &str,
        keep: Duration,
        is_older: bool,
    ) -> Option<ObservedHolder> {
        let mut other = None;
        for key in keys {
            match self.get(now, *key) {
                Some((there, _)) if !is_older && is_revoked(&there, value) => self.delete(*key),
                Some((there, _)) if there == value && keep.is_zero() => self.delete(*key),
                Some((there, _)) if there == value => self.set(now, *key, value, keep),
                Some((there, left)) => {
                    other.get_or_insert(ObservedHolder {
                        value: there,
                        left: Some(Duration::from_millis(left)),
                    });
                }
                None => {}
            }
        }
        other
    }

    /// The script REVOKE: revokes the keys of the run with this id, or deletes them. Returns the
    /// values that were there.
    pub(crate) fn force_release(&mut self, now: u64, id: &str, deletes: bool) -> Vec<String> {
        let is_its = |value: &str| LockValue::parse(value).is_some_and(|value| value.id == id);
        let mut its = self.all(now);
        its.retain(|(_, value)| is_its(value));
        let header = Revocation::new("ops@sim", Some("it hangs"), 1).header();
        for (key, value) in &its {
            if deletes {
                self.delete(*key);
            } else if Revocation::parse(value).is_none() {
                self.replace(*key, header.clone() + &value[1..]);
            }
        }
        its.into_iter().map(|(_, value)| value).collect()
    }

    fn watch(
        &mut self,
        now: u64,
        parcel: &Parcel,
        queued_since: Option<QueuedSince>,
        can_hear: &impl Fn(usize) -> bool,
    ) -> (LockStatus, Vec<Bell>) {
        let keys = parcel.target.all_keys();
        let there: Vec<_> = keys.iter().map(|key| self.get(now, *key)).collect();
        let lengths = there.iter().flatten().map(|(_, left)| Duration::from_millis(*left));
        let left = if parcel.target.slots > 1 { lengths.min() } else { lengths.max() };
        let way = there.iter().position(Option::is_some).unwrap_or(0);
        let is_odd =
            |there: &&(String, u64)| keys.len() > 1 && !there.0.contains(&parcel.target.kind);
        let shown = there.iter().flatten().find(is_odd).or(there[way].as_ref());
        let holder = shown.map(|(value, _)| ObservedHolder { value: value.clone(), left });
        let free: Vec<u32> = if parcel.target.slots > 1 {
            (0..parcel.target.slots).filter(|slot| there[*slot as usize].is_none()).collect()
        } else {
            there.iter().all(Option::is_none).then_some(0).into_iter().collect()
        };
        let (mut place, mut bells) = (None, vec![]);
        let Some(queued_since) = queued_since else {
            return (LockStatus { free, holder, place }, bells);
        };
        let since = queued_since.wall.saturating_sub(queued_since.waited);
        if parcel.target.slots > 1 || keys.len() == 1 {
            place = Some(self.queue(keys[0].0, since, parcel));
        } else {
            for (number, key) in keys.iter().enumerate() {
                if number == way {
                    place = Some(self.queue(key.0, since, parcel));
                } else {
                    self.queues
                        .entry(key.0)
                        .or_default()
                        .retain(|(_, client, _)| *client != parcel.client);
                    if there[number].is_none() {
                        bells.extend(self.wake(key.0, *key, can_hear));
                    }
                }
            }
        }
        (LockStatus { free, holder, place }, bells)
    }

    /// Takes a place, or keeps the present one. Returns the number of places before it.
    fn queue(&mut self, queue: u32, since: Duration, parcel: &Parcel) -> u32 {
        let queue = self.queues.entry(queue).or_default();
        match queue.iter_mut().find(|(_, client, _)| *client == parcel.client) {
            Some((_, _, conn)) => *conn = parcel.conn,
            None => queue.push((since, parcel.client, parcel.conn)),
        }
        queue.sort_unstable();
        u32::try_from(queue.iter().position(|(_, client, _)| *client == parcel.client).unwrap())
            .unwrap()
    }

    fn leave(&mut self, client: usize) {
        self.queues.values_mut().for_each(|queue| queue.retain(|(_, other, _)| *other != client));
    }

    /// Removes the first contender that listens from the queue, and the dead ones before it.
    fn wake(&mut self, queue: u32, key: Key, can_hear: &impl Fn(usize) -> bool) -> Option<Bell> {
        let queue = self.queues.entry(queue).or_default();
        while !queue.is_empty() {
            let (_, client, conn) = queue.remove(0);
            if can_hear(conn) {
                return Some((client, conn, key.1));
            }
        }
        None
    }
}
