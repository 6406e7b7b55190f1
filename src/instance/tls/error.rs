//! Errors of certificates and handshakes: the text, and the kind of the error.

use crate::lock::{NoVoteReason, PermanentError};
use std::io;
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error};

/// The permanent error behind the end of a handshake, if any.
pub(in super::super) fn refusal_in_handshake(error: &io::Error) -> Option<NoVoteReason> {
    let configuration =
        |text: String| Some(NoVoteReason::Refused(PermanentError::Configuration, text));
    match cause(error) {
        Some(Error::InvalidCertificate(fault)) => configuration(certificate(fault)),
        Some(Error::AlertReceived(alert)) => refused_by(*alert),
        Some(Error::InvalidMessage(_) | Error::InappropriateMessage { .. }) => configuration(
            "it speaks no TLS on this port; expected redis://, or another port".into(),
        ),
        Some(Error::PeerIncompatible(_)) => {
            configuration("it speaks neither TLS 1.2 nor 1.3 as redlock does".into())
        }
        None if error.kind() == io::ErrorKind::UnexpectedEof => Some(NoVoteReason::Unreachable(
            "it closed the connection during the TLS handshake".into(),
        )),
        _ => None,
    }
}

/// The permanent error behind the end of a connection after the handshake, if any. In TLS 1.3, a
/// server refuses our certificate only after the handshake.
pub(in super::super) fn refusal_after_it(error: &io::Error) -> Option<NoVoteReason> {
    match cause(error) {
        Some(Error::AlertReceived(alert)) => refused_by(*alert),
        _ => None,
    }
}

/// The TLS error inside of an error of the system.
fn cause(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn certificate(fault: &CertificateError) -> String {
    use CertificateError as Fault;
    match fault {
        // A CA with the same name as a trusted one has signed, so that only the signature is wrong.
        Fault::UnknownIssuer | Fault::BadSignature => {
            "its certificate is not signed by a CA that is trusted; name its CA with --cacert".into()
        }
        Fault::NotValidForNameContext { expected, presented } => {
            let names = if presented.is_empty() { "; it has no subjectAltName" } else { "" };
            format!("its certificate is not valid for '{}'{names}", expected.to_str())
        }
        Fault::Expired | Fault::ExpiredContext { .. } => "its certificate has expired".into(),
        Fault::NotValidYet | Fault::NotValidYetContext { .. } => {
            "its certificate is not valid yet; expected a clock that is right".into()
        }
        Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
            "its certificate is not meant for servers (extendedKeyUsage)".into()
        }
        // The verifier has no variant for this error. `openssl req -x509` makes such certificates.
        Fault::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "its certificate is that of a CA; expected one of its own, with basicConstraints CA:FALSE".into()
        }
        other => format!("its certificate cannot be used: {other}"),
    }
}

/// The error behind the server's alert, if the alert is about our certificate or request.
fn refused_by(alert: AlertDescription) -> Option<NoVoteReason> {
    use AlertDescription as Alert;
    let (kind, text) = match alert {
        Alert::CertificateRequired | Alert::NoCertificate => (
            PermanentError::Access,
            "it asks for a client certificate; give one with --cert and --key-file",
        ),
        Alert::UnknownCA | Alert::BadCertificate | Alert::CertificateUnknown => {
            (PermanentError::Access, "it does not trust the client certificate (--cert)")
        }
        Alert::CertificateExpired => {
            (PermanentError::Access, "the client certificate (--cert) has expired")
        }
        Alert::CertificateRevoked => {
            (PermanentError::Access, "the client certificate (--cert) was revoked")
        }
        Alert::UnsupportedCertificate => {
            (PermanentError::Access, "the client certificate (--cert) is not meant for clients")
        }
        Alert::AccessDenied => {
            (PermanentError::Access, "it denies access to the client certificate (--cert)")
        }
        // In TLS 1.2 a server that wants a certificate sends this alert. So does a server without a
        // common cipher.
        Alert::HandshakeFailure => (
            PermanentError::Access,
            "it refuses the TLS handshake; it may ask for a client certificate (--cert, --key-file)",
        ),
        Alert::ProtocolVersion | Alert::InsufficientSecurity => {
            (PermanentError::Configuration, "it speaks neither TLS 1.2 nor 1.3 as redlock does")
        }
        Alert::UnrecognisedName => {
            (PermanentError::Configuration, "it has no certificate for this name")
        }
        _ => return None,
    };
    Some(NoVoteReason::Refused(kind, text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_rustls::rustls::InvalidMessage;

    fn wrapped(error: Error) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }

    #[test]
    fn every_fault_has_its_kind() {
        for (error, kind, words) in [
            (
                Error::InvalidCertificate(CertificateError::UnknownIssuer),
                PermanentError::Configuration,
                "--cacert",
            ),
            (
                Error::InvalidCertificate(CertificateError::Expired),
                PermanentError::Configuration,
                "expired",
            ),
            (
                Error::InvalidMessage(InvalidMessage::InvalidContentType),
                PermanentError::Configuration,
                "speaks no TLS",
            ),
            (
                Error::AlertReceived(AlertDescription::CertificateRequired),
                PermanentError::Access,
                "--cert",
            ),
            (
                Error::AlertReceived(AlertDescription::ProtocolVersion),
                PermanentError::Configuration,
                "TLS 1.2",
            ),
        ] {
            match refusal_in_handshake(&wrapped(error)) {
                Some(NoVoteReason::Refused(seen, text)) => {
                    assert!(seen == kind && text.contains(words), "{seen:?} {text}");
                }
                other => panic!("{words}: {other:?}"),
            }
        }
        assert_eq!(
            refusal_in_handshake(&wrapped(Error::AlertReceived(AlertDescription::InternalError))),
            None
        );
    }

    #[test]
    fn after_the_handshake_only_the_server_s_own_word_counts() {
        let alert = wrapped(Error::AlertReceived(AlertDescription::CertificateRequired));
        let refused = refusal_after_it(&alert);
        assert!(
            matches!(refused, Some(NoVoteReason::Refused(PermanentError::Access, _))),
            "{refused:?}"
        );
        assert_eq!(refusal_after_it(&io::Error::from(io::ErrorKind::BrokenPipe)), None);
        let garbage = wrapped(Error::InvalidMessage(InvalidMessage::InvalidContentType));
        assert_eq!(refusal_after_it(&garbage), None, "a fault on the way may go by itself");
    }
}
