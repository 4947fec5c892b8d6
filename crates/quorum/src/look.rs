//! What lies in the files of a metadata log, for those who look at them from outside.
//!
//! Invariants: whatever the bytes are, a look never panics and reads on behind what is damaged, where anything follows.

use std::{fs, io, path::Path};

use openraft::EntryPayload;
use ottla_controller::{MetadataImage, MetadataRecord, decode_batch};

use crate::{
    FormatError,
    raft::{LogId, StoredMembership, term_of},
    store::{HardState, next_frame, read_frame, take_entry, take_snapshot_head},
};

/// Which file of a metadata log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetadataFile {
    /// Entries.
    Log,
    /// A whole image.
    Snapshot,
    /// Vote and bounds.
    HardState,
}

impl MetadataFile {
    /// What the file of that name is; none for others.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let numbered = |prefix: &str| {
            let digits = name.strip_prefix(prefix);
            digits.is_some_and(|digits| digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        };
        match name {
            "hard-state" => Some(Self::HardState),
            _ if numbered("log-") => Some(Self::Log),
            _ if numbered("snapshot-") => Some(Self::Snapshot),
            _ => None,
        }
    }
}

/// Place of an entry in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryId {
    /// Term of its leader.
    pub term: u64,
    /// Its index.
    pub index: u64,
}

impl EntryId {
    fn of(id: &LogId) -> Self {
        Self { term: term_of(id), index: id.index }
    }
}

/// What a frame holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Piece {
    /// The entry with which a leader begins.
    Blank(EntryId),
    /// Changes of the metadata.
    Changes(EntryId, Vec<MetadataRecord>),
    /// Voters.
    Membership(EntryId, Vec<u64>),
    /// Beginning of a snapshot: its last entry, its voters, how many pieces follow.
    SnapshotHead(EntryId, Vec<u64>, u64),
    /// A part of a snapshot.
    SnapshotRecords(Vec<MetadataRecord>),
    /// The hard state.
    HardState {
        /// The node that the log belongs to.
        node: u64,
        /// Term and candidate of the vote.
        vote: Option<(u64, u64)>,
        /// The last entry that only a snapshot holds.
        purged: Option<EntryId>,
        /// An entry that is known to be durable.
        durable: Option<EntryId>,
    },
}

/// Why a place holds no piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookError {
    /// No frame, or one whose checksum is wrong.
    #[error("no frame with a right checksum; {skipped} bytes are passed over")]
    Damaged {
        /// Bytes up to the next good frame, or the end.
        skipped: u64,
    },
    /// A whole frame with unknown content.
    #[error(transparent)]
    Format(#[from] FormatError),
}

/// The pieces of a file with their positions.
#[must_use]
pub fn look(file: MetadataFile, bytes: &[u8]) -> Vec<(u64, Result<Piece, LookError>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match read_frame(&bytes[at..]) {
            Some(frame) => {
                found.push((at as u64, piece(file, found.is_empty(), frame.body).map_err(LookError::from)));
                at += frame.len();
            }
            None => {
                let next = next_frame(bytes, at + 1).unwrap_or(bytes.len());
                found.push((at as u64, Err(LookError::Damaged { skipped: (next - at) as u64 })));
                at = next;
            }
        }
    }
    found
}

/// The metadata that the log in `dir` holds, of a quorum of one: there all that is in it counts.
///
/// # Errors
/// The file system's, or what is damaged.
pub fn image(dir: &Path) -> io::Result<MetadataImage> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.extend(entry?.file_name().into_string());
    }
    names.sort();
    let of = |kind| names.iter().filter(move |name| MetadataFile::of_name(name) == Some(kind));
    let files = of(MetadataFile::Snapshot).next_back().into_iter().map(|name| (MetadataFile::Snapshot, name));
    let mut image = MetadataImage::default();
    for (file, name) in files.chain(of(MetadataFile::Log).map(|name| (MetadataFile::Log, name))) {
        let mut last = image.version();
        for (_, piece) in look(file, &fs::read(dir.join(name))?) {
            let (version, records) = match piece.map_err(io::Error::other)? {
                Piece::SnapshotHead(id, ..) => (id.index, Vec::new()),
                Piece::SnapshotRecords(records) => (last, records),
                Piece::Changes(id, records) if id.index > last => (id.index, records),
                _ => continue,
            };
            last = version;
            image = image.apply(&records, version).map_err(io::Error::other)?.0;
        }
    }
    Ok(image)
}

fn piece(file: MetadataFile, first: bool, body: &[u8]) -> Result<Piece, FormatError> {
    match file {
        MetadataFile::Log => {
            let entry = take_entry(body)?;
            let id = EntryId::of(&entry.log_id);
            Ok(match entry.payload {
                EntryPayload::Blank => Piece::Blank(id),
                EntryPayload::Normal(changes) => Piece::Changes(id, changes.0.to_vec()),
                EntryPayload::Membership(members) => Piece::Membership(id, members.voter_ids().collect()),
            })
        }
        MetadataFile::Snapshot if first => {
            let (last, pieces, members) = take_snapshot_head(body)?;
            Ok(Piece::SnapshotHead(EntryId::of(&last), voters(&members), pieces))
        }
        MetadataFile::Snapshot => Ok(Piece::SnapshotRecords(decode_batch(body)?)),
        MetadataFile::HardState => {
            let state = HardState::decode(body)?;
            Ok(Piece::HardState {
                node: state.node,
                vote: state.vote.map(|vote| (vote.leader_id.term, vote.leader_id.voted_for)),
                purged: state.purged.as_ref().map(EntryId::of),
                durable: state.durable.as_ref().map(EntryId::of),
            })
        }
    }
}

fn voters(members: &StoredMembership) -> Vec<u64> {
    members.membership().voter_ids().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_any_kind_are_looked_at() {
        for file in [MetadataFile::Log, MetadataFile::Snapshot, MetadataFile::HardState] {
            assert!(look(file, &[]).is_empty());
            for byte in [0, b'O', 0xff] {
                let found = look(file, &[byte; 100]);
                assert_eq!(found, [(0, Err(LookError::Damaged { skipped: 100 }))], "{file:?}");
            }
        }
    }

    #[test]
    fn what_follows_damage_is_found() {
        let state = HardState { node: 7, ..HardState::default() };
        let frame = state.to_bytes();
        let bytes = [&frame[..], b"rubbish", &frame].concat();
        let found = look(MetadataFile::HardState, &bytes);
        assert_eq!(found.len(), 3);
        assert_eq!(found[1], (frame.len() as u64, Err(LookError::Damaged { skipped: 7 })));
        assert!(found[0].1.is_ok() && found[2].1.is_ok());
    }

    #[test]
    fn files_are_known_by_their_names() {
        let kinds = ["log-00000000000000000001", "snapshot-00000000000000000012", "hard-state", "log-1", "lock"];
        let found = kinds.map(MetadataFile::of_name);
        let expected =
            [Some(MetadataFile::Log), Some(MetadataFile::Snapshot), Some(MetadataFile::HardState), None, None];
        assert_eq!(found, expected);
    }
}
