//! Handles of locks that are held across steps, and their files and variables.

use super::args::{HandleOutputArgs, InstanceArgs, OutputArgs};
use super::config::Config;
use super::env::Environment;
use super::error::CliError;
use super::handle_text::{as_path, read};
use super::report::{Report, Subject};
use super::run::host;
use super::servers::Servers;
use super::still_held::still_held;
use super::variables::{FENCE, HANDLE};
use crate::instance::Cluster;
use crate::lock::{
    Handle, HandleError, HandleState, InstanceLease, Keeper, Key, Name, StillHeld, Time,
};
use crate::policy::code;
use crate::supervisor::{self, HandleFile, HeldValue, NewFile};
use anyhow::{Context as _, anyhow};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest handle that is read from standard input, in bytes.
const MAX: u64 = 0x1_0000;

/// A handle, and all that a command about it needs.
pub(super) struct OpenHandle {
    pub(super) handle: Handle,
    /// The file of the handle, which is locked. `None` for standard input and the variable.
    file: Option<HandleFile>,
    /// The servers in the order of the handle.
    pub(super) servers: Servers,
    pub(super) names: Vec<Name>,
}

/// The text of a handle, and its file.
struct Source {
    text: String,
    file: Option<HandleFile>,
}

fn locked(path: &Path, warnings: &mut Vec<String>) -> Result<Source, CliError> {
    // Refuses what is no regular file. To open a FIFO for the lock would wait for its other end.
    read(path, &mut vec![])?;
    let file = HandleFile::lock(path).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => CliError {
            code: code::BUSY,
            error: anyhow!(
                "another redlock has used the handle {} for ten seconds",
                path.display()
            ),
            is_answer: false,
        },
        _ => CliError::failed(
            anyhow!(error).context(format!("cannot lock the handle {}", path.display())),
        ),
    })?;
    Ok(Source { text: read(path, warnings)?, file: Some(file) })
}

fn source(typed: Option<&Path>, warnings: &mut Vec<String>) -> Result<Source, CliError> {
    let typed_line =
        |path: &&Path| path.as_os_str().as_bytes().trim_ascii_start().starts_with(b"{");
    if typed.as_ref().is_some_and(typed_line) {
        return Err(CliError::usage(anyhow!(
            "a handle is a secret, and every user sees arguments; give its file, - for standard input, or set {HANDLE}"
        )));
    }
    match typed {
        Some(path) if path.as_os_str() == "-" => {
            let mut text = String::new();
            let input = std::io::stdin().lock().take(MAX).read_to_string(&mut text);
            input.context("cannot read the handle").map_err(CliError::usage)?;
            Ok(Source { text, file: None })
        }
        Some(path) => locked(path, warnings),
        None => match Environment::handle()? {
            Some(value) => match as_path(&value) {
                Some(path) => locked(path, warnings),
                None => Ok(Source { text: value, file: None }),
            },
            None => Err(CliError::usage(anyhow!(
                "no handle: give --handle FILE, --handle - for standard input, or set {HANDLE}"
            ))),
        },
    }
}

impl OpenHandle {
    /// The handle of `--handle` or the variable, and the servers of this command, which must be
    /// those of the handle.
    pub(super) fn open(
        typed: Option<&Path>,
        args: &InstanceArgs,
        warnings: &mut Vec<String>,
    ) -> Result<Self, CliError> {
        let Source { text, file } = source(typed, warnings)?;
        let unusable = |error: HandleError| {
            CliError::usage(anyhow!(error).context("the handle cannot be used"))
        };
        let handle = Handle::parse(&text).map_err(unusable)?;
        let ttl = handle.ttl().ok_or(HandleError::Malformed).map_err(unusable)?;
        let names = handle.names.iter().map(|name| Name::new(name.as_str()));
        let names = names.collect::<Result<_, _>>();
        let names = names.map_err(|_| unusable(HandleError::Malformed))?;
        let config = Config::load(args.config.as_deref(), warnings)?;
        let around = Environment::read()?;
        let mut servers = Servers::named(args, Some(ttl), &config, &around, warnings)?;
        if handle.has_local_servers() && handle.host != host() {
            return Err(CliError::config(anyhow!(
                "the handle is of host {:?}, by addresses that mean other servers on this host",
                handle.host
            )));
        }
        let order = handle.order(&servers.names()).map_err(CliError::config)?;
        servers.endpoints =
            order.iter().filter_map(|at| servers.endpoints.get(*at).cloned()).collect();
        Ok(Self { handle, file, servers, names })
    }

