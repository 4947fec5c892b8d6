//! Where a partition lives: what is found against what the metadata says.
//!
//! Pure. Invariant: a partition that may lie in a directory that cannot be used is offline; it never begins anew beside
//! the records that it has there.

use ottla_types::Uuid;

/// What the metadata says of a partition's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Assigned {
    /// Id of the directory; zero where it has none yet.
    pub directory: Uuid,
    /// Whether the partition was created a moment ago, so that it has no records anywhere.
    pub is_new: bool,
}

impl Assigned {
    /// A partition that has no records anywhere, and may be put where there is room.
    pub const NEW: Self = Self { directory: Uuid::ZERO, is_new: true };
}

/// The directories, as far as they matter here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directories<'a> {
    /// Ids of those that are online.
    pub(super) online: &'a [Uuid],
    /// Whether one of those that are configured is not.
    pub(super) any_failed: bool,
    /// Ids of those whose records the operator has given up.
    pub(super) given_up: &'a [Uuid],
}

/// What becomes of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// It is where it was found.
    Found,
    /// It begins in that directory; in the one with the fewest partitions where none is named.
    Begins(Option<Uuid>),
    /// Its directory cannot be used.
    Offline,
}

pub(super) fn place(found: Option<Uuid>, assigned: Assigned, dirs: Directories<'_>) -> Placement {
    let directory = assigned.directory;
    let is_known = !directory.is_zero() && !dirs.given_up.contains(&directory);
    let is_online = dirs.online.contains(&directory);
    match found {
        // What was found may be what a move left, where the directory that it was moved to does not open.
        Some(found) if is_known && found != directory && !is_online && dirs.any_failed => Placement::Offline,
        Some(_) => Placement::Found,
        None if assigned.is_new && !is_known => Placement::Begins(None),
        None if assigned.is_new && is_online => Placement::Begins(Some(directory)),
        // Nobody has said yet where it is, or it was moved and the metadata has not heard of it.
        None if dirs.any_failed => Placement::Offline,
        None if !is_known => Placement::Begins(None),
        None if is_online => Placement::Begins(Some(directory)),
        // Its directory is none of those that are configured, or another one is mounted in its place.
        None => Placement::Offline,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid([1; 16]);
    const B: Uuid = Uuid([2; 16]);
    const GONE: Uuid = Uuid([9; 16]);

    fn at(found: Option<Uuid>, directory: Uuid, is_new: bool, any_failed: bool) -> Placement {
        let dirs = Directories { online: if any_failed { &[A] } else { &[A, B] }, any_failed, given_up: &[] };
        place(found, Assigned { directory, is_new }, dirs)
    }

    #[test]
    fn with_all_directories_a_partition_is_where_it_is_found() {
        for directory in [Uuid::ZERO, A, B, GONE] {
            assert_eq!(at(Some(A), directory, false, false), Placement::Found);
        }
        assert_eq!(at(None, Uuid::ZERO, false, false), Placement::Begins(None));
        assert_eq!(at(None, B, false, false), Placement::Begins(Some(B)));
        assert_eq!(at(None, GONE, false, false), Placement::Offline, "another disk is mounted in its place");
    }

    #[test]
    fn while_a_directory_is_missing_nothing_begins_but_what_is_new() {
        for directory in [Uuid::ZERO, A, B, GONE] {
            assert_eq!(at(None, directory, false, true), Placement::Offline);
        }
        assert_eq!(at(None, Uuid::ZERO, true, true), Placement::Begins(None));
        assert_eq!(at(None, A, true, true), Placement::Begins(Some(A)));
        assert_eq!(at(None, B, true, true), Placement::Offline);
        assert_eq!(at(Some(A), A, false, true), Placement::Found);
        assert_eq!(at(Some(A), Uuid::ZERO, false, true), Placement::Found);
        assert_eq!(at(Some(A), B, false, true), Placement::Offline, "it was moved to the one that is missing");
    }

    #[test]
    fn what_was_given_up_begins_anew() {
        let dirs = Directories { online: &[A, B], any_failed: false, given_up: &[GONE] };
        let assigned = Assigned { directory: GONE, is_new: false };
        assert_eq!(place(None, assigned, dirs), Placement::Begins(None));
        assert_eq!(place(Some(B), assigned, dirs), Placement::Found);
    }
}
