//! Runs of redlock, and of shells that run redlock.

use super::clock::{PATIENCE, until, within};
use super::collector::Collector;
use super::{Cluster, preload, processes};
use nix::sys::signal::Signal;
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

/// The binary under test.
pub(crate) const REDLOCK: &str = env!("CARGO_BIN_EXE_redlock");

/// A copy of the binary that every user can execute. Another process writes it: if this process
/// wrote it, a program that is started meanwhile would inherit the open file, and a file that is
/// open for writing cannot be executed.
pub(crate) fn copy_for_all_users(cluster: &Cluster) -> PathBuf {
    let copy = cluster.dir().join("redlock");
    let status =
        Command::new("cp").args([Path::new(REDLOCK), &copy]).status().expect("cp can be started");
    assert!(status.success(), "the binary can be copied");
    copy
}

/// A command that says `ready`, and ends with 0 when its standard input is closed.
pub(crate) const HOLD: [&str; 3] = ["sh", "-c", "echo ready; cat >/dev/null"];

/// A run to be started.
pub(crate) struct Run {
    command: Command,
}

impl Run {
    /// redlock with the servers of this cluster. Without a restart guard, they vote at once.
    pub(crate) fn redlock(cluster: &Cluster) -> Self {
        Self::program(cluster, REDLOCK)
    }

    /// A shell script in which `$RL` is redlock.
    pub(crate) fn shell(cluster: &Cluster, script: &str) -> Self {
        Self::program(cluster, "sh").args(["-c", script])
    }

