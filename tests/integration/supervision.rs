//! Nothing outlives the lock, nothing is left behind, and the command is as it would be without
//! redlock.
//!
//! Each row of the table of kills has 10 runs, and the loop has 200; `REDLOCK_TEST_RUNS=50` and
//! `=1000` run them in full.

use crate::support::clock::{PATIENCE, within};
use crate::support::means::{apart, is_root};
use crate::support::{Cluster, Monitor, Run, Running, hold, key_of, processes, until, until_some};
use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const TTL: Duration = Duration::from_secs(2);

/// The number of runs: `least` by default, at most `most`.
fn runs(least: usize, most: usize) -> usize {
    let wanted = std::env::var("REDLOCK_TEST_RUNS").ok();
    let wanted = wanted.map(|runs| runs.parse().expect("REDLOCK_TEST_RUNS is a number of runs"));
    wanted.unwrap_or(least).clamp(least, most)
}

/// Three generations that ignore TERM, HUP and INT: the command, its child, and a daemon of the
/// child in a session of its own whose parent has exited. Each notes its process id, and every few
/// milliseconds that it is alive.
const GENERATIONS: &str = r#"
    trap "" TERM HUP INT
    exec 9<> <(:)
    beat() { echo $$ >pid-$1; while :; do echo $EPOCHREALTIME; read -rt 0.005 -u 9; done >>stamps-$1; }
    export -f beat
    bash -c '(setsid bash -c "beat 3" </dev/null >/dev/null 2>&1 &); beat 2' &
    beat 1"#;

/// One run of [`GENERATIONS`] under a lock and in a directory of its own.
pub(crate) struct Family {
    pub(crate) running: Running,
    dir: PathBuf,
    key: String,
}

impl Family {
    fn start(cluster: &Cluster, name: &str) -> Self {
        Self::start_by(Run::redlock(cluster), cluster, name, &[])
    }

    /// The same, with these options, by a program that becomes redlock.
    pub(crate) fn start_by(run: Run, cluster: &Cluster, name: &str, options: &[&str]) -> Self {
        let dir = cluster.dir().join(name);
        fs::create_dir(&dir).expect("a directory");
        let run =
            run.in_directory(&dir).args(["run", "--ttl", "2s"]).args(options).args([name, "--"]);
        Self { running: run.args(["bash", "-c", GENERATIONS]).spawn(), dir, key: key_of(name) }
    }

    fn pids(&self) -> Vec<i32> {
        let pid = |n: i32| {
            fs::read_to_string(self.dir.join(format!("pid-{n}"))).ok()?.trim().parse().ok()
        };
        (1..=3).filter_map(pid).collect()
    }

    pub(crate) fn alive(&self) -> Vec<i32> {
        self.pids().into_iter().filter(|&pid| processes::alive(pid)).collect()
    }

    /// The last moment at which one of the generations was alive, by the wall clock as in
    /// [`Monitor`].
    fn last_stamp(&self, generation: i32) -> Option<Duration> {
        let stamps = fs::read_to_string(self.dir.join(format!("stamps-{generation}"))).ok()?;
        let (seconds, micros) = stamps.rsplit_once('\n')?.0.rsplit('\n').next()?.split_once('.')?;
        Some(
            Duration::from_secs(seconds.parse().ok()?)
                + Duration::from_micros(micros.parse().ok()?),
        )
    }

    pub(crate) fn until_complete(&self) {
        let key = &self.key;
        until(&format!("all generations under {key} live"), || {
            self.alive().len() == 3 && (1..=3).all(|n| self.last_stamp(n).is_some())
        });
    }

    /// Waits until a majority of the servers would grant the lock to another run. Every process of
    /// the family must have died before the keys expired.
    fn assert_dead_before_another_run_gets_in(
        &self,
        label: &str,
        cluster: &Cluster,
        monitors: &[Monitor],
    ) {
        let key = &self.key;
        let (size, quorum) = (monitors.len(), monitors.len() / 2 + 1);
        until(&format!("{label}: {key} is free on a majority"), || {
            (0..size).filter(|&i| cluster.get(i, key).is_none()).count() >= quorum
        });
        let alive = self.alive();
        assert!(
            alive.is_empty(),
            "{label}: {key} is free, and these live: {}",
            processes::described(&alive)
        );
        let mut expiries: Vec<_> =
            monitors.iter().map(|monitor| monitor.last_expiry_set(key) + TTL).collect();
        expiries.sort_unstable();
        for generation in 1..=3 {
            let last = self.last_stamp(generation).expect("it has stamped before");
            let late = last.saturating_sub(expiries[quorum - 1]);
            assert!(
                late.is_zero(),
                "{label}: generation {generation} under {key} lived for {late:?} too long"
            );
        }
    }
}

