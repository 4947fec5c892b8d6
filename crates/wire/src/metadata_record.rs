//! Records of a metadata log as Apache Kafka frames them: three unsigned varints (frame version, kind of record, version
//! of that kind), then the record.
//!
//! Invariants: bytes that follow the record are an error, since nobody else reads them; a kind or version that is not known
//! is an error that names it, never a guess.

use bytes::Bytes;

use crate::{DecodeError, Message, MessageKind, Reader, Role, Shown, Writer};

/// The one version of the frame.
const FRAME_VERSION: u32 = 1;

/// Why bytes are no metadata record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataRecordError {
    /// Of a later version.
    #[error("frame version {0} where 1 is known")]
    FrameVersion(u32),
    /// A number that no record has.
    #[error("unknown kind of metadata record {0}")]
    UnknownKind(u32),
    /// Bytes that nobody reads.
    #[error("{0} bytes after the record")]
    Trailing(usize),
    /// The record itself.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// A metadata record whose frame was read.
#[derive(Clone, Debug)]
pub struct MetadataFrame {
    /// Which kind.
    pub kind: &'static MessageKind,
    /// In which version.
    pub version: i16,
    body: Reader,
}

impl MetadataFrame {
    /// Reads the frame of the record in `bytes`.
    ///
    /// # Errors
    /// It ends early, or says what is not known.
    pub fn parse(bytes: Bytes) -> Result<Self, MetadataRecordError> {
        let mut body = Reader::new(bytes);
        let frame_version = body.uvarint()?;
        if frame_version != FRAME_VERSION {
            return Err(MetadataRecordError::FrameVersion(frame_version));
        }
        let number = body.uvarint()?;
        let version = i16::try_from(body.uvarint()?).unwrap_or(i16::MAX);
        let role = i16::try_from(number).ok().map(Role::Metadata);
        let kind = role.and_then(MessageKind::by_role).ok_or(MetadataRecordError::UnknownKind(number))?;
        Ok(Self { kind, version, body })
    }

    /// Number of the kind.
    #[must_use]
    pub fn number(&self) -> i16 {
        match self.kind.role {
            Role::Metadata(number) => number,
            _ => -1,
        }
    }

    /// The record, which is an `M`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode<M: Message>(&self) -> Result<M, MetadataRecordError> {
        self.whole(M::decode)
    }

    /// The record as people see it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn show(&self) -> Result<Shown, MetadataRecordError> {
        match self.kind.show {
            Some(show) => self.whole(show),
            None => Ok(Shown::Null),
        }
    }

    fn whole<T>(
        &self,
        read: impl FnOnce(&mut Reader, i16) -> Result<T, DecodeError>,
    ) -> Result<T, MetadataRecordError> {
        let mut body = self.body.clone();
        let found = read(&mut body, self.version)?;
        match body.left() {
            0 => Ok(found),
            left => Err(MetadataRecordError::Trailing(left)),
        }
    }

    /// Puts the frame of a record of kind `number` in `version` in front of what is written to `w` next.
    pub fn begin(w: &mut Writer, number: u32, version: u32) {
        w.uvarint(FRAME_VERSION);
        w.uvarint(number);
        w.uvarint(version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::TopicRecord;

    #[test]
    fn a_record_is_read_by_its_number() {
        // Frame 1, kind 2 (topic), version 0, name "ab", id, no tags.
        let bytes = [&[1, 2, 0, 3, b'a', b'b'][..], &[7; 16], &[0]].concat();
        let frame = MetadataFrame::parse(bytes.clone().into()).unwrap();
        assert_eq!((frame.kind.name, frame.version, frame.number()), ("TopicRecord", 0, 2));
        assert_eq!(frame.decode::<TopicRecord>().unwrap().name, "ab");
        assert!(frame.show().unwrap().to_string().starts_with("{\"name\":\"ab\",\"topicId\":"));
        let after = MetadataFrame::parse([&bytes[..], &[0]].concat().into()).unwrap();
        assert_eq!(after.decode::<TopicRecord>(), Err(MetadataRecordError::Trailing(1)));
        for end in 0..bytes.len() {
            let cut = MetadataFrame::parse(bytes[..end].to_vec().into());
            assert!(cut.and_then(|frame| frame.show()).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        let parse = |bytes: &'static [u8]| MetadataFrame::parse(Bytes::from_static(bytes)).map(|frame| frame.show());
        assert_eq!(parse(&[2, 2, 0]).unwrap_err(), MetadataRecordError::FrameVersion(2));
        assert_eq!(parse(&[1, 99, 0]).unwrap_err(), MetadataRecordError::UnknownKind(99));
        assert!(parse(&[1, 2, 9, 0]).unwrap().unwrap_err().to_string().contains("version 9"));
        assert!(parse(&[1, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]).is_err());
    }
}
