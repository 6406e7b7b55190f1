//! The decisions of a client, by redlock's own types: `Acquisition` counts the votes (with `Tally`,
//! `Memory`, `RestartGuard`, and the validity), `Extender` sends rounds and takes the answers (with
//! `HeldLock`), `Schedule` has the start line.
//!
//! For each decision, the types are made anew from the client's knowledge.

use super::clock::{
    MARKED, agreement, guard, options, schedule, size, stamp, tick, ticks_until, time, ttl,
};
use super::knowledge::{Heard, Knowledge};
use super::mutants::Rule;
use super::state::{Answer, Ballot, INSTANCES, Lease, Reply, Stamp};
use redlock_cli::lock::{
    Account, Extension, HeldLock, IfMissing, InstanceResponse, MarkSeen, Marking, Membership,
    Response, ServerReport, Time, Vote,
};
use redlock_cli::policy::{AcquireResult, Acquisition, Action, Extender};

/// The leases of a client, one for each instance.
pub(super) type Leases = [Lease; INSTANCES];

/// Result of a vote, or of a time limit, for an attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Attempt {
    Pending,
    Acquired(Leases),
    Failed,
}

/// The client counts the vote of one instance, or lets its time limits pass.
pub(super) fn count(client: &Knowledge, rule: Rule, instance: Option<usize>) -> Attempt {
    if rule == Rule::HalfQuorum {
        return count_half(client, instance);
    }
    let sent = time(client.acquisition());
    let mut out = vec![];
    let mut acquisition = Acquisition::new(&options(rule), agreement(rule), sent);
    let mut result = acquisition.handle_timeout(sent, 0, &mut out);
    assert_eq!(out, [Action::Acquire(1, 0)], "an attempt begins");
    out.clear();
    let mut hear = |at: Time, instance: usize, reply: Reply| {
        let received = response(client, rule, instance, reply);
        acquisition.handle_response(at, 0, received, &mut out)
    };
    for (number, known) in client.instances.iter().enumerate() {
        if let Ballot::Heard(reply) = known.ballot {
            result = hear(sent, number, reply);
        }
    }
    if let Some(number) = instance
        && let Ballot::Replied(reply) = client.instances[number].ballot
    {
        result = hear(time(client.now()), number, reply);
    } else {
        // Three limits at most: that of the votes, that of the stragglers, and that of a status.
        for _ in 0..3 {
            if !matches!(result, AcquireResult::Pending) || has_failed(&out) {
                break;
            }
            let now = acquisition.wake_at().max(time(client.now()));
            result = acquisition.handle_timeout(now, 0, &mut out);
        }
    }
    match result {
        AcquireResult::Acquired(held_lock, _) => Attempt::Acquired(leases(&held_lock)),
        AcquireResult::Pending if !has_failed(&out) => Attempt::Pending,
        AcquireResult::Pending | AcquireResult::GivenUp(_) => Attempt::Failed,
    }
}

/// Whether the attempt is released on all instances.
fn has_failed(out: &[Action]) -> bool {
    out.iter().any(|action| matches!(action, Action::Release(1, _)))
}

/// Of a mutant: one vote of three suffices.
fn count_half(client: &Knowledge, instance: Option<usize>) -> Attempt {
    let confirmed = client.acquisition();
    let mut leases = Leases::default();
    for (number, known) in client.instances.iter().enumerate() {
        let is_heard = |reply: Reply| reply.is_granted;
        leases[number] = match known.ballot {
            Ballot::Heard(reply) if is_heard(reply) => Lease::Held { confirmed },
            Ballot::Replied(reply) if is_heard(reply) && instance == Some(number) => {
                Lease::Held { confirmed }
            }
            _ => Lease::NotHeld,
        };
    }
    match leases {
        _ if confirmed.age > 1 => Attempt::Failed,
        leases if leases != Leases::default() => Attempt::Acquired(leases),
        _ if instance.is_none() => Attempt::Failed,
        _ => Attempt::Pending,
    }
}

/// The `run_id` of an instance: of the start that the client knows, or of the present one.
fn run_id(instance: usize, is_new: bool) -> String {
    format!("{instance}{}", if is_new { "new" } else { "old" })
}

/// The vote of `instance`, with the report of the server.
fn response(client: &Knowledge, rule: Rule, instance: usize, reply: Reply) -> InstanceResponse {
    let clock = |age: u8| MARKED + tick() * u32::from(age);
    let is_new = !client.instances[instance].is_stale || reply.is_restarted;
    let run_id = run_id(instance, is_new);
    let micros = MARKED.as_micros();
    let seen = MarkSeen {
        text: format!("{run_id} {micros} {micros}"),
        server_clock: clock(reply.ages.0),
        host_clock: clock(reply.ages.1),
    };
    let uptime = tick() * u32::from(reply.ages.0);
    let account = Account::Told { run_id, uptime };
    let vote = if reply.is_granted { Vote::Granted } else { Vote::Denied };
    let is_late = rule == Rule::LeaseFromReceipt;
    InstanceResponse {
        instance,
        sent: time(if is_late { client.now() } else { client.acquisition() }),
        report: Some(ServerReport { account: Some(account), marking: Some(Marking::Seen(seen)) }),
        clock: None,
        response: Response::Vote(1, vote),
    }
}

