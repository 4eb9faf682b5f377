//! Who a process is: its certificate, its key and whom it trusts ([`Identity`]), and whom a certificate names
//! ([`Principal`]).
//!
//! The role and name stand in a URI among the certificate's subject alternative names, `highwater:broker:3` or
//! `highwater:client:NAME`; addresses prove nothing and are not compared. The handshake that proves possession of the
//! key is left to `quic`, the making of certificates to [`crate::certs`].

use core::fmt;
use highwater_model::id::NodeId;
use rustls::RootCertStore;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// The start of every URI that names a principal.
const SCHEME: &str = "highwater:";

/// The longest name of a client, in bytes.
pub const CLIENT_NAME_BYTES_MAX: usize = 249;

/// Whom a verified certificate names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Principal {
    /// A process of the cluster, broker or controller.
    Broker(NodeId),
    /// Anybody else who may connect, by name.
    Client(String),
}

/// Whom a dialled process must prove to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// This one process of the cluster.
    Broker(NodeId),
    /// Any process of the cluster, as when only an address is known.
    AnyBroker,
}

impl Principal {
    /// The URI that stands for it in a certificate.
    #[must_use]
    pub fn uri(&self) -> String {
        match self {
            Self::Broker(node) => format!("{SCHEME}broker:{node}"),
            Self::Client(name) => format!("{SCHEME}client:{name}"),
        }
    }

    /// The principal that a URI names.
    ///
    /// # Errors
    /// [`PrincipalError::Unknown`] when it names none.
    pub fn from_uri(uri: &str) -> Result<Self, PrincipalError> {
        let unknown = || PrincipalError::Unknown(uri.chars().take(300).collect());
        match uri.strip_prefix(SCHEME).and_then(|rest| rest.split_once(':')) {
            Some(("broker", id)) => node_id(id).map(Self::Broker).ok_or_else(unknown),
            Some(("client", name)) if is_client_name(name) => Ok(Self::Client(name.to_owned())),
            _ => Err(unknown()),
        }
    }

    /// The principal that a certificate names. The certificate's signature is not looked at.
    ///
    /// # Errors
    /// A [`PrincipalError`] unless it names exactly one.
    pub fn from_certificate(certificate: &CertificateDer<'_>) -> Result<Self, PrincipalError> {
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|error| PrincipalError::Certificate(error.to_string()))?;
        let names = parsed
            .subject_alternative_name()
            .map_err(|error| PrincipalError::Certificate(error.to_string()))?
            .map(|extension| extension.value.general_names.as_slice())
            .unwrap_or_default();
        let mut uris = names.iter().filter_map(|name| {
            let GeneralName::URI(uri) = name else { return None };
            uri.starts_with(SCHEME).then_some(*uri)
        });
        match (uris.next(), uris.next()) {
            (None, _) => Err(PrincipalError::Missing),
            (Some(uri), None) => Self::from_uri(uri),
            (Some(first), Some(second)) => {
                Err(PrincipalError::Ambiguous(first.to_owned(), second.to_owned()))
            }
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(node) => write!(f, "broker {node}"),
            Self::Client(name) => write!(f, "client {name}"),
        }
    }
}

impl Expect {
    /// Whether a principal is whom this expects. A client never is.
    #[must_use]
    pub fn admits(self, principal: &Principal) -> bool {
        match (self, principal) {
            (Self::Broker(expected), Principal::Broker(node)) => expected == *node,
            (Self::AnyBroker, Principal::Broker(_)) => true,
            (_, Principal::Client(_)) => false,
        }
    }
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker(node) => write!(f, "broker {node}"),
            Self::AnyBroker => write!(f, "a broker"),
        }
    }
}

/// A node id in its one written form: no sign, no leading zero.
fn node_id(text: &str) -> Option<NodeId> {
    let id = text.parse().ok().filter(|id| *id <= i32::MAX.unsigned_abs())?;
    (text == format!("{id}")).then_some(NodeId(id))
}

/// True for a name of 1 to [`CLIENT_NAME_BYTES_MAX`] letters, digits, dots, dashes and underscores.
#[must_use]
pub fn is_client_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !name.is_empty() && name.len() <= CLIENT_NAME_BYTES_MAX && name.bytes().all(allowed)
}