    /// The cluster in which the lock is held.
    pub(super) fn cluster(&self) -> Option<Cluster> {
        let (target, id) = (self.handle.target()?, self.handle.lock_value()?.id);
        Some(self.servers.cluster(target, id, String::new()))
    }

    /// The value, and the slot of its keys.
    pub(super) fn held_value(&self) -> HeldValue<'_> {
        HeldValue { value: &self.handle.value, slot: self.handle.slot }
    }

    /// The keys that are set.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.handle.keys.iter().filter_map(|key| Key::literal(key.as_str()).ok()).collect()
    }

    /// A report on the lock.
    pub(super) fn report(&self, output: OutputArgs) -> Report {
        let subject = Subject {
            names: &self.names,
            program: None,
            slots: 1,
            skips: false,
            endpoints: &self.servers.endpoints,
            quorum: self.servers.size.quorum(),
        };
        Report::new(output, &subject)
    }

    /// The error for a lock that is not held any more: code 74.
    pub(super) fn lost(&self, how: &str) -> CliError {
        CliError { code: code::LOST, error: anyhow!("{} {how}", self.named()), is_answer: false }
    }

    /// Whether the servers show that the lock is held for `left` more, by default a third of its
    /// TTL.
    pub(super) fn still_held(&self, left: Option<Duration>) -> Result<StillHeld, CliError> {
        let id = self.handle.lock_value().map(|value| value.id).unwrap_or_default();
        still_held(&self.servers, &self.keys(), &id, left)
    }

    /// Refuses a handle whose own state is lost or released.
    pub(super) fn refuse_ended(&self) -> Result<(), CliError> {
        match self.handle.state {
            HandleState::Held => Ok(()),
            HandleState::Lost => Err(self.lost("was lost")),
            HandleState::Released => Err(self.lost("was released")),
        }
    }

    /// The names, for messages.
    pub(super) fn named(&self) -> String {
        format!("'{}'", super::report::holder::safe(&self.handle.names.join(", ")))
    }

    /// Whether the handle is in a file.
    pub(super) const fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// Writes the changed handle to its file, if it has one.
    pub(super) fn store(&self, report: &Report) {
        let line = format!("{}\n", self.handle.to_line());
        if let Some(Err(error)) = self.file.as_ref().map(|file| file.replace(&line)) {
            report.warn(&format!("cannot write the handle: {error}"));
        }
    }
}

/// The place of a new handle.
pub(super) struct HandleOutput {
    path: Option<PathBuf>,
    /// The new file under a temporary name.
    draft: Option<NewFile>,
    replaces: bool,
    export: bool,
    /// The files of GitHub Actions for outputs and for variables.
    github: Option<(PathBuf, PathBuf)>,
}

impl HandleOutput {
    /// The place that `args` name. A file with the handle of a lock that may be held is refused,
    /// and so is a file of another kind.
    pub(super) fn prepare(args: &HandleOutputArgs) -> Result<Self, CliError> {
        let github = if args.github {
            let file = |name: &str| {
                let path = std::env::var_os(name).filter(|path| !path.is_empty());
                path.map(PathBuf::from).ok_or_else(|| {
                    CliError::usage(anyhow!("--github needs {name}, which is not set"))
                })
            };
            Some((file("GITHUB_OUTPUT")?, file("GITHUB_ENV")?))
        } else {
            None
        };
        // The keeper changes its working directory.
        let path = args
            .handle
            .as_deref()
            .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        let replaces = path.as_deref().map_or(Ok(false), is_replaceable)?;
        Ok(Self { path, draft: None, replaces, export: args.export, github })
    }

