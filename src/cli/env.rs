//! The values of the variables that set no option.

use super::error::CliError;
use super::handle_text;
use super::outer::OuterLock;
use super::variables::{HANDLE, HELD, PASSWORD, URLS};
use crate::lock::Key;
use anyhow::anyhow;
use std::env::VarError;

/// The values, read once at the start.
#[derive(Debug, Default)]
pub(super) struct Environment {
    pub(super) urls: Option<String>,
    pub(super) password: Option<String>,
    pub(super) held: Vec<OuterLock>,
}

impl Environment {
    pub(super) fn read() -> Result<Self, CliError> {
        let mut held: Vec<OuterLock> = vec![];
        if let Some(handle) = Self::handle()? {
            // A handle that cannot be used proves no lock.
            held.extend(handle_text::of_variable(&handle).iter().flat_map(OuterLock::of_handle));
        }
        held.extend(set(HELD)?.iter().flat_map(|held| held.lines().map(OuterLock::parse)));
        Ok(Self { urls: set(URLS)?, password: set(PASSWORD)?, held })
    }

    /// The handle that the variable holds or names.
    pub(super) fn handle() -> Result<Option<String>, CliError> {
        set(HANDLE)
    }

    /// The fencing token of the handle, if its lock has exactly these keys.
    pub(super) fn token_of(&self, keys: &[&str]) -> Option<u64> {
        let of_handle = || self.held.iter().filter(|outer| outer.is_of_handle());
        let is_it = of_handle().count() == keys.len()
            && of_handle().all(|outer| keys.contains(&outer.key.as_str()));
        of_handle().next().filter(|_| is_it)?.token()
    }

    /// The innermost lock with this key. Whether a redlock holds it is not checked here.
    pub(super) fn outer(&self, key: &Key) -> Option<&OuterLock> {
        self.held.iter().rfind(|outer| outer.key == key.as_str())
    }
}

fn set(name: &str) -> Result<Option<String>, CliError> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(CliError::config(anyhow!("{name} is not UTF-8; set it to text that is")))
        }
    }
}
