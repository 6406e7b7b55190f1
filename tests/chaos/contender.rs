//! One redlock process of the run: its plan, and what the nemesis does to it.

use crate::command::{self, Kin};
use crate::dice::Dice;
use crate::journal::Journal;
use crate::promise::{GUARD, LONGEST_KEPT, TTLS};
use crate::steps;
use crate::support::{Cluster, Run, clock, processes};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::time::Duration;

/// The lock of all contenders.
pub(crate) const NAME: &str = "chaos";

/// A second lock, which some contenders need as well.
pub(crate) const SIDE: &str = "chaos-side";

/// In milliseconds.
const LONGEST_COMMAND: u64 = 3000;

const NO_QUORUM: i32 = 69;
const LOST: i32 = 74;
const BUSY: i32 = 75;
/// Exit code beside a run that names other servers.
const DISAGREED: i32 = 78;
/// Exit code if the guardian was killed.
const FAILED: i32 = 125;

/// The kind of a chaos run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Kind {
    /// Number of slots.
    pub(crate) slots: usize,
    /// Share of jobs of several steps, in percent.
    pub(crate) steps: u64,
    /// Whether most contenders have a fencing token.
    pub(crate) is_fenced: bool,
}

impl Kind {
    pub(crate) fn with_slots(slots: usize) -> Self {
        Self { slots, steps: 20, is_fenced: false }
    }

    /// Only runs, since only they touch the resources that compare the tokens.
    pub(crate) fn with_tokens() -> Self {
        Self { slots: 1, steps: 0, is_fenced: true }
    }
}

/// The plan of a contender.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is thrown by itself")]
pub(crate) struct Plan {
    pub(crate) ttl: Duration,
    /// How long its command lives.
    pub(crate) length: Duration,
    pub(crate) kin: Kin,
    pub(crate) ignores_term: bool,
    pub(crate) waiting: Waiting,
    pub(crate) names: Names,
    /// Number of slots.
    pub(crate) slots: usize,
    /// Whether the contender has a fencing token.
    pub(crate) is_fenced: bool,
    /// Least time from its start on for which the lock is kept.
    pub(crate) min_hold: Duration,
    /// Time for which the lock is kept after its end.
    pub(crate) cooldown: Duration,
    /// Whether the contender names two servers more than the others. They do not exist, so it needs
    /// four of the five real ones, one more than the others: three of them keep it out.
    pub(crate) is_stranger: bool,
    /// Whether the contender is a job of several steps, each a process of its own.
    pub(crate) has_steps: bool,
}

/// The locks that a contender wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Names {
    Main,
    Side,
    Both,
}

/// How long a contender waits for the lock.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Waiting {
    Forever,
    Not,
    Second,
}

/// What the nemesis does to the contender. A contender without its guardian is left alone: if
/// redlock stopped running as well, no process could end the descendants of the command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Treatment {
    None,
    Stopped,
    /// The contender will be killed.
    Condemned,
    Killed,
    Unguarded,
}

pub(crate) struct Contender {
    pub(crate) id: u32,
    pub(crate) plan: Plan,
    pub(crate) treatment: Treatment,
    pub(crate) has_begun: bool,
    begun: Option<Duration>,
    pub(crate) started: Duration,
    /// Latest end of the contender; `None` while it may wait for ever.
    bound: Option<Duration>,
    child: Child,
}

