//! The session against a model of its surroundings, by hand and by generated histories.

use super::*;
use crate::lock::{
    ClusterSize, Extension, IfMissing, LockStatus, LockValue, NoVoteReason, ObservedHolder,
    Release, RestartGuard, Schedule, ServerName, StatusResponse, Ttl, Vote,
};
use crate::policy::{End, Fault, LossCause, OnLost, SpawnError, WaitLimit};
use proptest::prelude::*;

const N: usize = 5;

/// The side of a run over the servers of these tests.
fn agreement(slots: u32) -> Agreement {
    let servers =
        (0..N).map(|number| ServerName::tcp(&format!("lock-{number}"), 6379, 0)).collect();
    Agreement::new("deploy@web1", slots, servers, RestartGuard::Off, ms(150))
}

/// Three grant, and nothing is to be heard of the others.
fn a_quorum() -> [Vote; N] {
    let silent = || Vote::Unknown(NoVoteReason::TimedOut);
    [Vote::Granted, Vote::Granted, Vote::Granted, silent(), silent()]
}

/// The surroundings: a clock, and a command that obeys.
struct World {
    session: Session,
    now: Time,
    attempt: u32,
    starts: u32,
    releases: u32,
    released: u32,
    command: Command,
    stops: u32,
    kills: u32,
    outcome: Option<Outcome>,
    /// How much has happened: a test that waits for something must fail where it never comes.
    events: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Command {
    None,
    Asked,
    Running,
    Over,
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl World {
    fn new(wait_limit: WaitLimit) -> Self {
        Self::with(RunOptions { wait_limit, ..Self::options() })
    }

    fn options() -> RunOptions {
        RunOptions {
            size: ClusterSize::redlock(N).unwrap(),
            schedule: Schedule::new(Ttl::new(ms(3_000)).unwrap(), None, None).unwrap(),
            guard: RestartGuard::Off,
            wait_limit: WaitLimit::Forever,
            delay: Duration::ZERO,
            slots: 1,
            progress: ProgressStyle::News,
            min_hold: Duration::ZERO,
            cooldown: Duration::ZERO,
            stop_signal: Signal::TERM,
            escalates: false,
            on_lost: OnLost::Stop,
            max_runtime: None,
            awaits_descendants: false,
        }
    }

    fn with(options: RunOptions) -> Self {
        let now = Time::from_nanos(1_000_000_000);
        let mut world = Self {
            session: Session::new(options, agreement(options.slots), now),
            now,
            attempt: 0,
            starts: 0,
            releases: 0,
            released: 0,
            command: Command::None,
            stops: 0,
            kills: 0,
            outcome: None,
            events: 0,
        };
        world.event(Event::Woke);
        world
    }

    /// Carries an event in and notes what comes out. This is where every promise of order is
    /// checked.
    fn event(&mut self, event: Event) -> Vec<Action> {
        self.events += 1;
        assert!(self.events < 2_000, "what is waited for does not come");
        let mut actions = self.session.handle(self.now, 1 << 31, event);
        // Most tests leave votes out that play no part in them.
        actions.retain(|action| !matches!(action, Action::Notify(Notice::Weaknesses(_))));
        for action in &actions {
            match action {
                Action::Acquire(attempt, _) => {
                    assert_eq!(*attempt, self.attempt + 1, "each attempt is a new one");
                    self.attempt = *attempt;
                }
                Action::Start { stop_at, kill_at } => {
                    assert!(self.now < *stop_at && stop_at <= kill_at);
                    assert_eq!(self.command, Command::None, "at most one spawn");
                    self.command = Command::Asked;
                    self.starts += 1;
                }
                Action::Release(number, after_release) => {
                    let is_last = matches!(after_release, AfterRelease::LeaveQueue { .. });
                    assert_eq!(
                        *number,
                        self.attempt + u32::from(is_last),
                        "each release has its own answers"
                    );
                    self.released = *number;
                    assert!(
                        matches!(self.command, Command::None | Command::Over),
                        "no release while the command may run"
                    );
                    self.releases += 1;
                }
                Action::Stop(_) => self.stops += 1,
                Action::Kill => self.kills += 1,
                Action::End(outcome) => {
                    assert!(self.outcome.is_none(), "a run ends once");
                    self.outcome = Some(outcome.clone());
                }
                _ => {}
            }
        }
        actions
    }

    fn after(&mut self, wait: Duration) -> Vec<Action> {
        self.now = self.now.plus(wait);
        self.event(Event::Woke)
    }

    fn answer(&mut self, instance: usize, response: Response) -> Vec<Action> {
        self.event(Event::Response(InstanceResponse {
            instance,
            sent: self.now,
            report: None,
            clock: None,
            response,
        }))
    }

    fn vote(&mut self, votes: &[Vote]) {
        for (instance, vote) in votes.iter().enumerate() {
            self.answer(instance, Response::Vote(self.attempt, vote.clone()));
        }
    }

    fn extend(&mut self, responses: &[Extension]) {
        for (instance, response) in responses.iter().enumerate() {
            self.answer(instance, Response::Extension(response.clone()));
        }
    }

    /// Every instance says that this holds the lock for nine seconds, and how many wait before us.
    fn status(&mut self, value: &str, place: u32) -> Vec<Action> {
        let holder = ObservedHolder { value: value.into(), left: Some(ms(9_000)) };
        let view = LockStatus { free: vec![], holder: Some(holder), place: Some(place) };
        let responses = (0..N).flat_map(|instance| {
            self.answer(instance, Response::Status(StatusResponse::Seen(view.clone())))
        });
        responses.collect()
    }

    fn released(&mut self) {
        for instance in 0..N {
            self.answer(instance, Response::Release(self.released, Release::Done(None)));
        }
    }

    fn child(&mut self, child: ChildEvent) -> Vec<Action> {
        match child {
            ChildEvent::Started => self.command = Command::Running,
            ChildEvent::NotStarted(_) | ChildEvent::Ended { .. } | ChildEvent::Gone => {
                self.command = Command::Over;
            }
            ChildEvent::TooLate => self.command = Command::None,
            _ => {}
        }
        self.event(Event::Child(child))
    }

    fn ended(&mut self, code: u8) {
        let at = self.now;
        self.child(ChildEvent::Ended { end: End::Exited(code), at });
    }

    fn running() -> Self {
        Self::running_with(Self::options())
    }

    fn running_with(options: RunOptions) -> Self {
        let mut world = Self::with(options);
        world.vote(&a_quorum());
        world.child(ChildEvent::Started);
        assert_eq!((world.starts, world.command), (1, Command::Running));
        world
    }
}

#[test]
fn a_holder_that_disagrees_is_told_once_while_the_command_runs_and_ends_nothing() {
    let mut world = World::running();
    world.after(ms(1_000));
    let servers = [ServerName::tcp("lock-0", 6379, 0), ServerName::tcp("lock-9", 6379, 0)];
    let value = LockValue::example("web2", &servers).to_line();
    let mut told = 0;
    for _ in 0..2 {
        let actions = world.answer(4, Response::Extension(Extension::Foreign));
        for action in actions {
            if let Action::AskStatus { instances, waited: None } = action {
                assert_eq!(instances, [4]);
                for action in world.status(&value, 0) {
                    told += u32::from(matches!(action, Action::Notify(Notice::HeldBeside(..))));
                }
            }
        }
    }
    assert_eq!((told, world.command), (1, Command::Running));
}

#[test]
fn a_command_runs_and_its_code_comes_back() {
    let mut world = World::running();
    world.ended(7);
    assert_eq!(world.releases, 1);
    assert_eq!(world.outcome, None, "not before the release");
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Ended(End::Exited(7))));
}

