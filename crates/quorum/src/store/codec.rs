//! Entries, votes and memberships as bytes.
//!
//! Fixed-width big-endian numbers; texts and lists behind a `u32` count. An entry is `version u8 | term u64 | index u64 |
//! kind u8 | payload`. Invariant: what was written reads back the same; no bytes make reading panic.

use std::collections::BTreeSet;

use openraft::{EntryPayload, entry::RaftEntry, impls::BasicNode, vote::RaftVote};
use ottla_controller::{RecordError, decode_batch, encode_batch};

use crate::raft::{Changes, Entry, LeaderId, LogId, Membership, StoredMembership, Vote, log_id, membership, term_of};

const ENTRY_VERSION: u8 = 1;
const BLANK: u8 = 0;
const CHANGES: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// Why bytes whose checksum is right are not what they should be: a newer program wrote them, or this one is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The bytes end inside a field.
    #[error("ends early")]
    Truncated,
    /// A field holds what it cannot.
    #[error("malformed: {0}")]
    Malformed(&'static str),
    /// Written by a newer version of the program.
    #[error("format version {0} is not known to this version of the program")]
    UnknownVersion(u8),
    /// The records inside.
    #[error(transparent)]
    Record(#[from] RecordError),
}

/// A cursor over bytes.
#[derive(Debug)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn slice(&mut self, len: usize) -> Result<&'a [u8], FormatError> {
        let (head, rest) = self.0.split_at_checked(len).ok_or(FormatError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, FormatError> {
        Ok(self.slice(1)?[0])
    }

    pub(super) fn u32(&mut self) -> Result<u32, FormatError> {
        Ok(u32::from_be_bytes(self.slice(4)?.try_into().map_err(|_| FormatError::Truncated)?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, FormatError> {
        Ok(u64::from_be_bytes(self.slice(8)?.try_into().map_err(|_| FormatError::Truncated)?))
    }

    pub(super) fn flag(&mut self) -> Result<bool, FormatError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(FormatError::Malformed("flag neither 0 nor 1")),
        }
    }

    pub(super) fn end(&self) -> Result<(), FormatError> {
        if self.0.is_empty() { Ok(()) } else { Err(FormatError::Malformed("bytes left over")) }
    }
}

pub(super) fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    out.push(ENTRY_VERSION);
    put_log_id(out, &entry.log_id());
    match &entry.payload {
        EntryPayload::Blank => out.push(BLANK),
        EntryPayload::Normal(changes) => {
            out.push(CHANGES);
            encode_batch(&changes.0, out);
        }
        EntryPayload::Membership(members) => {
            out.push(MEMBERSHIP);
            put_membership(out, members);
        }
    }
}

pub(crate) fn take_entry(bytes: &[u8]) -> Result<Entry, FormatError> {
    let mut from = Input(bytes);
    let version = from.u8()?;
    if version != ENTRY_VERSION {
        return Err(FormatError::UnknownVersion(version));
    }
    let id = take_log_id(&mut from)?;
    let payload = match from.u8()? {
        BLANK => {
            from.end()?;
            EntryPayload::Blank
        }
        CHANGES => EntryPayload::Normal(Changes(decode_batch(from.0)?.into())),
        MEMBERSHIP => {
            let members = take_membership(&mut from)?;
            from.end()?;
            EntryPayload::Membership(members)
        }
        _ => return Err(FormatError::Malformed("unknown kind of entry")),
    };
    Ok(Entry::new(id, payload))
}

pub(super) fn put_log_id(out: &mut Vec<u8>, id: &LogId) {
    out.extend_from_slice(&term_of(id).to_be_bytes());
    out.extend_from_slice(&id.index.to_be_bytes());
}

pub(super) fn take_log_id(from: &mut Input<'_>) -> Result<LogId, FormatError> {
    let term = from.u64()?;
    Ok(log_id(term, from.u64()?))
}

pub(super) fn put_option_log_id(out: &mut Vec<u8>, id: Option<&LogId>) {
    out.push(u8::from(id.is_some()));
    if let Some(id) = id {
        put_log_id(out, id);
    }
}

pub(super) fn take_option_log_id(from: &mut Input<'_>) -> Result<Option<LogId>, FormatError> {
    if from.flag()? { take_log_id(from).map(Some) } else { Ok(None) }
}

pub(super) fn put_option_vote(out: &mut Vec<u8>, vote: Option<&Vote>) {
    out.push(u8::from(vote.is_some()));
    if let Some(vote) = vote {
        out.extend_from_slice(&vote.leader_id.term.to_be_bytes());
        out.extend_from_slice(&vote.leader_id.voted_for.to_be_bytes());
        out.push(u8::from(vote.committed));
    }
}

pub(super) fn take_option_vote(from: &mut Input<'_>) -> Result<Option<Vote>, FormatError> {
    if !from.flag()? {
        return Ok(None);
    }
    let leader = LeaderId { term: from.u64()?, voted_for: from.u64()? };
    Ok(Some(Vote::from_leader_id(leader, from.flag()?)))
}

fn put_membership(out: &mut Vec<u8>, members: &Membership) {
    put_count(out, members.get_joint_config().len());
    for voters in members.get_joint_config() {
        put_count(out, voters.len());
        voters.iter().for_each(|voter| out.extend_from_slice(&voter.to_be_bytes()));
    }
    put_count(out, members.nodes().count());
    for (id, node) in members.nodes() {
        out.extend_from_slice(&id.to_be_bytes());
        put_count(out, node.addr.len());
        out.extend_from_slice(node.addr.as_bytes());
    }
}

fn take_membership(from: &mut Input<'_>) -> Result<Membership, FormatError> {
    let mut configs = Vec::new();
    for _ in 0..from.u32()? {
        let count = from.u32()?;
        configs.push((0..count).map(|_| from.u64()).collect::<Result<BTreeSet<_>, _>>()?);
    }
    let mut nodes = Vec::new();
    for _ in 0..from.u32()? {
        let (id, len) = (from.u64()?, from.u32()?);
        let addr = std::str::from_utf8(from.slice(len as usize)?);
        let addr = addr.map_err(|_| FormatError::Malformed("address not UTF-8"))?;
        nodes.push((id, BasicNode::new(addr)));
    }
    membership(configs, nodes).ok_or(FormatError::Malformed("voter that is no node"))
}

pub(super) fn put_stored_membership(out: &mut Vec<u8>, members: &StoredMembership) {
    put_option_log_id(out, members.log_id().as_ref());
    put_membership(out, members.membership());
}

pub(super) fn take_stored_membership(from: &mut Input<'_>) -> Result<StoredMembership, FormatError> {
    let id = take_option_log_id(from)?;
    Ok(StoredMembership::new(id, take_membership(from)?))
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    out.extend_from_slice(&(count as u32).to_be_bytes());
}
