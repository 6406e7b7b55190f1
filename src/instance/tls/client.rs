//! The TLS client for every `rediss://` instance, made once from files.
//!
//! No error quotes the contents of a file: one of the files is a private key.

pub(in super::super) use super::error::{refusal_after_it, refusal_in_handshake};

use super::super::trusted_file::{SizeLimit, TrustedFile, Writers};
use super::{InvalidTls, TlsFiles};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::ServerCertVerifier as _;
use tokio_rustls::rustls::client::{Resumption, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, Error, InconsistentKeys, RootCertStore,
};

/// Bundles of the CAs that the system trusts, each in one file: Debian, Arch and Alpine; Fedora;
/// openSUSE; others.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A connection through TLS.
pub(in super::super) type Encrypted = TlsStream<TcpStream>;

/// The connection below TLS.
pub(in super::super) fn below(stream: &Encrypted) -> &TcpStream {
    stream.get_ref().0
}

/// The trusted CAs and our identity, for all instances.
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    roots: Arc<RootCertStore>,
    has_public_key: bool,
}

impl Tls {
    /// Reads the files. Without a file of CAs, reads the system's.
    ///
    /// # Errors
    /// When a file cannot be read, or does not hold the expected contents. The error names the
    /// file.
    pub fn load(files: &TlsFiles) -> Result<Self, InvalidTls> {
        let roots = Arc::new(match &files.cacert {
            Some(path) => roots(path, Writers::RootOrUs)?,
            None => roots(system_bundle()?, Writers::System)?,
        });
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| InvalidTls(format!("TLS cannot be set up: {error}")))?
            .with_root_certificates(Arc::clone(&roots));
        let (mut config, has_public_key) = match &files.identity {
            None => (builder.with_no_client_auth(), false),
            Some((cert, key)) => {
                let certificates =
                    certificates(&read(cert, SizeLimit::Small, Writers::RootOrUs)?.bytes, cert)?;
                let file = read(key, SizeLimit::Small, Writers::RootOrUs)?;
                let config =
                    builder.with_client_auth_cert(certificates, private_key(&file.bytes, key)?);
                (config.map_err(|error| unsupported(&error, cert, key))?, file.is_public)
            }
        };
        // A connection is made once and then kept. Tickets would be shared by all servers of one
        // host name.
        config.resumption = Resumption::disabled();
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), roots, has_public_key })
    }

    /// Whether every user of this host may read the private key.
    #[must_use]
    pub const fn has_public_key(&self) -> bool {
        self.has_public_key
    }

    /// The TLS channel to the server of this name or address. `None` if `host` can be neither.
    pub(in super::super) fn channel_to(&self, host: &str) -> Option<Channel> {
        let name = ServerName::try_from(host.to_owned()).ok()?;
        Some(Channel { connector: self.connector.clone(), roots: Arc::clone(&self.roots), name })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(…)")
    }
}

/// The TLS channel to one server: the configuration, and the expected name of the certificate.
#[derive(Clone)]
pub(in super::super) struct Channel {
    connector: TlsConnector,
    roots: Arc<RootCertStore>,
    name: ServerName<'static>,
}

impl Channel {
    /// Shakes hands: one round trip in TLS 1.3, two in TLS 1.2. The first request goes out right
    /// behind our last message of the handshake. A server that refuses our certificate reports the
    /// refusal in place of the first reply.
    pub(in super::super) async fn encrypt(&self, stream: TcpStream) -> io::Result<Encrypted> {
        self.connector.connect(self.name.clone(), stream).await
    }

    /// The time from `now`, since 1970, until the first certificate of a chain to the server
    /// expires. `None` if that is later than `soon`. The verifier of the handshake is asked as if
    /// it were that moment.
    pub(in super::super) fn certificate_left(
        &self,
        stream: &Encrypted,
        now: Duration,
        soon: Duration,
    ) -> Option<Duration> {
        let (server, signers) = stream.get_ref().1.peer_certificates()?.split_first()?;
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::clone(&self.roots);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build().ok()?;
        let then = UnixTime::since_unix_epoch(now.saturating_add(soon));
        match verifier.verify_server_cert(server, signers, &self.name, &[], then) {
            Err(Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) => Some(Duration::from_secs(not_after.as_secs()).saturating_sub(now)),
            _ => None,
        }
    }
}

fn system_bundle() -> Result<&'static Path, InvalidTls> {
    // A bundle that exists but cannot be read is not skipped: the error is reported.
    let is_missing = |error: io::Error| {
        matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    };
    let found = BUNDLES.iter().map(Path::new).find(|path| !path.metadata().is_err_and(is_missing));
    found.ok_or_else(|| {
        InvalidTls("the system's CA certificates were not found; name a file with --cacert".into())
    })
}

/// The CAs in a file. An invalid CA is skipped if another CA is valid.
fn roots(path: &Path, writers: Writers) -> Result<RootCertStore, InvalidTls> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates(
        &read(path, SizeLimit::Bundle, writers)?.bytes,
        path,
    )?);
    if store.is_empty() {
        Err(InvalidTls(format!("no certificate in {} can be used", path.display())))
    } else {
        Ok(store)
    }
}

/// The certificates in `bytes`, the contents of `path`.
fn certificates(bytes: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, InvalidTls> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(PemError::NoItemsFound) => {
            Err(InvalidTls(format!("{} holds no certificate; expected PEM", path.display())))
        }
        Err(_) => {
            Err(InvalidTls(format!("a certificate in {} is damaged; expected PEM", path.display())))
        }
    }
}

/// The private key in `bytes`, the contents of `path`.
fn private_key(bytes: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, InvalidTls> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
        InvalidTls(match error {
            PemError::NoItemsFound => {
                format!(
                    "{} holds no private key; expected PEM without a passphrase",
                    path.display()
                )
            }
            _ => format!("the private key in {} is damaged; expected PEM", path.display()),
        })
    })
}

fn read(path: &Path, limit: SizeLimit, writers: Writers) -> Result<TrustedFile, InvalidTls> {
    TrustedFile::read(path, limit, writers).map_err(|error| InvalidTls(error.to_string()))
}

/// Reason why a certificate and a key make no identity.
fn unsupported(error: &Error, cert: &Path, key: &Path) -> InvalidTls {
    let (cert, key) = (cert.display(), key.display());
    InvalidTls(match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            format!("the private key in {key} is not that of the certificate in {cert}")
        }
        Error::InvalidCertificate(_) => format!("the certificate in {cert} cannot be used"),
        _ => format!("the private key in {key} cannot be used; expected RSA, ECDSA or Ed25519"),
    })
}
