//! Job control at a terminal, under each interactive shell: the same as without redlock.

use crate::support::clock::within;
use crate::support::pty::{CTRL_C, CTRL_Z, Pty, until_stopped};
use crate::support::tmux::Tmux;
use crate::support::{Cluster, Run, processes, until, until_some};
use nix::sys::signal::Signal;
use std::fs;
use std::time::Duration;

const CTRL_BACKSLASH: &str = "\u{1c}";

/// An interactive shell, how it is started, and its word for a job that has stopped.
pub(crate) struct Shell {
    pub(crate) program: &'static str,
    pub(crate) args: &'static [&'static str],
    stopped: &'static str,
}

pub(crate) const SHELLS: [Shell; 3] = [
    Shell {
        program: "bash",
        args: &["--norc", "--noprofile", "--noediting", "-i"],
        stopped: "topped",
    },
    Shell { program: "dash", args: &["-i"], stopped: "topped" },
    Shell {
        program: "zsh",
        args: &["-f", "-i", "+o", "zle", "+o", "promptsp", "+o", "promptcr"],
        stopped: "uspended",
    },
];

/// Scripts that write their process id to `pid`. `patient` prints `ready`, ends with 5 when the
/// file `stop` appears, and prints the size of its window after each change. Not for dash if it is
/// stopped, whose vfork(2) may then hang; not for bash if SIGQUIT comes, which bash ignores.
/// `reader` reads a line.
const SCRIPTS: [(&str, &str); 2] = [
    (
        "patient",
        "trap 'echo \"window $(stty size)\"' WINCH\necho $$ >pid; echo ready-$$\n\
         until [ -e stop ]; do sleep 0.02; done\necho done-$$; exit 5\n",
    ),
    ("reader", "echo $$ >pid; read -r line; echo \"got <$line>\"; exit 6\n"),
];

pub(crate) fn write_scripts(cluster: &Cluster) {
    for (name, script) in SCRIPTS {
        fs::write(cluster.dir().join(name), script).expect("a file");
    }
}

/// The process of the script that was started last, once there is one.
pub(crate) fn pid_of_script(cluster: &Cluster) -> Option<i32> {
    fs::read_to_string(cluster.dir().join("pid")).ok()?.strip_suffix('\n')?.parse().ok()
}

/// Removes the process id of the last script, if there was one.
pub(crate) fn forget(cluster: &Cluster) {
    let _ = fs::remove_file(cluster.dir().join("pid"));
    let _ = fs::remove_file(cluster.dir().join("stop"));
}

pub(crate) fn let_go(cluster: &Cluster) {
    fs::write(cluster.dir().join("stop"), "").expect("a file");
}

/// A shell at a terminal, where `$RL run desk --` holds a lock for ten seconds at a time.
pub(crate) struct Desk<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) shell: &'a Shell,
    pub(crate) pty: Pty,
}

impl<'a> Desk<'a> {
    fn open(cluster: &'a Cluster, shell: &'a Shell) -> Self {
        write_scripts(cluster);
        let run = Run::program(cluster, shell.program)
            .args(shell.args)
            .without("ENV")
            .env("REDLOCK_TTL", "10s");
        let mut pty = Pty::start(run);
        pty.read_until("> ");
        let mut desk = Self { cluster, shell, pty };
        desk.tell("ulimit -c 0; tty >tty; stty -a >before");
        desk
    }

    /// Types a line that ends at once, and waits for the next prompt.
    pub(crate) fn tell(&mut self, line: &str) {
        self.pty.converse(&format!("{line}; echo said-$((6*7))"), "said-42");
    }

    /// Types a line that starts a script, and waits until the script runs. Returns its process id.
    fn start(&mut self, line: &str) -> i32 {
        forget(self.cluster);
        self.pty.press(&format!("{line}\n"));
        until_some(line, || pid_of_script(self.cluster))
    }

    pub(crate) fn start_patient(&mut self, line: &str) -> i32 {
        let command = self.start(line);
        self.pty.read_until("ready-");
        command
    }

    /// Checks the exit code of the last line, as the shell has it.
    pub(crate) fn expect_code(&mut self, code: i32) {
        self.pty.converse("echo \"<$?>\"", "<$?>");
        self.pty.read_until(&format!("<{code}>"));
    }

