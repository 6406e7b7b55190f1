//! The configuration file: settings for all runs on a host.

use super::duration;
use super::error::CliError;
use super::report::describe::public_secret;
use crate::instance::{SizeLimit, TrustedFile, Writers, has_password};
use crate::lock::Ttl;
use anyhow::{Context as _, anyhow};
use nix::unistd::geteuid;
use serde::{Deserialize, Deserializer};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Settings of a configuration file; a flag or a variable goes before each.
#[derive(Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Config {
    pub(super) urls: Vec<String>,
    pub(super) user: Option<String>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) cacert: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) prefix: Option<String>,
    pub(super) fence: bool,
    pub(super) restart_guard: Option<String>,
    #[serde(deserialize_with = "ttl")]
    pub(super) ttl: Option<Ttl>,
    #[serde(deserialize_with = "length")]
    pub(super) op_timeout: Option<Duration>,
}

fn length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration::parse(&text(deserializer)?).map(Some).map_err(serde::de::Error::custom)
}

fn ttl<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Ttl>, D::Error> {
    duration::parse_ttl(&text(deserializer)?).map(Some).map_err(serde::de::Error::custom)
}

/// A length of time as text, for the parser of the command line.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => Ok(text),
        // A bare number is seconds, as on the command line.
        toml::Value::Integer(seconds) => Ok(seconds.to_string()),
        toml::Value::Float(seconds) => Ok(seconds.to_string()),
        _ => Err(serde::de::Error::custom("expected a length")),
    }
}

impl Config {
    /// The TTL: `typed`, the setting, or the default.
    pub(super) fn ttl(&self, typed: Option<Ttl>) -> Ttl {
        typed.or(self.ttl).unwrap_or(Ttl::DEFAULT)
    }

    /// The text in front of a NAME in its key: `typed`, the setting, or the default.
    pub(super) fn prefix<'a>(&'a self, typed: Option<&'a str>) -> &'a str {
        typed.or(self.prefix.as_deref()).unwrap_or("redlock:")
    }

    /// Reads `named`, or else the user's file, or else the system's, or else nothing.
    pub(super) fn load(named: Option<&Path>, warnings: &mut Vec<String>) -> Result<Self, CliError> {
        if let Some(path) = named {
            return Self::read(path, warnings)?.ok_or_else(|| {
                CliError::config(anyhow!("there is no configuration file {}", path.display()))
            });
        }
        for path in usual() {
            if let Some(config) = Self::read(&path, warnings)? {
                return Ok(config);
            }
        }
        Ok(Self::default())
    }

    /// `None` if there is no such file.
    fn read(path: &Path, warnings: &mut Vec<String>) -> Result<Option<Self>, CliError> {
        let file = match TrustedFile::read(path, SizeLimit::Small, Writers::RootOrUs) {
            Ok(file) => file,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => {
                return Err(CliError::config(
                    anyhow!(error).context("cannot use the configuration"),
                ));
            }
        };
        let text = std::str::from_utf8(&file.bytes).map_err(|_| anyhow!("expected UTF-8"));
        let config = text
            .and_then(Self::parse)
            .with_context(|| format!("cannot use the configuration {}", path.display()))
            .map_err(CliError::config)?;
        if file.is_public && config.urls.iter().any(|url| has_password(url)) {
            warnings.push(public_secret("a password in the configuration", path));
        }
        Ok(Some(config.seen_from(path.parent().unwrap_or(path))))
    }

    /// The same settings, with the paths of their files relative to this directory.
    fn seen_from(mut self, directory: &Path) -> Self {
        for file in [&mut self.password_file, &mut self.cacert, &mut self.cert, &mut self.key_file]
            .into_iter()
            .flatten()
        {
            *file = directory.join(&file);
        }
        self
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        // The full message quotes the line or a value, and either may hold a password.
        toml::from_str(text).map_err(|error| {
            let message = shown(error.message());
            match error.span().and_then(|span| text.get(..span.start)) {
                Some(before) => anyhow!("line {}: {message}", before.matches('\n').count() + 1),
                None => anyhow!("{message}"),
            }
        })
    }
}

/// A message of the parser without a quoted value. An unknown name of an option is shown if it
/// looks like one.
fn shown(message: &str) -> &str {
    let is_of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    let name = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    if name.is_some_and(|name| name.len() <= 32 && name.chars().all(is_of_name)) {
        return message;
    }
    message.find(", expected ").and_then(|at| message.get(at + 2..)).unwrap_or(message)
}

/// Paths of the user's and the system's configuration (XDG Base Directory, and /etc).
fn usual() -> impl Iterator<Item = PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").map(|base| (base.clone(), base));
    let base = base.or_else(|| set("HOME").map(|home| (home.join(".config"), home)));
    // After su(1) or sudo(8) the directory may be another user's and closed to this one: pass it
    // over. A closed directory in this user's own home is an error, since another configuration
    // would name other servers.
    let user = base.map(|(base, home)| (base.join("redlock"), home)).filter(|(dir, home)| {
        let is_closed =
            dir.metadata().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied);
        !is_closed || home.metadata().is_ok_and(|home| home.uid() == geteuid().as_raw())
    });
    user.map(|(dir, _)| dir)
        .into_iter()
        .chain([PathBuf::from("/etc/redlock")])
        .map(|dir| dir.join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_set_the_common_settings_of_a_host() {
        let config = Config::parse(
            "urls = ['a', 'b']\nttl = '10s'\nop-timeout = '200ms'\nrestart-guard = 'off'\n",
        );
        let config = config.unwrap();
        assert_eq!(config.urls, ["a", "b"]);
        assert_eq!(config.ttl.map(Ttl::length), Some(Duration::from_secs(10)));
        assert_eq!(config.restart_guard.as_deref(), Some("off"));
        assert_eq!(Config::parse("").unwrap(), Config::default());
        for (text, millis) in [("ttl = 10", 10_000), ("ttl = 2.5", 2_500), ("ttl = '500ms'", 500)] {
            let ttl = Config::parse(text).unwrap().ttl;
            assert_eq!(ttl.map(Ttl::millis), Some(millis), "{text}");
        }
    }

    #[test]
    fn files_are_looked_for_beside_the_file_that_names_them() {
        let config = Config::parse("password-file = 'pw'\ncacert = '/etc/ca.crt'")
            .unwrap()
            .seen_from(Path::new("/here"));
        assert_eq!(config.password_file.as_deref(), Some(Path::new("/here/pw")));
        assert_eq!(config.cacert.as_deref(), Some(Path::new("/etc/ca.crt")));
    }

    #[test]
    fn an_error_names_the_line_and_not_its_text() {
        for (text, line) in [
            ("urls = ['redis://:secret@a'\n", "line "),
            ("\nurls = 'redis://:secret@a'", "line 2"),
            ("password = 'secret'", "line 1"),
            ("ttl = 'secret'", "line 1"),
            ("ttl = ['secret']", "line 1"),
            ("ttl = '100ms'", "line 1: expected a length from 200ms to 24h"),
            ("tttl = 'secret'", "line 1: unknown field `tttl`, expected one of"),
        ] {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(error.contains(line) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