/// Starts that many families, ten at a time, and sends `signal` to the redlock of each.
fn all_are_dead_in_time(label: &str, signal: Signal) {
    let cluster = Cluster::start(3);
    let monitors: Vec<_> = (0..3).map(|i| Monitor::of(&cluster, i)).collect();
    let numbers: Vec<_> = (0..runs(10, 50)).collect();
    for batch in numbers.chunks(10) {
        let families: Vec<_> =
            batch.iter().map(|n| Family::start(&cluster, &format!("family-{n}"))).collect();
        families.iter().for_each(Family::until_complete);
        for family in &families {
            family.running.signal(signal);
        }
        for family in &families {
            family.assert_dead_before_another_run_gets_in(label, &cluster, &monitors);
        }
        for family in families {
            if signal == Signal::SIGKILL {
                family.running.wait().expect_death(label, signal);
            } else {
                family.running.signal(Signal::SIGCONT);
                family.running.wait().expect(label, 74);
            }
        }
        // No process is left, not even a guardian.
        cluster.until_no_process_is_left();
    }
}

#[test]
fn three_generations_that_ignore_term_are_dead_in_time_when_redlock_is_killed() {
    all_are_dead_in_time("killed", Signal::SIGKILL);
}

#[test]
fn three_generations_that_ignore_term_are_dead_in_time_when_redlock_is_frozen() {
    all_are_dead_in_time("frozen", Signal::SIGSTOP);
}

#[test]
fn a_frozen_redlock_hangs_up_nothing_around_it_when_its_command_is_killed() {
    let cluster = Cluster::start(3);
    // All processes of the session are in one group. If the group is orphaned while one of them is
    // stopped, the kernel hangs up the group.
    let script = "trap 'echo hung up' HUP; \"$RL\" run --ttl 1s frozen -- sh -c 'echo $$ >pid; exec sleep 600' & \
                  echo redlock $!; wait $!; echo code $?";
    let running = Run::program(&cluster, "setsid").args(["--wait", "sh", "-c", script]).spawn();
    let pid = |text: Option<String>| text?.trim().parse::<i32>().ok();
    let command =
        until_some("the command runs", || pid(fs::read_to_string(cluster.dir().join("pid")).ok()));
    let said = running.stdout();
    let redlock =
        pid(said.strip_prefix("redlock ").map(str::to_owned)).expect("the script says it");
    let group =
        |pid| nix::unistd::getpgid(Some(nix::unistd::Pid::from_raw(pid))).expect("it is there");
    let guardian = processes::parent(command).expect("the guardian");
    until("the guardian has left the group", || group(guardian) != group(redlock));
    assert_eq!(group(command), group(redlock), "the command stays in it");
    processes::stop(redlock);
    until("the command is dead", || !processes::alive(command));
    processes::send(redlock, Signal::SIGCONT);
    let output = running.wait().expect("the script", 0);
    assert!(
        output.out().ends_with("code 74\n") && !output.out().contains("hung up"),
        "{}",
        output.out()
    );
    cluster.until_no_process_is_left();
}

/// A run of an unprivileged user, whose command is root's.
fn run_an_unkillable_command(cluster: &Cluster, options: &[&str]) -> Running {
    let line = r#"
        set -e
        cp "$RL" redlock; cp "$(command -v setpriv)" rise; chmod 4755 rise; chmod 755 .
        exec setpriv --reuid=nobody --regid=nogroup --clear-groups ./redlock run --ttl 2s "$@" untouchable -- \
            ./rise --reuid=0 --regid=0 --clear-groups sh -c 'echo ready; cat'
    "#;
    let run = Run::program(cluster, "sh").args(["-c", line, "sh"]).args(options);
    let running = run.spawn();
    running.until_ready();
    running
}

#[test]
fn a_command_that_may_not_be_killed_keeps_its_lock_also_without_the_guardian() {
    if !is_root("it makes a program that becomes root") {
        return;
    }
    let cluster = Cluster::start(3);
    let (monitor, key) = (Monitor::of(&cluster, 0), key_of("untouchable"));
    for (label, dies, options, code) in [
        ("the guardian finds it", false, &["--max-runtime", "100ms", "-k", "100ms"][..], 124),
        ("the guardian is dead", true, &[], 125),
    ] {
        let mut running = run_an_unkillable_command(&cluster, options);
        let [guardian] = processes::children(running.pid())[..] else { panic!("one guardian") };
        let [command] = processes::children(guardian)[..] else { panic!("one command") };
        if dies {
            processes::send(guardian, Signal::SIGKILL);
        }
        running.until_stderr(&format!("process {command} of the command cannot be killed"));
        monitor.until_extended(&key, 2);
        running.assert_goes_on(label);
        assert!(processes::alive(command), "{label}");
        running.let_go();
        let output = running.wait().expect(label, code);
        assert_eq!(
            output.stderr.matches("cannot be killed").count(),
            1,
            "{label}: {}",
            output.stderr
        );
        cluster.until_no_key_is_left();
    }
}

