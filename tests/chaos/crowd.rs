//! Eight to twelve contenders at a time. Each one that ends is followed by another.

use crate::contender::{Contender, Kind, Plan, Treatment};
use crate::dice::Dice;
use crate::history;
use crate::journal::Journal;
use crate::promise::LONGEST_TTL;
use crate::support::{Cluster, clock};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

pub(crate) struct Crowd {
    members: Vec<Contender>,
    dice: Dice,
    urls: String,
    kind: Kind,
    journal: Journal,
    started: u32,
    next_start: Duration,
    /// When a run of a host with other servers last existed. Its key may exist for one TTL longer.
    last_stranger: Duration,
    /// The plans of the contenders whose commands began.
    begun: BTreeMap<u32, Plan>,
    /// The contenders that ended with 0.
    succeeded: BTreeSet<u32>,
    /// Number of contenders by their end.
    ends: BTreeMap<String, usize>,
    /// Contenders that lived much longer than their latest end.
    overdue: Vec<u32>,
    /// Contenders with an end that has no explanation.
    odd: Vec<(u32, String)>,
}

impl Crowd {
    const INTRUDERS: usize = 2;

    pub(crate) fn new(dice: Dice, urls: String, kind: Kind, journal: Journal) -> Self {
        Self {
            members: Vec::new(),
            dice,
            urls,
            kind,
            journal,
            started: 0,
            next_start: Duration::ZERO,
            last_stranger: Duration::ZERO,
            begun: BTreeMap::new(),
            succeeded: BTreeSet::new(),
            ends: BTreeMap::new(),
            overdue: Vec::new(),
            odd: Vec::new(),
        }
    }

    /// Notes the contenders that have ended, and starts the next one if there is room.
    pub(crate) fn go_on(&mut self, cluster: &Cluster) {
        self.look(cluster);
        let now = clock::now();
        let room = 8 + usize::try_from(now.as_secs() % 5).expect("below 5");
        if self.members.len() < room && now >= self.next_start {
            let plan = Plan::thrown(&mut self.dice, self.kind);
            self.start(plan, cluster);
            self.next_start = now + self.dice.millis(0, 80);
        }
    }

    /// Starts contenders that do not wait, even if there is no room.
    pub(crate) fn intrude(&mut self, cluster: &Cluster) {
        for _ in 0..Self::INTRUDERS {
            let plan = Plan::intruder(&mut self.dice, self.kind);
            self.start(plan, cluster);
        }
    }

    /// Starts a run of a host that names other servers.
    pub(crate) fn let_in_stranger(&mut self, cluster: &Cluster) {
        let plan = Plan::stranger(&mut self.dice, self.kind);
        self.start(plan, cluster);
    }

    fn start(&mut self, plan: Plan, cluster: &Cluster) {
        self.started += 1;
        self.members.push(Contender::start(self.started, plan, cluster, &self.urls, &self.journal));
    }

    /// Notes the contenders that have ended, and those whose command has begun.
    pub(crate) fn look(&mut self, cluster: &Cluster) {
        if self.has(|member| member.plan.is_stranger) {
            self.last_stranger = clock::now();
        }
        for mut member in std::mem::take(&mut self.members) {
            let status = member.ended();
            if !member.has_begun && history::has_begun(cluster.dir(), member.id) {
                member.begins();
                self.begun.insert(member.id, member.plan.clone());
            }
            if let Some(status) = status {
                let has_met_stranger = member.started < self.last_stranger + LONGEST_TTL;
                if !member.is_explained(status, has_met_stranger) {
                    self.odd
                        .push((member.id, format!("ended with {status}, {:?}", member.treatment)));
                }
                self.journal.note(format!("contender {} ended: {status}", member.id));
                if status.success() {
                    self.succeeded.insert(member.id);
                }
                *self.ends.entry(described(status)).or_default() += 1;
                continue;
            }
            if member.is_overdue() && !self.overdue.contains(&member.id) {
                self.journal.note(format!("contender {} is overdue", member.id));
                self.overdue.push(member.id);
            }
            self.members.push(member);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    pub(crate) fn member(&mut self, id: u32) -> Option<&mut Contender> {
        self.members.iter_mut().find(|member| member.id == id)
    }

    pub(crate) fn members(&self) -> &[Contender] {
        &self.members
    }

    /// Whether there is a contender that fits.
    pub(crate) fn has(&self, which: impl Fn(&Contender) -> bool) -> bool {
        self.members.iter().any(which)
    }

    /// A contender that fits and to which the nemesis has done nothing.
    pub(crate) fn one(
        &mut self,
        dice: &mut Dice,
        which: impl Fn(&Contender) -> bool,
    ) -> Option<&mut Contender> {
        let untouched = self
            .members
            .iter()
            .filter(|member| member.treatment == Treatment::None && which(member));
        let id = dice.pick(&untouched.map(|member| member.id).collect::<Vec<_>>())?;
        self.member(id)
    }

    /// A contender to which the nemesis has done nothing. Often it is the holder.
    pub(crate) fn victim(&mut self, dice: &mut Dice) -> Option<&mut Contender> {
        let prefers_running = dice.chance(60) && self.has(|member| member.has_begun);
        self.one(dice, |member| member.has_begun || !prefers_running)
    }

    pub(crate) fn stopped(&self) -> usize {
        self.members.iter().filter(|member| member.treatment == Treatment::Stopped).count()
    }

    /// The plans of the contenders whose commands began.
    pub(crate) fn begun(&self) -> &BTreeMap<u32, Plan> {
        &self.begun
    }

    /// Number of commands that began with each option.
    pub(crate) fn wanted(&self) -> BTreeMap<&'static str, usize> {
        let mut wanted: BTreeMap<&'static str, usize> = BTreeMap::new();
        for want in self.begun.values().flat_map(Plan::wants) {
            *wanted.entry(want).or_default() += 1;
        }
        wanted
    }

    /// Options with which no command has begun yet.
    pub(crate) fn unwanted(&self) -> Vec<&'static str> {
        let wanted = self.wanted();
        Plan::all_wants(self.kind).into_iter().filter(|want| !wanted.contains_key(want)).collect()
    }

    /// The contenders that ended with 0.
    pub(crate) fn succeeded(&self) -> &BTreeSet<u32> {
        &self.succeeded
    }

    pub(crate) fn odd(&self) -> &[(u32, String)] {
        &self.odd
    }

    pub(crate) fn ends(&self) -> &BTreeMap<String, usize> {
        &self.ends
    }

    /// Removes and returns the contenders that have not ended.
    pub(crate) fn remaining(&mut self) -> Vec<Contender> {
        std::mem::take(&mut self.members)
    }

    pub(crate) fn overdue(&self) -> &[u32] {
        &self.overdue
    }
}

fn described(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "?".into(),
    }
}
