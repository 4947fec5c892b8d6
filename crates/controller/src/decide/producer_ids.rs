//! Blocks of producer ids: each id is given out once in the life of the cluster.

use ottla_types::{BrokerEpoch, BrokerId, ErrorCode};

use super::Decision;
use crate::{
    command::{AllocateProducerIds, ProducerIdBlock, Reply},
    image::MetadataImage,
    record::ProducerIds,
};

/// Ids in one block, as in Kafka.
pub const PRODUCER_ID_BLOCK_LEN: i32 = 1000;

/// Why no block was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerIdsError {
    /// Not registered.
    #[error("Broker ID {0} is not currently registered")]
    NotRegistered(BrokerId),
    /// An older incarnation asks.
    #[error("Expected broker epoch {current}, but got broker epoch {given}")]
    StaleEpoch {
        /// The broker's epoch.
        current: BrokerEpoch,
        /// The one given.
        given: BrokerEpoch,
    },
    /// All 2^63 ids are gone.
    #[error("Exhausted all possible producer ids")]
    Exhausted,
}

impl ProducerIdsError {
    /// The code on the wire.
    #[must_use]
    pub fn code(self) -> ErrorCode {
        match self {
            Self::NotRegistered(_) => ErrorCode::BrokerIdNotRegistered,
            Self::StaleEpoch { .. } => ErrorCode::StaleBrokerEpoch,
            Self::Exhausted => ErrorCode::UnknownServerError,
        }
    }
}

pub(super) fn allocate(image: &MetadataImage, ask: &AllocateProducerIds) -> Decision {
    match plan(image, ask) {
        Ok(record) => {
            let block = ProducerIdBlock { first: image.next_producer_id(), len: PRODUCER_ID_BLOCK_LEN };
            Decision::new(vec![record.into()], Reply::AllocateProducerIds(Ok(block)))
        }
        Err(error) => Decision::new(Vec::new(), Reply::AllocateProducerIds(Err(error))),
    }
}

fn plan(image: &MetadataImage, ask: &AllocateProducerIds) -> Result<ProducerIds, ProducerIdsError> {
    let broker = image.broker(ask.broker).ok_or(ProducerIdsError::NotRegistered(ask.broker))?;
    if broker.epoch != ask.broker_epoch {
        return Err(ProducerIdsError::StaleEpoch { current: broker.epoch, given: ask.broker_epoch });
    }
    let next_producer_id =
        image.next_producer_id().checked_add(i64::from(PRODUCER_ID_BLOCK_LEN)).ok_or(ProducerIdsError::Exhausted)?;
    Ok(ProducerIds { broker: ask.broker, broker_epoch: ask.broker_epoch, next_producer_id })
}
