//! `ListPartitionReassignments`: replicas do not move yet, so none is on its way.

use ottla_wire::messages::list_partition_reassignments_response::ListPartitionReassignmentsResponse;

use crate::{net::Answer, service::ReplyTo};

pub(crate) fn handle(reply: &ReplyTo) -> Answer {
    reply.now(&ListPartitionReassignmentsResponse { error_message: None, ..Default::default() })
}
