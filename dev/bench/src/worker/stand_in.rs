//! A broker that only copies: what clients produce goes from the socket into files, what they fetch goes out of them with
//! `sendfile`. It checks nothing, forgets everything when it ends, and knows as little of the protocol as clients can work
//! with. What it costs is the least that any broker could cost with these clients, and the fastest that they can be.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use ottla_wire::frame::{self, RequestHeader};
use ottla_wire::messages::{
    ApiVersion, ApiVersionsResponse, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
    DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse, FetchRequest, FindCoordinatorResponse,
    InitProducerIdResponse, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse, MetadataRequest, MetadataResponse, MetadataResponseBroker, MetadataResponsePartition,
    MetadataResponseTopic,
};
use ottla_wire::{ApiKey, Message, Reader};
use rustix::fs::sendfile;
use rustix::net::SendFlags;

use self::store::Store;
use crate::parameters::{FETCH_BYTES, PARTITIONS};

mod store;

/// What it answers, and in which versions: those that are easiest to read and that clients of today still speak.
const SERVED: [(ApiKey, i16, i16); 9] = [
    (ApiKey::Produce, 3, 7),
    (ApiKey::Fetch, 4, 4),
    (ApiKey::ListOffsets, 1, 1),
    (ApiKey::Metadata, 1, 7),
    (ApiKey::FindCoordinator, 0, 2),
    (ApiKey::ApiVersions, 0, 3),
    (ApiKey::CreateTopics, 2, 4),
    (ApiKey::DeleteTopics, 1, 3),
    (ApiKey::InitProducerId, 0, 1),
];
const NODE: i32 = 1;
const LATEST: i64 = -1;
const UNSUPPORTED_VERSION: i16 = 35;
const OFFSET_OUT_OF_RANGE: i16 = 1;
/// How long a fetch waits that finds nothing.
const NOTHING_NEW: Duration = Duration::from_millis(20);

/// Serves until it is killed.
pub(crate) fn serve(address: SocketAddr, folder: PathBuf) -> Result<()> {
    let listener = TcpListener::bind(address)?;
    let store = Arc::new(Store::new(folder));
    for stream in listener.incoming() {
        let (stream, store) = (stream?, Arc::clone(&store));
        stream.set_nodelay(true)?;
        std::thread::spawn(move || match (Connection { stream, address, store: &store, frame: Vec::new() }).serve() {
            Ok(()) => {}
            Err(error) => eprintln!("{error:#}"),
        });
    }
    Ok(())
}

struct Connection<'a> {
    stream: TcpStream,
    /// Where this broker can be reached.
    address: SocketAddr,
    store: &'a Store,
    /// The request under way; it grows and is used again.
    frame: Vec<u8>,
}

