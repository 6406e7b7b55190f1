//! What the guardian is told, and when it is woken for it.

use super::super::spawn::passed;
use super::*;
use std::io::Read as _;

fn ward(socket: UnixStream, gate: OwnedFd, lines: OwnedFd) -> Ward {
    let (timer, kill_at, unseen) = (Timer::new().unwrap(), Cell::new(Time::NEVER), Cell::new(0));
    Ward { socket, gate, lines, timer, kill_at, unseen, guardian: Pid::this() }
}

#[test]
fn the_gate_opens_only_where_the_guardian_can_see_until_when() {
    let (socket, _guardian) = UnixStream::pair().unwrap();
    let (gate, key) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
    let (drawn, lines) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
    let ward = ward(socket, key, lines);
    let (stop_at, kill_at) = (Time::from_nanos(1), Time::from_nanos(2));
    ward.open(stop_at, kill_at);
    assert_eq!((passed(&drawn), passed(&gate)), (Some([stop_at, kill_at]), Some([stop_at])));
    while ward.draw(stop_at, kill_at) {}
    ward.open(stop_at, kill_at);
    assert_eq!(passed::<1>(&gate), None, "there is no room for them");
    drop(drawn);
    ward.open(stop_at, kill_at);
    assert_eq!(passed::<1>(&gate), None, "it is dead");
}

#[test]
fn a_guardian_is_woken_only_for_a_line_that_comes_nearer() {
    let (socket, guardian) = UnixStream::pair().unwrap();
    guardian.set_nonblocking(true).unwrap();
    let (_gate, key) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let (drawn, lines) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).unwrap();
    let ward = ward(socket, key, lines);
    ward.start(1, vec![], Time::from_nanos(4), Time::from_nanos(5));
    let mut bytes = [0; 100];
    assert!((&guardian).read(&mut bytes).is_ok(), "it has something to start");
    let at = |nanos| [NO_GATE, Time::from_nanos(nanos)];
    assert_eq!(passed(&drawn), Some(at(5)));
    for (nanos, wakes) in [(9, false), (8, true), (u64::MAX, false), (10, true)] {
        ward.guard(Time::from_nanos(nanos));
        assert_eq!((passed(&drawn), (&guardian).read(&mut bytes).is_ok()), (Some(at(nanos)), wakes), "{nanos}");
        ward.guard(Time::from_nanos(nanos));
        assert_eq!(passed::<2>(&drawn), None, "{nanos}: it is there already");
    }
    let far = |n: u32| Time::from_nanos(u64::MAX / 2).plus(std::time::Duration::from_secs(n.into()));
    let woken = (0..1_000).filter(|n| {
        ward.guard(far(*n));
        (&guardian).read(&mut bytes).is_ok()
    });
    assert_eq!(woken.count(), 10, "now and then, or the pipe would fill");
    assert!((0..1_000).all(|n| passed(&drawn) == Some([NO_GATE, far(n)])), "there was room for all");
}
