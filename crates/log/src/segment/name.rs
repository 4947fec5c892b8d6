//! Names of the files of a segment: the base offset in 20 digits and a suffix, as Kafka writes them.

use ottla_types::Offset;

/// What a file of a partition directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// Record batches.
    Log,
    /// Offset index.
    OffsetIndex,
    /// Time index.
    TimeIndex,
    /// Aborted transactions.
    TxnIndex,
    /// Producer state at the offset of the name.
    Snapshot,
}

impl FileKind {
    const ALL: [Self; 5] = [Self::Log, Self::OffsetIndex, Self::TimeIndex, Self::TxnIndex, Self::Snapshot];

    fn suffix(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::OffsetIndex => "index",
            Self::TimeIndex => "timeindex",
            Self::TxnIndex => "txnindex",
            Self::Snapshot => "snapshot",
        }
    }
}

/// Name of the file of `kind` that belongs to `offset`.
pub(crate) fn file_name(offset: Offset, kind: FileKind) -> String {
    format!("{:020}.{}", offset.0, kind.suffix())
}

/// What the name of a file ends with that compaction is writing.
pub(crate) const CLEANED_SUFFIX: &str = ".cleaned";

/// Name of a file that compaction is writing.
pub(crate) fn cleaned_name(offset: Offset, kind: FileKind) -> String {
    file_name(offset, kind) + CLEANED_SUFFIX
}

/// Name of a file that takes the place of those of one or several segments.
pub(crate) fn swap_name(offset: Offset, kind: FileKind) -> String {
    file_name(offset, kind) + ".swap"
}

/// The other way round of [`file_name`]; none for a name that is not of this form.
#[must_use]
pub fn parse_file_name(name: &str) -> Option<(Offset, FileKind)> {
    let (digits, suffix) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let kind = FileKind::ALL.into_iter().find(|kind| kind.suffix() == suffix)?;
    Some((Offset(digits.parse().ok()?), kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for kind in FileKind::ALL {
            for offset in [0, 1, 4711, i64::MAX] {
                let name = file_name(Offset(offset), kind);
                assert_eq!(parse_file_name(&name), Some((Offset(offset), kind)), "{name}");
            }
        }
        assert_eq!(file_name(Offset(42), FileKind::TimeIndex), "00000000000000000042.timeindex");
    }

    #[test]
    fn other_names_are_not_taken_for_segments() {
        for name in [
            "",
            "leader-epoch-checkpoint",
            "42.log",
            "0000000000000000000x.log",
            "+0000000000000000042.log",
            "00000000000000000042",
            "00000000000000000042.log.deleted",
            "00000000000000000042.log.swap",
            "99999999999999999999.log",
            "partition.metadata",
        ] {
            assert_eq!(parse_file_name(name), None, "{name}");
        }
    }
}
