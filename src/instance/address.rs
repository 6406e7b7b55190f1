//! The address of a server: a host and a port, or the path of a Unix socket.

use std::fmt;
use std::path::PathBuf;

/// The address of a server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Address {
    /// A host name or an address without brackets, and a port.
    Tcp(String, u16),
    /// The path of a socket.
    Unix(PathBuf),
}

/// The address in the usual notation.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}
