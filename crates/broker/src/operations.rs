//! What a client may do, as bit fields of ACL operations. Without an authorizer everybody may do everything.

/// Nobody asked for the operations.
pub(crate) const NOT_ASKED: i32 = i32::MIN;

/// Read, write, create, delete, alter, describe, describe and alter configs (bits 3 to 8, 10, 11).
pub(crate) const TOPIC: i32 = 0b1101_1111_1000;

/// Create, alter, describe, cluster action, describe and alter configs, idempotent write (bits 5, 7 to 12).
pub(crate) const CLUSTER: i32 = 0b1_1111_1010_0000;

/// Read, delete, describe, describe and alter configs (bits 3, 6, 8, 10, 11).
pub(crate) const GROUP: i32 = 0b1101_0100_1000;

/// Topics that the broker keeps for itself: groups' offsets, transactions, share groups' state.
pub(crate) const INTERNAL_TOPICS: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Whether `name` is one of [`INTERNAL_TOPICS`].
pub(crate) fn is_internal_topic(name: &str) -> bool {
    INTERNAL_TOPICS.contains(&name)
}
