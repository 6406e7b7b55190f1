//! Faults of servers and networks: `redlock doctor` reports each, and ends soon.

use super::{HEALTHY, doctor, finds};
use crate::support::clock::{now, since};
use crate::support::means::{apart, etc, redlock_with_etc};
use crate::support::proxy::{Fate, Proxy, Way};
use crate::support::run::REDLOCK;
use crate::support::{Cluster, Run, until};
use std::fs;
use std::net::TcpListener;
use std::time::Duration;

/// The longest time limit of `redlock doctor` is 2 s; the rest is for a busy machine.
const SOON: Duration = Duration::from_secs(5);

fn ends_soon(label: &str, run: Run, code: i32) -> String {
    let start = now();
    let text = run.finish().expect(label, code).out();
    let took = since(start);
    println!("doctor, {label}: {took:?}");
    assert!(took < SOON, "{label}: {took:?}");
    text
}

#[test]
fn it_ends_soon_with_servers_that_are_dead_or_hang() {
    let mut cluster = Cluster::start(5);
    cluster.kill(0);
    cluster.stop(1);
    cluster.stop(2);
    let text = ends_soon("one dead and two hung of five", doctor(&cluster), 69);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert_eq!(text.matches("timed out; start it, or mend the way to it").count(), 2, "{text}");
    // A longer time limit of the operations does not make the checkup longer.
    let patient = doctor(&cluster).args(["--op-timeout", "9s", "--ttl", "60s"]);
    let text = ends_soon("with --op-timeout 9s", patient, 69);
    assert_eq!(text.lines().count(), 3, "{text}");
    cluster.cont(1);
    cluster.cont(2);
}

#[test]
fn it_ends_soon_with_servers_that_take_a_connection_and_never_answer() {
    let cluster = Cluster::start(5);
    // The kernel accepts the connection, and no program accepts it from the kernel.
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let deaf = format!("redis://{}", deaf.local_addr().expect("an address"));
    let [held, half, slow] = [2, 3, 4].map(|i| Proxy::before(cluster.port(i)));
    held.set(Way::Requests, Fate::Hold);
    // This server answers the first questions and is then silent.
    half.set(Way::Replies, Fate::HoldAfterFirst);
    slow.set(Way::Replies, Fate::Trickle(Duration::from_millis(50)));
    let urls = [cluster.url(0), deaf, held.url(), half.url(), slow.url()].join(",");
    let text = ends_soon("four of five are silent", doctor(&cluster).env("REDLOCK_URLS", urls), 69);
    assert_eq!(text.matches("timed out; start it, or mend the way to it").count(), 4, "{text}");
    assert_eq!(text.lines().count(), 4, "{text}");
    cluster.until_no_key_is_left();
}

#[test]
fn a_server_whose_last_save_failed_takes_no_keys() {
    let cluster = Cluster::start(3);
    let gone = cluster.dir().join("gone");
    fs::create_dir(&gone).unwrap();
    cluster.cli(2, &["CONFIG", "SET", "dir", gone.to_str().unwrap()]);
    fs::remove_dir(&gone).unwrap();
    cluster.cli(2, &["CONFIG", "SET", "save", "3600 1"]);
    cluster.cli(2, &["BGSAVE"]);
    let info = || cluster.ask::<String>(2, &["INFO", "persistence"]);
    until("the save has failed", || info().contains("rdb_last_bgsave_status:err"));
    finds(&cluster, "MISCONF", 69, &["its last save failed", "takes no new locks now: MISCONF"]);
    cluster.cli(2, &["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]);
    finds(&cluster, "a save that stops nothing", 0, &["its last save failed"]);
}

#[test]
fn advice_for_a_server_in_protected_mode_is_given() {
    // The server denies clients that do not come over loopback: a network of its own, with one more
    // address.
    let cluster = Cluster::start(1);
    let script = format!(
        "ip link set lo up && ip addr add 10.231.9.1/32 dev lo || exit 99
         for p in 1 2 3; do
             redis-server --port 700$p --protected-mode yes --save '' --set-proc-title no \
                 >server$p.log 2>&1 & pids=\"$pids $!\"
         done
         for p in 1 2 3; do until grep -q 'Ready to accept' server$p.log; do sleep 0.02; done; done
         export REDLOCK_URLS='10.231.9.1:7001 10.231.9.1:7002 10.231.9.1:7003' REDLOCK_RESTART_GUARD=off
         {REDLOCK} doctor; code=$?; kill $pids; wait; exit $code"
    );
    let Some(run) = apart(&cluster, "n") else { return };
    let text = run.args(["sh", "-c", &script]).finish().expect("protected mode", 78).out();
    assert_eq!(text.matches("DENIED").count(), 3, "{text}");
    assert_eq!(
        text.matches("set a password for the default user, or turn it off").count(),
        3,
        "{text}"
    );
}

#[test]
fn names_with_several_addresses_are_told() {
    let mut cluster = Cluster::start(3);
    // A server that is not on this host must not be open.
    (0..3).for_each(|i| cluster.require_password(i, "s3cret"));
    let _second = Proxy::listening("127.0.0.2", cluster.port(2), cluster.port(2));
    let hosts = |second: &str| {
        let text =
            format!("127.0.0.1 one.test\n127.0.0.1 two.test\n127.0.0.1 three.test\n{second}");
        fs::write(etc(&cluster).join("hosts"), text).expect("a file");
    };
    let names = ["one.test", "two.test", "three.test"];
    let urls: Vec<String> =
        (0..3).map(|i| format!("redis://{}:{}", names[i], cluster.port(i))).collect();
    for (second, expected) in [
        ("", HEALTHY),
        // One address of each kind is one host.
        ("::1 three.test\n", HEALTHY),
        (
            "127.0.0.2 three.test\n",
            "its name has 2 addresses, so that it may be another server each time",
        ),
    ] {
        hosts(second);
        let Some(run) = redlock_with_etc(&cluster, "", "true") else { return };
        let run = run.env("REDLOCK_URLS", urls.join(",")).env("REDLOCK_PASSWORD", "s3cret");
        let text = run.args(["doctor"]).finish().expect(second, 0).out();
        assert_eq!(text.lines().count(), 1, "{second}: {text}");
        assert!(text.contains(expected), "{second}: {text}");
    }
}

#[test]
fn clocks_that_differ_from_ours_and_from_each_other_are_told() {
    let mut cluster = Cluster::start(3);
    cluster.restart_with_clock(1);
    cluster.restart_with_clock(2);
    let told = |first: &str, second: &str| {
        cluster.set_clock(1, first);
        cluster.set_clock(2, second);
        let run = doctor(&cluster).env("REDLOCK_RESTART_GUARD", "off");
        run.finish().expect(second, 0).out()
    };
    let text = told("0", "60");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains("its clock differs from the one of this host by "), "{text}");
    let text = told("0", "0");
    assert_eq!(text, HEALTHY);
    // Each measurement is right to a second.
    until("the two are measured as apart", || {
        let text = told("-0.7", "0.7");
        let line = format!("its clock and the one of {} differ by ", cluster.address(1));
        let is_alone = text.lines().count() == 1;
        is_alone && text.starts_with(&cluster.address(2)) && text.contains(&line)
    });
}