#[test]
fn silence_rides_on_to_the_stop_line_and_is_over_before_the_deadline() {
    let mut world = World::running();
    let granted = world.now;
    let deadline = granted.plus(ms(3_000 - 32));
    while world.stops == 0 {
        let wake = world.session.wake_at();
        assert!(wake < deadline);
        world.now = world.now.max(wake);
        world.event(Event::Woke);
    }
    assert_eq!(world.now, deadline.minus(ms(750)), "TERM comes kill-after before the deadline");
    while world.kills == 0 {
        world.now = world.now.max(world.session.wake_at());
        world.event(Event::Woke);
    }
    assert_eq!(world.now, deadline.minus(ms(150)), "KILL comes the margin before the deadline");
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Lost(LossCause::NoQuorum)));
}

#[test]
fn fewer_members_than_a_quorum_stop_at_once() {
    let mut world = World::running();
    world.after(ms(1_000));
    world.extend(&[Extension::Foreign]);
    assert_eq!(world.stops, 1);
    world.ended(0);
    assert_eq!((world.kills, world.releases), (1, 0), "what the command left behind goes first");
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Lost(LossCause::KeysGone)));
}

#[test]
fn a_confirmed_extension_moves_the_deadline_for_the_guardian() {
    let mut world = World::running();
    let actions = world.after(ms(1_000));
    assert_eq!(actions, [Action::Extend(IfMissing::Leave, (0..N).collect())]);
    let sent = world.now;
    world.extend(&[Extension::Kept, Extension::Kept]);
    let actions = world.answer(2, Response::Extension(Extension::Kept));
    assert_eq!(actions, [Action::SetKillDeadline(sent.plus(ms(3_000 - 32 - 150)))]);
}

#[test]
fn a_round_without_a_quorum_is_tried_again_where_it_was_not_confirmed() {
    let mut world = World::running();
    world.after(ms(1_000));
    world.extend(&[Extension::Kept, Extension::Unknown(NoVoteReason::TimedOut)]);
    let actions = world.after(ms(150));
    assert_eq!(actions, [Action::Extend(IfMissing::Leave, vec![1, 2, 3, 4])]);
}