/// The held lock of `client`.
pub(super) fn held_lock(client: &Knowledge) -> HeldLock {
    let mut held_lock = HeldLock::new(size(), ttl(), guard(Rule::Own));
    for (number, known) in client.instances.iter().enumerate() {
        let _ = held_lock.identify(number, &run_id(number, !known.is_stale));
        let _ = match known.lease {
            Lease::NotHeld => continue,
            Lease::Held { confirmed } => held_lock.grant(number, time(confirmed), None),
            Lease::Rejoining { since, confirmed } => {
                held_lock.grant(number, time(confirmed), Some(time(since)))
            }
        };
    }
    held_lock
}

/// The leases of `held_lock`. The moment of the newest confirmation of a rejoining instance is only
/// in their JSON form.
fn leases(held_lock: &HeldLock) -> Leases {
    std::array::from_fn(|instance| {
        let lease = &held_lock.leases()[instance];
        match lease.membership() {
            Membership::NotHeld => Lease::NotHeld,
            Membership::Held => Lease::Held { confirmed: stamp(lease.confirmed().unwrap()) },
            Membership::Rejoining { since } => {
                let json = serde_json::to_value(lease).unwrap();
                let confirmed = json["confirmed"].as_u64().unwrap();
                let confirmed = stamp(Time::from_nanos(confirmed));
                Lease::Rejoining { since: stamp(since), confirmed }
            }
        }
    })
}

/// The instances to which a round of extensions goes at `sent`, which is the present moment.
pub(super) fn round(client: &Knowledge, sent: Stamp) -> [bool; INSTANCES] {
    let mut extender = Extender::resumed(schedule(), size(), held_lock(client), time(sent));
    let mut out = vec![];
    extender.handle_timeout(time(sent), &mut out);
    match out.pop() {
        Some(Action::Extend(IfMissing::Leave, instances)) => {
            std::array::from_fn(|instance| instances.contains(&instance))
        }
        None => [false; INSTANCES],
        Some(other) => panic!("{other:?}"),
    }
}

/// Passes a late vote, or the answer of `instance` to an extension, to the holder. Returns its
/// leases, and whether it sends a further request that sets the key again.
pub(super) fn take(
    client: &Knowledge,
    rule: Rule,
    instance: usize,
    heard: Heard,
) -> (Leases, bool) {
    let (received, at) = match heard {
        Heard::Vote(reply) => (response(client, rule, instance, reply), client.now()),
        Heard::Answer { answer, sent, is_restarted } => {
            let sent = if rule == Rule::LeaseFromReceipt { client.now() } else { sent };
            let received = answered(instance, answer, time(sent), is_restarted);
            (received, taken_at(client, rule, answer))
        }
    };
    let counts_at_once = matches!(
        (rule, heard),
        (Rule::LateVoteCounts, Heard::Vote(Reply { is_granted: true, .. }))
            | (Rule::LoneKeyCounts, Heard::Answer { answer: Answer::SetAgain, .. })
    );
    if counts_at_once {
        let mut held_lock = held_lock(client);
        let _ = held_lock.grant(instance, received.sent, None);
        return (leases(&held_lock), false);
    }
    let votes = [None, None, None];
    let mut extender = Extender::new(schedule(), 1, held_lock(client), &votes, time(client.now()));
    let mut out = vec![];
    extender.handle_response(time(at), &received, &mut out);
    let sets = out.contains(&Action::Extend(IfMissing::Set, vec![instance]));
    (leases(extender.held_lock()), sets)
}

/// The moment at which the client takes an answer: the present one, except for a mutant.
fn taken_at(client: &Knowledge, rule: Rule, answer: Answer) -> Stamp {
    match (rule, answer) {
        (Rule::EarlierConfirmations, Answer::SetAgain) => client.round,
        _ => client.now(),
    }
}

/// The answer of `instance` to an extension.
fn answered(instance: usize, answer: Answer, sent: Time, is_restarted: bool) -> InstanceResponse {
    let account = Account::Told { run_id: run_id(instance, true), uptime: tick() };
    let report = ServerReport { account: Some(account), marking: None };
    InstanceResponse {
        instance,
        sent,
        report: is_restarted.then_some(report),
        clock: None,
        response: Response::Extension(match answer {
            Answer::Kept => Extension::Kept,
            Answer::SetAgain => Extension::SetAgain,
            Answer::Missing => Extension::Missing,
            Answer::Foreign => Extension::Foreign,
        }),
    }
}

/// The deadline of the lock in ticks from now, rounded up: 0 if it has passed. `None` if the lock
/// is lost.
pub(super) fn ticks_left(client: &Knowledge, rule: Rule) -> Option<u8> {
    let held_lock = held_lock(client);
    let leases = || held_lock.leases().iter().filter_map(|lease| lease.lease(ttl()));
    let deadline = match rule {
        Rule::LargestLease | Rule::HalfQuorum => leases().max(),
        _ => held_lock.deadline(),
    };
    deadline.map(ticks_until)
}

/// Whether the command may start now.
pub(super) fn may_start(client: &Knowledge, rule: Rule) -> bool {
    let is_early = |deadline| time(client.now()) < schedule().stop_at(deadline);
    match rule {
        Rule::BlindStart => true,
        Rule::HalfQuorum | Rule::LargestLease => ticks_left(client, rule) > Some(0),
        _ => held_lock(client).deadline().is_some_and(is_early),
    }
}
