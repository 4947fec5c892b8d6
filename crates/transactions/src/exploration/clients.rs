//! What a producer does: enter, write to each partition at most once in a transaction, commit what was acknowledged or abort whatever
//! it is, go on with what it is told; or give up waiting, and enter again saying what it had.

use ottla_types::ProducerIdAndEpoch;

use super::network::{Message, TRANSACTIONS_MAX, Tag, Write};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Doing {
    /// Not started.
    Out,
    Entering,
    /// In a transaction, perhaps an empty one. Bits: partitions written to, and those that acknowledged.
    In {
        by: ProducerIdAndEpoch,
        sent: u8,
        acknowledged: u8,
    },
    Ending {
        by: ProducerIdAndEpoch,
        commit: bool,
    },
    GoingOn {
        by: ProducerIdAndEpoch,
    },
    /// Fenced, or done.
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client {
    pub(super) doing: Doing,
    /// The transaction that it is in, or will be.
    pub(super) tag: Tag,
    transactions: u8,
    sequences: [u8; 2],
}

impl Client {
    pub(super) fn new(client: u8, transactions: u8) -> Self {
        assert!(transactions <= TRANSACTIONS_MAX);
        let doing = if transactions == 0 { Doing::Over } else { Doing::Out };
        Self { doing, tag: Tag { client, transaction: 0 }, transactions, sequences: [0; 2] }
    }

    /// All that it may do of its own accord, with the messages that it sends.
    pub(super) fn moves(self, partitions: u8) -> Vec<(Self, Message)> {
        let mut moves = Vec::new();
        let with = |doing| Self { doing, ..self };
        match self.doing {
            Doing::Out => moves.push((with(Doing::Entering), Message::Enter { client: self.tag.client })),
            Doing::In { by, sent, acknowledged } => {
                for partition in (0..partitions).filter(|partition| sent & bit(*partition) == 0) {
                    let sequence = self.sequences[usize::from(partition)];
                    let mut next = with(Doing::In { by, sent: sent | bit(partition), acknowledged });
                    next.sequences[usize::from(partition)] += 1;
                    moves.push((next, Message::Produce(Write { tag: self.tag, by, partition, sequence })));
                }
                for commit in [false, true] {
                    if !commit || (sent != 0 && sent == acknowledged) {
                        let end = Message::End { tag: self.tag, by, commit };
                        moves.push((with(Doing::Ending { by, commit }), end));
                    }
                }
                moves.push(self.goes_on(by));
            }
            Doing::Ending { by, .. } => moves.push(self.goes_on(by)),
            Doing::Entering | Doing::GoingOn { .. } | Doing::Over => {}
        }
        moves
    }

    fn goes_on(self, by: ProducerIdAndEpoch) -> (Self, Message) {
        (Self { doing: Doing::GoingOn { by }, ..self }, Message::GoOn { tag: self.tag, by })
    }

    /// Begins the first transaction.
    pub(super) fn entered(self, by: ProducerIdAndEpoch) -> Self {
        self.begin(by, self.tag.transaction)
    }

    /// Begins the next transaction, if there is one.
    pub(super) fn next(self, before: ProducerIdAndEpoch, by: ProducerIdAndEpoch) -> Self {
        let sequences = if before == by { self.sequences } else { [0; 2] };
        Self { sequences, ..self }.begin(by, self.tag.transaction + 1)
    }

    fn begin(self, by: ProducerIdAndEpoch, transaction: u8) -> Self {
        let doing =
            if transaction < self.transactions { Doing::In { by, sent: 0, acknowledged: 0 } } else { Doing::Over };
        Self { doing, tag: Tag { transaction, ..self.tag }, ..self }
    }

    /// A write is in the log.
    pub(super) fn acknowledge(self, write: Write) -> Self {
        match self.doing {
            Doing::In { by, sent, acknowledged } if (by, self.tag) == (write.by, write.tag) => {
                Self { doing: Doing::In { by, sent, acknowledged: acknowledged | bit(write.partition) }, ..self }
            }
            _ => self,
        }
    }

    pub(super) fn over(self) -> Self {
        Self { doing: Doing::Over, ..self }
    }
}

fn bit(partition: u8) -> u8 {
    1 << partition
}
