//! Schedules at the edges of the algorithm, each with exact moments. Before redlock had the rule
//! that a schedule is about, its commands overlapped.
//!
//! All clocks are right and each message takes a millisecond. A run gets its votes at its start,
//! and a holder extends every third of its TTL. A stopped holder notices nothing, and its guardian
//! kills the command at the deadline.

use super::checker::overlap;
use super::client::{Before, Run};
use super::faults::Fault;
use super::safety::verdict;
use super::server::Manner;
use super::world::{MS, World, plain};
use redlock_cli::lock::{NoVoteReason, Vote};
use redlock_cli::policy::{End, LossCause, Notice, Outcome};

const DONE: Option<Outcome> = Some(Outcome::Ended(End::Exited(0)));

/// A world of three servers with a holder whose command runs for `runtime` ms. Also returns the
/// moment at which the holder begins.
fn held(run: Run) -> (World, u64) {
    let mut world = World::exact(3);
    let begun = world.now;
    world.client(run);
    world.run(begun + 20 * MS);
    assert_eq!(world.figures.sections, 1);
    (world, begun)
}

/// Makes each fault at its millisecond, starts a second run at `arrives`, and runs the world to its
/// end.
fn play(world: &mut World, begun: u64, faults: &[(u64, Fault)], arrives: u64, second: Run) {
    for (at, fault) in faults {
        world.fault(begun + at * MS, *fault);
    }
    world.run(begun + arrives * MS);
    world.client(second);
    world.run(begun + 120_000 * MS);
}

/// The holder is stopped from `from` to `to`. The first two servers restart empty right after
/// `from`, with a step of their clocks by `step` ms.
fn two_restart_empty(from: u64, to: u64, step: i64) -> Vec<(u64, Fault)> {
    let restart = |server| Fault::Restart { server, forgets: true, step: step * 1_000_000 };
    let pause = [(from, Fault::Freeze { client: 0 }), (to, Fault::Thaw { client: 0 })];
    pause.into_iter().chain((0..2).map(|server| (from + 1, restart(server)))).collect()
}

fn long(ttl: u64, runtime: u64) -> Run {
    Run { ttl, guard: Some(3_000), ..plain(3, runtime) }
}

/// Server 0 loses the key of the holder at 100. The round of 337 finds that, and its request to set
/// the key again is delayed until 980. Servers 1 and 2 confirm the rounds of 337 and 671. At 700,
/// `loss`; another run acquires 0 and 2, works for 40 ms and ends. Then the key is set again on 0,
/// and the round of 1,004 finds it. The reply of 2 to that round comes at 1,100.
///
/// Before: the confirmations of the second and the third round counted as later than the new key,
/// so 0 was a member at once, and the holder ended with 0 after the overlap.
fn a_key_set_again_late(loss: Fault) -> World {
    let (mut world, begun) = held(plain(3, 2_000));
    let part = |instance, until, only_back| Fault::Part {
        client: 0,
        instance,
        until: begun + until * MS,
        only_back,
    };
    let faults = [
        (100, Fault::Delete { server: 0 }),
        (339, part(0, 980, false)),
        (700, loss),
        (1_003, part(2, 1_100, true)),
    ];
    play(&mut world, begun, &faults, 702, Run { wait_limit: Some(0), ..plain(3, 40) });
    world
}

#[test]
fn a_key_that_is_set_again_late_does_not_count_by_earlier_confirmations() {
    // No rule can know that a key was deleted by hand under a bare quorum. The holder only has to
    // notice.
    let world = a_key_set_again_late(Fault::Delete { server: 2 });
    assert_eq!(world.clients[1].outcome, DONE, "the other run had its turn");
    assert_eq!(world.clients[0].outcome, Some(Outcome::Lost(LossCause::KeysGone)));
}

#[test]
fn a_server_that_restarts_empty_lets_no_other_run_in_beside_a_key_that_is_set_again_late() {
    let mut world = a_key_set_again_late(Fault::Restart { server: 2, forgets: true, step: 0 });
    assert!(matches!(world.clients[1].outcome, Some(Outcome::NoQuorum(_) | Outcome::Busy(_))));
    assert_eq!(verdict(&mut world), None);
}

/// The holder's lease ends at 9,900. Two servers restart empty at 1,001. The user has no right to
/// ask the one for its uptime, so it votes. On the other, no mark can be set, so its uptime
/// decides. It hangs at once, until 7,000, with the first INFO in its queue. The second run is
/// stopped from 1,020 to 7,050, so that it sends nothing else before it reads the reply.
///
/// Before: the time from the request to the reply was added to the uptime, and the vote counted
/// from 7,100 on and not from 12,000: two commands at once for 2.6 s.
#[test]
fn an_uptime_that_comes_late_is_that_of_the_moment_at_which_it_comes() {
    let run = |runtime| Run { ttl: 10_000, guard: Some(10_000), ..plain(3, runtime) };
    let (mut world, begun) = held(run(60_000));
    world.servers[0].manner = Manner::Unmarkable;
    world.servers[1].manner = Manner::NotPermitted;
    let mut faults = two_restart_empty(1_000, 20_000, 0);
    faults.push((1_002, Fault::Hang { server: 0, until: begun + 7_000 * MS }));
    faults.extend([(1_020, Fault::Freeze { client: 1 }), (7_050, Fault::Thaw { client: 1 })]);
    play(&mut world, begun, &faults, 1_010, run(20));
    assert_eq!(verdict(&mut world), None);
    assert_eq!(world.clients[1].outcome, DONE);
}