#[test]
fn a_frozen_redlock_kills_before_it_does_anything_else() {
    let mut world = World::running();
    let actions = world.after(ms(10_000));
    assert!(actions.contains(&Action::Kill), "{actions:?}");
    assert!(
        !actions.iter().any(|action| matches!(action, Action::Stop(_) | Action::Extend(..))),
        "{actions:?}"
    );
}

#[test]
fn a_command_that_ended_in_time_is_not_lost_because_redlock_slept() {
    let mut world = World::running();
    let at = world.now.plus(ms(100));
    world.now = world.now.plus(ms(10_000));
    world.child(ChildEvent::Ended { end: End::Exited(0), at });
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Ended(End::Exited(0))));
}

#[test]
fn a_command_that_the_guardian_killed_is_lost() {
    let mut world = World::running();
    world.child(ChildEvent::Expired);
    world.ended(0);
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Lost(LossCause::NoQuorum)));
}

#[test]
fn a_command_that_runs_for_too_long_is_stopped_under_the_lock() {
    let mut world =
        World::running_with(RunOptions { max_runtime: Some(ms(500)), ..World::options() });
    let begun = world.now;
    for instance in 3..N {
        world.answer(instance, Response::Vote(world.attempt, Vote::Granted));
    }
    assert_eq!(world.session.wake_at(), begun.plus(ms(500)));
    world.after(ms(500));
    assert_eq!((world.stops, world.kills), (1, 0));
    assert_eq!(world.session.wake_at(), begun.plus(ms(1_000)), "the lock is extended meanwhile");
    world.after(ms(749));
    assert_eq!(world.kills, 0);
    world.after(ms(1));
    assert_eq!(world.kills, 1);
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Overtime));
}

#[test]
fn the_guardian_knows_of_a_limit_too() {
    let mut world = World::with(RunOptions { max_runtime: Some(ms(500)), ..World::options() });
    world.vote(&a_quorum());
    let queue = world.now.plus(ms(500 + 750));
    assert_eq!(world.child(ChildEvent::Started), [Action::SetKillDeadline(queue)]);
    world.child(ChildEvent::Expired);
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Overtime));
}

#[test]
fn an_explicit_kill_after_follows_a_signal_of_the_user() {
    for (escalates, kills) in [(false, 0), (true, 1)] {
        let mut world = World::running_with(RunOptions { escalates, ..World::options() });
        assert_eq!(world.event(Event::Signal(Signal::USR1)), [Action::ForwardSignal(Signal::USR1)]);
        world.after(ms(100));
        assert_eq!(world.event(Event::Signal(Signal::TERM)), [Action::ForwardSignal(Signal::TERM)]);
        world.after(ms(749));
        assert_eq!(world.kills, 0);
        world.after(ms(1));
        assert_eq!(world.kills, kills, "{escalates}");
    }
}

#[test]
fn a_loss_that_is_only_warned_of_leaves_the_command_alone() {
    let mut world = World::running_with(RunOptions { on_lost: OnLost::Warn, ..World::options() });
    let actions = world.after(ms(2_900));
    assert!(
        !actions.iter().any(|action| matches!(action, Action::Notify(Notice::Lost(_)))),
        "{actions:?}"
    );
    let actions = world.after(ms(100));
    assert!(actions.contains(&Action::Notify(Notice::Lost(LossCause::NoQuorum))), "{actions:?}");
    assert!(world.session.wake_at() > world.now, "it does not wake for what is over");
    world.after(ms(10_000));
    assert_eq!((world.stops, world.kills), (0, 0));
    world.ended(0);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Lost(LossCause::NoQuorum)));
}

#[test]
fn a_command_that_was_only_warned_of_a_loss_is_asked_to_stop_like_any_other() {
    let options =
        RunOptions { on_lost: OnLost::Warn, max_runtime: Some(ms(5_000)), ..World::options() };
    let mut world = World::running_with(options);
    world.after(ms(3_000));
    world.after(ms(2_000));
    assert_eq!((world.stops, world.kills), (1, 0), "it has its time to stop");
    world.after(ms(750));
    assert_eq!((world.stops, world.kills), (1, 1));
}

#[test]
fn a_loss_that_is_only_warned_of_while_descendants_run_is_the_outcome() {
    let options =
        RunOptions { on_lost: OnLost::Warn, awaits_descendants: true, ..World::options() };
    let mut world = World::running_with(options);
    world.ended(0);
    world.after(ms(3_000));
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Lost(LossCause::NoQuorum)));
}