impl Plan {
    pub(crate) fn thrown(dice: &mut Dice, Kind { slots, steps, is_fenced }: Kind) -> Self {
        let ttl = dice.pick(&TTLS).expect("a length");
        // A long command outlasts a lock that is not extended.
        let (length, kin) = match dice.between(1, 100) {
            1..=65 => {
                (dice.millis(5, 60), dice.pick(&[Kin::Alone, Kin::Alone, Kin::Child, Kin::Daemon]))
            }
            66..=85 => (dice.millis(60, 500), dice.pick(&[Kin::Alone, Kin::Child, Kin::Daemon])),
            _ => (
                dice.millis(ttl, LONGEST_COMMAND.min(4 * ttl)),
                dice.pick(&[Kin::Alone, Kin::Child, Kin::Daemon]),
            ),
        };
        let waits = [Waiting::Forever, Waiting::Forever, Waiting::Not, Waiting::Second];
        let has_steps = dice.chance(steps);
        Self {
            ttl: Duration::from_millis(ttl),
            length,
            kin: kin.expect("a kind"),
            ignores_term: dice.chance(30),
            // If a job is killed, its acquisition goes on, and must end by itself.
            waiting: dice.pick(if has_steps { &waits[3..] } else { &waits }).expect("a way"),
            has_steps,
            // With slots a run has one name.
            names: match dice.between(1, 100) {
                _ if slots > 1 => Names::Main,
                1..=65 => Names::Main,
                66..=90 => Names::Both,
                _ => Names::Side,
            },
            slots,
            // A contender without a token shares the locks, and touches no resource.
            is_fenced: is_fenced && dice.chance(80),
            min_hold: if dice.chance(10) { dice.millis(50, LONGEST_KEPT) } else { Duration::ZERO },
            cooldown: if dice.chance(15) { dice.millis(1, 300) } else { Duration::ZERO },
            is_stranger: false,
        }
    }

    /// A short run that does not wait, for a moment at which the lock may look free.
    pub(crate) fn intruder(dice: &mut Dice, kind: Kind) -> Self {
        let plan = Self::thrown(dice, kind);
        Self { waiting: Waiting::Not, length: dice.millis(5, 60), names: Names::Main, ..plan }
    }

    /// A run of a host that names other servers.
    pub(crate) fn stranger(dice: &mut Dice, kind: Kind) -> Self {
        Self { is_stranger: true, ..Self::intruder(dice, kind) }
    }

    /// The options of redlock that this plan tests.
    pub(crate) fn wants(&self) -> Vec<&'static str> {
        let table = [
            ("two names", self.names == Names::Both),
            ("the other name", self.names == Names::Side),
            ("slots", self.slots > 1),
            ("a token", self.is_fenced),
            ("min-hold", !self.min_hold.is_zero()),
            ("cooldown", !self.cooldown.is_zero()),
            ("steps", self.has_steps),
        ];
        table.into_iter().filter(|(_, is_wanted)| *is_wanted).map(|(name, _)| name).collect()
    }

    /// The options that a chaos run of this kind must have tested.
    pub(crate) fn all_wants(kind: Kind) -> Vec<&'static str> {
        let of_names: &[_] =
            if kind.slots > 1 { &["slots"] } else { &["two names", "the other name"] };
        let of_steps: &[_] = if kind.steps > 0 { &["steps"] } else { &[] };
        let of_tokens: &[_] = if kind.is_fenced { &["a token"] } else { &[] };
        [of_names, of_steps, of_tokens, &["min-hold", "cooldown"]].concat()
    }

    /// The names of the locks.
    fn named(&self) -> Vec<&'static str> {
        match self.names {
            Names::Main => vec![NAME],
            Names::Side => vec![SIDE],
            Names::Both => vec![SIDE, NAME],
        }
    }

    fn words(&self) -> Vec<String> {
        let verb = if self.has_steps { "acquire" } else { "run" };
        let mut words: Vec<String> =
            [verb, "-v", "--ttl", &format!("{}ms", self.ttl.as_millis())].map(Into::into).into();
        words.extend(match self.waiting {
            Waiting::Forever => vec![],
            Waiting::Not => vec!["-n".into()],
            Waiting::Second => vec!["-w".into(), "1s".into()],
        });
        if self.slots > 1 {
            words.extend(["--slots".into(), self.slots.to_string()]);
        }
        for (option, length) in [("--min-hold", self.min_hold), ("--cooldown", self.cooldown)] {
            if !length.is_zero() {
                words.extend([option.into(), format!("{}ms", length.as_millis())]);
            }
        }
        if self.is_fenced {
            words.push("--fence".into());
        }
        if self.names == Names::Both {
            words.push("-l".into());
        }
        words.extend(self.named().into_iter().map(Into::into));
        if self.has_steps {
            return words;
        }
        words.push("--".into());
        if self.ignores_term {
            words.extend(["env", "--ignore-signal=TERM"].map(Into::into));
        }
        let this = std::env::current_exe().expect("this program has a path");
        words.push(this.to_str().expect("a path of plain letters").into());
        words.extend(command::ARGUMENTS.map(Into::into));
        words
    }
}

