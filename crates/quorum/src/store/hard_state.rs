//! The hard state: what raft must not forget and what is not in the log.
//!
//! One small file, replaced as a whole (temporary file, sync, rename, sync of the directory), so that after a crash it is
//! either the old one or the new one.

use std::{io, io::IoSlice, path::Path, sync::Arc};

use ottla_disk::{Disk, OpenMode};

use super::{
    OpenError,
    codec::{FormatError, Input, put_option_log_id, put_option_vote, take_option_log_id, take_option_vote},
    frame::{put_frame, read_frame},
    segments::not_durable,
};
use crate::raft::{LogId, Vote};

const NAME: &str = "hard-state";
const VERSION: u8 = 1;

/// See the file's head.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HardState {
    /// The node that this log belongs to.
    pub(crate) node: u64,
    /// The vote.
    pub(crate) vote: Option<Vote>,
    /// The last entry that is no longer in the log because a snapshot holds it.
    pub(crate) purged: Option<LogId>,
    /// An entry that is known to be durable: a log that ends before it is damaged.
    pub(crate) durable: Option<LogId>,
}

impl HardState {
    pub(super) fn load(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Option<Self>, OpenError> {
        let path = dir.join(NAME);
        if !disk.exists(&path) {
            return Ok(None);
        }
        let bytes = super::read_file(disk, &path)?;
        let frame = read_frame(&bytes).ok_or(OpenError::Damaged { path: path.clone(), position: 0 })?;
        let state = Self::decode(frame.body).map_err(|error| OpenError::Format { path, position: 0, error })?;
        Ok(Some(state))
    }

    pub(crate) fn save(&self, disk: &Arc<dyn Disk>, dir: &Path) -> io::Result<()> {
        replace_file(disk, dir, NAME, &self.to_bytes())
    }

    /// The content of the file.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut body = vec![VERSION];
        body.extend_from_slice(&self.node.to_be_bytes());
        put_option_vote(&mut body, self.vote.as_ref());
        put_option_log_id(&mut body, self.purged.as_ref());
        put_option_log_id(&mut body, self.durable.as_ref());
        let mut bytes = Vec::new();
        put_frame(&mut bytes, 0, &body);
        bytes
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, FormatError> {
        let mut from = Input(body);
        let version = from.u8()?;
        if version != VERSION {
            return Err(FormatError::UnknownVersion(version));
        }
        let state = Self {
            node: from.u64()?,
            vote: take_option_vote(&mut from)?,
            purged: take_option_log_id(&mut from)?,
            durable: take_option_log_id(&mut from)?,
        };
        from.end()?;
        Ok(state)
    }
}

/// Puts `bytes` in place of the file `name`: all or nothing, durable on return.
pub(super) fn replace_file(disk: &Arc<dyn Disk>, dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.tmp"));
    let file = disk.open(&temporary, OpenMode::Create)?;
    file.set_len(0)?;
    if let Err(error) = file.write_all_at(&mut [IoSlice::new(bytes)], 0) {
        drop(file);
        let _ = disk.remove_file(&temporary); // on a full disk it would take room
        return Err(error);
    }
    file.sync_data().map_err(not_durable)?;
    disk.rename(&temporary, &dir.join(name))?;
    disk.sync_dir(dir).map_err(not_durable)
}