    /// Presses Ctrl-Z, and waits until the command is stopped and the shell has reported it.
    fn stop(&mut self, command: i32) {
        self.pty.press(CTRL_Z);
        self.pty.read_until(self.shell.stopped);
        until_stopped(command, true);
    }

    fn close(mut self) {
        self.tell("stty -a >after");
        // The modes follow the size of the window.
        let modes = |name: &str| {
            let text = fs::read_to_string(self.cluster.dir().join(name)).expect("stty wrote it");
            text.split_once("line = ").expect("as stty(1) writes it").1.to_owned()
        };
        assert_eq!(modes("after"), modes("before"), "{}: the terminal", self.shell.program);
        self.pty.press("exit\n");
        self.pty.wait();
        assert_nothing_is_left(self.cluster);
    }
}

/// Runs `test` at each shell.
pub(crate) fn at_each_shell(mut test: impl FnMut(&mut Desk)) {
    for shell in &SHELLS {
        need(shell.program);
        let cluster = Cluster::start(3);
        let mut desk = Desk::open(&cluster, shell);
        test(&mut desk);
        desk.close();
    }
}

pub(crate) fn assert_nothing_is_left(cluster: &Cluster) {
    cluster.until_no_process_is_left();
    cluster.until_no_key_is_left();
}

/// Waits for the end of every process that could read the next keys.
pub(crate) fn until_the_shell_is_alone(cluster: &Cluster) {
    until("only the shell is left", || cluster.processes().len() == 1);
}

pub(crate) fn need(program: &str) {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).exists());
    assert!(found, "this test needs {program}; on Debian or Ubuntu: apt-get install {program}");
}

#[test]
fn keys_that_end_a_command_end_it_once_and_the_shell_sees_its_signal() {
    at_each_shell(|desk| {
        for (label, key, code) in [("Ctrl-C", CTRL_C, 130), ("Ctrl-\\", CTRL_BACKSLASH, 131)] {
            let command = desk.start_patient("$RL run desk -- dash patient");
            desk.pty.press(key);
            until(label, || !processes::alive(command));
            desk.expect_code(code);
            desk.cluster.until_no_key_is_left();
        }
    });
}

#[test]
fn a_stopped_command_is_listed_and_goes_on_in_the_foreground_and_in_the_background() {
    at_each_shell(|desk| {
        let command = desk.start_patient("$RL run desk -- bash patient");
        for _ in 0..2 {
            desk.stop(command);
            desk.expect_code(128 + 20);
            desk.pty.converse("jobs", desk.shell.stopped);
            desk.pty.press("fg\n");
            until_stopped(command, false);
        }
        desk.stop(command);
        desk.pty.press("bg\n");
        until_stopped(command, false);
        desk.tell(":");
        desk.pty.press("wait %1\n");
        let_go(desk.cluster);
        desk.pty.read_until(&format!("done-{command}"));
        desk.expect_code(5);
    });
}

#[test]
fn a_command_that_was_stopped_again_before_redlock_went_on_stays_stopped() {
    let cluster = Cluster::start(3);
    let mut desk = Desk::open(&cluster, &SHELLS[0]);
    let command = desk.start_patient("$RL run desk -- bash patient");
    let redlock = processes::parent(command).and_then(processes::parent).expect("redlock");
    desk.stop(command);
    until_stopped(redlock, true);
    // A shell continues the whole job. Here redlock is stopped, and sees SIGCONT only after the
    // next Ctrl-Z.
    processes::send(command, Signal::SIGCONT);
    until_stopped(command, false);
    processes::send(command, Signal::SIGTSTP);
    until_stopped(command, true);
    let waits = processes::waits(redlock);
    processes::send(redlock, Signal::SIGCONT);
    until("redlock went on, and has stopped again", || {
        processes::waits(redlock) > waits && processes::state(redlock) == Some('T')
    });
    until_stopped(command, true);
    // If redlock alone is continued, it continues its command.
    processes::send(redlock, Signal::SIGCONT);
    until_stopped(command, false);
    desk.pty.press("fg\n");
    let_go(&cluster);
    desk.pty.read_until(&format!("done-{command}"));
    desk.expect_code(5);
    desk.close();
}

