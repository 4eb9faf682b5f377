//! TLS 1.3 between two processes that both prove who they are.
//!
//! The provider is chosen here and nowhere else. Names come from [`crate::identity`]; a connection's use of them is
//! left to the endpoint.

use crate::env::Env;
use crate::identity::{Expect, Identity, Principal};
use core::time::Duration;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::ring::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore, ServerConfig,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::{Arc, Mutex, PoisonError};

/// What both sides must name in the handshake to be talking about the same protocol.
const APPLICATION_PROTOCOL: &[u8] = b"highwater";

/// The cryptography of all TLS: ring, AES-128 first because it is the quickest that suffices.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites =
        vec![TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256];
    Arc::new(provider)
}

/// The accepting side: any certificate signed by a root and good for a client passes; whom it names is looked at
/// when the handshake is over.
pub(super) fn server(env: &Env, identity: &Identity) -> Result<QuicServerConfig, Error> {
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(identity.roots()), provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_details(provider(), Arc::new(WallClock(env.clone())))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain(), identity.key().clone_key())?;
    config.alpn_protocols = vec![APPLICATION_PROTOCOL.to_vec()];
    // A resumed session would carry on a proof of identity that nobody looked at again.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    QuicServerConfig::try_from(config).map_err(|error| Error::General(error.to_string()))
}

/// The dialling side, and where it leaves the principal that it did not expect.
pub(super) fn client(
    env: &Env,
    identity: &Identity,
    expect: Expect,
) -> Result<(QuicClientConfig, Findings), Error> {
    let findings = Findings::default();
    let provider = provider();
    let verifier = BrokerVerifier {
        provider: Arc::clone(&provider),
        roots: Arc::clone(identity.roots()),
        expect,
        findings: findings.clone(),
    };
    let mut config = ClientConfig::builder_with_details(provider, Arc::new(WallClock(env.clone())))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(identity.chain(), identity.key().clone_key())?;
    config.alpn_protocols = vec![APPLICATION_PROTOCOL.to_vec()];
    config.resumption = Resumption::disabled();
    let config = QuicClientConfig::try_from(config).map_err(|error| Error::General(error.to_string()))?;
    Ok((config, findings))
}

/// The principal that a dialled process proved to be, once the handshake came that far.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings(Arc<Mutex<Option<Principal>>>);

impl Findings {
    pub(super) fn principal(&self) -> Option<Principal> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn found(&self, principal: Principal) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(principal);
    }
}

/// Verifies that a certificate is signed by a root, is good for a server, and names whom we expect. It compares no
/// host name: a broker is its node id, wherever it runs.
#[derive(Debug)]
struct BrokerVerifier {
    provider: Arc<CryptoProvider>,
    roots: Arc<RootCertStore>,
    expect: Expect,
    findings: Findings,
}

impl ServerCertVerifier for BrokerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        let refused = |error| Error::InvalidCertificate(CertificateError::Other(OtherError(error)));
        let principal = Principal::from_certificate(end_entity).map_err(|error| refused(Arc::new(error)))?;
        let admitted = self.expect.admits(&principal);
        self.findings.found(principal);
        if admitted {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The wall clock that certificates are checked against.
#[derive(Debug)]
struct WallClock(Env);

impl TimeProvider for WallClock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(self.0.wall_ms())))
    }
}