impl Contender {
    /// Longer than an exit takes on a busy machine, if there is nothing to wait for.
    const TO_LEAVE: Duration = Duration::from_secs(15);

    pub(crate) fn start(
        id: u32,
        plan: Plan,
        cluster: &Cluster,
        urls: &str,
        journal: &Journal,
    ) -> Self {
        // Two ports without a listener.
        let more = if plan.is_stranger { ",redis://127.0.0.1:1,redis://127.0.0.1:2" } else { "" };
        let urls = format!("{urls}{more}");
        let (run, (variable, orders)) = if plan.has_steps {
            let this = std::env::current_exe().expect("this program has a path");
            let this = Run::program(cluster, this.to_str().expect("a path of plain letters"));
            let orders = steps::orders(id, (plan.length, plan.ttl), &plan.words());
            (this.args(command::ARGUMENTS), orders)
        } else {
            let touched = if plan.is_fenced { plan.named() } else { vec![] };
            let orders = command::orders(id, plan.length, plan.kin, &touched);
            (Run::redlock(cluster).args(plan.words()), orders)
        };
        let run = run.env("REDLOCK_URLS", urls).env(variable, orders);
        let mut command = run.env("REDLOCK_RESTART_GUARD", GUARD).into_command();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        journal.note(format!("contender {id} starts: {plan:?}"));
        let mut child = command.spawn().expect("redlock can be started");
        journal.listen(format!("contender {id} says"), child.stderr.take().expect("a pipe"));
        let bound = match plan.waiting {
            Waiting::Forever => None,
            Waiting::Not | Waiting::Second => {
                Some(clock::now() + Duration::from_secs(1) + Self::TO_LEAVE)
            }
        };
        Self {
            id,
            plan,
            treatment: Treatment::None,
            has_begun: false,
            begun: None,
            started: clock::now(),
            bound,
            child,
        }
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// The process id in its lock value, if it may have one.
    pub(crate) fn holder(&self, dir: &Path) -> Option<u32> {
        if self.plan.has_steps { steps::holder(dir, self.id) } else { Some(self.child.id()) }
    }

    /// The exit status, once redlock has ended. Until it is read, no other process has this id.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("a child that was not reaped takes signals");
    }

    /// Notes that the command has begun. From now on, the contender has to end with it.
    pub(crate) fn begins(&mut self) {
        self.has_begun = true;
        self.begun = Some(clock::now());
        self.bound = Some(clock::now() + self.plan.length + Self::TO_LEAVE);
    }

    /// For how long its command has been seen to run.
    pub(crate) fn has_run_for(&self) -> Duration {
        self.begun.map_or(Duration::ZERO, clock::since)
    }

    /// Allows the contender so much more time.
    pub(crate) fn excuse(&mut self, length: Duration) {
        self.bound = self.bound.map(|bound| bound + length);
    }

    /// Whether this end is explained by the plan, by a run with other servers, by the nemesis, and
    /// by the lines of the command.
    pub(crate) fn is_explained(&self, status: ExitStatus, has_met_stranger: bool) -> bool {
        let may_leave_without = self.plan.waiting != Waiting::Forever;
        match (status.code(), self.has_begun) {
            (Some(LOST), _) | (Some(0), true) => true,
            (Some(NO_QUORUM | BUSY), false) => may_leave_without,
            (Some(DISAGREED), false) => has_met_stranger || self.plan.is_stranger,
            (Some(FAILED), _) => self.treatment == Treatment::Unguarded,
            (None, _) => {
                self.treatment == Treatment::Killed
                    && status.signal() == Some(Signal::SIGKILL as i32)
            }
            (Some(_), _) => false,
        }
    }

    pub(crate) fn is_overdue(&self) -> bool {
        self.bound.is_some_and(|bound| clock::now() > bound)
    }

    /// The guardian, if there is one.
    pub(crate) fn guardian(&self) -> Option<i32> {
        processes::children(self.pid())
            .into_iter()
            .find(|&pid| processes::name(pid) == "lock-guardian")
    }

    /// Kills a contender that does not end by itself.
    pub(crate) fn destroy(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