/// Two servers restart empty at 1,001. Until 1,200, each runs a script of another client behind
/// each vote, so that INFO is refused.
///
/// Before: the later votes on these connections counted without a guard: two commands at once for
/// 2.0 s.
#[test]
fn a_vote_without_an_account_does_not_count() {
    for manner in [Manner::Open, Manner::Unmarkable] {
        let (mut world, begun) = held(long(3_000, 20_000));
        (0..2).for_each(|server| world.servers[server].manner = manner);
        let mut faults = two_restart_empty(1_000, 6_000, 0);
        faults.extend(
            (0..2).map(|server| (1_002, Fault::Busy { server, until: begun + 1_200 * MS })),
        );
        play(&mut world, begun, &faults, 1_010, long(3_000, 20));
        assert_eq!(verdict(&mut world), None, "{manner:?}");
    }
}

/// The holder's lease is 3 s, and the other run's TTL is 500 ms.
///
/// Before: the guard of a run was its own TTL: two commands at once for 2.0 s. That still happens
/// if the hosts do not share one guard, as the second half shows.
#[test]
fn a_short_ttl_has_the_guard_of_the_longest_lease() {
    for (guard, overlaps) in [(3_000, false), (500, true)] {
        let (mut world, begun) = held(long(3_000, 20_000));
        let second = Run { ttl: 500, guard: Some(guard), ..plain(3, 20) };
        play(&mut world, begun, &two_restart_empty(1_000, 6_000, 0), 1_010, second);
        assert_eq!(overlap(&world.sections).is_some(), overlaps, "{guard}");
    }
}

/// The key is kept for 3 s after its run.
#[test]
fn a_lock_that_is_kept_after_its_run_outlives_restarts_too() {
    let (mut world, begun) = held(Run { cooldown: 3_000, ..long(500, 300) });
    let restart = |server| (400, Fault::Restart { server, forgets: true, step: 0 });
    play(&mut world, begun, &[restart(0), restart(1)], 410, Run { ttl: 500, ..long(500, 20) });
    let from = world.sections.iter().map(|section| section.from).max().unwrap();
    assert!(from >= begun + 3_300 * MS, "{:?}", world.sections);
    assert_eq!(verdict(&mut world), None);
}

/// Two servers restart empty, and their clocks are set by an hour.
///
/// Before: after a step forward, INFO told 3,600 s and their votes counted at once. After a step
/// back, the uptime was negative and could not be parsed, and the guard was off without a warning.
/// Two commands at once for 2.0 s in both cases.
#[test]
fn an_uptime_that_a_clock_has_moved_is_believed_neither_way() {
    for hours in [1, -1] {
        let (mut world, begun) = held(long(3_000, 20_000));
        play(&mut world, begun, &two_restart_empty(1_000, 6_000, 0), 1_010, long(3_000, 20));
        assert_eq!(verdict(&mut world), None);
        // The same with the clock set right after the start.
        let (mut world, begun) = held(long(3_000, 20_000));
        let mut faults = two_restart_empty(1_000, 6_000, 0);
        faults.extend(
            (0..2)
                .map(|server| (1_003, Fault::StepClock { server, by: hours * 3_600_000_000_000 })),
        );
        play(&mut world, begun, &faults, 1_010, long(3_000, 20));
        assert_eq!(verdict(&mut world), None, "{hours}");
        assert_eq!(world.clients[1].outcome, DONE, "{hours}");
    }
}

/// All connections of the holder are forgotten at 400. The same hosts answer on new ones.
///
/// Before: no time limit ended a connection, and the lock was lost (74) at 1,000 although no server
/// had failed.
#[test]
fn a_firewall_that_forgets_flows_ends_no_run() {
    let (mut world, begun) = held(plain(3, 5_000));
    for number in 0..4 {
        let faults =
            (0..3).map(|instance| (400 + 900 * number, Fault::Forget { client: 0, instance }));
        faults.for_each(|(at, fault)| world.fault(begun + at * MS, fault));
    }
    world.run(begun + 30_000 * MS);
    assert_eq!(world.clients[0].outcome, DONE);
    assert!(world.figures.asides >= 12, "{:?}", world.figures);
    assert_eq!(verdict(&mut world), None);
}

/// The holder is cut off at 330, extends at 335, and is killed at 340. Its kernel still has the
/// extension, which arrives at 1,500 on all servers, when the key has expired.
///
/// Before: the extension set the key again on all servers, and the next run got in one TTL later:
/// with a TTL of 10 s, 15.7 s after the death.
#[test]
fn requests_of_a_dead_holder_set_no_key_on_a_majority() {
    let (mut world, begun) = held(plain(3, 10_000));
    let until = begun + 1_500 * MS;
    let mut faults: Vec<_> = (0..3)
        .map(|instance| (330, Fault::Part { client: 0, instance, until, only_back: false }))
        .collect();
    faults.push((340, Fault::Kill { client: 0 }));
    play(&mut world, begun, &faults, 1_510, Run { wait_limit: Some(0), ..plain(3, 20) });
    assert_eq!(world.clients[1].outcome, DONE);
    assert_eq!(verdict(&mut world), None);
}

