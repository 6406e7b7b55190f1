//! One real Redis server, a process that ends with the test.

use super::clock::{PATIENCE, within};
use super::run;
use redis::{FromRedisValue, RedisResult};
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

/// The major version of the server in PATH.
pub(crate) fn major_version() -> u32 {
    static MAJOR: OnceLock<u32> = OnceLock::new();
    *MAJOR.get_or_init(|| {
        let output = Command::new("redis-server").arg("--version").output();
        let text = output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        let number =
            text.split_once("v=").and_then(|(_, rest)| rest.split('.').next()?.parse().ok());
        // A missing server program is reported when a server is started.
        number.unwrap_or(7)
    })
}

/// Placeholder among the options for a port that is chosen when the server starts.
pub(super) const TLS_PORT: &str = "{tls-port}";

/// A server at a fixed address.
pub(super) struct Server {
    pub(super) port: u16,
    /// The port for TLS, if the options use one.
    pub(super) tls_port: u16,
    _reservations: [UdpSocket; 2],
    pub(super) socket: PathBuf,
    options: Vec<String>,
    /// The library that changes the server's wall clock from the next start on, and the file with
    /// the step.
    pub(super) clock: Option<(PathBuf, PathBuf)>,
    process: Option<Child>,
    pub(super) stopped: bool,
    pub(super) password: Option<String>,
}

impl Server {
    /// A server with a directory of its own, and with these options besides the usual ones.
    pub(super) fn start(dir: &Path, options: &[&str]) -> Self {
        std::fs::create_dir(dir).expect("a directory");
        for _ in 0..50 {
            let ((port, first), (tls_port, second)) = (free_port(), free_port());
            let option = |&option: &&str| option.replace(TLS_PORT, &tls_port.to_string());
            let (socket, options) = (dir.join("socket"), options.iter().map(option).collect());
            let mut server = Self {
                port,
                tls_port,
                _reservations: [first, second],
                socket,
                options,
                clock: None,
                process: None,
                stopped: false,
                password: None,
            };
            if server.launch() {
                return server;
            }
        }
        panic!("no free port for redis-server on 127.0.0.1");
    }

    pub(super) fn is_running(&self) -> bool {
        self.process.is_some()
    }

    pub(super) fn pid(&self) -> i32 {
        run::pid_of(self.process.as_ref().expect("the server runs"))
    }

    /// Starts the process.
    pub(super) fn begin(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string()]);
        command
            .arg("--unixsocket")
            .arg(&self.socket)
            .arg("--dir")
            .arg(self.socket.parent().expect("a directory"));
        command.args(["--save", "", "--appendonly", "no", "--daemonize", "no"]);
        if major_version() >= 7 {
            // Older servers do not know these options, and protect nothing from their
            // administrator.
            command.args(["--enable-debug-command", "yes", "--enable-protected-configs", "yes"]);
        }
        // A process title would overwrite the environment, by which `make test` finds processes
        // that a test left behind.
        command.args(["--set-proc-title", "no"]).args(&self.options);
        if let Some((library, step)) = &self.clock {
            command.env("LD_PRELOAD", library).env("WALLCLOCK_STEP", step);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| {
            panic!("these tests need redis-server ({error}); on Debian or Ubuntu: apt-get install redis-server")
        });
        self.process = Some(process);
        self.stopped = false;
        self.password = None;
    }

    /// Starts the process and waits until it has loaded its data. False if the port is taken.
    pub(super) fn launch(&mut self) -> bool {
        self.begin();
        let pid = self.pid().to_string();
        let answer = within(PATIENCE, || {
            let ended = self
                .process
                .as_mut()
                .is_none_or(|process| process.try_wait().is_ok_and(|end| end.is_some()));
            let info = self.ask::<String>(&["INFO"]).unwrap_or_default();
            let ours = info.contains(&format!("\nprocess_id:{pid}\r\n"))
                && info.contains("\nloading:0\r\n");
            (ended || ours).then_some(ours)
        });
        let ready = answer.expect("redis-server answers or ends");
        if !ready {
            self.end();
        }
        ready
    }

    pub(super) fn ask<T: FromRedisValue>(&self, words: &[&str]) -> RedisResult<T> {
        let password =
            self.password.as_ref().map(|password| format!(":{password}@")).unwrap_or_default();
        let client = redis::Client::open(format!("redis://{password}127.0.0.1:{}", self.port))?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(5))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut command = redis::cmd(words[0]);
        words[1..].iter().for_each(|word| {
            command.arg(*word);
        });
        command.query(&mut connection)
    }

    pub(super) fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Distance from the port of a Redis Cluster node to the port of its bus. It can be changed only
/// since Redis 7.
pub(crate) const BUS: u16 = 10_000;

/// The ports of servers. These ports and those of the buses are below the ports that the system
/// gives to outgoing connections, so that a server can be restarted on the same ports.
pub(crate) const PORTS: std::ops::Range<u16> = 10_000..20_000;

/// A free port, with the port of the bus also free. The socket reserves both against other test
/// suites, which look for ports in the same way, also while the server is down.
pub(crate) fn free_port() -> (u16, UdpSocket) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let size = PORTS.end - PORTS.start;
    let start = u16::try_from(std::process::id() % 100).expect("below 100") * 100;
    loop {
        let port = PORTS.start + (start + NEXT.fetch_add(1, Ordering::Relaxed) % size) % size;
        let is_free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if let Ok(reservation) = UdpSocket::bind(("127.0.0.1", port))
            && is_free(port)
            && is_free(port + BUS)
        {
            return (port, reservation);
        }
    }
}
