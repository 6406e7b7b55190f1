//! TLS to instances: the files, and the errors. Empty without the feature `tls`.

#[cfg(feature = "tls")]
mod client;
#[cfg(not(feature = "tls"))]
#[path = "tls/disabled.rs"]
mod client;
#[cfg(feature = "tls")]
mod error;

pub use client::Tls;
pub(super) use client::{Channel, Encrypted, below, refusal_after_it, refusal_in_handshake};

use std::fmt;
use std::path::PathBuf;

/// The PEM files of the TLS client.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TlsFiles {
    /// The CAs that may sign a server's certificate, instead of the system's.
    pub cacert: Option<PathBuf>,
    /// Our certificate, and its private key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// Error of unusable TLS files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidTls(String);

impl fmt::Display for InvalidTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidTls {}
