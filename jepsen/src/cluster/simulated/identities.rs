//! Certificates of simulated brokers and clients.

use highwater_model::id::NodeId;
use highwater_transport::certs::{CertificateError, LabAuthority};
use highwater_transport::identity::Identity;

/// Certificates of the brokers and of the clients, which serve any number of runs.
#[derive(Clone, Debug)]
pub struct Identities {
    brokers: Vec<Identity>,
    client: Identity,
}

impl Identities {
    /// Makes them for so many brokers.
    ///
    /// # Errors
    /// When no keys can be made.
    pub fn new(brokers: u8) -> Result<Self, CertificateError> {
        let authority = LabAuthority::new("simulation")?;
        let nodes = (1..=brokers).map(|number| NodeId(number.into()));
        let brokers = nodes.map(|node| authority.broker(node)).collect::<Result<_, _>>()?;
        Ok(Self { brokers, client: authority.client("simulation")? })
    }

    pub(super) fn brokers(&self) -> Vec<Identity> {
        self.brokers.clone()
    }

    pub(super) fn client(&self) -> Identity {
        self.client.clone()
    }
}
