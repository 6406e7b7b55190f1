//! `redlock sandbox`: servers that live as long as a command.

use crate::support::{Cluster, Run, Running, processes, until};
use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;

/// A sandbox in a directory for temporary files of its own, with nothing preset.
fn sandbox(cluster: &Cluster, args: &[&str]) -> Run {
    let temporary = cluster.dir().join("tmp");
    fs::create_dir_all(&temporary).expect("a directory");
    let run = Run::redlock(cluster).without("REDLOCK_URLS").without("REDLOCK_RESTART_GUARD");
    run.env("TMPDIR", temporary).args(["sandbox"]).args(args)
}

/// The files of the sandbox in the directory for temporary files.
fn left(cluster: &Cluster) -> Vec<PathBuf> {
    fs::read_dir(cluster.dir().join("tmp"))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

fn until_nothing_is_left(cluster: &Cluster) {
    cluster.until_no_process_is_left();
    until("the sandbox's directory is gone", || left(cluster).is_empty());
}

/// The paths of the servers' sockets, from the URLs that the command got.
fn sockets(urls: &str) -> Vec<PathBuf> {
    let paths = urls
        .split([',', ' '])
        .map(|url| url.trim().strip_prefix("unix://").expect("a socket").into());
    paths.collect()
}

#[test]
fn a_sandbox_gives_its_command_servers_to_lock_with() {
    let cluster = Cluster::start(0);
    let script =
        r#"echo "$REDLOCK_URLS"; "$RL" run --ttl 30s inside -- echo inside || exit 1; exit 7"#;
    let output = sandbox(&cluster, &["-n", "3", "--", "sh", "-c", script])
        .finish()
        .expect("the command's own", 7);
    let out = output.out();
    let (urls, rest) = out.split_once('\n').expect("two lines");
    assert_eq!(sockets(urls).len(), 3, "{urls}");
    assert_eq!(rest, "inside\n");
    until_nothing_is_left(&cluster);
}

#[test]
fn a_sandbox_has_five_servers_unless_told_otherwise() {
    let cluster = Cluster::start(0);
    for (label, args, count) in [("default", &["--"][..], 5), ("seven", &["-n", "7", "--"], 7)] {
        let run = sandbox(&cluster, args).args(["sh", "-c", r#"echo "$REDLOCK_URLS""#]);
        let sockets = sockets(run.finish().expect(label, 0).out().trim());
        assert_eq!(sockets.len(), count, "{label}");
        assert!(sockets.iter().all(|socket| !socket.exists()), "{label}: {sockets:?} are left");
        until_nothing_is_left(&cluster);
    }
}

#[test]
fn the_servers_of_a_sandbox_are_private_and_keep_nothing() {
    let cluster = Cluster::start(0);
    let mut running = start(&cluster);
    let sockets = sockets(running.stdout().lines().next().expect("a line"));
    let directory = left(&cluster).pop().expect("a directory");
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(&directory).expect("it is there").permissions(),
    );
    assert_eq!(mode & 0o077, 0, "others can look into {}", directory.display());
    for socket in &sockets {
        assert!(
            socket.starts_with(&directory),
            "{} is not in {}",
            socket.display(),
            directory.display()
        );
        let mut connection = redis::Client::open(format!("unix://{}", socket.display()))
            .unwrap()
            .get_connection()
            .unwrap();
        for (setting, value) in [("save", ""), ("appendonly", "no"), ("port", "0")] {
            let pair: Vec<String> =
                redis::cmd("CONFIG").arg("GET").arg(setting).query(&mut connection).unwrap();
            assert_eq!(pair, [setting, value]);
        }
    }
    running.let_go();
    running.wait().expect("let go", 0);
    until_nothing_is_left(&cluster);
}

/// The process ids that the servers report.
fn servers(running: &Running) -> Vec<i32> {
    let pid = |socket: &PathBuf| -> i32 {
        let client = redis::Client::open(format!("unix://{}", socket.display())).expect("a URL");
        let mut connection = client.get_connection().expect("the server listens");
        let info: String =
            redis::cmd("INFO").arg("server").query(&mut connection).expect("the server answers");
        let line =
            info.lines().find_map(|line| line.strip_prefix("process_id:")).expect("a process id");
        line.parse().expect("a number")
    };
    sockets(running.stdout().lines().next().expect("a line")).iter().map(pid).collect()
}

/// A sandbox whose command has printed its servers and `ready`.
fn start(cluster: &Cluster) -> Running {
    let script = r#"echo "$REDLOCK_URLS"; echo ready; cat >/dev/null"#;
    let running = sandbox(cluster, &["-n", "3", "--", "sh", "-c", script]).spawn();
    running.until_ready();
    running
}

#[test]
fn a_killed_sandbox_ends_its_servers_and_removes_its_directory() {
    let cluster = Cluster::start(0);
    let mut running = start(&cluster);
    let servers = servers(&running);
    assert!(!left(&cluster).is_empty(), "the sandbox has a directory");
    running.signal(Signal::SIGKILL);
    until("redlock is dead", || !running.goes_on());
    until("the servers are dead", || !servers.iter().any(|&pid| processes::alive(pid)));
    until_nothing_is_left(&cluster);
}

#[test]
fn a_signal_ends_the_sandbox_and_all_of_it() {
    let cluster = Cluster::start(0);
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let run = sandbox(&cluster, &["-n", "3", "--", "sh", "-c", "echo ready; exec sleep 600"]);
        let running = run.with_default_signals().spawn();
        running.until_ready();
        running.signal(signal);
        running.wait().expect_death("a sandbox", signal);
        until_nothing_is_left(&cluster);
    }
}

#[test]
fn a_server_of_the_sandbox_may_die() {
    let cluster = Cluster::start(0);
    let mut running = start(&cluster);
    let servers = servers(&running);
    assert_eq!(servers.len(), 3);
    processes::send(servers[0], Signal::SIGKILL);
    until("the server is dead", || !processes::alive(servers[0]));
    running.assert_goes_on("that is what the sandbox is for");
    running.finish().expect("one server died", 0);
    until("the servers are dead", || !servers.iter().any(|&pid| processes::alive(pid)));
    until_nothing_is_left(&cluster);
}

#[test]
fn without_a_server_one_sentence_says_how_to_get_one() {
    let cluster = Cluster::start(0);
    let output = sandbox(&cluster, &["--", "/bin/true"]).env("PATH", cluster.dir()).finish();
    assert!(!output.status.success(), "there was no server");
    assert_eq!(output.stderr.lines().count(), 1, "one sentence: {}", output.stderr);
    output.expect_words("no server", &["redis-server", "install"]);
    until_nothing_is_left(&cluster);
}

#[test]
fn the_server_may_be_named() {
    let cluster = Cluster::start(0);
    let path = std::env::var_os("PATH").expect("PATH");
    let server = std::env::split_paths(&path)
        .map(|dir| dir.join("redis-server"))
        .find(|server| server.exists());
    let server = server
        .expect("these tests need redis-server; on Debian or Ubuntu: apt-get install redis-server");
    let args = ["-n", "3", "--server", server.to_str().expect("a path"), "--", "/bin/true"];
    sandbox(&cluster, &args).env("PATH", cluster.dir()).finish().expect("by name", 0);
    let wrong = sandbox(&cluster, &["--server", "/no/such/server", "--", "/bin/true"]).finish();
    assert!(!wrong.status.success(), "there is no such server");
    wrong.expect_words("no such server", &["/no/such/server"]);
    until_nothing_is_left(&cluster);
}

#[test]
fn a_command_that_is_not_there_leaves_nothing() {
    let cluster = Cluster::start(0);
    sandbox(&cluster, &["-n", "3", "--", "no-such-command"]).finish().expect("not there", 127);
    until_nothing_is_left(&cluster);
}

#[test]
fn a_sandbox_knows_nothing_of_the_hosts_servers_and_locks() {
    let cluster = Cluster::start(0);
    let config = cluster.dir().join("config.toml");
    fs::write(&config, "urls = ['a', 'b', 'c']\nuser = 'redlock'\npassword-file = '/nonexistent'")
        .unwrap();
    for count in ["1", "3"] {
        let run = sandbox(
            &cluster,
            &["-n", count, "--", "sh", "-c", r#""$RL" run -n inside -- echo inside"#],
        );
        let run = run
            .env("REDLOCK_CONFIG", &config)
            .env("REDLOCK_USER", "me")
            .env("REDLOCK_PASSWORD", "pw");
        let run = run.env("REDLOCK_CACERT", "/nonexistent").env("REDLOCK_HELD", "redlock:inside");
        let output = run
            .env("REDLOCK_SINGLE", if count == "1" { "0" } else { "1" })
            .finish()
            .expect(count, 0);
        assert_eq!(output.out(), "inside\n", "{count}");
    }
    until_nothing_is_left(&cluster);
}

#[test]
fn a_sandbox_names_a_command_that_cannot_run() {
    let cluster = Cluster::start(0);
    for (args, code, words) in [
        (&["--", "no-such-command"][..], 127, "cannot run 'no-such-command': not found"),
        (&["--", "/"], 126, "cannot run '/': Permission denied"),
        (&["-n", "2", "--", "true"], 64, "two Redis servers are worse than one"),
        (&["--server", "no-such-server", "--", "true"], 78, "there is no no-such-server in PATH"),
    ] {
        let output = sandbox(&cluster, args).finish().expect(words, code);
        assert!(
            output.stderr.contains(words) && output.stderr.lines().count() == 1,
            "{args:?}: {}",
            output.stderr
        );
    }
    until_nothing_is_left(&cluster);
}