#[test]
fn the_lock_is_held_for_what_the_command_left_running() {
    let mut world =
        World::running_with(RunOptions { awaits_descendants: true, ..World::options() });
    let at = world.now;
    let actions = world.event(Event::Child(ChildEvent::Ended { end: End::Exited(3), at }));
    assert_eq!(actions, [Action::AwaitDescendants]);
    assert_eq!(world.after(ms(1_000)), [Action::Extend(IfMissing::Leave, (0..N).collect())]);
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Ended(End::Exited(3))));
}

#[test]
fn a_command_without_its_guardian_is_killed() {
    let mut world = World::running();
    world.child(ChildEvent::Orphaned);
    assert_eq!(world.kills, 1);
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Failed(Fault::GuardianLost)));
}

#[test]
fn what_a_guardian_was_told_to_kill_is_killed_without_it_if_it_dies_meanwhile() {
    let mut world = World::running();
    let at = world.now.plus(ms(60_000));
    world.now = at;
    world.event(Event::Woke);
    assert_eq!(world.kills, 1, "the lock is over");
    world.child(ChildEvent::Orphaned);
    assert_eq!(world.kills, 2);
    world.child(ChildEvent::Gone);
    world.released();
    assert!(matches!(world.outcome, Some(Outcome::Lost(_))), "{:?}", world.outcome);
}

#[test]
fn without_a_guardian_nothing_is_started() {
    let mut world = World::new(WaitLimit::Forever);
    world.child(ChildEvent::Orphaned);
    world.vote(&a_quorum());
    assert_eq!((world.starts, world.releases), (0, 1));
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Failed(Fault::GuardianLost)));
}

#[test]
fn whoever_leaves_without_the_lock_lets_the_guardian_go_first() {
    let mut world = World::new(WaitLimit::Once);
    world.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let mut last = Vec::new();
    for instance in 0..N {
        last = world.answer(instance, Response::Release(world.released, Release::Done(None)));
    }
    assert_eq!(last, [Action::Dismiss, Action::End(Outcome::Busy(None))]);
}

/// A run that waits in line, with the lock held by this value for nine seconds.
fn in_line(wait_limit: WaitLimit, value: &str) -> World {
    let mut world = World::new(wait_limit);
    world.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    world.released();
    world.status(value, 3);
    world
}

#[test]
fn whoever_leaves_the_line_says_so_to_all() {
    let leave = Action::Release(2, AfterRelease::LeaveQueue { hold_for: Duration::ZERO });
    let mut world = in_line(WaitLimit::Forever, "x");
    let actions = world.event(Event::Signal(Signal::INT));
    assert!(actions.contains(&leave), "{actions:?}");
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Interrupted(Signal::INT)));

    let mut world = in_line(WaitLimit::Until(Time::from_nanos(1_200_000_000)), "x");
    world.after(ms(200));
    assert_eq!(world.attempt, 2, "one last time");
    world.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    world.released();
    assert_eq!((world.releases, &world.outcome), (3, &None), "given back twice, and left");
    world.released();
    assert!(matches!(world.outcome, Some(Outcome::Busy(_))), "{:?}", world.outcome);
}

#[test]
fn a_late_answer_to_a_give_back_ends_no_run_that_leaves_the_line() {
    let mut world = World::new(WaitLimit::Forever);
    world.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
    let given_back = world.released;
    world.event(Event::Signal(Signal::TERM));
    for instance in 0..N {
        world.answer(instance, Response::Release(given_back, Release::Done(None)));
    }
    assert_eq!(world.outcome, None, "its place in line is not known to be left");
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Interrupted(Signal::TERM)));
}

#[test]
fn a_wait_is_mentioned_again_when_there_is_news_and_always_where_it_is_live() {
    for (progress, expected) in [(ProgressStyle::News, 1), (ProgressStyle::Live, 35)] {
        let options = RunOptions { progress, ..World::options() };
        let mut world = World::with(options);
        let mut progress = 0;
        world.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
        world.released();
        world.status("x", 3);
        let mut place = 3;
        while world.now < Time::from_nanos(36_100_000_000) {
            world.now = world.now.max(world.session.wake_at());
            for action in world.event(Event::Woke) {
                match action {
                    Action::Notify(Notice::Waiting { .. }) => progress += 1,
                    Action::AskStatus { .. } => {
                        world.status("x", place);
                    }
                    _ => {}
                }
            }
        }
        assert_eq!(progress, expected, "{progress:?}");
        // Somebody has gone.
        place = 1;
        world.status("x", place);
        let actions = world.after(WaitProgress::NEWS_EVERY);
        let is_told = actions
            .iter()
            .any(|a| matches!(a, Action::Notify(Notice::Waiting { place: Some(1), .. })));
        assert!(is_told, "{progress:?}: {actions:?}");
        let actions = world.event(Event::Signal(Signal::TERM));
        assert!(
            actions.contains(&Action::Notify(Notice::Waited)),
            "the line is taken back: {actions:?}"
        );
    }
}

