//! `redlock sandbox`: private servers to try redlock on, removed after the command.

use super::args::SandboxArgs;
use super::error::CliError;
use super::report::describe::{self, cannot_run};
use super::report::holder::safe;
use super::runtime::block_on;
use super::tls;
use super::variables::{HELD, PASSWORD, PASSWORD_FILE, URLS};
use crate::lock::Time;
use crate::policy::{ChildEvent, End, Exit, Signal};
use crate::supervisor::{
    self, EventListener, Group, GuardianEvent, GuardianHandle, Program, Signals,
};
use anyhow::{Context as _, anyhow};
use std::ffi::{OsStr, OsString};
use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// The longest path of a socket (unix(7)), with room for its name in the directory.
const LONGEST: usize = 107 - "/99.sock".len();

/// Starts the servers, runs the command, and ends them all.
pub(super) fn main(args: SandboxArgs) -> Result<Exit, CliError> {
    let server = server(args.server.as_deref())?;
    let count = usize::from(args.servers);
    if count == 2 {
        let why = "two Redis servers are worse than one, since losing either loses the majority; take one, or three or more";
        return Err(CliError::usage(anyhow!(why)));
    }
    let directory = directory().map_err(CliError::failed)?;
    // An empty configuration, in place of the host's.
    let config = directory.join("config.toml");
    write_empty(&config).context("cannot write the configuration").map_err(CliError::failed)?;
    let sockets: Vec<PathBuf> =
        (0..count).map(|number| directory.join(format!("{number}.sock"))).collect();
    let servers: Vec<Program> =
        sockets.iter().map(|socket| serve(&server, &directory, socket)).collect();
    let wrapped = if args.argv.is_empty() { shell() } else { args.argv };
    let variables = variables(&sockets, &config.to_string_lossy());
    let command = Program { argv: wrapped, variables, hidden: hidden(), group: Group::Redlock };
    let guardian = supervisor::guard(Some(directory.clone()))
        .context("cannot start the guardian")
        .map_err(CliError::failed)?;
    let result =
        guardian.until_ready().map_err(describe::missing).map_err(CliError::failed).and_then(
            |()| {
                let carried_out = block_on(async {
                    let refused = |error| {
                        CliError::failed(
                            anyhow::Error::new(error).context("the system refuses a descriptor"),
                        )
                    };
                    let signals = Signals::listen().map_err(refused)?;
                    let listener = guardian.listen().map_err(refused)?;
                    let mut sandbox = Sandbox { guardian: &guardian, listener, signals };
                    let result = sandbox.run(&sockets, servers, command).await;
                    sandbox.clear_away().await;
                    result
                });
                carried_out.map_err(CliError::failed)?
            },
        );
    guardian.see_off();
    result
}

/// Variables by which the command finds these servers and no others.
fn variables(sockets: &[PathBuf], config: &str) -> Vec<(String, String)> {
    let urls = sockets.iter().map(|socket| url(socket)).collect::<Vec<_>>().join(",");
    let single = if sockets.len() == 1 { "true" } else { "false" };
    let variables = [
        (URLS, urls.as_str()),
        ("REDLOCK_RESTART_GUARD", "off"),
        ("REDLOCK_SINGLE", single),
        ("REDLOCK_CONFIG", config),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Variables about other servers and the locks there, hidden from the command.
fn hidden() -> Vec<String> {
    let others = ["REDLOCK_USER", PASSWORD, PASSWORD_FILE, HELD];
    others.into_iter().chain(tls::VARIABLES).map(str::to_owned).collect()
}

/// The number of the command; the servers follow it.
const COMMAND: u32 = 0;

struct Sandbox<'a> {
    guardian: &'a GuardianHandle,
    listener: EventListener,
    signals: Signals,
}

impl Sandbox<'_> {
    async fn run(
        &mut self,
        sockets: &[PathBuf],
        servers: Vec<Program>,
        command: Program,
    ) -> Result<Exit, CliError> {
        let named = command.argv.first().cloned().unwrap_or_default();
        let server =
            servers.first().and_then(|server| server.argv.first()).cloned().unwrap_or_default();
        for (number, server) in (COMMAND + 1..).zip(servers) {
            self.guardian.start(number, server, Time::NEVER, Time::NEVER);
        }
        for socket in sockets {
            let accepts = accepts(socket);
            tokio::pin!(accepts);
            loop {
                tokio::select! {
                    () = &mut accepts => break,
                    ended = ended(&mut self.listener, Path::new(&server)) => return Err(CliError::failed(ended)),
                    Some(received) = self.signals.next() => if received.signal.ends_a_wait() {
                        return Ok(Exit::Signal(received.signal));
                    }
                }
            }
        }
        self.guardian.start(COMMAND, command, Time::NEVER, Time::NEVER);
        self.follow_command(&named).await
    }

    async fn follow_command(&mut self, named: &OsStr) -> Result<Exit, CliError> {
        loop {
            let event = tokio::select! {
                Some(received) = self.signals.next() => {
                    // The terminal has sent the signal to the command as well.
                    if !received.is_typed {
                        self.guardian.signal(received.signal, false);
                    }
                    continue;
                }
                event = self.listener.next() => event,
            };
            match event {
                Some(GuardianEvent { program: COMMAND, what, .. }) => match what {
                    // The command has no deadline, so only a Ctrl-C before its start can be the
                    // cause.
                    ChildEvent::TooLate => return Ok(Exit::Signal(Signal::INT)),
                    ChildEvent::NotStarted(why) => return Err(CliError::cannot_run(named, why)),
                    ChildEvent::Stopped(signal)
                        if signal.stops_a_job() && self.signals.stop_by(signal) =>
                    {
                        self.guardian.resume(self.listener.stops());
                    }
                    ChildEvent::Ended { end: End::Exited(code), .. } => {
                        return Ok(Exit::Code(code));
                    }
                    ChildEvent::Ended { end: End::Signaled(signal), .. } => {
                        return Ok(Exit::Signal(signal));
                    }
                    _ => {}
                },
                Some(_) => {}
                None => return Err(CliError::failed(anyhow!("the guardian was killed"))),
            }
        }
    }

    /// Ends the servers and all processes that the command left behind.
    async fn clear_away(&mut self) {
        self.guardian.kill();
        while let Some(event) = self.listener.next().await {
            if event.what == ChildEvent::Gone {
                break;
            }
        }
        self.guardian.dismiss();
    }
}

