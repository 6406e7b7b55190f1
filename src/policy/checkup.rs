//! The faults of a cluster, from the facts that its servers tell.

mod locks;
mod rights;

use super::code;
use crate::lock::{
    Answer, ClusterSize, ListedKey, Memory, NoVoteReason, PermanentError, RefusedTry, RestartGuard,
    ServerName, ServerReport, Tally, Verdict, Vote,
};
use std::time::Duration;

pub use rights::Purpose;

/// The facts that one server told.
#[derive(Clone, Debug, Default)]
pub struct Examination {
    /// The server's id, uptime and mark.
    pub report: Option<ServerReport>,
    /// Its version; the numbers in front of the first two dots.
    pub version: Option<(u32, u32)>,
    /// Its clock at the answer, and the wall clock of this host at the request, since 1970.
    pub clocks: Option<(Duration, Duration)>,
    /// The time from a request to its reply, on a connection that stands.
    pub round_trip: Duration,
    /// Whether it may delete keys when its memory is full.
    pub evicts: bool,
    /// Used memory in percent of its limit, where it has one.
    pub memory_percent: Option<u64>,
    /// Connections in percent of its limit.
    pub clients_percent: Option<u64>,
    /// How many replicas it has.
    pub replicas: u64,
    /// Whether the last save to the disk failed.
    pub save_failed: bool,
    /// Commands that were tried and refused.
    pub refused: Vec<RefusedTry>,
    /// Whether a user without a password may send commands.
    pub is_open: bool,
    /// The locks that are there; none where they cannot be listed.
    pub locks: Vec<ListedKey>,
    /// How many addresses of one kind its name has.
    pub addresses: usize,
    /// The time until a certificate that leads to its own expires, if that is soon.
    pub certificate: Option<Duration>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// Number of the server; `None` for a fault of a lock.
    pub instance: Option<usize>,
    /// The fault.
    pub fault: FoundFault,
}

/// A fault of a server or of a lock.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FoundFault {
    /// It does not answer, or refuses.
    Silent(NoVoteReason),
    /// It is older than Redis 6.2.
    Old(u32, u32),
    /// It has no vote yet, and the others are no quorum.
    NoVote(NoVoteReason),
    /// It is the same server as this earlier one.
    SameServer(usize),
    /// It may delete locks when its memory is full.
    Evicts,
    /// Its memory is nearly full, in percent.
    MemoryFull(u64),
    /// Its connections are nearly used up, in percent.
    ClientsFull(u64),
    /// It has so many replicas.
    Replicas(u64),
    /// Its last save failed.
    SaveFailed,
    /// A right is missing for this purpose: the word of the ACL that gives it.
    Missing(String, Purpose),
    /// A command for this purpose is not there by its name.
    Renamed(String, Purpose),
    /// It takes no keys now.
    TakesNoKeys(NoVoteReason),
    /// Its clock differs from that of this host by so much.
    Clock(Duration),
    /// A round trip takes a large part of the time limit; this limit would do.
    Slow(Duration, Duration),
    /// A user without a password may send commands.
    Open,
    /// Its name has so many addresses.
    Addresses(usize),
    /// Its certificate, or one of those that sign it, expires after this time.
    Certificate(Duration),
    /// The clocks of this server and of another one differ by so much.
    ClocksApart(usize, Duration),
    /// This lock never expires.
    NoExpiry(String),
    /// This holder of a lock counts on another number of servers.
    OtherCount(String, String, usize),
    /// This holder of a lock does not name this server, and has no key there.
    OtherServers(String, String, usize),
    /// The holders of slots of this lock count on different numbers of slots.
    OtherSlots(String, u32, u32),
    /// This holder of a lock has a TTL beyond the restart guard of this host.
    LongTtl(String, String, Duration),
}

impl FoundFault {
    /// The exit code of a cluster with this fault; 0 where locks are held as promised all the same.
    #[must_use]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Silent(NoVoteReason::Refused(PermanentError::Access, _))
            | Self::Missing(_, Purpose::Run) => code::ACCESS,
            Self::Silent(NoVoteReason::Refused(PermanentError::Configuration, _))
            | Self::Renamed(_, Purpose::Run)
            | Self::Old(..)
            | Self::SameServer(_)
            | Self::Evicts
            | Self::NoExpiry(_)
            | Self::OtherCount(..)
            | Self::OtherServers(..)
            | Self::OtherSlots(..)
            | Self::LongTtl(..) => code::CONFIG,
            Self::Silent(_) | Self::NoVote(_) | Self::TakesNoKeys(_) => code::NO_QUORUM,
            Self::MemoryFull(_)
            | Self::ClientsFull(_)
            | Self::Replicas(_)
            | Self::SaveFailed
            | Self::Missing(..)
            | Self::Renamed(..)
            | Self::Addresses(_)
            | Self::Certificate(_)
            | Self::Clock(_)
            | Self::ClocksApart(..)
            | Self::Slow(..)
            | Self::Open => 0,
        }
    }
}

/// The settings of this host that the servers are checked against.
#[derive(Clone, Debug)]
pub struct Expectations {
    /// Number of the servers.
    pub size: ClusterSize,
    /// The restart guard of this host.
    pub guard: RestartGuard,
    /// The time limit of one operation.
    pub op_timeout: Duration,
    /// The names of the servers, in their order.
    pub servers: Vec<ServerName>,
    /// `user@host` of this process.
    pub owner: String,
    /// The prefix of the keys of locks.
    pub prefix: String,
}