#[test]
fn the_lock_outlives_a_command_that_was_too_quick() {
    for (label, min_hold, cooldown, ran, keep) in [
        ("nothing asked", 0, 0, 100, 0),
        ("the rest of the least", 900, 0, 100, 800),
        ("long enough", 900, 0, 950, 0),
        ("a pause after it", 0, 300, 100, 300),
        ("the longer of both", 900, 300, 100, 800),
    ] {
        let options =
            RunOptions { min_hold: ms(min_hold), cooldown: ms(cooldown), ..World::options() };
        let mut world = World::with(options);
        world.vote(&a_quorum());
        world.child(ChildEvent::Started);
        world.now = world.now.plus(ms(ran));
        let actions = world.child(ChildEvent::Ended { end: End::Exited(3), at: world.now });
        let release = Action::Release(2, AfterRelease::LeaveQueue { hold_for: ms(keep) });
        assert!(actions.contains(&release), "{label}: {actions:?}");
    }
}

#[test]
fn the_first_attempt_waits_for_its_delay_and_a_signal_ends_that_too() {
    let options = RunOptions { delay: ms(700), ..World::options() };
    let mut world = World::with(options);
    assert_eq!((world.attempt, world.session.wake_at()), (0, world.now.plus(ms(700))));
    world.after(ms(700));
    assert_eq!(world.attempt, 1);
    let mut world = World::with(options);
    world.event(Event::Signal(Signal::INT));
    world.released();
    assert_eq!((world.attempt, world.outcome), (0, Some(Outcome::Interrupted(Signal::INT))));
}

/// What comes of `signal` in a phase, once and again: passed on, nothing, or the end of the wait.
#[test]
fn every_signal_has_its_effect_in_every_phase() {
    let all = [
        Signal::INT,
        Signal::TERM,
        Signal::HUP,
        Signal::QUIT,
        Signal::USR1,
        Signal::USR2,
        Signal::WINCH,
    ];
    for signal in all {
        let ends = [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT].contains(&signal);
        let mut waiting = in_line(WaitLimit::Forever, "x");
        for again in [false, true] {
            let actions = waiting.event(Event::Signal(signal));
            let leaves = actions.iter().any(|action| matches!(action, Action::Release(..)));
            assert_eq!(
                leaves,
                ends && !again,
                "{signal} while waiting, again: {again}: {actions:?}"
            );
            assert!(!actions.contains(&Action::ForwardSignal(signal)), "there is no command");
        }

        let mut running = World::new(WaitLimit::Forever);
        running.vote(&a_quorum());
        running.child(ChildEvent::Started);
        for time in ["once", "again", "a third time"] {
            assert_eq!(
                running.event(Event::Signal(signal)),
                [Action::ForwardSignal(signal)],
                "{signal} while it runs, {time}"
            );
            assert_eq!(
                running.event(Event::Typed(signal)),
                [],
                "{signal} that was typed, {time}: the command has it"
            );
        }
        let actions = running.after(ms(1_000));
        assert!(
            matches!(actions[..], [Action::Extend(..)]),
            "{signal}: the lock is kept: {actions:?}"
        );

        // Members enough have lost the key: it is being stopped.
        running.extend(&[Extension::Foreign, Extension::Foreign, Extension::Foreign]);
        assert_eq!(running.stops, 1);
        for time in ["once", "again", "a third time"] {
            assert_eq!(
                running.event(Event::Signal(signal)),
                [Action::ForwardSignal(signal)],
                "{signal} while it stops, {time}"
            );
        }
        running.child(ChildEvent::Ended { end: End::Exited(0), at: running.now });
        running.child(ChildEvent::Gone);
        assert_eq!(running.releases, 1);
        for time in ["once", "again", "a third time"] {
            assert_eq!(
                running.event(Event::Signal(signal)),
                [],
                "{signal} while it releases, {time}"
            );
        }
        running.released();
        assert_eq!(running.outcome, Some(Outcome::Lost(LossCause::KeysGone)), "{signal}");
    }
}

#[test]
fn a_signal_while_waiting_gives_back_and_starts_nothing() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::QUIT] {
        let mut world = World::new(WaitLimit::Forever);
        world.event(Event::Signal(signal));
        world.vote(&a_quorum());
        assert_eq!((world.starts, world.releases), (0, 1), "{signal}");
        world.released();
        assert_eq!(world.outcome, Some(Outcome::Interrupted(signal)));
    }
}

#[test]
fn a_signal_during_the_spawn_is_passed_on_after_it() {
    let mut world = World::new(WaitLimit::Forever);
    world.vote(&a_quorum());
    assert_eq!(world.event(Event::Signal(Signal::TERM)), []);
    assert_eq!(world.child(ChildEvent::Started), [Action::ForwardSignal(Signal::TERM)]);
}