impl Connection<'_> {
    fn serve(mut self) -> Result<()> {
        let mut length = [0; 4];
        loop {
            match self.stream.read_exact(&mut length) {
                Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
                    return Ok(());
                }
                other => other?,
            }
            let length = usize::try_from(i32::from_be_bytes(length))?;
            if self.frame.len() < length {
                self.frame.resize(length, 0);
            }
            self.stream.read_exact(&mut self.frame[..length])?;
            if self.frame.starts_with(&(ApiKey::Produce as i16).to_be_bytes()) {
                self.produce(length)?;
            } else {
                self.answer(Bytes::copy_from_slice(&self.frame[..length]))?;
            }
        }
    }

    /// Read by hand and in place: nothing is copied but into the file.
    fn produce(&mut self, length: usize) -> Result<()> {
        let mut request = Cursor { bytes: &mut self.frame[..length], at: 2 };
        let version = request.i16()?;
        let correlation = request.i32()?;
        request.string()?; // of the client
        request.string()?; // transactional id
        let acks = request.i16()?;
        request.i32()?; // timeout
        let mut response = correlation.to_be_bytes().to_vec();
        let topics = request.i32()?;
        response.extend(topics.to_be_bytes());
        for _ in 0..topics {
            let topic = request.string()?;
            response.extend((topic.len() as i16).to_be_bytes());
            response.extend(topic.as_bytes());
            let partitions = request.i32()?;
            response.extend(partitions.to_be_bytes());
            for _ in 0..partitions {
                let partition = request.i32()?;
                let size = usize::try_from(request.i32()?)?;
                let base = self.store.partition(&topic, partition)?.lock().append(request.take(size)?)?;
                response.extend(partition.to_be_bytes());
                response.extend(0_i16.to_be_bytes());
                response.extend(base.to_be_bytes());
                response.extend((-1_i64).to_be_bytes()); // time of the append
                if version >= 5 {
                    response.extend(0_i64.to_be_bytes()); // start of the log
                }
            }
        }
        response.extend(0_i32.to_be_bytes()); // throttle time
        if acks != 0 {
            self.send(&response)?;
        }
        Ok(())
    }

    fn send(&mut self, response: &[u8]) -> Result<()> {
        let frame = [&(response.len() as u32).to_be_bytes()[..], response].concat();
        Ok(self.stream.write_all(&frame)?)
    }

    fn answer(&mut self, request: Bytes) -> Result<()> {
        let (header, mut body) = frame::parse_request(request)?;
        let (api, version) = (header.api, header.version);
        let known = SERVED.iter().find(|(served, ..)| *served == api);
        if !known.is_some_and(|(_, least, most)| (*least..=*most).contains(&version)) {
            ensure!(api == ApiKey::ApiVersions, "{api:?} of version {version}");
            let refusal = ApiVersionsResponse { error_code: UNSUPPORTED_VERSION, ..versions() };
            return self.write(&encoded(&RequestHeader { version: 0, ..header }, &refusal)?);
        }
        let answer = match api {
            ApiKey::Fetch => return self.fetch(header.correlation_id, &FetchRequest::decode(&mut body, version)?),
            ApiKey::ApiVersions => encoded(&header, &versions()),
            ApiKey::Metadata => encoded(&header, &self.metadata(&mut body, version)?),
            ApiKey::ListOffsets => encoded(&header, &self.offsets(&mut body, version)?),
            ApiKey::FindCoordinator => {
                let (host, port) = (self.address.ip().to_string(), self.address.port().into());
                let found = FindCoordinatorResponse { node_id: NODE, host, port, ..FindCoordinatorResponse::default() };
                encoded(&header, &found)
            }
            ApiKey::CreateTopics => {
                let names = CreateTopicsRequest::decode(&mut body, version)?.topics.into_iter().map(|topic| topic.name);
                let made = names.map(|name| CreatableTopicResult { name, ..CreatableTopicResult::default() });
                let response = CreateTopicsResponse { topics: made.collect(), ..CreateTopicsResponse::default() };
                encoded(&header, &response)
            }
            ApiKey::DeleteTopics => {
                let names = DeleteTopicsRequest::decode(&mut body, version)?.topic_names;
                self.store.delete(&names);
                let gone =
                    names.into_iter().map(|name| DeletableTopicResult { name: Some(name), ..Default::default() });
                let response = DeleteTopicsResponse { responses: gone.collect(), ..DeleteTopicsResponse::default() };
                encoded(&header, &response)
            }
            ApiKey::InitProducerId => {
                let given = InitProducerIdResponse { producer_id: 1, producer_epoch: 0, ..Default::default() };
                encoded(&header, &given)
            }
            other => bail!("{other:?} is not served"),
        };
        self.write(&answer?)
    }

    fn write(&mut self, frame: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(frame)?)
    }

    /// Every topic that is asked for is there.
    fn metadata(&self, body: &mut Reader, version: i16) -> Result<MetadataResponse> {
        let names = MetadataRequest::decode(body, version)?.topics.unwrap_or_default();
        let partition = |partition_index| MetadataResponsePartition {
            partition_index,
            leader_id: NODE,
            leader_epoch: 0,
            replica_nodes: vec![NODE],
            isr_nodes: vec![NODE],
            ..MetadataResponsePartition::default()
        };
        let topics = names.into_iter().map(|topic| MetadataResponseTopic {
            name: topic.name,
            partitions: (0..PARTITIONS).map(partition).collect(),
            ..MetadataResponseTopic::default()
        });
        let (host, port) = (self.address.ip().to_string(), self.address.port().into());
        Ok(MetadataResponse {
            brokers: vec![MetadataResponseBroker { node_id: NODE, host, port, rack: None }],
            controller_id: NODE,
            topics: topics.collect(),
            ..MetadataResponse::default()
        })
    }

    fn offsets(&self, body: &mut Reader, version: i16) -> Result<ListOffsetsResponse> {
        let mut response = ListOffsetsResponse::default();
        for topic in ListOffsetsRequest::decode(body, version)?.topics {
            let mut partitions = Vec::new();
            for asked in topic.partitions {
                let end = self.store.partition(&topic.name, asked.partition_index)?.lock().next;
                partitions.push(ListOffsetsPartitionResponse {
                    partition_index: asked.partition_index,
                    timestamp: -1,
                    offset: if asked.timestamp == LATEST { end } else { 0 },
                    ..ListOffsetsPartitionResponse::default()
                });
            }
            response.topics.push(ListOffsetsTopicResponse { name: topic.name, partitions });
        }
        Ok(response)
    }

    /// A head, then the range of a file, partition by partition.
    fn fetch(&mut self, correlation: i32, request: &FetchRequest) -> Result<()> {
        let mut head = correlation.to_be_bytes().to_vec();
        head.extend(0_i32.to_be_bytes()); // throttle time
        head.extend((request.topics.len() as i32).to_be_bytes());
        // Each head goes before a range.
        let mut pieces = Vec::new();
        let mut left = u64::try_from(request.max_bytes)?;
        for topic in &request.topics {
            head.extend((topic.topic.len() as i16).to_be_bytes());
            head.extend(topic.topic.as_bytes());
            head.extend((topic.partitions.len() as i32).to_be_bytes());
            for asked in &topic.partitions {
                let partition = self.store.partition(&topic.topic, asked.partition)?;
                let partition = partition.lock();
                let bytes_max = u64::try_from(asked.partition_max_bytes)?.min(FETCH_BYTES.into()).min(left);
                let (begin, end) = match bytes_max {
                    0 => (0, 0),
                    _ => partition.range(asked.fetch_offset, bytes_max),
                };
                left = left.saturating_sub(end - begin);
                let error = if asked.fetch_offset > partition.next { OFFSET_OUT_OF_RANGE } else { 0 };
                head.extend(asked.partition.to_be_bytes());
                head.extend(error.to_be_bytes());
                head.extend(partition.next.to_be_bytes()); // high watermark
                head.extend(partition.next.to_be_bytes()); // last stable offset
                head.extend((-1_i32).to_be_bytes()); // no aborted transactions
                head.extend(((end - begin) as i32).to_be_bytes());
                pieces.push((std::mem::take(&mut head), Arc::clone(&partition.file), begin, end));
            }
        }
        let ranges: u64 = pieces.iter().map(|(head, _, begin, end)| head.len() as u64 + end - begin).sum();
        if pieces.iter().all(|(_, _, begin, end)| begin == end) {
            std::thread::sleep(NOTHING_NEW);
        }
        let length = u32::try_from(ranges + head.len() as u64)?.to_be_bytes();
        rustix::net::send(&self.stream, &length, SendFlags::MORE)?;
        let last = pieces.len().saturating_sub(1);
        for (at, (head, file, mut begin, end)) in pieces.into_iter().enumerate() {
            let more = if at == last && begin == end { SendFlags::empty() } else { SendFlags::MORE };
            rustix::net::send(&self.stream, &head, more)?;
            while begin < end {
                let left = (end - begin) as usize;
                sendfile(&self.stream, &*file, Some(&mut begin), left)?;
            }
        }
        self.write(&head)
    }
}

/// The frame of an answer.
fn encoded(header: &RequestHeader, answer: &impl Message) -> Result<Bytes> {
    Ok(frame::encode_response_of(header.api, header.version, header.correlation_id, answer)?.read()?)
}

fn versions() -> ApiVersionsResponse {
    let api_keys =
        SERVED.map(|(api, min_version, max_version)| ApiVersion { api_key: api as i16, min_version, max_version });
    ApiVersionsResponse { api_keys: api_keys.into(), ..ApiVersionsResponse::default() }
}

/// Reads numbers and strings of the versions without tagged fields.
struct Cursor<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take(&mut self, count: usize) -> Result<&mut [u8]> {
        let taken = self.bytes.get_mut(self.at..self.at + count).context("a request that is cut")?;
        self.at += count;
        Ok(taken)
    }

    fn i16(&mut self) -> Result<i16> {
        Ok(i16::from_be_bytes((&*self.take(2)?).try_into()?))
    }

    fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes((&*self.take(4)?).try_into()?))
    }

    /// Null is empty.
    fn string(&mut self) -> Result<String> {
        let length = usize::try_from(self.i16()?.max(0))?;
        Ok(String::from_utf8_lossy(self.take(length)?).into_owned())
    }
}
