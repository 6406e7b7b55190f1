//! That the gauge shows what the kernel has, and not what TLS has taken.
#![cfg(feature = "tls")]

use super::super::{Tls, TlsFiles};
use super::*;
use std::path::Path;
use std::pin::pin;
use std::process::{Command, Stdio};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate for `localhost` that only those trust who name it, and its key.
fn certify(dir: &Path) {
    std::fs::write(dir.join("openssl.cnf"), "[req]\ndistinguished_name=dn\n[dn]\n").unwrap();
    let line = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config openssl.cnf -subj /CN=test -days 2 \
                -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost -keyout key -out crt";
    let command = Command::new("openssl").args(line.split(' ')).current_dir(dir).stderr(Stdio::null()).status();
    assert!(command.expect("this test needs openssl").success(), "openssl {line}");
}

fn acceptor(dir: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(dir.join("crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.join("key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()))
}

/// Whether the gauge shows so many bytes.
fn shows(gauge: &Gauge, bytes: u64) -> bool {
    let mut context = Context::from_waker(std::task::Waker::noop());
    pin!(gauge.reaches(bytes)).poll(&mut context).is_ready()
}

/// Writes until the other end would have to read.
async fn fill(wire: &mut Wire) -> u64 {
    let chunk = vec![7; 1 << 20];
    let mut written = 0;
    std::future::poll_fn(|cx| {
        while let Poll::Ready(count) = Pin::new(&mut *wire).poll_write(cx, &chunk) {
            written += u64::try_from(count.unwrap()).unwrap();
        }
        Poll::Ready(written)
    })
    .await
}

#[test]
fn bytes_that_tls_holds_back_are_not_the_kernels_yet() {
    let dir = tempfile::tempdir().unwrap();
    certify(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut endpoint = Endpoint::parse(&format!("rediss://localhost:{port}"), None).unwrap();
        let files = TlsFiles { cacert: Some(dir.path().join("crt")), identity: None };
        endpoint.cover_with(&Tls::load(&files).unwrap()).unwrap();
        let mut route = Route::default();
        let (server, wire) = tokio::join!(
            async { acceptor(dir.path()).accept(listener.accept().await.unwrap().0).await },
            Wire::connect(&endpoint, &mut route, Duration::from_secs(60))
        );
        let (mut server, mut wire) = (server.unwrap(), wire.unwrap());
        let gauge = wire.gauge();

        wire.write_all(b"PING").await.unwrap();
        assert!(shows(&gauge, 4) && !shows(&gauge, 5), "what fits is the kernel's at once");

        let all = 4 + fill(&mut wire).await;
        assert!(shows(&gauge, 4) && !shows(&gauge, all), "TLS has taken more than the kernel");
        let mut read = vec![0; usize::try_from(all).unwrap()];
        let (flushed, drained) = tokio::join!(wire.flush(), server.read_exact(&mut read));
        assert!(flushed.is_ok() && drained.is_ok(), "{flushed:?} {drained:?}");
        assert!(shows(&gauge, all) && !shows(&gauge, all + 1), "the other end has it all");
    });
}
