//! Options of TLS, and the instances that use TLS.

use super::config::Config;
use super::error::CliError;
use super::report::describe::public_secret;
use crate::instance::{Endpoint, Tls, TlsFiles};
use anyhow::anyhow;
use clap::{Args, ValueHint};
use std::path::PathBuf;

/// The variables that name the files.
pub(super) const VARIABLES: [&str; 3] = ["REDLOCK_CACERT", "REDLOCK_CERT", "REDLOCK_KEY_FILE"];

#[derive(Args, Debug)]
#[group(skip)]
#[command(next_help_heading = "Instances")]
pub(super) struct TlsArgs {
    /// CAs that rediss:// servers are checked against, in PEM [default: the system's].
    #[arg(long, value_name = "FILE", env = "REDLOCK_CACERT", value_hint = ValueHint::FilePath, hide_env = true, hide_short_help = true)]
    pub(super) cacert: Option<PathBuf>,

    /// Certificate to show to rediss:// servers, in PEM; goes with --key-file.
    #[arg(long, value_name = "FILE", env = "REDLOCK_CERT", value_hint = ValueHint::FilePath, hide_env = true, hide_short_help = true)]
    pub(super) cert: Option<PathBuf>,

    /// Private key of that certificate, in PEM and without a passphrase.
    #[arg(long, value_name = "FILE", env = "REDLOCK_KEY_FILE", value_hint = ValueHint::FilePath, hide_env = true, hide_short_help = true)]
    pub(super) key_file: Option<PathBuf>,
}

/// Sets TLS for those of `endpoints` that ask for it. If none does, no file is read.
pub(super) fn cover(
    endpoints: &mut [Endpoint],
    args: &TlsArgs,
    config: &Config,
    warnings: &mut Vec<String>,
) -> Result<(), CliError> {
    let files = TlsFiles {
        cacert: args.cacert.clone().or_else(|| config.cacert.clone()).or_else(system_cacert),
        identity: identity(args, config)?,
    };
    if endpoints.iter().any(Endpoint::is_encrypted) {
        let tls = Tls::load(&files).map_err(CliError::config)?;
        let key = files.identity.iter().filter(|_| tls.has_public_key()).map(|(_, key)| key);
        warnings.extend(key.map(|key| public_secret("the private key", key)));
        for endpoint in endpoints {
            endpoint.cover_with(&tls).map_err(CliError::config)?;
        }
    }
    Ok(())
}

fn identity(args: &TlsArgs, config: &Config) -> Result<Option<(PathBuf, PathBuf)>, CliError> {
    let cert = args.cert.clone().or_else(|| config.cert.clone());
    let key = args.key_file.clone().or_else(|| config.key_file.clone());
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some((cert, key))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(CliError::usage(anyhow!(
            "a --cert is of no use without its private key; give --key-file"
        ))),
        (None, Some(_)) => Err(CliError::usage(anyhow!(
            "a --key-file is of no use without its certificate; give --cert"
        ))),
    }
}

/// The file of the system's CAs by the variable of OpenSSL, which redis-cli and curl read too.
fn system_cacert() -> Option<PathBuf> {
    std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from)
}
