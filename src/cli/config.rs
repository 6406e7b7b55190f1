//! The configuration file: what an administrator sets once for a host.

use super::duration;
use super::refusal::Refusal;
use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Deserializer};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a configuration file may say; a flag or a variable goes before it.
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
    pub(super) restart_guard: Option<String>,
    #[serde(deserialize_with = "length")]
    pub(super) ttl: Option<Duration>,
    #[serde(deserialize_with = "length")]
    pub(super) op_timeout: Option<Duration>,
}

fn length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = match toml::Value::deserialize(deserializer)? {
        toml::Value::String(text) => text,
        // A bare number is seconds, as on the command line.
        toml::Value::Integer(seconds) => seconds.to_string(),
        toml::Value::Float(seconds) => seconds.to_string(),
        _ => return Err(serde::de::Error::custom("expected a length")),
    };
    duration::parse(&text).map(Some).map_err(serde::de::Error::custom)
}

impl Config {
    /// Reads `named`, or else the user's file, or else the system's, or else nothing.
    pub(super) fn load(named: Option<&Path>) -> Result<Self, Refusal> {
        if let Some(path) = named {
            return Self::read(path)?
                .ok_or_else(|| Refusal::config(anyhow!("there is no configuration file {}", path.display())));
        }
        for path in usual() {
            if let Some(config) = Self::read(&path)? {
                return Ok(config);
            }
        }
        Ok(Self::default())
    }

    /// Nothing, where there is no such file.
    fn read(path: &Path) -> Result<Option<Self>, Refusal> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => {
                return Err(Refusal::config(
                    anyhow::Error::new(error).context(format!("cannot read the configuration {}", path.display())),
                ));
            }
        };
        let config = Self::parse(&text)
            .with_context(|| format!("cannot use the configuration {}", path.display()))
            .map_err(Refusal::config)?;
        Ok(Some(config.seen_from(path.parent().unwrap_or(path))))
    }

    /// The same, where the files that it names are looked for in this directory.
    fn seen_from(mut self, directory: &Path) -> Self {
        for file in
            [&mut self.password_file, &mut self.cacert, &mut self.cert, &mut self.key_file].into_iter().flatten()
        {
            *file = directory.join(&file);
        }
        self
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        // Its message in full would print the line, or a value; either may hold a password.
        toml::from_str(text).map_err(|error| {
            let message = error.message();
            let message = message.find(", expected ").and_then(|at| message.get(at + 2..)).unwrap_or(message);
            match error.span().and_then(|span| text.get(..span.start)) {
                Some(before) => anyhow!("line {}: {message}", before.matches('\n').count() + 1),
                None => anyhow!("{message}"),
            }
        })
    }
}

/// Where configurations are by custom (XDG Base Directory, and /etc).
fn usual() -> impl Iterator<Item = PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let user = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
    let user = user.map(|dir| dir.join("redlock"));
    // What may not be looked into is of whoever we were before su(1) or sudo(8).
    let user = user.filter(|dir| !dir.metadata().is_err_and(|error| error.kind() == ErrorKind::PermissionDenied));
    user.into_iter().chain([PathBuf::from("/etc/redlock")]).map(|dir| dir.join("config.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_may_set_what_a_host_has_in_common() {
        let config = Config::parse("urls = ['a', 'b']\nttl = '10s'\nop-timeout = '200ms'\nrestart-guard = 'off'\n");
        let config = config.unwrap();
        assert_eq!(config.urls, ["a", "b"]);
        assert_eq!(config.ttl, Some(Duration::from_secs(10)));
        assert_eq!(config.restart_guard.as_deref(), Some("off"));
        assert_eq!(Config::parse("").unwrap(), Config::default());
        for (text, millis) in [("ttl = 10", 10_000), ("ttl = 2.5", 2_500), ("ttl = '500ms'", 500)] {
            assert_eq!(Config::parse(text).unwrap().ttl, Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn files_are_looked_for_beside_the_file_that_names_them() {
        let config =
            Config::parse("password-file = 'pw'\ncacert = '/etc/ca.crt'").unwrap().seen_from(Path::new("/here"));
        assert_eq!(config.password_file.as_deref(), Some(Path::new("/here/pw")));
        assert_eq!(config.cacert.as_deref(), Some(Path::new("/etc/ca.crt")));
    }

    #[test]
    fn an_error_names_the_line_and_not_what_is_in_it() {
        for (text, line) in [
            ("urls = ['redis://:secret@a'\n", "line "),
            ("\nurls = 'redis://:secret@a'", "line 2"),
            ("password = 'secret'", "line 1"),
            ("ttl = 'secret'", "line 1"),
            ("ttl = ['secret']", "line 1"),
        ] {
            let error = format!("{:#}", Config::parse(text).unwrap_err());
            assert!(error.contains(line) && !error.contains("secret"), "{text}: {error}");
        }
    }
}
