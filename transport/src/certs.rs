//! A certificate authority for clusters that have none of their own: quickstart, development, tests.
//!
//! Ed25519 throughout, so that certificates and signatures have one length in every run. A production cluster brings
//! certificates of its own authority; what they must name is [`crate::identity`]'s.

use crate::identity::{Identity, IdentityError, Principal, is_client_name};
use highwater_model::id::NodeId;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use std::net::IpAddr;

/// Why a certificate cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The name of a client has characters or a length that names do not have.
    #[error("{0:?} is no client name: use up to 249 letters, digits, dots, dashes and underscores")]
    ClientName(String),
    /// The node id is above `i32::MAX`.
    #[error("{0} is no node id: the largest is 2147483647")]
    NodeId(NodeId),
    /// A host is neither an address nor a DNS name.
    #[error("{0:?} is neither an IP address nor a DNS name")]
    Host(String),
    /// The given key or certificate of the authority cannot be read, or signing did not work.
    #[error("certificate authority cannot be used")]
    Authority(#[source] rcgen::Error),
    /// What was made cannot be used as an identity.
    #[error("issued certificate cannot be used")]
    Identity(#[source] IdentityError),
}

/// A certificate and its private key.
#[derive(Clone)]
pub struct Issued {
    /// The certificate, PEM.
    pub certificate_pem: String,
    /// The private key, PEM (PKCS #8). Keep it readable by its owner only.
    pub key_pem: String,
}

impl core::fmt::Debug for Issued {
    /// Tells the certificate, never the key.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Issued").field("certificate_pem", &self.certificate_pem).finish_non_exhaustive()
    }
}

/// A certificate authority whose key is at hand.
#[derive(Debug)]
pub struct LabAuthority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
}

impl LabAuthority {
    /// Makes an authority with a new key; `name` is what its certificates show as their issuer.
    ///
    /// # Errors
    /// [`CertificateError::Authority`] when no key can be made.
    pub fn new(name: &str) -> Result<Self, CertificateError> {
        let key = new_key()?;
        let mut parameters = parameters(name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = parameters.self_signed(&key).map_err(CertificateError::Authority)?;
        Ok(Self { certificate_pem: certificate.pem(), issuer: Issuer::new(parameters, key) })
    }

    /// Takes up an authority that was written down.
    ///
    /// # Errors
    /// [`CertificateError::Authority`] when certificate or key cannot be read.
    pub fn from_pem(authority: &Issued) -> Result<Self, CertificateError> {
        let key = KeyPair::from_pem(&authority.key_pem).map_err(CertificateError::Authority)?;
        let certificate_pem = authority.certificate_pem.clone();
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key).map_err(CertificateError::Authority)?;
        Ok(Self { issuer, certificate_pem })
    }

    /// The authority's certificate, which is the root that identities trust; PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Certificate and key, to be written down.
    #[must_use]
    pub fn to_pem(&self) -> Issued {
        Issued { certificate_pem: self.certificate_pem.clone(), key_pem: self.issuer.key().serialize_pem() }
    }

    /// Certifies a process of the cluster; `hosts` are the names and addresses under which others reach it, for
    /// clients that check them.
    ///
    /// # Errors
    /// A [`CertificateError`] when the id or a host cannot stand in a certificate.
    pub fn issue_broker(&self, node: NodeId, hosts: &[&str]) -> Result<Issued, CertificateError> {
        if node.0 > i32::MAX.unsigned_abs() {
            return Err(CertificateError::NodeId(node));
        }
        let names = hosts.iter().map(|host| host_name(host)).collect::<Result<Vec<_>, _>>()?;
        let usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&Principal::Broker(node), names, usages)
    }

    /// Certifies a client; its certificate can never serve as a broker's.
    ///
    /// # Errors
    /// [`CertificateError::ClientName`] when the name cannot stand in a certificate.
    pub fn issue_client(&self, name: &str) -> Result<Issued, CertificateError> {
        if !is_client_name(name) {
            return Err(CertificateError::ClientName(name.to_owned()));
        }
        let usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&Principal::Client(name.to_owned()), Vec::new(), usages)
    }

    /// The identity of something that this authority issued, trusting this authority alone.
    ///
    /// # Errors
    /// [`CertificateError::Identity`] when `issued` is not whole.
    pub fn identity(&self, issued: &Issued) -> Result<Identity, CertificateError> {
        let (certificate, key) = (issued.certificate_pem.as_bytes(), issued.key_pem.as_bytes());
        Identity::from_pem(certificate, key, self.certificate_pem.as_bytes())
            .map_err(CertificateError::Identity)
    }

    /// [`Self::issue_broker`] and [`Self::identity`] in one.
    ///
    /// # Errors
    /// As those.
    pub fn broker(&self, node: NodeId) -> Result<Identity, CertificateError> {
        self.identity(&self.issue_broker(node, &[])?)
    }

    /// [`Self::issue_client`] and [`Self::identity`] in one.
    ///
    /// # Errors
    /// As those.
    pub fn client(&self, name: &str) -> Result<Identity, CertificateError> {
        self.identity(&self.issue_client(name)?)
    }

    fn issue(
        &self,
        principal: &Principal,
        mut names: Vec<SanType>,
        usages: Vec<ExtendedKeyUsagePurpose>,
    ) -> Result<Issued, CertificateError> {
        let key = new_key()?;
        let mut parameters = parameters(&principal.to_string());
        let uri = principal.uri().try_into().map_err(CertificateError::Authority)?;
        names.insert(0, SanType::URI(uri));
        parameters.subject_alt_names = names;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = usages;
        parameters.use_authority_key_identifier_extension = true;
        parameters.serial_number = Some(serial_number(&key));
        let certificate = parameters.signed_by(&key, &self.issuer).map_err(CertificateError::Authority)?;
        Ok(Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }
}

