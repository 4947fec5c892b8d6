//! The address that Prometheus scrapes: `GET /metrics`, one request per connection.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use ottla_log::DamageCounts;
use ottla_types::{Offset, PartitionIndex, TopicPartition};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use crate::{
    metrics::{Gauges, GroupCounts, Lag},
    net::{Connections, FrameMemory},
    node::Node,
    start::StartError,
};

/// Longest request head that is read.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// How long a scraper may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The bound socket.
#[derive(Debug)]
pub(crate) struct Scraped {
    socket: TcpListener,
    address: SocketAddr,
}

/// Binds `HOST:PORT`.
pub(crate) async fn bind(address: &str) -> Result<Scraped, StartError> {
    let failed = |error: io::Error| StartError::Listen { address: address.to_owned(), error };
    let socket = TcpListener::bind(address).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    Ok(Scraped { socket, address })
}

/// What gauges are read from.
struct Live {
    node: Arc<Node>,
    connections: Arc<Connections>,
    memory: Arc<FrameMemory>,
    work: Mutex<Work>,
}

/// How long the worker threads had worked, all together, when somebody last asked.
struct Work {
    at: Instant,
    busy: Duration,
}

impl Work {
    fn now() -> Self {
        let runtime = tokio::runtime::Handle::current().metrics();
        let busy = (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker)).sum();
        Self { at: Instant::now(), busy }
    }

    /// Share of the time since `before` in which the workers had nothing to do, 0 to 1.
    fn idle_since(&self, before: &Self) -> f64 {
        let workers = tokio::runtime::Handle::current().metrics().num_workers();
        let passed = (self.at - before.at).as_secs_f64() * workers as f64;
        let busy = self.busy.saturating_sub(before.busy).as_secs_f64();
        if passed > 0.0 { (1.0 - busy / passed).clamp(0.0, 1.0) } else { 1.0 }
    }
}

impl Scraped {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers scrapes one after the other; never returns.
    pub(crate) async fn serve(self, node: Arc<Node>, connections: Arc<Connections>, memory: Arc<FrameMemory>) {
        let live = Live { node, connections, memory, work: Mutex::new(Work::now()) };
        loop {
            let Ok((stream, _)) = self.socket.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            // A scraper that stalls is cut off; the next one waits that long at most.
            if let Ok(Err(error)) = timeout(PATIENCE, answer(stream, &live)).await {
                tracing::debug!(%error, "scrape failed");
            }
        }
    }
}

async fn answer(mut stream: TcpStream, live: &Live) -> io::Result<()> {
    let head = read_head(&mut stream).await?;
    let (status, body) = match head.split(|byte| *byte == b' ').collect::<Vec<_>>()[..] {
        [b"GET", path, ..] if path == b"/metrics" || path.starts_with(b"/metrics?") => {
            ("200 OK", live.node.metrics.render(live))
        }
        [b"GET", ..] => ("404 Not Found", "Metrics are at /metrics.\n".to_owned()),
        _ => ("405 Method Not Allowed", "Only GET is served.\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\nContent-Length: \
         {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

async fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        if stream.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(head)
}

impl Gauges for Live {
    fn read(&self, set: &mut dyn FnMut(&'static str, f64)) {
        let work = Work::now();
        let before = std::mem::replace(&mut *self.work.lock(), Work::now());
        set("request_handler_idle_percent", work.idle_since(&before) * 100.0);
        set("stray_partitions", self.node.dirs.strays() as f64);
        set("offline_log_directories", self.node.dirs.offline_directories() as f64);
        set("full_log_directories", self.node.dirs.full_directories() as f64);
        set("connections", self.connections.count() as f64);
        set("frame_memory_bytes", self.memory.leased_bytes() as f64);
        set("purgatory_size", self.node.waits.count() as f64);
        let (ids, open) = self.node.transactions.counts();
        set("transactional_ids", ids as f64);
        set("transactions_open", open as f64);
        set("transaction_markers_waiting", self.node.markers.waiting() as f64);
        set("partitions", self.node.replicas.partition_count() as f64);
        set("active_controller_count", f64::from(u8::from(self.node.quorum.is_active_controller())));
        let (mut offline, mut under_replicated, mut under_min_isr, mut size) = (0, 0, 0, 0);
        let image = self.node.quorum.image();
        for topic in self.node.replicas.topics() {
            let least = usize::try_from(topic.config().min_insync_replicas).unwrap_or(0);
            let states = image.topic_by_id(topic.id).into_iter().flat_map(|topic| topic.partitions.values());
            for state in states {
                offline += u32::from(state.leader.is_none());
                under_replicated += u32::from(state.isr.len() < state.replicas.len());
                under_min_isr += u32::from(state.isr.len() < least.min(state.replicas.len()));
            }
            let opened = topic.partitions();
            size += opened.iter().filter_map(|partition| partition.opened_log()?.size().ok()).sum::<u64>();
        }
        set("offline_partitions", f64::from(offline));
        set("under_replicated_partitions", f64::from(under_replicated));
        set("under_min_isr_partitions", f64::from(under_min_isr));
        set("log_size_bytes", size as f64);
        let cleaning = self.node.dirs.cleaning();
        set("log_cleaner_max_dirty_percent", cleaning.max_dirty_percent);
        set("log_cleaner_max_compaction_delay_seconds", cleaning.max_compaction_delay_ms as f64 / 1000.0);
        set("log_cleaner_uncleanable_partitions", cleaning.uncleanable_partitions as f64);
        set("log_cleaner_uncleanable_bytes", cleaning.uncleanable_bytes as f64);
    }

    fn groups(&self) -> GroupCounts {
        self.node.groups.counts()
    }

    fn damage(&self) -> (DamageCounts, Vec<(TopicPartition, usize)>) {
        (self.node.dirs.damage_counts(), self.node.dirs.damaged())
    }

    fn lags(&self, set: &mut dyn FnMut(&str, &str, i32, Lag)) {
        let mut all = Vec::new();
        self.node.groups.committed(|group, topic, partition, offset| {
            all.push((group.to_owned(), topic.to_owned(), partition, offset));
        });
        // Logs are looked at, perhaps opened, with no group held up.
        for (group, topic, partition, offset) in all {
            let held = self.node.replicas.by_name(&topic).and_then(|topic| topic.partition(PartitionIndex(partition)));
            let Some(log) = held.as_ref().and_then(|held| held.log().ok()) else { continue };
            let behind = |end: Offset| (end.0 - offset).max(0);
            let (uncommitted, committed) = (behind(log.high_watermark()), behind(log.last_stable()));
            set(&group, &topic, partition, Lag { uncommitted, committed });
        }
    }
}
