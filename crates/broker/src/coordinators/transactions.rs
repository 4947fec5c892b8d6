//! The transaction coordinator: transactional ids and their transactions, in `__transaction_state`.

use std::sync::Arc;

use ottla_config::TransactionSettings;
use ottla_disk::Clock;
use ottla_transactions::TransactionShard;
use ottla_types::{BrokerId, Compression};

use super::shards::{Home, Shards};
use crate::replicas::Replicas;

/// The topic.
pub(crate) const TOPIC: &str = "__transaction_state";

/// See the file's head.
pub(crate) type Transactions = Shards<TransactionShard>;

impl Transactions {
    /// Without transactions. To be called on the runtime that loads them.
    pub(crate) fn of(
        broker: BrokerId,
        replicas: Arc<Replicas>,
        clock: Arc<dyn Clock>,
        settings: TransactionSettings,
    ) -> Self {
        let settings = Arc::new(settings);
        let empty = Box::new(move || TransactionShard::new(Arc::clone(&settings)));
        Self::new(Home { topic: TOPIC, compression: Compression::None, empty }, broker, replicas, clock)
    }

    /// How many transactional ids are in service, and how many of them are in a transaction.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let of_each = self.all().into_iter().filter_map(|shard| shard.look(TransactionShard::counts));
        of_each.fold((0, 0), |(ids, open), (more, opened)| (ids + more, open + opened))
    }
}