    /// Opens the file, so that one that cannot be written is refused before a lock is taken.
    pub(super) fn open(mut self) -> Result<Self, CliError> {
        if let Some(path) = &self.path {
            let draft = NewFile::create(path)
                .with_context(|| format!("cannot write the handle {}", path.display()));
            self.draft = Some(draft.map_err(CliError::usage)?);
        }
        Ok(self)
    }

    /// The file of the handle.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Writes the file, if there is one.
    pub(super) fn write_file(&mut self, line: &str) -> std::io::Result<()> {
        match self.draft.take() {
            Some(draft) => draft.persist(&format!("{line}\n"), self.replaces),
            None => Ok(()),
        }
    }

    /// Prints the handle, or tells the steps that follow of its file, and of the fencing token.
    pub(super) fn tell(&self, line: &str) -> std::io::Result<()> {
        let path = self.path();
        let value = path.map_or_else(|| line.to_owned(), |path| path.display().to_string());
        let token = Handle::parse(line).ok().and_then(|handle| handle.fence);
        if let Some((output, variables)) = &self.github {
            let append = |file: &Path, text: String| {
                OpenOptions::new().append(true).create(true).open(file)?.write_all(text.as_bytes())
            };
            if path.is_none() {
                // From here on, the runner hides the value in its logs.
                Report::deliver(&format!("::add-mask::{line}\n"))?;
            }
            let of_token =
                |name: &str| token.map(|token| format!("{name}={token}\n")).unwrap_or_default();
            append(output, format!("handle={value}\n{}", of_token("fence")))?;
            append(variables, format!("{HANDLE}={value}\n{}", of_token(FENCE)))?;
        } else if self.export {
            Report::deliver(&exported(&value, token))?;
        } else if path.is_none() {
            Report::deliver(&format!("{line}\n"))?;
        }
        Ok(())
    }
}

/// Assignments for a shell: the handle or its file, and the fencing token.
pub(super) fn exported(value: &str, token: Option<u64>) -> String {
    let handle = format!("export {HANDLE}='{}'\n", value.replace('\'', r"'\''"));
    token.map_or_else(String::new, |token| format!("export {FENCE}={token}\n")) + &handle
}

/// Whether the file at `path` has a handle of an ended lock. A file of another kind, or the handle
/// of a lock that may be held, is refused.
fn is_replaceable(path: &Path) -> Result<bool, CliError> {
    if !path.try_exists().unwrap_or(true) && !path.is_symlink() {
        return Ok(false);
    }
    let handle = read(path, &mut vec![]).ok().and_then(|text| Handle::parse(&text).ok());
    let Some(handle) = handle else {
        return Err(CliError::usage(anyhow!(
            "{} exists and is no handle; name another file",
            path.display()
        )));
    };
    if may_be_held(&handle) {
        return Err(CliError::usage(anyhow!(
            "{} is the handle of '{}', which may be held; release it, or name another file",
            path.display(),
            super::report::holder::safe(&handle.names.join(", "))
        )));
    }
    Ok(true)
}

/// The keeper of the handle, if it is alive.
pub(super) fn living_keeper(handle: &Handle) -> Option<&Keeper> {
    let clock = supervisor::clock_id()?;
    let keeper = handle.keeper_here(&clock, &supervisor::pid_space());
    keeper.filter(|keeper| supervisor::is_alive(keeper.pid, keeper.started))
}

fn may_be_held(handle: &Handle) -> bool {
    let has_expired = || {
        let expiry = |sent: Time| handle.ttl().map_or(Time::NEVER, |ttl| sent.plus(ttl.length()));
        let leases = handle.leases.iter().filter_map(InstanceLease::confirmed);
        supervisor::clock_id().as_deref() == Some(&handle.clock)
            && leases.max().is_none_or(|sent| expiry(sent) <= supervisor::now())
    };
    handle.state == HandleState::Held && (living_keeper(handle).is_some() || !has_expired())
}
