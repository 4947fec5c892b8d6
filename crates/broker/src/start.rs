//! A broker's start and stop.
//!
//! Order of the start: data directories, metadata, listeners; clients connect when everything that was acknowledged can be
//! served. Order of the stop: listeners, connections, logs, metadata. Invariant: after a stop that reports no error the
//! next start scans nothing.

use std::{collections::HashMap, io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use ottla_config::{BrokerConfig, Overrides, ServerSettings};
use ottla_controller::{Controller, ControllerSettings};
use ottla_disk::{Clock, Disk};
use ottla_groups::Settings as GroupSettings;
use ottla_log::{Identity, LogConfig, LogDirs, LogDirsConfig, MetaProperties, OpenError, StdDisk};
use ottla_quorum::{METADATA_DIR, NodeRegistration, Quorum, StartError as QuorumError};
use ottla_sessions::{FetchSessions, SessionLimits};
use ottla_types::{Millis, Uuid};
use rustix::process::{Resource, getrlimit};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use crate::{
    clock::SystemClock,
    config_rules::DeclaredConfigs,
    coordinators::{FollowMetadata, Groups, Markers, Transactions},
    features,
    foreign::{self, Foreign},
    metrics::Metrics,
    net::{self, Bound, ConnectionLimits, ConnectionSettings, Connections, FrameMemory, Limit},
    node::Node,
    producer_ids::ProducerIds,
    random,
    replicas::Replicas,
    scrape, served,
    service::Requests,
    upkeep::{self, cleaners::Cleaners, scrub::Scrub},
    waits::Waits,
};

/// How long connections may take to send what they owe at a stop.
const DRAIN: Duration = Duration::from_secs(5);
/// How often there is a look at whether there are directories left.
const DIRECTORIES_LOOK: Duration = Duration::from_millis(500);
/// Memory for frames under way where `queued.max.request.bytes` sets no bound.
const FRAME_MEMORY_BYTES: usize = 512 * 1024 * 1024;
/// Number of the security protocol PLAINTEXT.
const PLAINTEXT: i16 = 0;

/// What a broker is started with.
#[derive(Debug)]
pub struct Options {
    /// All configuration keys.
    pub config: BrokerConfig,
    /// The same, read for the start.
    pub settings: ServerSettings,
    /// `HOST:PORT` for metrics; none are served without it.
    pub metrics_listen: Option<String>,
}

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A data directory that must not simply be served.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// A data directory.
    #[error("data directory: {0}")]
    LogDirs(#[from] OpenError),
    /// The metadata.
    #[error("metadata: {0}")]
    Quorum(#[from] QuorumError),
    /// Records and metadata do not belong together.
    #[error("the data directories belong to cluster {data}, the metadata to {metadata}")]
    OtherCluster {
        /// Cluster of the data directories.
        data: Uuid,
        /// Cluster of the metadata.
        metadata: Uuid,
    },
    /// There is data of a cluster, and no metadata that says what it is: a disk is not mounted, perhaps.
    #[error("{path} holds no metadata, though there are partitions in {data}: is everything mounted that log.dirs names?", path = path.display(), data = data.display())]
    NoMetadata {
        /// Where it should be.
        path: PathBuf,
        /// A directory with partitions.
        data: PathBuf,
    },
    /// A listener.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// `HOST:PORT`.
        address: String,
        /// Why.
        #[source]
        error: io::Error,
    },
}

/// Why a stop was not clean. The next start recovers.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// The logs could not be closed.
    #[error("data directory: {0}")]
    LogDirs(#[from] io::Error),
}

/// Why a broker cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Nothing can be changed any more.
    #[error("the metadata in {path} cannot be written any more: {error}", path = path.display())]
    Metadata {
        /// Where it is.
        path: PathBuf,
        /// What the disk said.
        error: Arc<str>,
    },
    /// The disk of the metadata failed.
    #[error("the log directory {path} failed, which holds the metadata", path = path.display())]
    MetadataDirectory {
        /// Which.
        path: PathBuf,
    },
    /// No directory is left.
    #[error("all log directories failed")]
    AllDirectories,
}

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    node: Arc<Node>,
    connections: Arc<Connections>,
    cleaners: Arc<Cleaners>,
    scrub: Arc<Scrub>,
    listening: Vec<(Arc<str>, SocketAddr)>,
    metrics_address: Option<SocketAddr>,
    tasks: JoinSet<()>,
}

