//! `examples/servers` as it is: the files that `prepare.sh` writes start three servers on machines
//! of their own, and other machines lock over them, before and after a restart.
#![cfg(feature = "tls")]

use crate::support::machines::{Machine, Network};
use crate::support::run::REDLOCK;
use crate::support::{Cluster, HOLD, Run, Running, until};
use std::fs;
use std::path::{Path, PathBuf};

const SERVERS: [(&str, &str); 3] =
    [("lock-1", "10.0.0.11"), ("lock-2", "10.0.0.12"), ("lock-3", "10.0.0.13")];

fn example(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/servers").join(file)
}

/// Runs `prepare.sh`, and returns its output directory.
fn prepare(cluster: &Cluster, options: &[&str]) -> PathBuf {
    let out = cluster.dir().join("out");
    let run = Run::program(cluster, example("prepare.sh").to_str().unwrap());
    let servers = SERVERS.map(|(name, address)| format!("{name}={address}"));
    run.args(options).args([out.to_str().unwrap()]).args(servers).finish().expect("prepare.sh", 0);
    out
}

/// Copies the files of `prepare.sh` for a machine to the place that docs/servers.md names.
fn bring(from: &Path, machine: &Machine, to: &str) {
    let to = machine.etc().join(to);
    let mut copy = std::process::Command::new("cp");
    assert!(copy.arg("-r").args([from, &to]).status().unwrap().success());
    let hosts = SERVERS.map(|(name, address)| format!("{address} {name}\n"));
    fs::write(machine.etc().join("hosts"), format!("127.0.0.1 localhost\n{}", hosts.concat()))
        .unwrap();
}

/// The line of the unit that starts the server, without the option for systemd.
fn exec_start() -> Vec<String> {
    let unit = fs::read_to_string(example("redlock-server.service")).unwrap();
    let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let words = line.replace("/usr/bin/redis-server", "redis-server");
    words.replace(" --supervised systemd", "").split(' ').map(str::to_owned).collect()
}

/// The server of a machine, as its unit would start it.
fn serve(machine: &Machine) -> Running {
    // What `StateDirectory=` does in the unit.
    machine.program("mkdir").args(["-p", "/var/lib/redlock-server"]).finish().expect("mkdir", 0);
    let words = exec_start();
    let running =
        machine.program(&words[0]).args(&words[1..]).args(["--set-proc-title", "no"]).spawn();
    running.until_stdout("Ready to accept connections");
    running
}

/// Three servers and two hosts, set up by the files of `prepare.sh`.
struct Scene<'a> {
    out: PathBuf,
    machines: Vec<Machine<'a>>,
    servers: Vec<Running>,
    hosts: Vec<Machine<'a>>,
    _network: Network<'a>,
}

impl<'a> Scene<'a> {
    fn new(cluster: &'a Cluster, options: &[&str]) -> Option<Self> {
        let network = Network::new(cluster)?;
        let out = prepare(cluster, options);
        let mut machines = vec![];
        for (i, (name, address)) in SERVERS.into_iter().enumerate() {
            let machine = network.machine(i, name, address);
            bring(&out.join(name), &machine, "redlock-server");
            machines.push(machine);
        }
        let servers = machines.iter().map(serve).collect();
        let host = |i: usize| {
            let machine =
                network.machine(3 + i, &format!("host-{i}"), &format!("10.0.0.{}", 21 + i));
            bring(&out.join("host"), &machine, "redlock");
            machine
        };
        let hosts = vec![host(0), host(1)];
        Some(Self { out, machines, servers, hosts, _network: network })
    }

    fn redlock(&self, host: usize) -> Run {
        self.hosts[host].program(REDLOCK)
    }

    fn password(&self, user: &str) -> String {
        let path = self.out.join("keep").join(format!("{user}.password"));
        fs::read_to_string(path).unwrap().trim().to_owned()
    }

    /// The operator's redis-cli on a server, as docs/servers.md calls it.
    fn operator(&self, server: usize, words: &[&str]) -> String {
        let run = self.machines[server].program("redis-cli");
        let run = run.env("REDISCLI_AUTH", self.password("operator"));
        let tls = ["--tls", "--cacert", "/etc/redlock-server/tls/ca.crt", "--user", "operator"];
        run.args(tls).args(words).finish().expect("redis-cli", 0).out()
    }

    fn restart(&mut self, server: usize) {
        self.operator(server, &["SHUTDOWN"]);
        let machine = &self.machines[server];
        let ended = std::mem::replace(&mut self.servers[server], serve(machine));
        drop(ended);
    }
}

