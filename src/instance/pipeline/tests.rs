//! Bytes count as written when the kernel has taken them, not when TLS has.
#![cfg(feature = "tls")]

use super::super::transport::Route;
use super::super::{Endpoint, Login, Tls, TlsFiles};
use super::*;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate for 127.0.0.1 and its key. Only a client that names the certificate as a CA trusts
/// the certificate.
fn certify(dir: &Path) {
    std::fs::write(dir.join("openssl.cnf"), "[req]\ndistinguished_name=dn\n[dn]\n").unwrap();
    let line = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config openssl.cnf -subj /CN=test -days 2 \
                -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:127.0.0.1 -keyout key -out crt";
    let command = Command::new("openssl")
        .args(line.split(' '))
        .current_dir(dir)
        .stderr(Stdio::null())
        .status();
    assert!(command.expect("this test needs openssl").success(), "openssl {line}");
}

fn acceptor(dir: &Path) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(dir.join("crt")).unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.join("key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()))
}

/// Flushes once. Returns the number of bytes that the kernel has taken then.
async fn flushed(pipeline: &mut Pipeline) -> u64 {
    std::future::poll_fn(|cx| {
        pipeline.flush(cx);
        Poll::Ready(pipeline.written())
    })
    .await
}

/// Flushes until the kernel has taken `mark` bytes.
async fn flush_to(pipeline: &mut Pipeline, mark: u64) {
    std::future::poll_fn(|cx| {
        pipeline.flush(cx);
        if pipeline.written() >= mark { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn bytes_that_tls_holds_back_are_not_the_kernels_yet() {
    let dir = tempfile::tempdir().unwrap();
    certify(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut endpoint =
            Endpoint::parse(&format!("rediss://127.0.0.1:{port}"), &Login::default()).unwrap();
        let files = TlsFiles { cacert: Some(dir.path().join("crt")), identity: None };
        endpoint.cover_with(&Tls::load(&files).unwrap()).unwrap();
        let mut route = Route::default();
        let connecting = Transport::connect(
            &endpoint,
            &mut route,
            (Duration::from_secs(60), Duration::from_secs(60)),
        );
        // If one side fails, the other side would wait for ever.
        let (mut server, transport) = tokio::try_join!(
            async {
                let client = listener.accept().await.unwrap().0;
                acceptor(dir.path()).accept(client).await.map_err(|error| error.to_string())
            },
            async { connecting.await.map_err(|error| format!("{error:?}")) }
        )
        .unwrap();
        let mut pipeline = Pipeline::new(transport);

        let ping = pipeline.send(&[redis::cmd("PING")]);
        assert_eq!(pipeline.written(), 0, "nothing is written before it is flushed");
        assert_eq!(flushed(&mut pipeline).await, ping, "what fits is the kernel's at once");

        // More bytes than the buffers of both kernels and of TLS hold.
        let mut echo = redis::cmd("ECHO");
        echo.arg(vec![7; 1 << 20]);
        let all = pipeline.send(std::iter::repeat_n(&echo, 32));
        assert_eq!(
            flushed(&mut pipeline).await,
            ping,
            "TLS has taken more than the kernel, which does not count"
        );
        let mut read = vec![0; usize::try_from(all).unwrap()];
        let ((), drained) =
            tokio::join!(flush_to(&mut pipeline, all), server.read_exact(&mut read));
        assert!(drained.is_ok(), "{drained:?}");
        assert_eq!(pipeline.written(), all, "the other end has it all");
    });
}
