//! What must hold, whatever happened.

use std::collections::BTreeMap;

use super::{
    model::{Universe, World},
    network::{Tag, Tags},
};

/// What does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// A request of the second transaction ended the first.
    EndedAnother(Tag, Tag),
    /// A write of the second transaction entered the first.
    JoinedAnother(Tag, Tag),
    /// Committed without its client ever asking for that.
    CommittedUnasked(Tag),
    /// Aborted after its client was told that it is committed.
    AbortedCommitted(Tag),
    /// Committed in one partition and aborted in another.
    Torn(Tag),
    /// Written twice into one partition.
    Doubled(Tag),
    /// Open in a partition that will get no marker for it.
    LeftOpen(Tag),
}

/// A request of `tag` decided the end of what was open.
pub(super) fn check_end(open: Tags, tag: Tag) -> Result<(), Violation> {
    open.other_than(tag).map_or(Ok(()), |other| Err(Violation::EndedAnother(other, tag)))
}

/// A write of `tag` had its partition added to what is open.
pub(super) fn check_join(open: Tags, tag: Tag) -> Result<(), Violation> {
    open.other_than(tag).map_or(Ok(()), |other| Err(Violation::JoinedAnother(other, tag)))
}

/// What holds of every state.
pub(super) fn check(universe: &Universe, world: &World) -> Result<(), Violation> {
    let mut outcomes: BTreeMap<Tag, bool> = BTreeMap::new();
    for (index, number) in world.partitions.iter().enumerate() {
        let partition = universe.partition(*number);
        if let Some(tag) = partition.doubled() {
            return Err(Violation::Doubled(tag));
        }
        for (&tag, &commit) in partition.ended() {
            if commit && !world.asked.contains(tag) {
                return Err(Violation::CommittedUnasked(tag));
            }
            if !commit && world.told.contains(tag) {
                return Err(Violation::AbortedCommitted(tag));
            }
            if *outcomes.entry(tag).or_insert(commit) != commit {
                return Err(Violation::Torn(tag));
            }
        }
        if let Some(tag) = partition.open().filter(|_| !universe.gets_marker(world, index as u8)) {
            return Err(Violation::LeftOpen(tag));
        }
    }
    Ok(())
}