#[test]
fn what_is_typed_during_the_spawn_is_the_commands_or_keeps_it_from_starting() {
    for (child, outcome) in [
        (ChildEvent::Started, None),
        (ChildEvent::TooLate, Some(Outcome::Interrupted(Signal::INT))),
    ] {
        let mut world = World::new(WaitLimit::Forever);
        world.vote(&a_quorum());
        assert_eq!(world.event(Event::Typed(Signal::INT)), []);
        let actions = world.child(child);
        assert!(
            !actions.contains(&Action::ForwardSignal(Signal::INT)),
            "{child:?}: the command has it: {actions:?}"
        );
        world.released();
        assert_eq!(world.outcome, outcome, "{child:?}");
    }
}

#[test]
fn a_command_not_started_in_time_costs_the_attempt_and_nothing_else() {
    let mut world = World::new(WaitLimit::Forever);
    world.vote(&a_quorum());
    world.child(ChildEvent::TooLate);
    assert_eq!(world.releases, 1);
    world.released();
    world.after(ms(1_000));
    assert_eq!(world.attempt, 2);
}

#[test]
fn whoever_asked_to_leave_during_the_spawn_gets_no_second_attempt() {
    let mut world = World::new(WaitLimit::Forever);
    world.vote(&a_quorum());
    world.event(Event::Signal(Signal::USR1));
    world.event(Event::Signal(Signal::TERM));
    world.child(ChildEvent::TooLate);
    world.released();
    assert_eq!((world.attempt, world.outcome), (1, Some(Outcome::Interrupted(Signal::TERM))));
}

#[test]
fn the_wait_is_mentioned_once_after_a_second() {
    let mut world = World::new(WaitLimit::Forever);
    let mut progress = Vec::new();
    while world.now < Time::from_nanos(4_000_000_000) {
        world.vote(&[Vote::Denied, Vote::Denied, Vote::Denied]);
        world.released();
        world.now = world.now.max(world.session.wake_at());
        let actions = world.event(Event::Woke);
        if actions.iter().any(|action| matches!(action, Action::Notify(Notice::Waiting { .. }))) {
            progress.push(world.now);
        }
    }
    assert_eq!(progress, [Time::from_nanos(2_000_000_000)]);
}

#[test]
fn a_split_vote_is_tried_again_even_by_those_who_do_not_wait() {
    let mut world = World::new(WaitLimit::Once);
    world.vote(&[Vote::Granted, Vote::Granted, Vote::Denied, Vote::Denied, Vote::Denied]);
    world.released();
    world.after(ms(1_000));
    assert_eq!((world.attempt, &world.outcome), (2, &None));
}

#[derive(Clone, Debug)]
enum Happening {
    Wait(u64),
    Vote(usize, Vote),
    Extension(usize, Extension),
    Release(usize, Release),
    Signal(Signal),
    ChildEvent(u8),
}

fn any_happening() -> impl Strategy<Value = Happening> {
    let timed_out = || NoVoteReason::TimedOut;
    let vote = prop_oneof![3 => Just(Vote::Granted), 1 => Just(Vote::Denied), 1 => Just(Vote::Unknown(timed_out()))];
    let extension = prop_oneof![
        4 => Just(Extension::Kept),
        1 => Just(Extension::SetAgain),
        1 => Just(Extension::Foreign),
        2 => Just(Extension::Unknown(timed_out())),
    ];
    let release = prop_oneof![2 => Just(Release::Done(None)), 1 => Just(Release::Written), 1 => Just(Release::Unknown(timed_out()))];
    prop_oneof![
        3 => (0_u64..1_500).prop_map(Happening::Wait),
        6 => (0..N, vote).prop_map(|(i, v)| Happening::Vote(i, v)),
        6 => (0..N, extension).prop_map(|(i, e)| Happening::Extension(i, e)),
        3 => (0..N, release).prop_map(|(i, r)| Happening::Release(i, r)),
        1 => prop_oneof![Just(Signal::INT), Just(Signal::TERM), Just(Signal::USR1)].prop_map(Happening::Signal),
        2 => (0_u8..8).prop_map(Happening::ChildEvent),
    ]
}