#[test]
fn a_redlock_that_is_killed_takes_no_other_family_with_it() {
    let cluster = Cluster::start(3);
    let (killed, other) = (Family::start(&cluster, "killed"), Family::start(&cluster, "other"));
    killed.until_complete();
    other.until_complete();
    killed.running.signal(Signal::SIGKILL);
    until("the family is dead", || killed.alive().is_empty());
    let monitor = Monitor::of(&cluster, 0);
    monitor.until_extended(&other.key, 2);
    assert_eq!(other.alive().len(), 3, "a guardian killed the family of another");
    other.running.signal(Signal::SIGKILL);
    cluster.until_no_process_is_left();
}

/// Runs a bash script as process 2 of a pid namespace, whose first process reaps no child: an
/// orphan that ends can still be seen. Returns the output of the script, and the processes at its
/// end. The script starts redlock `runs` times.
fn in_a_world_without_reaper(
    cluster: &Cluster,
    script: &str,
    runs: usize,
) -> Option<(String, Vec<String>)> {
    let census = "for stat in /proc/[0-9]*/stat; do read -r line <$stat && echo \"there $line\"; done; echo over";
    let outer = format!("bash -c '{script}\n{census}' & exec cat >/dev/null");
    let run = apart(cluster, "fp")?.args(["--mount-proc", "bash", "-c", &outer]);
    let temporary = cluster.dir().join("temporary");
    fs::create_dir(&temporary).expect("a directory");
    let running = run.env("TMPDIR", &temporary).env("XDG_RUNTIME_DIR", &temporary).spawn();
    let patience = PATIENCE * u32::try_from(1 + runs / 100).expect("a number of runs");
    let over = within(patience, || running.stdout().contains("over\n").then_some(()));
    assert!(over.is_some(), "waited {patience:?} in vain until the script is over");
    let output = running.finish().expect("pid 1 is cat", 0);
    let files = fs::read_dir(&temporary).expect("a directory").count();
    assert_eq!(files, 0, "files were left in {}", temporary.display());
    let (there, said): (Vec<_>, Vec<_>) =
        output.out().lines().map(str::to_owned).partition(|line| line.starts_with("there "));
    assert_eq!(output.stderr, "", "success is silent");
    Some((said.join("\n"), there))
}

fn assert_no_other_process(there: &[String]) {
    let expected =
        |line: &&String| line.starts_with("there 1 (cat) ") || line.contains(" (bash) R ");
    let left: Vec<_> = there.iter().filter(|line| !expected(line)).collect();
    assert!(
        left.is_empty() && there.len() == 2,
        "zombies, orphans or guardians were left: {there:#?}"
    );
}

#[test]
fn many_runs_in_a_row_leave_nothing() {
    let cluster = Cluster::start(3);
    let many = runs(200, 1000);
    let script = format!(
        "failed=0; for ((i=0; i<{many}; i++)); do \"$RL\" run -- true || ((failed++)); done; echo failed $failed"
    );
    let Some((said, there)) = in_a_world_without_reaper(&cluster, &script, many) else { return };
    assert_eq!(said, "failed 0\nover");
    assert_no_other_process(&there);
    cluster.until_no_key_is_left();
    cluster.until_no_process_is_left();
}

#[test]
fn many_runs_at_once_leave_nothing() {
    let cluster = Cluster::start(3);
    let many = if runs(1, 1000) == 1000 { 200 } else { 50 };
    let script = format!(
        "failed=0; for ((i=0; i<{many}; i++)); do \"$RL\" run -q at-once-$i -- true & pids+=($!); done; \
         for pid in \"${{pids[@]}}\"; do wait $pid || ((failed++)); done; echo failed $failed"
    );
    let Some((said, there)) = in_a_world_without_reaper(&cluster, &script, many) else { return };
    assert_eq!(said, "failed 0\nover");
    assert_no_other_process(&there);
    cluster.until_no_key_is_left();
    cluster.until_no_process_is_left();
}