impl Broker {
    /// Starts a broker; when this returns, requests are answered.
    ///
    /// # Errors
    /// What keeps it from serving; nothing of it runs then.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let Options { config, settings, metrics_listen } = options;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let now = clock.now();
        let bound = bind(&settings).await?;
        let scraped = match metrics_listen {
            Some(address) => Some(scrape::bind(&address).await?),
            None => None,
        };
        let disk = Arc::new(StdDisk);
        foreign::check(&*disk, &settings.log_dirs, &settings.metadata_log_dir)?;
        let cluster_id = cluster_id(&settings, &*disk)?;
        let dirs = open_dirs(&settings, &config, cluster_id, disk.clone(), now)?;
        let metrics = Arc::new(Metrics::new(served::APIS));
        let waits = Arc::new(Waits::new(now));
        let controller = controller(&settings, &config);
        let replicas = Arc::new(Replicas::new(
            settings.node_id,
            Arc::clone(&dirs),
            Arc::clone(&metrics),
            Arc::clone(&waits),
            Arc::clone(&clock),
            config,
        ));
        let looked_at = Arc::downgrade(&replicas);
        dirs.on_failure(move || {
            if let Some(replicas) = looked_at.upgrade() {
                replicas.look_at_directories();
            }
        });
        let registration = registration(&settings, cluster_id, &bound, &dirs)?;
        let dir = settings.metadata_log_dir.clone();
        check_metadata(&settings, &*disk, &dirs)?;
        let groups = Groups::of(settings.node_id, Arc::clone(&replicas), Arc::clone(&clock), group_settings(&settings));
        let groups = Arc::new(groups);
        let transactions =
            Transactions::of(settings.node_id, Arc::clone(&replicas), Arc::clone(&clock), settings.transactions);
        let transactions = Arc::new(transactions);
        let markers = Arc::new(Markers::new(
            Arc::clone(&transactions),
            Arc::clone(&groups),
            Arc::clone(&replicas),
            Arc::clone(&clock),
        ));
        let listener = Arc::new(FollowMetadata {
            replicas: Arc::clone(&replicas),
            groups: Arc::clone(&groups),
            transactions: Arc::clone(&transactions),
        });
        let quorum = Quorum::start(disk, &dir, registration, controller, Arc::clone(&clock), listener).await?;
        let known = quorum.image().cluster_id();
        if known != cluster_id {
            return Err(StartError::OtherCluster { data: cluster_id, metadata: known });
        }
        features::raise(&quorum).await.map_err(QuorumError::Submit)?;
        replicas.put_strays_aside(&quorum.image());
        let node = Arc::new(Node {
            broker_id: settings.node_id,
            clock,
            quorum,
            dirs,
            replicas,
            groups,
            transactions,
            markers,
            pattern_turns: Arc::new(Semaphore::new(1)),
            waits,
            sessions: fetch_sessions(&settings),
            producer_ids: ProducerIds::default(),
            metrics,
            settings,
        });
        upkeep::directories::report(&node).await.map_err(QuorumError::Submit)?;
        tell_offline(&node);
        let connections = Arc::new(Connections::new(limits(&node).await));
        Ok(Self::serve(node, connections, bound, scraped))
    }

    fn serve(
        node: Arc<Node>,
        connections: Arc<Connections>,
        bound: Vec<Bound>,
        scraped: Option<scrape::Scraped>,
    ) -> Self {
        let settings = connection_settings(&node);
        let service = Arc::new(Requests { node: Arc::clone(&node) });
        let mut tasks = JoinSet::new();
        let mut listening = Vec::new();
        for listener in bound {
            if let Ok(address) = listener.address() {
                listening.push((Arc::clone(&listener.name), address));
            }
            tasks.spawn(net::serve(listener, Arc::clone(&connections), settings.clone(), Arc::clone(&service)));
        }
        tasks.spawn(Arc::clone(&node.waits).run_timer(Arc::clone(&node.clock)));
        tasks.spawn(Arc::clone(&node.groups).run_timers());
        tasks.spawn(Arc::clone(&node.transactions).run_timers());
        tasks.spawn(Arc::clone(&node.markers).run());
        tasks.spawn(upkeep::run(Arc::clone(&node), Arc::clone(&connections)));
        tasks.spawn(follow_limits(Arc::clone(&node), Arc::clone(&connections)));
        tasks.spawn(upkeep::directories::run(Arc::clone(&node)));
        tasks.spawn(upkeep::moves::run(Arc::clone(&node)));
        tasks.spawn(upkeep::retention::run(Arc::clone(&node)));
        let cleaners = Cleaners::new(Arc::clone(&node));
        tasks.spawn(Arc::clone(&cleaners).run());
        let scrub = Scrub::start(Arc::clone(&node));
        let metrics_address = scraped.as_ref().map(scrape::Scraped::address);
        if let Some(scraped) = scraped {
            tasks.spawn(scraped.serve(Arc::clone(&node), Arc::clone(&connections), Arc::clone(&settings.memory)));
        }
        Self { node, connections, cleaners, scrub, listening, metrics_address, tasks }
    }

    /// Names and addresses of the listeners.
    #[must_use]
    pub fn listening(&self) -> &[(Arc<str>, SocketAddr)] {
        &self.listening
    }

    /// Where metrics are scraped.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Returns when the broker cannot go on: it must be stopped then.
    pub async fn failed(&self) -> Failed {
        let path = self.node.settings.metadata_log_dir.clone();
        tokio::select! {
            error = self.node.quorum.failed() => Failed::Metadata { path, error },
            failed = self.directories_failed() => failed,
        }
    }

    async fn directories_failed(&self) -> Failed {
        let path = &self.node.settings.metadata_log_dir;
        let mut looks = tokio::time::interval(DIRECTORIES_LOOK);
        loop {
            looks.tick().await;
            if self.node.dirs.online_directories().is_empty() {
                return Failed::AllDirectories;
            }
            if self.node.dirs.is_offline(path) {
                return Failed::MetadataDirectory { path: path.clone() };
            }
        }
    }

    /// Stops: takes no more requests, answers what it took, flushes and closes the logs.
    ///
    /// # Errors
    /// Something could not be made durable; the next start recovers.
    pub async fn stop(mut self) -> Result<(), StopError> {
        self.tasks.abort_all();
        self.node.waits.close();
        self.node.groups.close();
        self.node.transactions.close();
        self.connections.end_all();
        if timeout(DRAIN, self.connections.all_ended()).await.is_err() {
            tracing::warn!(connections = self.connections.count(), "connections were cut off at the stop");
        }
        let dirs = Arc::clone(&self.node.dirs);
        let epoch = self.node.broker_epoch();
        let (cleaners, scrub) = (Arc::clone(&self.cleaners), Arc::clone(&self.scrub));
        let close = move || {
            scrub.stop();
            cleaners.stop();
            dirs.close(epoch)
        };
        let closed = tokio::task::spawn_blocking(close).await;
        self.node.quorum.shutdown().await;
        match closed {
            Ok(closed) => Ok(closed?),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

async fn bind(settings: &ServerSettings) -> Result<Vec<Bound>, StartError> {
    let backlog = u32::try_from(settings.network.socket_listen_backlog).unwrap_or(50);
    let receive_buffer_bytes = settings.network.socket_receive_buffer_bytes.and_then(|bytes| u32::try_from(bytes).ok());
    let mut bound = Vec::new();
    for listener in &settings.listeners.opened {
        let (host, port) = (&listener.bind.host, listener.bind.port);
        let result = Bound::bind(&listener.name, host, port, backlog, receive_buffer_bytes).await;
        bound.push(result.map_err(|error| StartError::Listen { address: format!("{host}:{port}"), error })?);
    }
    Ok(bound)
}

/// The id that the directory of the metadata names, or else the first that names one; a new one where none does.
fn cluster_id(settings: &ServerSettings, disk: &dyn Disk) -> Result<Uuid, StartError> {
    let with_metadata = settings.log_dirs.iter().filter(|dir| **dir == settings.metadata_log_dir);
    // One that cannot be read is found bad when it is opened.
    let read = |dir: &PathBuf| MetaProperties::read(disk, dir).ok().flatten()?.cluster_id.parse().ok();
    let named = with_metadata.chain(&settings.log_dirs).find_map(read);
    Ok(named.unwrap_or_else(random::uuid))
}

/// A broker whose metadata is gone would take all partitions for strays. Kafka's own directories have metadata of another
/// kind.
fn check_metadata(settings: &ServerSettings, disk: &dyn Disk, dirs: &LogDirs) -> Result<(), StartError> {
    let path = &settings.metadata_log_dir;
    if settings.log_dirs.len() == 1 || disk.exists(&path.join(METADATA_DIR)) {
        return Ok(());
    }
    let others = settings.log_dirs.iter().filter(|dir| *dir != path && !disk.exists(&dir.join("__cluster_metadata-0")));
    match others.into_iter().find(|dir| dirs.has_partitions(dir)) {
        Some(data) => Err(StartError::NoMetadata { path: path.clone(), data: data.clone() }),
        None => Ok(()),
    }
}

/// One line for all partitions that nobody can use.
fn tell_offline(node: &Node) {
    let partitions = node.replicas.topics().into_iter().flat_map(|topic| topic.partitions());
    let mut offline = partitions.filter(|partition| partition.is_offline());
    if let Some(first) = offline.next() {
        tracing::error!(
            partitions = 1 + offline.count(),
            first = %first.id,
            "partitions are offline: their log directory is none of those that are online; see docs/disks.md"
        );
    }
}

fn open_dirs(
    settings: &ServerSettings,
    config: &BrokerConfig,
    cluster_id: Uuid,
    disk: Arc<StdDisk>,
    now: Millis,
) -> Result<Arc<LogDirs>, StartError> {
    let defaults = LogDirsConfig::default();
    let open_files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX) / 2;
    let dirs_config = LogDirsConfig {
        // The other half is for connections.
        open_files_max: defaults.open_files_max.min(usize::try_from(open_files).unwrap_or(usize::MAX)),
        delete_delay_ms: config.topic_config(&Overrides::default()).file_delete_delay_ms,
        recovery_threads_per_dir: usize::try_from(settings.logs.num_recovery_threads_per_data_dir).unwrap_or(1),
        given_up: settings.lost_log_dirs.clone(),
        ..defaults
    };
    let identity = Identity {
        cluster_id: cluster_id.to_string(),
        node_id: settings.node_id,
        new_directory_ids: settings.log_dirs.iter().map(|_| random::uuid()).collect(),
    };
    // Topics' own settings follow when their partitions are first used.
    let configs = Arc::new(LogConfig::default());
    let (dirs, _) = LogDirs::open(disk, &settings.log_dirs, &identity, dirs_config, configs, now)?;
    Ok(Arc::new(dirs))
}

fn controller(settings: &ServerSettings, config: &BrokerConfig) -> Controller {
    let defaults = ControllerSettings {
        default_partitions: settings.topics.num_partitions,
        default_replication_factor: i16::try_from(settings.topics.default_replication_factor).unwrap_or(1),
    };
    Controller::new(defaults, Arc::new(DeclaredConfigs { statics: config.clone() }))
}

/// How clients reach this node: what is advertised, with the port that was really bound where 0 was asked for.
fn registration(
    settings: &ServerSettings,
    cluster_id: Uuid,
    bound: &[Bound],
    dirs: &LogDirs,
) -> Result<NodeRegistration, StartError> {
    let mut endpoints = Vec::new();
    for (listener, bound) in settings.listeners.opened.iter().zip(bound) {
        let address = bound.address();
        let address = address.map_err(|error| StartError::Listen { address: listener.name.to_string(), error })?;
        let port = if listener.advertised.port == 0 { address.port() } else { listener.advertised.port };
        endpoints.push(ottla_controller::Endpoint {
            name: listener.name.to_string(),
            host: listener.advertised.host.to_string(),
            port,
            security_protocol: PLAINTEXT,
        });
    }
    Ok(NodeRegistration {
        broker: settings.node_id,
        cluster_id,
        endpoints,
        features: features::supported_features(),
        cluster_features: served::FEATURES.map(|(name, level)| (name.to_owned(), level)).to_vec(),
        rack: settings.rack.as_deref().map(str::to_owned),
        directories: dirs.online_directories(),
    })
}

fn group_settings(settings: &ServerSettings) -> GroupSettings {
    GroupSettings { groups: settings.groups.clone(), offsets: settings.offsets }
}

fn fetch_sessions(settings: &ServerSettings) -> FetchSessions {
    let slots = settings.network.max_incremental_fetch_session_cache_slots;
    FetchSessions::new(SessionLimits { slots: usize::try_from(slots).unwrap_or(0), ..SessionLimits::default() })
}

/// The limits of connections as they are in effect now.
async fn limits(node: &Node) -> ConnectionLimits {
    let config = node.replicas.config();
    let network = config.network_settings();
    let limit = |limit: i32| usize::try_from(limit).unwrap_or(0);
    let all =
        Limit { connections_max: limit(network.max_connections), per_second_max: network.max_connection_creation_rate };
    let of_listener = |name: &str| {
        let own = |key: &str, otherwise: i32| {
            let value = config.value(&format!("listener.name.{}.{key}", name.to_lowercase()));
            value.map_or(otherwise, |value| i32::try_from(value.integer()).unwrap_or(otherwise))
        };
        Limit {
            connections_max: limit(own("max.connections", network.max_connections)),
            per_second_max: own("max.connection.creation.rate", network.max_connection_creation_rate),
        }
    };
    let mut per_ip_overrides = HashMap::new();
    for (host, most) in &network.max_connections_per_ip_overrides {
        match tokio::net::lookup_host((&**host, 0)).await {
            Ok(found) => per_ip_overrides.extend(found.map(|address| (address.ip().to_canonical(), limit(*most)))),
            Err(error) => tracing::warn!(%host, %error, "max.connections.per.ip.overrides names an unknown host"),
        }
    }
    ConnectionLimits {
        all,
        per_listener: node
            .settings
            .listeners
            .opened
            .iter()
            .map(|listener| ((*listener.name).into(), of_listener(&listener.name)))
            .collect(),
        connections_per_ip_max: limit(network.max_connections_per_ip),
        per_ip_overrides,
        idle_max_ms: network.connections_max_idle_ms.unwrap_or(-1),
    }
}

/// Brings limits that were changed at run time into effect; never returns.
async fn follow_limits(node: Arc<Node>, connections: Arc<Connections>) {
    loop {
        node.replicas.config_changed().await;
        connections.set_limits(limits(&node).await);
    }
}

fn connection_settings(node: &Node) -> ConnectionSettings {
    let network = &node.settings.network;
    let budget = network.queued_max_request_bytes.and_then(|bytes| usize::try_from(bytes).ok());
    ConnectionSettings {
        memory: Arc::new(FrameMemory::new(budget.unwrap_or(FRAME_MEMORY_BYTES))),
        frame_bytes_max: usize::try_from(network.socket_request_max_bytes).unwrap_or(0),
        send_buffer_bytes: network.socket_send_buffer_bytes.and_then(|bytes| usize::try_from(bytes).ok()),
        clock: Arc::clone(&node.clock),
        metrics: Arc::clone(&node.metrics.network),
    }
}
