//! Producer ids: handed out from a block that the controller gave to this broker, so that most need no decision.

use std::time::Duration;

use highwater_model::api::{ApiError, ProducerIdentity};
use highwater_model::error_code::ErrorCode;
use highwater_model::id::{BrokerEpoch, NodeId, ProducerEpoch, ProducerId};
use highwater_model::metadata::{Command, Outcome};
use highwater_transport::watch;
use tokio::sync::Mutex;

use crate::controller_client::{ControllerClient, answered_otherwise};

/// The ids that are left.
#[derive(Debug, Default)]
struct Block {
    next: u64,
    left: u32,
}

/// Hands out producer ids.
#[derive(Debug)]
pub(super) struct ProducerIds {
    own: NodeId,
    controller: ControllerClient,
    broker_epoch: watch::Receiver<Option<BrokerEpoch>>,
    block: Mutex<Block>,
}

impl ProducerIds {
    pub(super) fn new(
        own: NodeId,
        controller: ControllerClient,
        broker_epoch: watch::Receiver<Option<BrokerEpoch>>,
    ) -> Self {
        Self { own, controller, broker_epoch, block: Mutex::new(Block::default()) }
    }

    /// A producer id that nobody has or had.
    pub(super) async fn next(&self, timeout: Duration) -> Result<ProducerIdentity, ApiError> {
        let mut block = self.block.lock().await;
        if block.left == 0 {
            *block = self.allocate(timeout).await?;
        }
        let producer_id = ProducerId(block.next);
        block.next += 1;
        block.left -= 1;
        Ok(ProducerIdentity { producer_id, producer_epoch: ProducerEpoch(0), node: self.own })
    }

    async fn allocate(&self, timeout: Duration) -> Result<Block, ApiError> {
        let unregistered = || {
            let message = "this node is not registered as a broker yet; ask again, or another broker";
            ApiError::new(ErrorCode::BrokerIdNotRegistered, message)
        };
        let broker_epoch = (*self.broker_epoch.borrow()).ok_or_else(unregistered)?;
        let command = Command::AllocateProducerIds { node: self.own, broker_epoch };
        let outcome = self.controller.decide(command, timeout).await?;
        if let Outcome::ProducerIds { first, count: left @ 1.. } = outcome {
            return Ok(Block { next: first.0, left });
        }
        tracing::error!(?outcome, "the controller gave no producer ids");
        Err(answered_otherwise())
    }
}