/// A server ended, or could not be started, before all were ready.
async fn ended(listener: &mut EventListener, server: &Path) -> anyhow::Error {
    loop {
        match listener.next().await.map(|event| event.what) {
            Some(ChildEvent::NotStarted(why)) => {
                let named = safe(&server.to_string_lossy());
                return anyhow!(cannot_run(&named, why)).context("cannot start the servers");
            }
            Some(ChildEvent::Ended { end: End::Exited(code), .. }) => {
                return anyhow!(
                    "a server ended with code {code} before it was ready; is it a Redis server?"
                );
            }
            Some(ChildEvent::Ended { end: End::Signaled(signal), .. }) => {
                return anyhow!("a server died of {signal}");
            }
            Some(_) => {}
            None => return anyhow!("the guardian was killed"),
        }
    }
}

/// The server to start.
fn server(named: Option<&Path>) -> Result<PathBuf, CliError> {
    let candidates = match named {
        Some(path) if path.components().count() > 1 => return Ok(path.to_owned()),
        Some(name) => vec![name],
        None => vec![Path::new("redis-server"), Path::new("valkey-server")],
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = candidates.iter().find_map(|name| {
        std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
    });
    found.ok_or_else(|| {
        CliError::config(match named {
            Some(name) => anyhow!("there is no {} in PATH; give --server the path of a Redis server", name.display()),
            None => anyhow!(
                "there is no redis-server or valkey-server in PATH; install one ('apt-get install redis-server', 'dnf install \
                 valkey') or name it with --server"
            ),
        })
    })
}

/// A directory that other users cannot enter.
fn directory() -> anyhow::Result<PathBuf> {
    let mut parent = std::env::temp_dir();
    // The path is passed to the command as text, so it has to be UTF-8.
    if parent.as_os_str().len() + "/redlock-sandbox-XXXXXX".len() > LONGEST
        || parent.to_str().is_none()
    {
        parent = PathBuf::from("/tmp");
    }
    nix::unistd::mkdtemp(&parent.join("redlock-sandbox-XXXXXX"))
        .with_context(|| format!("cannot make a directory in {}", parent.display()))
}

/// An empty file that only this user can change, whatever the umask is.
fn write_empty(path: &Path) -> std::io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
}

/// A server that listens on `socket` alone and keeps nothing.
fn serve(server: &Path, directory: &Path, socket: &Path) -> Program {
    let log = socket.with_extension("log");
    let options: [(&str, &Path); 9] = [
        ("--port", Path::new("0")),
        ("--unixsocket", socket),
        ("--unixsocketperm", Path::new("700")),
        ("--save", Path::new("")),
        ("--appendonly", Path::new("no")),
        ("--daemonize", Path::new("no")),
        ("--dir", directory),
        ("--logfile", &log),
        ("--loglevel", Path::new("warning")),
    ];
    let options = options.iter().flat_map(|(name, value)| [OsString::from(name), value.into()]);
    let argv = [server.into()].into_iter().chain(options).collect();
    // Ctrl-C is for the command.
    Program { argv, variables: vec![], hidden: vec![], group: Group::Own }
}

/// Returns once a server listens on `socket`.
async fn accepts(socket: &Path) {
    while UnixStream::connect(socket).await.is_err() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a socket that does not exist yet cannot be waited for"
        )]
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The URL of `socket`. Characters that would end or split the URL are escaped.
fn url(socket: &Path) -> String {
    let escaped: String = socket
        .as_os_str()
        .as_bytes()
        .iter()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                char::from(*byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("unix://{escaped}")
}

fn shell() -> Vec<OsString> {
    vec![
        std::env::var_os("SHELL")
            .filter(|shell| !shell.is_empty())
            .unwrap_or_else(|| "/bin/sh".into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instance::{Endpoint, Login};

    #[test]
    fn the_url_of_a_socket_leads_back_to_it() {
        for path in ["/tmp/a/0.sock", "/tmp/a b,c?d#e%20/0.sock"] {
            let url = url(Path::new(path));
            assert!(!url.contains([' ', ',']), "{url}");
            assert_eq!(Endpoint::parse(&url, &Login::default()).unwrap().to_string(), path);
        }
    }
}