#[test]
fn a_command_in_the_background_that_reads_is_stopped_and_reads_in_the_foreground() {
    at_each_shell(|desk| {
        let command = desk.start("$RL run desk -- dash reader &");
        until_stopped(command, true);
        // The shell is notified when the last thread of the process has stopped.
        until("the shell knows it", || {
            (desk.tell("jobs"), desk.pty.screen().contains(desk.shell.stopped)).1
        });
        desk.pty.press("fg\n");
        until_stopped(command, false);
        desk.pty.converse("hello", "got <hello>");
        desk.expect_code(6);
    });
}

#[test]
fn a_pipeline_is_read_and_written_stopped_continued_and_interrupted() {
    at_each_shell(|desk| {
        desk.pty.converse("echo abc | $RL run desk -- tr a-c x-z | tr x-z X-Z", "XYZ");
        desk.expect_code(0);
        let command = desk.start_patient("sleep 600 | $RL run desk -- bash patient | cat");
        desk.stop(command);
        desk.pty.press("fg\n");
        until_stopped(command, false);
        // If the child ends at the same moment without dying of the interrupt, bash ignores the
        // interrupt.
        let interrupted = (0..10).any(|_| {
            desk.pty.press(CTRL_C);
            within(Duration::from_secs(2), || (!processes::alive(command)).then_some(())).is_some()
        });
        assert!(interrupted, "the pipeline goes on");
        desk.tell(":");
        desk.cluster.until_no_key_is_left();
    });
}

#[test]
fn a_script_may_have_redlock_in_the_background() {
    at_each_shell(|desk| {
        let text = "$RL run desk -- bash patient &\nuntil [ -e pid ]; do sleep 0.02; done\n\
                    read -r line; echo \"script <$line>\"\nwait $!; echo \"script $?.\"\nexit 9\n";
        fs::write(desk.cluster.dir().join("script"), text).expect("a file");
        desk.start(&format!("{} script", desk.shell.program));
        desk.pty.converse("mine", "script <mine>");
        let_go(desk.cluster);
        desk.pty.read_until("script 5.");
        desk.expect_code(9);
    });
}

#[test]
fn the_command_hears_of_a_new_window_size() {
    at_each_shell(|desk| {
        let tty = fs::read_to_string(desk.cluster.dir().join("tty")).expect("tty(1) wrote it");
        desk.start_patient("$RL run desk -- bash patient");
        for (rows, columns) in [("33", "101"), ("24", "80")] {
            // Both in one call: if two signals come at once, the script may see only one.
            let resize = format!(
                "import fcntl, struct, termios\n\
                 size = struct.pack('HHHH', {rows}, {columns}, 0, 0)\n\
                 fcntl.ioctl(open('{}'), termios.TIOCSWINSZ, size)",
                tty.trim()
            );
            let resize = Run::program(desk.cluster, "python3").args(["-c", &resize]);
            resize.finish().expect("another size", 0);
            desk.pty.read_until(&format!("window {rows} {columns}"));
        }
        let_go(desk.cluster);
        desk.expect_code(5);
    });
}

#[test]
fn job_control_works_in_tmux() {
    need("tmux");
    let cluster = Cluster::start(3);
    write_scripts(&cluster);
    let tmux = Tmux::start(&cluster);
    let start = |shell: &str| {
        forget(&cluster);
        tmux.keys(&[&format!("$RL run desk -- {shell} patient"), "Enter"]);
        let pid = until_some("the command runs", || pid_of_script(&cluster));
        tmux.until_screen(&format!("ready-{pid}"));
        pid
    };
    for (key, code) in [("C-c", "130"), ("C-\\", "131")] {
        let pid = start("dash");
        tmux.keys(&[key]);
        until(key, || !processes::alive(pid));
        tmux.keys(&["echo code=$?.", "Enter"]);
        tmux.until_screen(&format!("code={code}."));
    }
    let pid = start("bash");
    tmux.command(&["resize-window", "-t", "desk", "-x", "100", "-y", "30"]);
    tmux.until_screen("window 30 100");
    tmux.keys(&["C-z"]);
    until_stopped(pid, true);
    tmux.until_screen("Stopped");
    tmux.keys(&["fg", "Enter"]);
    until_stopped(pid, false);
    let_go(&cluster);
    tmux.until_screen(&format!("done-{pid}"));
    tmux.keys(&["echo code=$?.", "Enter"]);
    tmux.until_screen("code=5.");
    drop(tmux);
    assert_nothing_is_left(&cluster);
}