/// While one host holds the lock, the other cannot acquire it.
fn one_host_at_a_time(scene: &Scene, options: &[&str]) {
    let holder = scene.redlock(0).arg_line("run", options, &["job", "--"]).args(HOLD).spawn();
    holder.until_ready();
    let try_once = |code: i32| {
        let run = scene.redlock(1).arg_line("run", options, &["-n", "job", "--", "echo", "ran"]);
        run.finish().expect("the other host", code)
    };
    assert_eq!(try_once(75).out(), "");
    holder.finish().expect("the holder", 0);
    assert_eq!(try_once(0).out(), "ran\n");
}

#[test]
fn the_example_servers_lock_for_two_hosts_before_and_after_a_restart() {
    let cluster = Cluster::start(0);
    let Some(mut scene) = Scene::new(&cluster, &[]) else { return };
    // Not the guard of a minute in the file, which would be too long for a test. A busy machine
    // needs time for TLS.
    let quick = ["--restart-guard", "2s", "--ttl", "2s", "--op-timeout", "700ms"];
    for restarted in [false, true] {
        if restarted {
            (0..3).for_each(|i| scene.restart(i));
        }
        // The first run waits for the guard, and leaves the marks that the later ones need.
        let first = scene.redlock(0).arg_line("run", &quick, &["first", "--", "true"]);
        first.finish().expect("the first run", 0);
        let doctor = || scene.redlock(1).args(["doctor", "--restart-guard", "2s"]).finish().out();
        until("all have a vote", || doctor() == "healthy: 3 servers and this host\n");
        one_host_at_a_time(&scene, &quick);
    }
    // With the file as it is, servers that were just started have no vote.
    let run = scene.redlock(0).arg_line("run", &["-w", "1s"], &["job", "--", "true"]);
    run.finish().expect("the guard of the file", 69).expect_words("the guard", &["vote"]);
}

#[test]
fn durable_example_servers_know_their_locks_after_a_restart() {
    let cluster = Cluster::start(0);
    let Some(mut scene) = Scene::new(&cluster, &["--durable"]) else { return };
    let holder = scene.redlock(0).args(["run", "--ttl", "20s", "job", "--"]).args(HOLD).spawn();
    holder.until_ready();
    let has_key = |scene: &Scene, i| scene.operator(i, &["EXISTS", "redlock:job"]) == "1\n";
    until("all have the key", || (0..3).all(|i| has_key(&scene, i)));
    for i in 0..3 {
        scene.restart(i);
        assert!(has_key(&scene, i), "server {i} has forgotten the lock");
    }
    let run = scene.redlock(1).args(["run", "-n", "job", "--", "true"]);
    run.finish().expect("the other host", 75);
    holder.finish().expect("the holder was not disturbed", 0);
}

#[test]
fn the_example_servers_refuse_whatever_has_no_password_or_no_right() {
    let cluster = Cluster::start(0);
    let Some(scene) = Scene::new(&cluster, &[]) else { return };
    let ask = |words: &[&str]| {
        let run = scene.hosts[0].program("redis-cli").args(["-h", "lock-2"]).args(words);
        let output = run.env("REDISCLI_AUTH", scene.password("redlock")).finish();
        output.out() + &output.stderr
    };
    let tls = ["--tls", "--cacert", "/etc/redlock/ca.crt"];
    let redlock = [&tls[..], &["--user", "redlock"]].concat();
    for (label, options, words, expected) in [
        ("a password of another user", &tls[..], &["PING"][..], "WRONGPASS"),
        ("no TLS", &[][..], &["PING"][..], "Error: "),
        ("the right user", &redlock[..], &["PING"][..], "PONG"),
        ("another key", &redlock[..], &["GET", "other"][..], "NOPERM"),
        ("another command", &redlock[..], &["FLUSHALL"][..], "NOPERM"),
    ] {
        let said = ask(&[options, words].concat());
        assert!(said.contains(expected), "{label}: {said}");
    }
    let run = scene.hosts[0].program("redis-cli").args(["-h", "lock-2"]).args(tls).args(["PING"]);
    let said = run.finish().out();
    assert!(said.contains("NOAUTH"), "no user: {said}");
    assert_eq!(
        scene.operator(1, &["CONFIG", "GET", "maxmemory-policy"]),
        "maxmemory-policy\nnoeviction\n"
    );
}