impl World {
    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wait(millis) => drop(self.after(ms(millis))),
            Happening::Vote(instance, vote) => {
                drop(self.answer(instance, Response::Vote(self.attempt, vote)));
            }
            Happening::Extension(instance, extension) => {
                drop(self.answer(instance, Response::Extension(extension)));
            }
            Happening::Release(instance, release) => {
                drop(self.answer(instance, Response::Release(self.released, release)));
            }
            Happening::Signal(signal) => drop(self.event(Event::Signal(signal))),
            Happening::ChildEvent(which) => self.live(which),
        }
    }

    /// Something that can happen to the command as it is now.
    fn live(&mut self, which: u8) {
        let end = End::Exited(0);
        match (self.command, which) {
            (Command::Asked, 0..=4) => drop(self.child(ChildEvent::Started)),
            (Command::Asked, 5) => drop(self.child(ChildEvent::TooLate)),
            (Command::Asked, 6) => drop(self.child(ChildEvent::NotStarted(SpawnError::NotFound))),
            (Command::Running, 0) => drop(self.child(ChildEvent::Ended { end, at: self.now })),
            (Command::Running, 1) => drop(self.child(ChildEvent::Expired)),
            (Command::Running, 2) => drop(self.child(ChildEvent::Resumed)),
            (Command::Running, 3) => drop(self.child(ChildEvent::Orphaned)),
            (Command::Running | Command::Over, _) if self.kills > 0 && self.outcome.is_none() => {
                drop(self.child(ChildEvent::Gone));
            }
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn whatever_happens_it_starts_once_releases_after_the_command_and_ends(
        happenings in prop::collection::vec(any_happening(), 0..80),
        wait in prop_oneof![Just(WaitLimit::Once), Just(WaitLimit::Forever)],
    ) {
        let mut world = World::new(wait);
        for happening in happenings {
            world.happen(happening);
        }
        world.event(Event::Signal(Signal::TERM));
        for _ in 0..40 {
            if world.command == Command::Asked {
                world.child(ChildEvent::Started);
            }
            if world.command == Command::Running {
                world.ended(0);
            }
            if world.kills > 0 && world.outcome.is_none() {
                world.child(ChildEvent::Gone);
            }
            world.after(ms(400));
        }
        prop_assert!(world.outcome.is_some(), "{:?}", world.session);
    }
}

#[test]
fn a_slow_first_attempt_is_not_woken_for_a_mention() {
    let schedule = Schedule::new(Ttl::new(ms(10_000)).unwrap(), None, Some(ms(1_500))).unwrap();
    let mut world = World::with(RunOptions { schedule, ..World::options() });
    assert_eq!(world.after(WaitProgress::SILENCE), [], "nothing is known yet");
    assert_eq!(world.session.wake_at().since(world.now), ms(500), "the time limit of the attempt");
}

#[test]
fn whoever_waits_asks_all_for_a_place_and_whoever_only_looks_takes_none() {
    for (wait_limit, slots, waited) in
        [(WaitLimit::Forever, 1, Some(ms(70))), (WaitLimit::Once, 2, None)]
    {
        let mut world = World::with(RunOptions { wait_limit, slots, ..World::options() });
        world.after(ms(70));
        world.vote(&[Vote::Denied, Vote::Denied]);
        let actions = world.answer(2, Response::Vote(1, Vote::Denied));
        let watch = Action::AskStatus { instances: (0..N).collect(), waited };
        assert_eq!(
            actions,
            [Action::Release(1, AfterRelease::StayQueued), watch],
            "{wait_limit:?}"
        );
    }
}

#[test]
fn a_release_that_no_majority_confirmed_is_told_of_a_lock_that_was_held() {
    for (label, done, told) in [("a majority", 3, false), ("a minority", 2, true)] {
        let mut world = World::running();
        world.ended(0);
        let mut actions = Vec::new();
        for instance in 0..N {
            let response = if instance < done {
                Release::Done(None)
            } else {
                Release::Unknown(NoVoteReason::TimedOut)
            };
            actions = world.answer(instance, Response::Release(world.released, response));
        }
        let is_told = actions
            .iter()
            .any(|action| matches!(action, Action::Notify(Notice::ReleaseIncomplete(_))));
        assert_eq!(is_told, told, "{label}: {actions:?}");
    }
    let mut world = World::new(WaitLimit::Forever);
    world.event(Event::Signal(Signal::INT));
    let actions = world.after(ms(150));
    assert_eq!(
        actions,
        [Action::End(Outcome::Interrupted(Signal::INT))],
        "what was never held is no news"
    );
}

#[test]
fn an_extension_gives_a_command_that_is_to_stop_no_more_time() {
    let mut world =
        World::running_with(RunOptions { max_runtime: Some(ms(900)), ..World::options() });
    let killed_at = world.now.plus(ms(900 + 750));
    world.after(ms(900));
    assert_eq!(world.stops, 1);
    world.after(ms(100));
    world.extend(&[Extension::Kept, Extension::Kept]);
    assert_eq!(
        world.answer(2, Response::Extension(Extension::Kept)),
        [Action::SetKillDeadline(killed_at)]
    );
}

#[test]
fn a_lock_that_is_lost_during_the_spawn_stops_what_comes_of_it() {
    let mut world = World::new(WaitLimit::Forever);
    world.vote(&a_quorum());
    let actions = world.after(ms(2_968 - 750));
    assert_eq!((world.stops, world.kills), (1, 0));
    assert_eq!(actions[0], Action::RunLostHook);
    world.child(ChildEvent::TooLate);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Lost(LossCause::NoQuorum)));
}