/// Two names move to fresh servers that have been up for long, 800 ms apart with a guard of 1 s.
/// The old servers end.
///
/// Before: the fresh servers voted at once, because of their uptimes: two commands at once for 6.0
/// s.
#[test]
fn names_that_move_to_servers_that_have_been_up_for_long_let_no_run_in() {
    for is_stopped in [true, false] {
        let (mut world, begun) = held(plain(3, 10_000));
        let mut faults: Vec<_> = [(100, 0), (900, 1)]
            .into_iter()
            .map(|(at, host)| (at, Fault::MoveName { host, ends: true }))
            .collect();
        if is_stopped {
            faults.extend([(899, Fault::Freeze { client: 0 }), (4_000, Fault::Thaw { client: 0 })]);
        }
        play(&mut world, begun, &faults, 905, plain(3, 20));
        assert_eq!(verdict(&mut world), None, "{is_stopped}");
        if !is_stopped {
            assert_eq!(world.clients[0].outcome, DONE, "it has moved along");
        }
    }
}

/// All servers restart from their logs, 100 ms apart, and lose no key.
///
/// Before: each became a member again only in the second round after its restart, and the third
/// restart ended the job.
#[test]
fn servers_that_restart_from_their_logs_one_soon_after_the_other_end_no_run() {
    let (mut world, begun) = held(plain(3, 4_000));
    for number in 0..9 {
        let server = usize::try_from(number).unwrap() % 3;
        world.fault(
            begun + (400 + 100 * number) * MS,
            Fault::Restart { server, forgets: false, step: 0 },
        );
    }
    world.run(begun + 30_000 * MS);
    assert_eq!(world.clients[0].outcome, DONE);
}

/// The clock of one server is set forward by half a second at 400, on a connection that has lasted
/// since the start.
#[test]
fn a_clock_that_steps_is_noticed_with_the_next_extension() {
    let (mut world, begun) = held(plain(3, 2_000));
    world.fault(begun + 400 * MS, Fault::StepClock { server: 0, by: 500_000_000 });
    world.run(begun + 30_000 * MS);
    let is_step = |notice: &Notice| matches!(notice, Notice::ClockStepped { instance: 0, .. });
    assert!(world.clients[0].notices.iter().any(is_step), "{:?}", world.clients[0].notices);
    assert_eq!(world.clients[0].outcome, DONE);
}

/// A contender is stopped between its decision and its write. Meanwhile another run has the lock
/// and ends, and the servers restart.
#[test]
fn a_contender_that_is_stopped_before_it_writes_starts_nothing_on_old_facts() {
    for before in [Before::Vote, Before::Start] {
        for stopped in [100, 300, 3_000] {
            let mut world = World::exact(3);
            let begun = world.now;
            world.freezes_next = Some(before);
            let contender = world.client(plain(3, 500));
            world.fault(begun + (100 + stopped) * MS, Fault::Thaw { client: contender });
            let restart = |server| Fault::Restart { server, forgets: true, step: 0 };
            (0..3).for_each(|server| world.fault(begun + 50 * MS, restart(server)));
            world.run(begun + 60 * MS);
            assert!(world.clients[contender].is_frozen);
            world.client(plain(3, 200));
            world.run(begun + 60_000 * MS);
            assert_eq!(verdict(&mut world), None, "{before:?} {stopped}");
            assert!(!world.sections.is_empty(), "{before:?} {stopped}");
        }
    }
}

/// Without a mark on any server, the servers count as new, and the first run does not wait.
#[test]
fn a_first_use_waits_for_no_guard_and_a_second_run_for_the_first() {
    let mut world = World::exact(3);
    world.servers.iter_mut().for_each(super::server::Server::unmark);
    let begun = world.now;
    world.client(plain(3, 400));
    world.client(plain(3, 400));
    world.run(begun + 60_000 * MS);
    assert!(world.sections[0].from < begun + 100 * MS, "{:?}", world.sections);
    assert_eq!((verdict(&mut world), world.sections.len()), (None, 2));
}

/// One fresh server among older ones abstains.
#[test]
fn one_server_without_a_mark_abstains_and_the_others_decide() {
    let mut world = World::exact(3);
    world.servers[0].unmark();
    world.servers[1].hangs_until = world.now + 400 * MS;
    world.client(Run { wait_limit: Some(0), ..plain(3, 10) });
    world.run(world.now + 10_000 * MS);
    let Some(Outcome::NoQuorum(votes)) = &world.clients[0].outcome else {
        panic!("{:?}", world.clients[0].outcome)
    };
    assert!(matches!(votes[0], Some(Vote::Unknown(NoVoteReason::Unproven { .. }))), "{votes:?}");
}
