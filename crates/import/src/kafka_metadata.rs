//! Kafka's metadata log: the newest snapshot, and the records behind it.
//!
//! Invariants: a broken batch is an error that names file and position, unless nothing sound follows it in the last segment of a
//! broker that was killed: there a crash leaves one. Records of a metadata transaction count when its end is there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use ottla_log::files::{FileKind, parse_file_name};
use ottla_records::{BatchError, BatchRef, RecordError, records_of};
use ottla_types::{LeaderEpoch, Millis, Uuid};
use ottla_wire::{
    MetadataFrame, MetadataRecordError,
    messages::{
        AccessControlEntryRecord, ClientQuotaRecord, ConfigRecord, DelegationTokenRecord, FeatureLevelRecord,
        PartitionChangeRecord, PartitionRecord, ProducerIdsRecord, RegisterBrokerRecord,
        RemoveAccessControlEntryRecord, RemoveDelegationTokenRecord, RemoveTopicRecord,
        RemoveUserScramCredentialRecord, TopicRecord, UnregisterBrokerRecord, UserScramCredentialRecord,
        ZkMigrationStateRecord,
    },
};

/// Control record with which a snapshot ends.
const SNAPSHOT_FOOTER: [u8; 2] = [0, 4];

/// The format of batches, and where in a batch it stands.
const MAGIC: u8 = 2;
const MAGIC_AT: usize = 16;

/// Why the metadata cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// The file system says so.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// A broken batch.
    #[error("{path}: damaged at byte {position}: {error}", path = path.display())]
    Batch {
        /// The file.
        path: PathBuf,
        /// Where.
        position: usize,
        /// What is wrong.
        error: BatchError,
    },
    /// Broken records.
    #[error("{path}: damaged at byte {position}: {error}", path = path.display())]
    Records {
        /// The file.
        path: PathBuf,
        /// Where.
        position: usize,
        /// What is wrong.
        error: RecordError,
    },
    /// A record of a later version of Kafka, or a broken one.
    #[error("{path}: record at offset {offset}: {error}", path = path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Which record.
        offset: i64,
        /// What is wrong.
        error: MetadataRecordError,
    },
    /// A snapshot without its end.
    #[error("{path}: the snapshot ends early", path = path.display())]
    SnapshotEnds {
        /// The file.
        path: PathBuf,
    },
    /// Records are missing.
    #[error("{path}: offset {found} where {expected} should follow", path = path.display())]
    Gap {
        /// The file.
        path: PathBuf,
        /// What is there.
        found: i64,
        /// What should be.
        expected: i64,
    },
    /// A change of something that is not there.
    #[error("a metadata record changes topic id {0}, which does not exist")]
    UnknownTopic(Uuid),
}

/// A topic as Kafka knows it.
#[derive(Debug, Default)]
pub(crate) struct KafkaTopic {
    pub(crate) name: String,
    pub(crate) partitions: BTreeMap<i32, PartitionRecord>,
}

/// The metadata of a Kafka cluster.
#[derive(Debug, Default)]
pub(crate) struct KafkaMetadata {
    /// First offset that was not read.
    pub(crate) end: i64,
    pub(crate) topics: BTreeMap<[u8; 16], KafkaTopic>,
    pub(crate) configs: BTreeMap<(i8, String), BTreeMap<String, String>>,
    pub(crate) features: BTreeMap<String, i16>,
    pub(crate) brokers: BTreeMap<i32, RegisterBrokerRecord>,
    pub(crate) next_producer_id: i64,
    pub(crate) quotas: BTreeMap<String, f64>,
    pub(crate) scram_users: BTreeSet<String>,
    pub(crate) acls: BTreeMap<[u8; 16], String>,
    pub(crate) tokens: BTreeSet<String>,
    /// 0 none, 1 migrating, 2 about to, 3 done.
    pub(crate) zk_migration: i8,
    /// Where the log is torn: what follows was never whole.
    pub(crate) torn: Option<(PathBuf, usize)>,
    /// What comes next is appended here.
    pub(crate) active: Option<PathBuf>,
    /// Epoch of the quorum and time of the last batch.
    pub(crate) last: (LeaderEpoch, Millis),
}