impl Expectations {
    /// How far a clock may be from ours. Hosts that wait take places by their own clocks, where
    /// those agree to a second.
    const CLOCK: Duration = Duration::from_secs(1);
    /// The oldest version.
    const OLDEST: (u32, u32) = (6, 2);
    /// From how many percent on something is nearly full.
    const FULL: u64 = 90;

    /// All that is wrong, server by server.
    #[must_use]
    pub fn findings(&self, answers: &[Answer<Examination>]) -> Vec<Finding> {
        let mut findings = vec![];
        for (number, answer) in answers.iter().enumerate() {
            let faults = match &answer.result {
                Ok(found) => self.of_server(found),
                Err(why) => vec![rights::of_error(why, &self.prefix)],
            };
            let twin = run_id(answer).and_then(|own| {
                answers.iter().take(number).position(|one| run_id(one) == Some(own))
            });
            let faults = faults.into_iter().chain(twin.map(FoundFault::SameServer));
            findings.extend(faults.map(|fault| Finding { instance: Some(number), fault }));
        }
        findings.extend(clocks(answers));
        findings.extend(self.votes(answers));
        let locks = self.locks(answers);
        findings.extend(locks.into_iter().map(|fault| Finding { instance: None, fault }));
        findings
    }

    fn of_server(&self, found: &Examination) -> Vec<FoundFault> {
        let full = |percent: &u64| *percent >= Self::FULL;
        let mut faults = vec![];
        if let Some((major, minor)) = found.version.filter(|version| *version < Self::OLDEST) {
            faults.push(FoundFault::Old(major, minor));
        }
        faults.extend(found.evicts.then_some(FoundFault::Evicts));
        faults.extend(found.memory_percent.filter(full).map(FoundFault::MemoryFull));
        faults.extend(found.clients_percent.filter(full).map(FoundFault::ClientsFull));
        faults.extend((found.replicas > 0).then_some(FoundFault::Replicas(found.replicas)));
        faults.extend(found.save_failed.then_some(FoundFault::SaveFailed));
        faults.extend(found.is_open.then_some(FoundFault::Open));
        faults.extend((found.addresses > 1).then_some(FoundFault::Addresses(found.addresses)));
        faults.extend(found.certificate.map(FoundFault::Certificate));
        faults.extend(rights::faults(&found.refused, &self.prefix));
        if let Some((theirs, ours)) = found.clocks {
            let apart = theirs.abs_diff(ours).saturating_sub(found.round_trip);
            faults.extend((apart > Self::CLOCK).then_some(FoundFault::Clock(apart)));
        }
        // New connections take two or three round trips within the same limit.
        let wanted = found.round_trip * 8;
        if found.round_trip * 4 > self.op_timeout {
            faults.push(FoundFault::Slow(found.round_trip, wanted));
        }
        faults
    }

    /// The servers without a vote, where the others are no quorum.
    fn votes(&self, answers: &[Answer<Examination>]) -> Vec<Finding> {
        let mut tally = Tally::new(self.size);
        let mut without = vec![];
        for (number, answer) in answers.iter().enumerate() {
            let vote = match &answer.result {
                Err(why) => Vote::Unknown(why.clone()),
                Ok(found) => {
                    let mut memory = Memory::default();
                    found.report.iter().for_each(|report| memory.learn(report, answer.heard));
                    memory.vote(self.guard, answer.sent, Vote::Granted)
                }
            };
            if let (Vote::Unknown(why), Ok(_)) = (&vote, &answer.result) {
                let fault = FoundFault::NoVote(why.clone());
                without.push(Finding { instance: Some(number), fault });
            }
            let _ = tally.record(number, vote);
        }
        if tally.time_out() == Verdict::Granted { vec![] } else { without }
    }
}

/// The two servers whose clocks are the farthest apart, where each is right to a second by the clock
/// of this host, and the two are not by each other's.
fn clocks(answers: &[Answer<Examination>]) -> Option<Finding> {
    let nanos = |length: Duration| i128::try_from(length.as_nanos()).unwrap_or(i128::MAX);
    let ahead = |(number, answer): (usize, &Answer<Examination>)| {
        let found = answer.result.as_ref().ok()?;
        let (theirs, ours) = found.clocks?;
        let apart = theirs.abs_diff(ours).saturating_sub(found.round_trip);
        let ahead = nanos(theirs) - nanos(ours);
        (apart <= Expectations::CLOCK).then_some((ahead, number, found.round_trip))
    };
    let all = || answers.iter().enumerate().filter_map(ahead);
    let ((least, one, one_trip), (most, other, other_trip)) = (all().min()?, all().max()?);
    let apart = Duration::from_nanos(u64::try_from(most - least).unwrap_or(u64::MAX));
    let apart = apart.saturating_sub(one_trip + other_trip);
    (apart > Expectations::CLOCK)
        .then_some(Finding { instance: Some(other), fault: FoundFault::ClocksApart(one, apart) })
}

fn run_id(answer: &Answer<Examination>) -> Option<&str> {
    match answer.result.as_ref().ok()?.report.as_ref()?.account.as_ref()? {
        crate::lock::Account::Told { run_id, .. } => Some(run_id),
        _ => None,
    }
}

/// The exit code of a checkup with these findings: that of the first of a right, a configuration
/// and a silence.
#[must_use]
pub fn checkup_code(findings: &[Finding]) -> u8 {
    let has = |wanted: u8| findings.iter().any(|finding| finding.fault.code() == wanted);
    [code::ACCESS, code::CONFIG, code::NO_QUORUM].into_iter().find(|code| has(*code)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
