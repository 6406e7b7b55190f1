//! Systems that refuse or hide the means to end a command: the command is dead in time, or never
//! starts.

use crate::supervision::{Family, TTL};
use crate::support::clock::{now, since};
use crate::support::means::{apart, flags, is_root};
use crate::support::processes::{self, children};
use crate::support::run::REDLOCK;
use crate::support::{Cluster, Monitor, Run, Running, hold, key_of, until, until_some};
use nix::libc;
use nix::sys::signal::Signal;
use std::path::PathBuf;
use std::process::Command;

/// The ends of a command.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Lost,
    Killed,
    Frozen,
    Overtime,
}

const FATES: [Fate; 4] = [Fate::Lost, Fate::Killed, Fate::Frozen, Fate::Overtime];

impl Fate {
    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Overtime => &["--max-runtime", "1s", "-k", "300ms"],
            _ => &[],
        }
    }

    fn befall(self, cluster: &mut Cluster, redlock: impl IntoIterator<Item = i32>) {
        let signal = match self {
            Self::Lost => return (0..2).for_each(|i| cluster.kill(i)),
            Self::Killed => Signal::SIGKILL,
            Self::Frozen => Signal::SIGSTOP,
            Self::Overtime => return,
        };
        redlock.into_iter().for_each(|pid| processes::send(pid, signal));
    }

    /// Checks the end of redlock, after the end of its command.
    fn assert_end(self, label: &str, running: Running) {
        match self {
            Self::Killed => drop(running.wait().expect_death(label, Signal::SIGKILL)),
            Self::Lost => drop(running.wait().expect(label, 74)),
            Self::Frozen => {
                running.signal(Signal::SIGCONT);
                running.wait().expect(label, 74);
            }
            Self::Overtime => drop(running.wait().expect(label, 124)),
        }
    }
}

/// A program that refuses a system call, built with the C compiler that the linker needs anyway.
fn deny(cluster: &Cluster) -> PathBuf {
    let program = cluster.dir().join("deny");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/support/deny.c");
    let built = Command::new("cc").arg("-o").arg(&program).arg(source).status();
    assert!(built.expect("the C compiler is there").success(), "the filter cannot be built");
    program
}

/// redlock, to which this system call is refused.
fn denied(cluster: &Cluster, call: libc::c_long, errno: i32) -> Run {
    let program = cluster.dir().join("deny");
    let run = Run::program(cluster, program.to_str().expect("UTF-8"));
    run.args([call.to_string(), errno.to_string()]).args([REDLOCK])
}

#[test]
fn without_pidfds_a_stubborn_family_is_dead_in_time_all_the_same() {
    let refusals = [
        ("open-eperm", libc::SYS_pidfd_open, libc::EPERM),
        ("open-enosys", libc::SYS_pidfd_open, libc::ENOSYS),
        ("open-emfile", libc::SYS_pidfd_open, libc::EMFILE),
        ("send-eperm", libc::SYS_pidfd_send_signal, libc::EPERM),
        ("send-enosys", libc::SYS_pidfd_send_signal, libc::ENOSYS),
    ];
    for fate in FATES {
        let mut cluster = Cluster::start(3);
        deny(&cluster);
        let start = |(name, call, errno)| {
            let run = denied(&cluster, call, errno);
            Family::start_by(run, &cluster, name, fate.options())
        };
        let families: Vec<_> = refusals.into_iter().map(start).collect();
        families.iter().for_each(Family::until_complete);
        let begin = now();
        fate.befall(&mut cluster, families.iter().map(|family| family.running.pid()));
        for family in families {
            until(&format!("{fate:?}: the family is dead"), || family.alive().is_empty());
            assert!(since(begin) <= TTL, "{fate:?}: it took {:?}", since(begin));
            fate.assert_end(&format!("{fate:?}"), family.running);
        }
        cluster.until_no_process_is_left();
    }
}

#[test]
fn without_pidfds_a_dead_guardian_is_followed_by_redlock() {
    let cluster = Cluster::start(3);
    deny(&cluster);
    let run = denied(&cluster, libc::SYS_pidfd_open, libc::ENOSYS);
    let family = Family::start_by(run, &cluster, "orphans", &[]);
    family.until_complete();
    let [guardian] = children(family.running.pid())[..] else { panic!("one guardian") };
    processes::send(guardian, Signal::SIGKILL);
    family.running.wait().expect("the guardian is dead", 125);
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}