/// Reads the log in `dir`; `clean` says that Kafka was stopped cleanly.
pub(crate) fn read(dir: &Path, clean: bool) -> Result<KafkaMetadata, MetadataError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| io_error(dir, error))? {
        let entry = entry.map_err(|error| io_error(dir, error))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort();
    let mut reading = Reading::default();
    let snapshot = names.iter().filter_map(|name| Some((snapshot_end(name)?, name))).max();
    if let Some((end, name)) = snapshot {
        let path = dir.join(name);
        if !reading.file(&path, None, false)? {
            return Err(MetadataError::SnapshotEnds { path });
        }
        reading.metadata.end = end.0;
        reading.metadata.last.0 = LeaderEpoch(end.1);
    }
    let segments: Vec<_> =
        names.iter().filter(|name| matches!(parse_file_name(name), Some((_, FileKind::Log)))).collect();
    for (at, name) in segments.iter().enumerate() {
        let from = reading.metadata.end;
        reading.file(&dir.join(name), Some(from), !clean && at + 1 == segments.len())?;
        reading.metadata.active = Some(dir.join(name));
    }
    Ok(reading.metadata)
}

fn sound_batch(bytes: &[u8]) -> Result<BatchRef<'_>, BatchError> {
    BatchRef::parse(bytes).and_then(|batch| batch.verify_crc().map(|()| batch))
}

/// Whether a sound batch begins somewhere behind the broken one at the beginning of `bytes`.
fn is_followed(bytes: &[u8]) -> bool {
    (1..bytes.len()).any(|at| bytes.get(at + MAGIC_AT) == Some(&MAGIC) && sound_batch(&bytes[at..]).is_ok())
}