    /// Any program, with the environment that redlock needs.
    pub(crate) fn program(cluster: &Cluster, program: &str) -> Self {
        let (tag, value) = cluster.tag();
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("REDLOCK_") && name != "REDLOCK_TEST_MARK" {
                command.env_remove(name);
            }
        }
        // The tests may run in a CI job themselves.
        for name in ["GITHUB_ACTIONS", "BUILDKITE", "GITLAB_CI"] {
            command.env_remove(name);
        }
        command.current_dir(cluster.dir()).env("HOME", cluster.dir()).env_remove("XDG_CONFIG_HOME");
        command.env(tag, value).env("RL", REDLOCK).env("LC_ALL", "C");
        command.env("REDLOCK_URLS", cluster.urls()).env("REDLOCK_RESTART_GUARD", "off");
        Self { command }
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    /// A subcommand, its options, and the rest of the line.
    pub(crate) fn arg_line(self, subcommand: &str, options: &[&str], rest: &[&str]) -> Self {
        self.args([subcommand]).args(options).args(rest)
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// With a resolver library that knows localhost, whatever the machine's resolver knows.
    pub(crate) fn knowing_localhost(self, cluster: &Cluster) -> Self {
        self.env("LD_PRELOAD", preload::built("localhost", cluster.dir()))
    }

    /// With a wall clock that is ahead by so many seconds.
    pub(crate) fn with_clock(self, cluster: &Cluster, seconds: i64) -> Self {
        let step = cluster.dir().join(format!("step-{seconds}"));
        std::fs::write(&step, seconds.to_string()).expect("a file");
        self.env("LD_PRELOAD", preload::built("wallclock", cluster.dir()))
            .env("WALLCLOCK_STEP", step)
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    pub(crate) fn in_directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    /// With no signal ignored, also if the caller of the tests ignores some.
    pub(crate) fn with_default_signals(self) -> Self {
        let mut command = Command::new("env");
        command
            .arg("--default-signal")
            .arg(self.command.get_program())
            .args(self.command.get_args());
        inherit(&mut command, &self.command);
        Self { command }
    }

    /// The command itself, for other streams.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    /// Starts the program, with pipes for its streams.
    pub(crate) fn spawn(self) -> Running {
        self.spawn_with_stderr(Stdio::piped())
    }

    /// Starts the program, with pipes for its input and output.
    pub(crate) fn spawn_with_stderr(mut self, stderr: impl Into<Stdio>) -> Running {
        let label = format!("{:?}", self.command.get_args().collect::<Vec<_>>());
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = self.command.spawn().expect("the program can be started");
        let stdin = child.stdin.take();
        let stdout = Collector::of(child.stdout.take().expect("a pipe"));
        let stderr =
            child.stderr.take().map_or_else(|| Collector::of(std::io::empty()), Collector::of);
        Running { child, stdin, stdout, stderr, label }
    }

    /// Starts the program with an empty standard input, and waits for its end.
    pub(crate) fn finish(self) -> Output {
        let mut running = self.spawn();
        running.let_go();
        running.wait()
    }

    /// Starts the program with this standard input, and waits for its end.
    pub(crate) fn finish_with_input(self, input: &[u8]) -> Output {
        let mut running = self.spawn();
        let mut stdin = running.stdin.take().expect("a pipe");
        thread::scope(|scope| {
            scope.spawn(move || {
                let _ = stdin.write_all(input);
            });
            running.wait()
        })
    }
}

/// Copies the environment and the directory of another command.
pub(crate) fn inherit(command: &mut Command, other: &Command) {
    command.current_dir(other.get_current_dir().expect("each run has a directory"));
    for (name, value) in other.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

/// Starts redlock with [`HOLD`] as its command, and waits until the command runs.
pub(crate) fn hold(cluster: &Cluster, name: &str, options: &[&str]) -> Running {
    let running =
        Run::redlock(cluster).args(["run"]).args(options).args([name, "--"]).args(HOLD).spawn();
    running.until_ready();
    running
}

/// A running program. Its drop kills it.
pub(crate) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Collector,
    stderr: Collector,
    label: String,
}

impl Running {
    pub(crate) fn pid(&self) -> i32 {
        pid_of(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        processes::send(self.pid(), signal);
    }

    /// Writes this to the standard input.
    #[allow(dead_code, reason = "the chaos run has no use for it")]
    pub(crate) fn say(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("a pipe");
        stdin.write_all(text.as_bytes()).expect("the command reads");
    }

    /// Closes the standard input.
    pub(crate) fn let_go(&mut self) {
        self.stdin = None;
    }

    pub(crate) fn until_ready(&self) {
        self.until_stdout("ready");
    }

    pub(crate) fn until_stdout(&self, text: &str) {
        self.until_text(&self.stdout, text);
    }

    /// Waits until the standard output has this text, or is closed.
    pub(crate) fn until_closed_or(&self, text: &str) {
        until("it says so or ends", || self.stdout.closed() || self.stdout().contains(text));
    }

    pub(crate) fn until_stderr(&self, text: &str) {
        self.until_text(&self.stderr, text);
    }

    pub(crate) fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Whether the run has not ended yet.
    pub(crate) fn goes_on(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    pub(crate) fn assert_goes_on(&mut self, label: &str) {
        assert!(self.goes_on(), "{label}: it has ended, after saying: {}", self.stderr());
    }

    /// Closes the standard input and waits for the end.
    pub(crate) fn finish(mut self) -> Output {
        self.let_go();
        self.wait()
    }

    /// Waits until the run has ended and no process has its streams open.
    pub(crate) fn wait(self) -> Output {
        self.wait_within(PATIENCE)
    }

    pub(crate) fn wait_within(mut self, patience: Duration) -> Output {
        let Some(status) = within(patience, || self.child.try_wait().expect("a child")) else {
            panic!("{} did not end within {patience:?}, and said: {}", self.label, self.stderr());
        };
        until("its streams are closed", || self.stdout.closed() && self.stderr.closed());
        let stdout = self.stdout.bytes();
        Output { status, stdout, stderr: self.stderr(), label: self.label.clone() }
    }

    fn until_text(&self, stream: &Collector, text: &str) {
        let closed_or_there = || (stream.text().contains(text) || stream.closed()).then_some(());
        let end = within(PATIENCE, closed_or_there);
        let there = end.is_some() && stream.text().contains(text);
        assert!(
            there,
            "{} never said {text:?}; stdout: {}stderr: {}",
            self.label,
            self.stdout(),
            self.stderr()
        );
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The status and the output of a run.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    label: String,
}

impl Output {
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Fails unless the exit code is `code`.
    pub(crate) fn expect(self, label: &str, code: i32) -> Self {
        let (status, stderr) = (self.status, &self.stderr);
        assert_eq!(
            status.code(),
            Some(code),
            "{label}: {} ended with {status}, saying: {stderr}",
            self.label
        );
        self
    }

    /// Fails unless the run died of this signal, without a core dump.
    pub(crate) fn expect_death(self, label: &str, signal: Signal) -> Self {
        let (status, stderr) = (self.status, &self.stderr);
        let died = status.signal() == Some(signal as i32);
        assert!(
            died,
            "{label}: wanted {signal}; {} ended with {status}, saying: {stderr}",
            self.label
        );
        assert!(!status.core_dumped(), "{label}: redlock has no reason to leave a core");
        self
    }

    /// Fails unless stderr has all of these words, and each of its lines begins as redlock's.
    pub(crate) fn expect_words(self, label: &str, words: &[&str]) -> Self {
        let stderr = &self.stderr;
        for word in words {
            assert!(
                stderr.to_lowercase().contains(&word.to_lowercase()),
                "{label}: no {word:?} in: {stderr}"
            );
        }
        assert!(
            stderr.starts_with("redlock: "),
            "{label}: redlock does not say who speaks: {stderr}"
        );
        self
    }

    /// Fails if the run or its command printed anything.
    pub(crate) fn expect_silence(self, label: &str) -> Self {
        assert_eq!(
            (self.out().as_str(), self.stderr.as_str()),
            ("", ""),
            "{label}: silence was expected"
        );
        self
    }
}

pub(crate) fn pid_of(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("a process id")
}