fn new_key() -> Result<KeyPair, CertificateError> {
    KeyPair::generate_for(&rcgen::PKCS_ED25519).map_err(CertificateError::Authority)
}

fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    // A lab outlives nothing that it certifies, and a clock that is off should not be its first surprise.
    parameters.not_before = date_time_ymd(2024, 1, 1);
    parameters.not_after = date_time_ymd(2124, 1, 1);
    parameters.distinguished_name.remove(DnType::CommonName);
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

/// A number of the key's own, always sixteen bytes long in its encoding.
fn serial_number(key: &KeyPair) -> SerialNumber {
    let mut bytes: Vec<u8> = key.public_key_raw().iter().copied().take(16).collect();
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x3f) | 0x40;
    }
    SerialNumber::from_slice(&bytes)
}

fn host_name(host: &str) -> Result<SanType, CertificateError> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let refused = || CertificateError::Host(host.to_owned());
    rustls_pki_types::DnsName::try_from(host).map_err(|_| refused())?;
    host.try_into().map(SanType::DnsName).map_err(|_| refused())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::PrincipalError;

    #[test]
    fn certificates_name_their_principals() {
        let authority = LabAuthority::new("test").unwrap();

        let broker = authority.issue_broker(NodeId(7), &["127.0.0.1", "::1", "broker.example"]).unwrap();
        let client = authority.issue_client("alice").unwrap();

        let principal = |issued| authority.identity(issued).unwrap().principal().clone();
        assert_eq!(principal(&broker), Principal::Broker(NodeId(7)));
        assert_eq!(principal(&client), Principal::Client("alice".to_owned()));
    }

    #[test]
    fn an_authority_that_was_written_down_issues_on() {
        let first = LabAuthority::new("test").unwrap();
        let second = LabAuthority::from_pem(&first.to_pem()).unwrap();

        let issued = second.issue_broker(NodeId(1), &[]).unwrap();

        assert_eq!(second.certificate_pem(), first.certificate_pem());
        assert_eq!(first.identity(&issued).unwrap().principal(), &Principal::Broker(NodeId(1)));
    }

    #[test]
    fn certificates_of_one_kind_have_one_length() {
        let lengths = |authority: &LabAuthority| {
            let identity = authority.broker(NodeId(1)).unwrap();
            identity.chain().iter().map(|certificate| certificate.len()).collect::<Vec<_>>()
        };

        let first = lengths(&LabAuthority::new("test").unwrap());

        for _ in 0..50 {
            assert_eq!(lengths(&LabAuthority::new("test").unwrap()), first);
        }
    }

    #[test]
    fn what_cannot_stand_in_a_certificate_is_refused() {
        let authority = LabAuthority::new("test").unwrap();

        assert!(matches!(authority.issue_client("a b"), Err(CertificateError::ClientName(_))));
        assert!(matches!(authority.issue_client(""), Err(CertificateError::ClientName(_))));
        assert!(matches!(authority.issue_broker(NodeId(1 << 31), &[]), Err(CertificateError::NodeId(_))));
        assert!(matches!(authority.issue_broker(NodeId(1), &["no host"]), Err(CertificateError::Host(_))));
    }

    #[test]
    fn parts_that_do_not_fit_together_are_named() {
        let authority = LabAuthority::new("test").unwrap();
        let (one, two) = (authority.issue_client("one").unwrap(), authority.issue_client("two").unwrap());
        let (certificate, key) = (one.certificate_pem.as_bytes(), one.key_pem.as_bytes());
        let roots = authority.certificate_pem().as_bytes();

        let mismatch = Identity::from_pem(certificate, two.key_pem.as_bytes(), roots);
        assert!(matches!(mismatch, Err(IdentityError::Key(_))), "{mismatch:?}");
        let empty = Identity::from_pem(b"", key, roots);
        assert!(matches!(empty, Err(IdentityError::Empty { part: "certificate" })), "{empty:?}");
        let rootless = Identity::from_pem(certificate, key, b"no pem");
        assert!(matches!(rootless, Err(IdentityError::Empty { part: "trusted roots" })), "{rootless:?}");
        let keyless = Identity::from_pem(certificate, certificate, roots);
        assert!(matches!(keyless, Err(IdentityError::Pem { part: "private key", .. })), "{keyless:?}");
        let nameless = Identity::from_pem(roots, key, roots);
        let missing = matches!(nameless, Err(IdentityError::Principal(PrincipalError::Missing)));
        assert!(missing, "{nameless:?}");
    }
}
