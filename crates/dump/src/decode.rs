//! Keys and values of records: as they are, or as what the broker's own topics and Kafka's metadata log keep.

use std::path::Path;

use bytes::Bytes;
use ottla_records::Record;
use ottla_wire::{DecodeError, MessageKind, MetadataFrame, MetadataRecordError, Reader, Role, Shown, messages::KINDS};

use crate::out::Fields;

/// How keys and values are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decoder {
    /// By the name of the directory: those of the broker's own topics are decoded, others shown as they are.
    #[default]
    ByDirectory,
    /// As committed offsets and groups, `__consumer_offsets`.
    Offsets,
    /// As transactions, `__transaction_state`.
    Transactions,
    /// As the state of share groups, `__share_group_state`.
    ShareState,
    /// As records of Kafka's metadata.
    Metadata,
}

/// What the records of one file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decoding {
    Plain,
    Control,
    Offsets,
    Transactions,
    ShareState,
    Metadata,
}

impl Decoder {
    pub(crate) fn of(self, path: &Path) -> Decoding {
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        let topic = folder.rsplit_once('-').map_or(folder, |(topic, _)| topic);
        match (self, topic) {
            (Self::Offsets, _) | (Self::ByDirectory, "__consumer_offsets") => Decoding::Offsets,
            (Self::Transactions, _) | (Self::ByDirectory, "__transaction_state") => Decoding::Transactions,
            (Self::ShareState, _) | (Self::ByDirectory, "__share_group_state") => Decoding::ShareState,
            (Self::Metadata, _) | (Self::ByDirectory, "__cluster_metadata") => Decoding::Metadata,
            // A snapshot of the metadata, wherever it lies.
            _ if path.extension().is_some_and(|ending| ending == "checkpoint") => Decoding::Metadata,
            _ => Decoding::Plain,
        }
    }
}

/// Why a key or value is not what its topic keeps.
#[derive(Debug)]
pub(crate) enum Undecodable {
    Key(DecodeError),
    Value(DecodeError),
    Unknown(i16),
    Metadata(MetadataRecordError),
}

impl std::fmt::Display for Undecodable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Key(error) => write!(f, "key: {error}"),
            Self::Value(error) => write!(f, "value: {error}"),
            Self::Unknown(number) => write!(f, "unknown type of record {number}"),
            Self::Metadata(error) => error.fmt(f),
        }
    }
}

/// Bytes as text where they are text, else in base 64.
pub(crate) fn readable(bytes: Option<&[u8]>) -> Shown {
    match bytes.map(|bytes| (bytes, str::from_utf8(bytes))) {
        None => Shown::Null,
        Some((_, Ok(text))) => Shown::text(text),
        Some((bytes, Err(_))) => Shown::Bytes(Bytes::copy_from_slice(bytes)),
    }
}

/// Adds what key and value of a record say.
pub(crate) fn add(
    decoding: Decoding,
    print: bool,
    record: &Record<'_>,
    fields: &mut Fields,
) -> Result<(), Undecodable> {
    match decoding {
        Decoding::Control => control(record, fields),
        Decoding::Plain | Decoding::Metadata if !print => Ok(()),
        Decoding::Plain => {
            plain(fields, ("key", "keyBase64"), record.key);
            plain(fields, ("value", "valueBase64"), record.value);
            Ok(())
        }
        Decoding::Metadata => metadata(record, fields),
        Decoding::Offsets | Decoding::Transactions | Decoding::ShareState if !print => Ok(()),
        _ => keyed(decoding, record, fields),
    }
}

fn plain(fields: &mut Fields, (name, base64): (&'static str, &'static str), bytes: Option<&[u8]>) {
    let shown = readable(bytes);
    fields.push((if matches!(shown, Shown::Bytes(_)) { base64 } else { name }, shown));
}

