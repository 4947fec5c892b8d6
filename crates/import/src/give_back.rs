//! The way back: what Kafka's metadata must know before Kafka goes on where Ottla was.
//!
//! Meanwhile Ottla raised leader epochs and gave out producer ids, while Kafka's metadata stood still. The markers of a
//! coordinator with a lower epoch than that of the last marker are refused, so that its transactions stay open; a producer that
//! gets an id for the second time may have its batches taken for those of the first, acknowledged, and not stored.
//!
//! Invariants: only the end of Kafka's metadata log is changed; what a crash leaves of that is no whole batch, or all that is in
//! one; given again, nothing is raised twice.

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use bytes::{Bytes, BytesMut};
use ottla_controller::MetadataImage;
use ottla_disk::{Disk, OpenMode};
use ottla_log::StdDisk;
use ottla_quorum::{METADATA_DIR, look};
use ottla_records::BatchBuilder;
use ottla_types::{Offset, PartitionIndex, TopicName, TopicPartition, Uuid};
use ottla_wire::{
    Message, MetadataFrame, Writer,
    messages::{PartitionChangeRecord, ProducerIdsRecord},
};

use crate::{
    ImportError,
    directories::{self, Sources},
    kafka_metadata::{self, KafkaMetadata},
    report::Note,
};

/// Numbers of Kafka's records, in the version that each Kafka reads.
const PARTITION_CHANGE: u32 = 5;
const PRODUCER_IDS: u32 = 15;
const VERSION: i16 = 0;
/// So many records stay far below the 8 MB that a batch of metadata may have.
const BATCH_RECORDS: usize = 10_000;

/// What Kafka's metadata was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenBack {
    /// Partitions whose leader epoch was raised.
    pub raised: usize,
    /// Where producer ids go on, if that was told.
    pub next_producer_id: Option<i64>,
    /// Ottla's metadata, which has to go before Kafka starts.
    pub metadata: Option<PathBuf>,
}

/// Makes directories that Ottla served in place, all of them, such as Kafka can go on with.
///
/// # Errors
/// Kafka's metadata is as it was, unless the file system says so.
pub fn give_back(dirs: &[PathBuf]) -> Result<GivenBack, ImportError> {
    let sources = directories::open(&StdDisk, dirs)?;
    if let Some(Note::Unclean(path)) = sources.notes.iter().find(|note| matches!(note, Note::Unclean(_))) {
        return Err(ImportError::NotStopped { path: path.clone() });
    }
    let (_, kafkas) = sources.metadata_dir().ok_or(ImportError::NoMetadata)?;
    let metadata = dirs.iter().map(|dir| dir.join(METADATA_DIR)).find(|dir| dir.is_dir());
    // An end that an earlier try left torn is written over.
    let kafka = kafka_metadata::read(&kafkas, false)?;
    let image = match &metadata {
        Some(dir) => look::image(dir).map_err(|error| ImportError::Io { path: dir.clone(), error })?,
        None => MetadataImage::default(),
    };
    let mut given = GivenBack { metadata, ..GivenBack::default() };
    let mut records = Vec::new();
    raise_epochs(&kafka, &sources, &image, &mut records, &mut given);
    if image.next_producer_id() > kafka.next_producer_id {
        given.next_producer_id = Some(image.next_producer_id());
        records.push(producer_ids(&kafka, &sources, image.next_producer_id()));
    }
    append(&kafka, &records)?;
    Ok(given)
}

/// A leader that is named, even the same, begins a new epoch: as many records as there are epochs between.
fn raise_epochs(
    kafka: &KafkaMetadata,
    sources: &Sources,
    image: &MetadataImage,
    records: &mut Vec<Bytes>,
    given: &mut GivenBack,
) {
    for (id, topic) in &kafka.topics {
        let topic_id = Uuid(*id);
        for (index, it) in &topic.partitions {
            let partition = PartitionIndex(*index);
            let served = image.topic_by_id(topic_id).and_then(|topic| Some(topic.partition(partition)?.leader_epoch.0));
            let place = TopicName::new(&topic.name).map(|topic| TopicPartition { topic, partition });
            let in_log = place.ok().and_then(|place| Some(sources.partitions.get(&place)?.leader_epoch));
            let change =
                PartitionChangeRecord { partition_id: *index, topic_id, leader: it.leader, ..Default::default() };
            let behind = served.max(in_log).map_or(0, |epoch| epoch - it.leader_epoch);
            records.extend((0..behind).map(|_| record(PARTITION_CHANGE, &change)));
            given.raised += usize::from(behind > 0);
        }
    }
}

fn producer_ids(kafka: &KafkaMetadata, sources: &Sources, next_producer_id: i64) -> Bytes {
    let broker_epoch = kafka.brokers.get(&sources.node.0).map_or(-1, |broker| broker.broker_epoch);
    record(PRODUCER_IDS, &ProducerIdsRecord { broker_id: sources.node.0, broker_epoch, next_producer_id })
}

fn record<M: Message>(number: u32, message: &M) -> Bytes {
    let mut w = Writer::with_capacity(64);
    MetadataFrame::begin(&mut w, number, VERSION as u32);
    message.encode(&mut w, VERSION).expect("version 0 has all fields that are set");
    w.finish().read().expect("a record holds no file")
}

fn append(kafka: &KafkaMetadata, records: &[Bytes]) -> Result<(), ImportError> {
    let Some(path) = kafka.active.as_deref().filter(|_| !records.is_empty()) else { return Ok(()) };
    let (epoch, time) = kafka.last;
    let (mut bytes, mut end) = (BytesMut::new(), kafka.end);
    for records in records.chunks(BATCH_RECORDS) {
        let mut batch = BatchBuilder::new().base_offset(Offset(end)).leader_epoch(epoch);
        records.iter().for_each(|record| batch.append(time, None, Some(record)));
        bytes.extend_from_slice(&batch.build().map_err(|error| failed(path, io::Error::other(error)))?);
        end += records.len() as i64;
    }
    let file = StdDisk.open(path, OpenMode::Write).map_err(|error| failed(path, error))?;
    let at = match &kafka.torn {
        Some((_, position)) => *position as u64,
        None => file.len().map_err(|error| failed(path, error))?,
    };
    let written = file.set_len(at).and_then(|()| file.write_all_at(&mut [IoSlice::new(&bytes)], at));
    let written = written.and_then(|()| file.sync_data());
    written.map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: io::Error) -> ImportError {
    ImportError::Io { path: path.to_owned(), error }
}