/// Why a certificate names no principal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrincipalError {
    /// It is no certificate that can be read.
    #[error("certificate cannot be read: {0}")]
    Certificate(String),
    /// It has no such name.
    #[error("certificate names no highwater:broker:ID or highwater:client:NAME among its alternative names")]
    Missing,
    /// It has two.
    #[error("certificate names both {0} and {1}")]
    Ambiguous(String, String),
    /// The name is not in one of the known forms.
    #[error("{0:?} is neither highwater:broker:ID nor highwater:client:NAME")]
    Unknown(String),
}

/// Why an identity cannot be made of what was given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// One of the three parts is not PEM, or lacks what it is for.
    #[error("{part} is not usable PEM")]
    Pem {
        /// Which part: `certificate`, `private key` or `trusted roots`.
        part: &'static str,
        /// What the reader said.
        #[source]
        source: pem::Error,
    },
    /// A part has no item at all.
    #[error("{part} holds no certificate")]
    Empty {
        /// Which part: `certificate` or `trusted roots`.
        part: &'static str,
    },
    /// A root cannot serve as one.
    #[error("trusted root cannot be used")]
    Root(#[source] rustls::Error),
    /// The key is of an unknown kind, or not the certificate's.
    #[error("private key does not fit the certificate")]
    Key(#[source] rustls::Error),
    /// The certificate names no principal.
    #[error(transparent)]
    Principal(#[from] PrincipalError),
}

/// What a process proves itself with, and whom it trusts. A cheap handle.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

struct Inner {
    principal: Principal,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    roots: Arc<RootCertStore>,
}

impl Identity {
    /// Reads an identity: its certificate chain (leaf first), the private key of the leaf, and the roots that sign
    /// those who may be talked to, each as PEM.
    ///
    /// # Errors
    /// An [`IdentityError`] that says which part is wrong and how.
    pub fn from_pem(certificate: &[u8], key: &[u8], roots: &[u8]) -> Result<Self, IdentityError> {
        let chain = certificates("certificate", certificate)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|source| IdentityError::Pem { part: "private key", source })?;
        let mut store = RootCertStore::empty();
        for root in certificates("trusted roots", roots)? {
            store.add(root).map_err(IdentityError::Root)?;
        }
        let leaf = chain.first().ok_or(IdentityError::Empty { part: "certificate" })?;
        let principal = Principal::from_certificate(leaf)?;
        CertifiedKey::from_der(chain.clone(), key.clone_key(), &crate::quic::provider())
            .map_err(IdentityError::Key)?;
        Ok(Self { inner: Arc::new(Inner { principal, chain, key, roots: Arc::new(store) }) })
    }

    /// Whom the certificate names.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.inner.principal
    }

    pub(crate) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.inner.chain.clone()
    }

    pub(crate) fn key(&self) -> &PrivateKeyDer<'static> {
        &self.inner.key
    }

    pub(crate) fn roots(&self) -> &Arc<RootCertStore> {
        &self.inner.roots
    }
}

impl fmt::Debug for Identity {
    /// Tells the name, never the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("principal", &self.inner.principal).finish_non_exhaustive()
    }
}

fn certificates(part: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let read = read.map_err(|source| IdentityError::Pem { part, source })?;
    if read.is_empty() { Err(IdentityError::Empty { part }) } else { Ok(read) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_has_one_written_form() {
        let broker = Principal::Broker(NodeId(3));
        let client = Principal::Client("site.web-1_a".to_owned());

        for principal in [broker, client] {
            assert_eq!(Principal::from_uri(&principal.uri()), Ok(principal));
        }
        for uri in [
            "highwater:broker:03",
            "highwater:broker:+3",
            "highwater:broker:2147483648",
            "highwater:broker:",
            "highwater:client:",
            "highwater:client:a b",
            "highwater:admin:a",
            "highwater:broker",
            "https://example",
        ] {
            assert_eq!(Principal::from_uri(uri), Err(PrincipalError::Unknown(uri.to_owned())));
        }
    }

    #[test]
    fn a_client_is_never_the_broker_that_was_expected() {
        let (broker, client) = (Principal::Broker(NodeId(3)), Principal::Client("3".to_owned()));

        assert!(Expect::AnyBroker.admits(&broker));
        assert!(Expect::Broker(NodeId(3)).admits(&broker));
        assert!(!Expect::Broker(NodeId(4)).admits(&broker));
        assert!(!Expect::AnyBroker.admits(&client));
        assert!(!Expect::Broker(NodeId(3)).admits(&client));
    }
}