#[test]
fn a_loss_during_the_spawn_that_is_only_warned_of_is_told_once_the_command_runs() {
    let mut world = World::with(RunOptions { on_lost: OnLost::Warn, ..World::options() });
    world.vote(&a_quorum());
    assert!(world.after(ms(1_000)).contains(&Action::Extend(IfMissing::Leave, (0..N).collect())));
    world.now = world.now.plus(ms(2_968));
    while world.session.wake_at() <= world.now {
        assert!(!world.event(Event::Woke).contains(&Action::RunLostHook));
    }
    assert_eq!(
        world.child(ChildEvent::Started),
        [Action::RunLostHook, Action::Notify(Notice::Lost(LossCause::NoQuorum))]
    );
    assert_eq!(world.after(ms(1)), []);
}

#[test]
fn whoever_wakes_at_the_kill_line_no_longer_asks() {
    for (label, late, stops) in [("just before it", 2_817, 1), ("at it", 2_818, 0)] {
        let mut world = World::running();
        world.after(ms(late));
        assert_eq!((world.stops, world.kills), (stops, 1 - stops), "{label}");
    }
}

#[test]
fn a_signal_that_asks_nobody_to_leave_ends_no_wait() {
    for signal in [Signal::USR1, Signal::USR2, Signal::WINCH, Signal::CONT] {
        let mut world = World::new(WaitLimit::Forever);
        assert_eq!(world.event(Event::Signal(signal)), [], "{signal}");
        world.vote(&a_quorum());
        assert_eq!(world.starts, 1, "{signal}");
    }
}

#[test]
fn a_job_stops_as_a_whole_and_the_clock_is_looked_at_when_it_goes_on() {
    for signal in [Signal::TSTP, Signal::new(21), Signal::new(22)] {
        let mut waiting = in_line(WaitLimit::Forever, "x");
        assert_eq!(waiting.event(Event::Typed(signal)), [Action::Suspend(signal)], "while waiting");

        let mut running = World::running();
        assert_eq!(running.event(Event::Typed(signal)), [], "the command may handle it");
        assert_eq!(running.event(Event::Signal(signal)), [Action::ForwardSignal(signal)]);
        assert_eq!(running.child(ChildEvent::Stopped(signal)), [Action::Suspend(signal)]);
        assert_eq!(running.child(ChildEvent::Resumed), [Action::Resume]);

        let mut late = World::running();
        late.child(ChildEvent::Stopped(signal));
        late.now = late.now.plus(ms(5_000));
        late.child(ChildEvent::Resumed);
        assert_eq!((late.stops, late.kills), (0, 1), "the lock is over");
    }
    let mut running = World::running();
    assert_eq!(
        running.child(ChildEvent::Stopped(Signal::new(19))),
        [],
        "SIGSTOP of the command alone: the lock is kept"
    );
}

#[test]
fn a_command_whose_end_was_not_seen_ends_the_run() {
    let mut world = World::running();
    world.child(ChildEvent::Gone);
    world.released();
    assert_eq!(world.outcome, Some(Outcome::Failed(Fault::EndUnseen)));
}

#[test]
fn processes_that_do_not_die_are_told_of() {
    let mut world = World::running();
    let told = world.child(ChildEvent::Unkillable(7));
    assert_eq!(told, [Action::Notify(Notice::Unkillable { pid: 7 })]);
    assert_eq!(world.child(ChildEvent::Unseen), [Action::Notify(Notice::Unseen)]);
}

#[test]
fn news_of_a_command_that_was_not_started_end_no_wait() {
    for child in [ChildEvent::TooLate, ChildEvent::Resumed, ChildEvent::Expired, ChildEvent::Gone] {
        let mut world = World::new(WaitLimit::Forever);
        assert_eq!(world.event(Event::Child(child)), [], "{child:?}");
    }
}

#[test]
fn a_command_that_ended_at_the_deadline_or_later_is_lost() {
    let ended = || Outcome::Ended(End::Exited(0));
    for (ended_after, on_lost, kills, outcome) in [
        (2_967, OnLost::Stop, 0, ended()),
        (2_968, OnLost::Stop, 1, Outcome::Lost(LossCause::EndedAfterExpiry)),
        (2_967, OnLost::Warn, 0, ended()),
        (2_968, OnLost::Warn, 0, Outcome::Lost(LossCause::EndedAfterExpiry)),
    ] {
        let mut world = World::running_with(RunOptions { on_lost, ..World::options() });
        let at = world.now.plus(ms(ended_after));
        world.now = world.now.plus(ms(3_000));
        world.child(ChildEvent::Ended { end: End::Exited(0), at });
        assert_eq!(world.kills, kills, "{ended_after}");
        if kills > 0 {
            world.child(ChildEvent::Gone);
        }
        world.released();
        assert_eq!(world.outcome, Some(outcome), "{ended_after}");
    }
}