#[test]
fn a_missing_need_of_redlock_is_reported_before_anything_is_locked() {
    let cluster = Cluster::start(3);
    deny(&cluster);
    let monitor = Monitor::of(&cluster, 0);
    let Some(_) = flags("mpf") else { return };
    let root = if nix::unistd::geteuid().is_root() { "" } else { "-r " };
    let line = r#""$RL" run missing -- echo ran; exit $?"#;
    let shell = |script: String| Run::shell(&cluster, &script);
    for (label, run, word) in [
        (
            "no /proc",
            shell(format!("unshare {root}-m sh -c 'mount -t tmpfs none /proc; {line}'")),
            "/proc",
        ),
        ("another namespace's", shell(format!("unshare {root}-pf sh -c '{line}'")), "/proc"),
        (
            "another namespace's, where the numbers agree",
            shell(format!(
                "unshare {root}-pf unshare -pf --mount-proc sh -c 'exec unshare -pf sh -c \"{}\"'",
                line.replace('"', "\\\"").replace('$', "\\$")
            )),
            "/proc",
        ),
        (
            "no subreaper",
            denied(&cluster, libc::SYS_prctl, libc::EPERM)
                .args(["run", "missing", "--", "echo", "ran"]),
            "permitted",
        ),
        (
            "no kill(2)",
            denied(&cluster, libc::SYS_kill, libc::EPERM)
                .args(["run", "missing", "--", "echo", "ran"]),
            "permitted",
        ),
    ] {
        let output = run.finish().expect(label, 125).expect_words(label, &[word]);
        assert_eq!(output.out(), "", "{label}");
        assert_eq!(output.stderr.lines().count(), 1, "{label}: {}", output.stderr);
    }
    assert!(monitor.attempts(&key_of("missing")).is_empty(), "something was locked");
    cluster.until_no_process_is_left();
}

#[test]
fn system_calls_that_redlock_does_not_need_may_be_missing() {
    let cluster = Cluster::start(3);
    deny(&cluster);
    for (label, call) in [
        ("pidfd_open, of Linux 5.3", libc::SYS_pidfd_open),
        ("pidfd_send_signal, of Linux 5.1", libc::SYS_pidfd_send_signal),
        ("clone3, of Linux 5.3", libc::SYS_clone3),
        ("close_range, of Linux 5.9", libc::SYS_close_range),
        ("statx, of Linux 4.11", libc::SYS_statx),
        ("rseq, of Linux 4.18", libc::SYS_rseq),
        ("epoll_pwait2, of Linux 5.11", libc::SYS_epoll_pwait2),
    ] {
        let run =
            denied(&cluster, call, libc::ENOSYS).args(["run", "without", "--", "echo", "ran"]);
        assert_eq!(run.finish().expect(label, 0).out(), "ran\n", "{label}");
    }
    cluster.until_no_key_is_left();
}