/// The output of a program, started by this shell script without redlock and with redlock.
fn without_and_with(cluster: &Cluster, before: &str, program: &str) -> (String, String) {
    let start = |prefix: &str| {
        let script = format!("{before}; exec {prefix} bash -c '{program}'");
        let output = Run::program(cluster, "bash").args(["-c", &script]).finish().expect(prefix, 0);
        assert_eq!(output.stderr, "", "{prefix}");
        output.out()
    };
    (start(""), start("\"$RL\" run same --"))
}

#[test]
fn the_command_has_the_descriptors_that_redlock_inherited_and_no_other() {
    let cluster = Cluster::start(3);
    let program =
        r#"for fd in /proc/$$/fd/*; do n=${fd##*/}; to=$(readlink $fd); echo "$n ${to%%:*}"; done"#;
    for (label, before) in [("0, 1 and 2", ":"), ("two more", "exec 7</etc/passwd 8>&1")] {
        let (without, with) = without_and_with(&cluster, before, program);
        assert!(without.lines().count() >= 3, "{without}");
        assert_eq!(with, without, "{label}");
    }
}

#[test]
fn strace_sees_no_descriptor_that_survives_the_start_of_the_command() {
    let cluster = Cluster::start(3);
    let trace = cluster.dir().join("trace");
    let program = "exec ls /proc/self/fd";
    let run = Run::program(&cluster, "strace").args([
        "-f",
        "-qq",
        "-e",
        "trace=execve,openat,socket,pipe2,dup",
        "-o",
    ]);
    let run = run.arg_line(
        trace.to_str().expect("UTF-8"),
        &[env!("CARGO_BIN_EXE_redlock")],
        &["run", "traced", "--"],
    );
    let traced = run.args(["sh", "-c", program]).finish().expect("traced", 0);
    let bare = Run::program(&cluster, "sh").args(["-c", program]).finish().expect("bare", 0);
    assert_eq!(traced.out(), bare.out(), "descriptors of redlock reach the command");
    let trace = fs::read_to_string(trace).expect("strace wrote its file");
    let makes = |line: &&str| {
        ["openat(", "socket(", "pipe2(", "dup("].iter().any(|call| line.contains(call))
    };
    // Any thread may start a program at any moment, and every descriptor of redlock must be closed
    // there.
    let own = trace.lines().take_while(|line| {
        !line.contains("execve(\"/bin/sh\"") && !line.contains("execve(\"/usr/bin/sh\"")
    });
    let leaky =
        own.filter(makes).filter(|line| !line.contains("CLOEXEC") && !line.contains(" = -1 "));
    let leaky: Vec<_> =
        leaky.filter(|line| !line.contains("unfinished") && !line.contains("/dev/null")).collect();
    assert!(leaky.is_empty(), "opened without CLOEXEC: {leaky:#?}");
}

#[test]
fn the_command_has_the_limits_and_habits_that_redlock_inherited() {
    let cluster = Cluster::start(3);
    fs::create_dir(cluster.dir().join("deeper")).expect("a directory");
    let program = r#"pwd; umask; nice; ulimit -Sa; ulimit -Ha; cat /proc/self/oom_score_adj /proc/self/cgroup;
        grep -E "^(Umask|Sig(Blk|Ign)|ShdPnd|Cap|NoNewPrivs|Seccomp|Cpus_allowed|Groups|Uid|Gid)" /proc/$$/status"#;
    let changed = "cd deeper; umask 0137; ulimit -Sn 77; ulimit -Sc 0; renice -n 5 $$ >/dev/null; \
                   echo 300 >/proc/$$/oom_score_adj; trap \"\" USR1 PIPE";
    for (label, before) in [("as they are", ":"), ("changed", changed)] {
        let (without, with) = without_and_with(&cluster, before, program);
        assert_eq!(with, without, "{label}");
        assert_eq!(with.contains("/deeper\n0137\n5\n"), label == "changed", "{label}: {with}");
    }
}

#[test]
fn a_guardian_has_little_memory_of_its_own_and_is_gone_with_redlock() {
    let cluster = Cluster::start(3);
    let running = hold(&cluster, "little", &[]);
    let [guardian] = processes::children(running.pid())[..] else { panic!("one guardian") };
    let rollup = fs::read_to_string(format!("/proc/{guardian}/smaps_rollup"))
        .expect("its memory can be read");
    let kib = |name: &str| {
        let line = rollup.lines().find(|line| line.starts_with(name)).expect(name);
        line.split_whitespace()
            .nth(1)
            .and_then(|number| number.parse::<u64>().ok())
            .expect("a number")
    };
    let own = kib("Private_Clean:") + kib("Private_Dirty:");
    assert!(own < 500, "{own} KiB: {rollup}");
    running.finish().expect("let go", 0);
    assert!(!processes::alive(guardian), "redlock left before its guardian");
}