/// Offset and epoch in the name of a snapshot.
fn snapshot_end(name: &str) -> Option<(i64, i32)> {
    let (offset, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
    (offset.len() == 20 && epoch.len() == 10).then_some(())?;
    Some((offset.parse().ok()?, epoch.parse().ok()?))
}

fn io_error(path: &Path, error: io::Error) -> MetadataError {
    MetadataError::Io { path: path.to_owned(), error }
}

#[derive(Debug, Default)]
struct Reading {
    metadata: KafkaMetadata,
    /// Records of a metadata transaction whose end has not come.
    open: Option<Vec<MetadataFrame>>,
}

impl Reading {
    /// Takes in the records of a file: of a snapshot all, of a segment those from `from` on. Its end may be torn where
    /// `may_be_torn` says so. Whether the end of a snapshot came.
    fn file(&mut self, path: &Path, from: Option<i64>, may_be_torn: bool) -> Result<bool, MetadataError> {
        let bytes = fs::read(path).map_err(|error| io_error(path, error))?;
        let (mut position, mut footer) = (0, false);
        while position < bytes.len() {
            let batch = match sound_batch(&bytes[position..]) {
                Ok(batch) => batch,
                Err(_) if may_be_torn && !is_followed(&bytes[position..]) => {
                    self.metadata.torn = Some((path.to_owned(), position));
                    break;
                }
                Err(error) => return Err(MetadataError::Batch { path: path.to_owned(), position, error }),
            };
            let header = batch.header();
            if let Some(from) = from.filter(|_| header.next_offset().0 > self.metadata.end) {
                if header.base_offset.0 > self.metadata.end {
                    let (found, expected) = (header.base_offset.0, self.metadata.end);
                    return Err(MetadataError::Gap { path: path.to_owned(), found, expected });
                }
                self.batch(path, position, &batch, from.max(self.metadata.end))?;
                self.metadata.end = header.next_offset().0;
                self.metadata.last = (header.partition_leader_epoch, header.max_timestamp);
            } else if from.is_none() {
                footer |= self.batch(path, position, &batch, 0)?;
            }
            position += batch.bytes().len();
        }
        Ok(footer)
    }

    fn batch(&mut self, path: &Path, position: usize, batch: &BatchRef<'_>, from: i64) -> Result<bool, MetadataError> {
        let broken = |error| MetadataError::Records { path: path.to_owned(), position, error };
        let mut records = records_of(batch).map_err(broken)?;
        let mut footer = false;
        while let Some(record) = records.next_record().map_err(broken)? {
            if batch.header().attributes.is_control() {
                footer |= record.key.is_some_and(|key| key.get(2..4) == Some(&SNAPSHOT_FOOTER));
                continue;
            }
            let Some(value) = record.value.filter(|_| record.offset.0 >= from) else { continue };
            let offset = record.offset.0;
            let taken = MetadataFrame::parse(Bytes::copy_from_slice(value)).map(|frame| self.frame(frame));
            let failed = |error| MetadataError::Record { path: path.to_owned(), offset, error };
            match taken.map_err(failed)? {
                Err(Rejected::Record(error)) => return Err(failed(error)),
                Err(Rejected::UnknownTopic(id)) => return Err(MetadataError::UnknownTopic(id)),
                Ok(()) => {}
            }
        }
        Ok(footer)
    }

    fn frame(&mut self, frame: MetadataFrame) -> Result<(), Rejected> {
        match (frame.kind.name, &mut self.open) {
            ("BeginTransactionRecord", _) => self.open = Some(Vec::new()),
            ("AbortTransactionRecord", _) => self.open = None,
            ("EndTransactionRecord", _) => {
                for frame in self.open.take().unwrap_or_default() {
                    self.metadata.replay(&frame)?;
                }
            }
            (_, Some(open)) => open.push(frame),
            (_, None) => self.metadata.replay(&frame)?,
        }
        Ok(())
    }
}

enum Rejected {
    Record(MetadataRecordError),
    UnknownTopic(Uuid),
}

impl From<MetadataRecordError> for Rejected {
    fn from(error: MetadataRecordError) -> Self {
        Self::Record(error)
    }
}

impl KafkaMetadata {
    fn replay(&mut self, frame: &MetadataFrame) -> Result<(), Rejected> {
        match frame.kind.name {
            "TopicRecord" => {
                let it: TopicRecord = frame.decode()?;
                self.topics.insert(it.topic_id.0, KafkaTopic { name: it.name, ..KafkaTopic::default() });
            }
            "RemoveTopicRecord" => self.remove_topic(frame.decode::<RemoveTopicRecord>()?.topic_id),
            "PartitionRecord" => {
                let it: PartitionRecord = frame.decode()?;
                let topic = self.topics.get_mut(&it.topic_id.0).ok_or(Rejected::UnknownTopic(it.topic_id))?;
                topic.partitions.insert(it.partition_id, it);
            }
            "PartitionChangeRecord" => self.change_partition(frame.decode()?)?,
            "ConfigRecord" => self.configure(frame.decode()?),
            "FeatureLevelRecord" => {
                let it: FeatureLevelRecord = frame.decode()?;
                if it.feature_level == 0 {
                    self.features.remove(&it.name);
                } else {
                    self.features.insert(it.name, it.feature_level);
                }
            }
            "RegisterBrokerRecord" => {
                let it: RegisterBrokerRecord = frame.decode()?;
                self.brokers.insert(it.broker_id, it);
            }
            "UnregisterBrokerRecord" => {
                self.brokers.remove(&frame.decode::<UnregisterBrokerRecord>()?.broker_id);
            }
            "ProducerIdsRecord" => self.next_producer_id = frame.decode::<ProducerIdsRecord>()?.next_producer_id,
            _ => self.replay_unserved(frame)?,
        }
        Ok(())
    }

    /// What has no place here yet is remembered by name. Broker states, feature gates and the like change nothing that is kept.
    fn replay_unserved(&mut self, frame: &MetadataFrame) -> Result<(), Rejected> {
        match frame.kind.name {
            "ClientQuotaRecord" => {
                let it: ClientQuotaRecord = frame.decode()?;
                let of = |part: &ottla_wire::messages::client_quota_record::EntityData| {
                    format!("{}={}", part.entity_type, part.entity_name.as_deref().unwrap_or("<default>"))
                };
                let entity: Vec<_> = it.entity.iter().map(of).collect();
                let name = format!("{} {}", entity.join(","), it.key);
                if it.remove {
                    self.quotas.remove(&name);
                } else {
                    self.quotas.insert(name, it.value);
                }
            }
            "UserScramCredentialRecord" => {
                let it: UserScramCredentialRecord = frame.decode()?;
                self.scram_users.insert(scram(&it.name, it.mechanism));
            }
            "RemoveUserScramCredentialRecord" => {
                let it: RemoveUserScramCredentialRecord = frame.decode()?;
                self.scram_users.remove(&scram(&it.name, it.mechanism));
            }
            "AccessControlEntryRecord" => {
                let it: AccessControlEntryRecord = frame.decode()?;
                let about = format!(
                    "{} from {}, operation {}, permission {}, on resource type {} {}",
                    it.principal, it.host, it.operation, it.permission_type, it.resource_type, it.resource_name
                );
                self.acls.insert(it.id.0, about);
            }
            "RemoveAccessControlEntryRecord" => {
                self.acls.remove(&frame.decode::<RemoveAccessControlEntryRecord>()?.id.0);
            }
            "DelegationTokenRecord" => {
                let it: DelegationTokenRecord = frame.decode()?;
                self.tokens.insert(it.token_id);
            }
            "RemoveDelegationTokenRecord" => {
                self.tokens.remove(&frame.decode::<RemoveDelegationTokenRecord>()?.token_id);
            }
            "ZkMigrationStateRecord" => {
                self.zk_migration = frame.decode::<ZkMigrationStateRecord>()?.zk_migration_state;
            }
            // Read all the same: a record that cannot be read is told.
            _ => drop(frame.show()?),
        }
        Ok(())
    }

    fn remove_topic(&mut self, id: Uuid) {
        if let Some(topic) = self.topics.remove(&id.0) {
            self.configs.remove(&(2, topic.name));
        }
    }

    fn change_partition(&mut self, it: PartitionChangeRecord) -> Result<(), Rejected> {
        let topic = self.topics.get_mut(&it.topic_id.0).ok_or(Rejected::UnknownTopic(it.topic_id))?;
        let partition = topic.partitions.get_mut(&it.partition_id).ok_or(Rejected::UnknownTopic(it.topic_id))?;
        // A leader that is named, even the same, begins a new epoch.
        if it.leader != -2 {
            partition.leader = it.leader;
            partition.leader_epoch += 1;
        }
        partition.partition_epoch += 1;
        let lists = [
            (&mut partition.replicas, it.replicas),
            (&mut partition.isr, it.isr),
            (&mut partition.removing_replicas, it.removing_replicas),
            (&mut partition.adding_replicas, it.adding_replicas),
        ];
        for (list, new) in lists {
            *list = new.unwrap_or_else(|| std::mem::take(list));
        }
        partition.directories = it.directories.unwrap_or_else(|| std::mem::take(&mut partition.directories));
        Ok(())
    }

    fn configure(&mut self, it: ConfigRecord) {
        let of = self.configs.entry((it.resource_type, it.resource_name)).or_default();
        match it.value {
            Some(value) => of.insert(it.name, value),
            None => of.remove(&it.name),
        };
    }
}

fn scram(name: &str, mechanism: i8) -> String {
    let mechanism = match mechanism {
        1 => "SCRAM-SHA-256",
        2 => "SCRAM-SHA-512",
        _ => "SCRAM",
    };
    format!("{name} ({mechanism})")
}
