//! What the handlers of group APIs share.

use ottla_groups::{Client, GroupReply};
use ottla_types::ErrorCode;

use crate::{net::Peer, service::ReplyTo};

/// Who asks, as coordinators remember it.
pub(super) fn client(peer: &Peer, reply: &ReplyTo) -> Client {
    Client { id: reply.client_id.clone().unwrap_or_default(), host: format!("/{}", peer.address.ip()) }
}

/// What `pick` finds in a reply; a coordinator that answers something else is at fault.
pub(super) fn picked<T>(
    reply: Result<GroupReply, ErrorCode>,
    pick: impl FnOnce(GroupReply) -> Option<T>,
) -> Result<T, ErrorCode> {
    match reply? {
        GroupReply::Refused(code) => Err(code),
        reply => pick(reply).ok_or(ErrorCode::CoordinatorNotAvailable),
    }
}

/// The reply of the named variant, else an error code.
macro_rules! reply_of {
    ($variant:ident, $reply:expr) => {
        super::groups::picked($reply, |reply| match reply {
            ottla_groups::GroupReply::$variant(found) => Some(found),
            _ => None,
        })
    };
}
pub(super) use reply_of;