/// A command that ignores TERM and leaves a daemon that only root may inspect, as ssh-agent(1) is.
const SECRETIVE: &str = "
import ctypes, os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(4, 0)
        open(\"secret\", \"w\").write(\"ready\")
        while True: time.sleep(1)
    os._exit(0)
os.wait()
while True: time.sleep(1)
";

#[test]
fn a_descendant_that_is_hidden_is_dead_in_time() {
    if !is_root("it mounts a /proc that hides the processes of another user") {
        return;
    }
    for fate in FATES {
        let mut cluster = Cluster::start(3);
        std::fs::write(cluster.dir().join("secretive.py"), SECRETIVE).unwrap();
        let options = fate.options().join(" ");
        let script = format!(
            r#"set -e; cp "$RL" redlock; chmod 777 .; mount -t proc -o hidepid=2 proc /proc
            setpriv --reuid=nobody --regid=nogroup --clear-groups ./redlock run --ttl 2s {options} hidden -- \
                python3 secretive.py && true; exit $?"#
        );
        // The shell is the first process of the namespace, so that the death of redlock does not
        // end the namespace.
        let running =
            Run::program(&cluster, "unshare").args(["-pf", "-m", "sh", "-c", &script]).spawn();
        until("the daemon is there", || cluster.dir().join("secret").exists());
        let named = |name: &str| {
            cluster.processes().into_iter().filter(|pid| processes::name(*pid) == name).collect()
        };
        let (redlock, family): (Vec<i32>, Vec<i32>) = (named("redlock"), named("python3"));
        assert_eq!((redlock.len(), family.len()), (1, 2), "redlock, its command and the daemon");
        let begin = now();
        fate.befall(&mut cluster, redlock.iter().copied());
        until(&format!("{fate:?}: both are dead"), || {
            !family.iter().any(|pid| processes::alive(*pid))
        });
        assert!(since(begin) <= TTL, "{fate:?}: it took {:?}", since(begin));
        if matches!(fate, Fate::Frozen) {
            processes::send(redlock[0], Signal::SIGCONT);
        }
        let code = if matches!(fate, Fate::Killed) {
            137
        } else if matches!(fate, Fate::Overtime) {
            124
        } else {
            74
        };
        running.wait().expect("as the shell saw it", code);
        cluster.until_no_process_is_left();
    }
}

#[test]
fn a_parent_that_ignores_its_children_passes_that_to_the_command_and_not_to_redlock() {
    let cluster = Cluster::start(3);
    let ignoring = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execvp(sys.argv[1], sys.argv[1:])";
    let seen = "import signal; print(signal.getsignal(signal.SIGCHLD).name)";
    let run = |command: &[&str]| {
        let run = Run::program(&cluster, "python3")
            .args(["-c", ignoring, REDLOCK, "run", "--ttl", "2s", "ignored", "--"]);
        run.args(command)
    };
    assert_eq!(run(&["python3", "-c", seen]).finish().expect("it ends", 0).out(), "SIG_IGN\n");
    run(&["sh", "-c", "exit 7"]).finish().expect("its code is seen", 7);
    let running = run(&["sh", "-c", "echo ready; exec sleep 600"]).spawn();
    running.until_ready();
    running.signal(Signal::SIGTERM);
    running.wait().expect_death("as asked", Signal::SIGTERM);
    let nested = ["python3", "-c", ignoring, REDLOCK, "run", "--reentrant", "ignored", "--"];
    let run = Run::redlock(&cluster).args(["run", "--ttl", "2s", "ignored", "--"]).args(nested);
    assert_eq!(run.args(["python3", "-c", seen]).finish().expect("nested", 0).out(), "SIG_IGN\n");
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}

#[test]
fn a_command_that_stops_its_parent_neither_keeps_the_lock_nor_outlives_it() {
    let cluster = Cluster::start(3);
    let run = Run::redlock(&cluster).args(["run", "--ttl", "1s", "stopped", "--"]);
    run.args(["sh", "-c", "kill -STOP $PPID; exit 7"]).finish().expect("the guardian goes on", 7);
    cluster.until_no_key_is_left();
    let mut cluster = cluster;
    let run = Run::redlock(&cluster).args(["run", "--ttl", "1s", "stopped", "--"]);
    let running = run.args(["sh", "-c", "kill -STOP $PPID; echo ready; exec sleep 600"]).spawn();
    running.until_ready();
    (0..2).for_each(|i| cluster.kill(i));
    running.wait().expect("lost", 74);
    cluster.until_no_process_is_left();
}

#[test]
fn killing_redlock_by_its_command_line_does_not_kill_the_guardian() {
    let cluster = Cluster::start(3);
    let running = hold(&cluster, "named", &[]);
    let guardian = until_some("a guardian", || children(running.pid()).first().copied());
    let line = std::fs::read_to_string(format!("/proc/{guardian}/cmdline")).unwrap();
    for text in [processes::name(guardian), line] {
        assert!(text.starts_with("lock-guardian") && !text.contains("redlock"), "{text:?}");
    }
    running.finish().expect("let go", 0);
}

#[test]
fn closed_streams_that_cannot_lead_nowhere_are_refused() {
    let cluster = Cluster::start(3);
    let script = r#"mount -t tmpfs none /dev; exec "$RL" run closed -- touch ran <&-"#;
    let Some(run) = apart(&cluster, "m") else { return };
    let output = run.args(["sh", "-c", script]).finish();
    assert!(!output.status.success() && !cluster.dir().join("ran").exists(), "{}", output.status);
    cluster.until_no_key_is_left();
}