/// Control records: key is version and type.
fn control(record: &Record<'_>, fields: &mut Fields) -> Result<(), Undecodable> {
    let key = record.key.unwrap_or_default();
    let number = match key {
        [_, _, high, low, ..] => i16::from_be_bytes([*high, *low]),
        _ => -1,
    };
    let (name, message) = match number {
        0 => ("ABORT", "EndTxnMarker"),
        1 => ("COMMIT", "EndTxnMarker"),
        2 => ("LEADER_CHANGE", "LeaderChangeMessage"),
        3 => ("SNAPSHOT_HEADER", "SnapshotHeaderRecord"),
        4 => ("SNAPSHOT_FOOTER", "SnapshotFooterRecord"),
        5 => ("KRAFT_VERSION", "KRaftVersionRecord"),
        6 => ("KRAFT_VOTERS", "VotersRecord"),
        _ => ("UNKNOWN", ""),
    };
    fields.push(("controlType", name.into()));
    let (Some(kind), Some(value)) = (MessageKind::by_name(message), record.value) else { return Ok(()) };
    let mut reader = Reader::new(Bytes::copy_from_slice(value));
    // Markers carry their version in front; the others within, which is that of the message.
    let version = match number {
        0 | 1 => reader.i16(),
        _ => reader.clone().i16(),
    };
    let version = version.map_err(Undecodable::Value)?.clamp(kind.versions.min, kind.versions.max);
    fields.push(("value", shown(kind, &mut reader, version).map_err(Undecodable::Value)?));
    Ok(())
}

fn metadata(record: &Record<'_>, fields: &mut Fields) -> Result<(), Undecodable> {
    let Some(value) = record.value else { return Ok(()) };
    let frame = MetadataFrame::parse(Bytes::copy_from_slice(value)).map_err(Undecodable::Metadata)?;
    fields.push(("type", frame.kind.name.into()));
    fields.push(("version", i32::from(frame.version).into()));
    fields.push(("data", frame.show().map_err(Undecodable::Metadata)?));
    Ok(())
}

/// Records whose key begins with its type and whose value begins with its version.
fn keyed(decoding: Decoding, record: &Record<'_>, fields: &mut Fields) -> Result<(), Undecodable> {
    let mut key = Reader::new(Bytes::copy_from_slice(record.key.unwrap_or_default()));
    let number = key.i16().map_err(Undecodable::Key)?;
    let kind = kind_in(decoding, Role::Key(number)).ok_or(Undecodable::Unknown(number))?;
    let shown_key = shown(kind, &mut key, kind.versions.max).map_err(Undecodable::Key)?;
    fields.push(("type", kind.name.strip_suffix("Key").unwrap_or(kind.name).into()));
    fields.push(("key", shown_key));
    let Some(value) = record.value else {
        fields.push(("value", Shown::Null));
        return Ok(());
    };
    let mut value = Reader::new(Bytes::copy_from_slice(value));
    let version = value.i16().map_err(Undecodable::Value)?;
    let kind = kind_in(decoding, Role::Value(number)).ok_or(Undecodable::Unknown(number))?;
    fields.push(("version", i32::from(version).into()));
    fields.push(("value", shown(kind, &mut value, version).map_err(Undecodable::Value)?));
    Ok(())
}

fn shown(kind: &MessageKind, reader: &mut Reader, version: i16) -> Result<Shown, DecodeError> {
    kind.show.map_or(Ok(Shown::Null), |show| show(reader, version))
}

/// The message of a number in one topic: topics number theirs alike.
fn kind_in(decoding: Decoding, role: Role) -> Option<&'static MessageKind> {
    let topic = |name: &str| {
        if name.starts_with("TransactionLog") {
            Decoding::Transactions
        } else if name.starts_with("ShareSnapshot") || name.starts_with("ShareUpdate") {
            Decoding::ShareState
        } else {
            Decoding::Offsets
        }
    };
    KINDS.iter().find(|kind| kind.role == role && topic(kind.name) == decoding)
}
