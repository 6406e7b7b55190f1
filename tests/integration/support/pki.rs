//! Certificates for a test, made by openssl in a directory of their own.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The default names of a server's certificate.
pub(crate) const HERE: &str = "DNS:localhost,IP:127.0.0.1";

/// A directory of certificates, with a CA `ca` and a server's `server` in it. Each name has a
/// `.crt` and a `.key`.
pub(crate) struct Pki {
    dir: TempDir,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("redlock-pki-")
            .tempdir()
            .expect("a temporary directory");
        // The system's configuration would add extensions of its own.
        fs::write(dir.path().join("openssl.cnf"), "[req]\ndistinguished_name=dn\n[dn]\n")
            .expect("a file");
        let pki = Self { dir };
        pki.authority("ca");
        pki.issue("server", "ca", HERE, "2");
        pki
    }

    /// Makes a CA.
    pub(crate) fn authority(&self, name: &str) {
        self.request(name);
        fs::write(self.path(&format!("{name}.ext")), "basicConstraints=critical,CA:TRUE\n")
            .expect("a file");
        self.openssl(&format!(
            "x509 -req -days 2 -in {name}.csr -signkey {name}.key -extfile {name}.ext -out {name}.crt"
        ));
    }

    /// Makes a certificate for these hosts that is valid for `days` days, signed by a CA.
    pub(crate) fn issue(&self, name: &str, signer: &str, hosts: &str, days: &str) {
        self.request(name);
        let extensions = format!("basicConstraints=critical,CA:FALSE\nsubjectAltName={hosts}\n");
        fs::write(self.path(&format!("{name}.ext")), extensions).expect("a file");
        let signing =
            format!("-CA {signer}.crt -CAkey {signer}.key -CAcreateserial -extfile {name}.ext");
        self.openssl(&format!("x509 -req -days {days} -in {name}.csr {signing} -out {name}.crt"));
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// The same path as text, for an argument.
    pub(crate) fn text(&self, file: &str) -> String {
        self.path(file).display().to_string()
    }

    /// The options of a server with a port for TLS, which shows this certificate.
    pub(crate) fn options(&self, name: &str) -> Vec<String> {
        let file = |suffix: &str| self.text(&format!("{name}{suffix}"));
        let options =
            ["--tls-port", super::server::TLS_PORT, "--tls-auth-clients", "no"].map(str::to_owned);
        let files = [
            ("--tls-cert-file", file(".crt")),
            ("--tls-key-file", file(".key")),
            ("--tls-ca-cert-file", self.text("ca.crt")),
        ];
        options
            .into_iter()
            .chain(files.into_iter().flat_map(|(option, path)| [option.to_owned(), path]))
            .collect()
    }

    fn request(&self, name: &str) {
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
        self.openssl(&format!(
            "req -new {key} -config openssl.cnf -subj /CN={name} -keyout {name}.key -out {name}.csr"
        ));
    }

    fn openssl(&self, line: &str) {
        let mut command = Command::new("openssl");
        let output =
            command.args(line.split(' ')).current_dir(&self.dir).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| {
            panic!(
                "these tests need openssl ({error}); on Debian or Ubuntu: apt-get install openssl"
            )
        });
        assert!(
            output.status.success(),
            "openssl {line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
