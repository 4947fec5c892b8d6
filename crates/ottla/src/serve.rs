//! `ottla serve`: configuration in, a broker until a signal comes.
//!
//! Exit codes: 0 after a clean stop, 1 when the broker failed, 2 when the configuration is wrong.

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::{Context, anyhow};
use clap::Args;
use ottla_broker::{Broker, Options};
use ottla_config::{BrokerConfig, ConfigFile, FILE_BYTES_MAX, Format, Inputs, Loaded, ServerSettings};
use rustix::{
    process::{Resource, getrlimit, setrlimit},
    thread::disable_transparent_huge_pages,
};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

/// Exit code for a configuration that cannot be used.
const EXIT_CONFIGURATION: u8 = 2;
/// Listeners without a name get this one.
const PLAINTEXT: &str = "PLAINTEXT";

/// Options of `ottla serve`. They win over the environment (OTTLA_LOG_RETENTION_MS for log.retention.ms), which wins over
/// the file.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Directory of the data; several with commas [default: ./ottla-data].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Address to listen on, HOST:PORT or NAME://HOST:PORT; repeat for more; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<String>,
    /// Address for Prometheus to scrape, HOST:PORT; none is served without it.
    #[arg(long, value_name = "ADDRESS")]
    metrics_listen: Option<String>,
    /// Configuration file: a server.properties of Kafka's, or the same keys in TOML (by its ending, .toml).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting by Kafka's name, KEY=VALUE; repeat for more.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
}

pub(crate) fn run(arguments: &ServeArguments) -> ExitCode {
    start_logging();
    raise_open_files();
    keep_pages_small();
    let (config, settings) = match configure(arguments) {
        Ok(configured) => configured,
        Err(error) => {
            eprintln!("ottla: {}", said(&error));
            return ExitCode::from(EXIT_CONFIGURATION);
        }
    };
    match serve(config, settings, arguments.metrics_listen.clone()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ottla: {}", said(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error and its causes, each said once: most messages here already end with that of their cause.
fn said(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.is_empty() {
            said = cause;
        } else if !said.contains(&cause) {
            said = format!("{said}: {cause}");
        }
    }
    said
}

fn start_logging() {
    let filter = EnvFilter::try_from_env("OTTLA_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
}

/// Takes as many open files as the system grants: segments and connections need them.
fn raise_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}

/// Refuses transparent huge pages: the allocator asks for them, and each small allocation then holds 2 MB.
fn keep_pages_small() {
    if let Err(error) = disable_transparent_huge_pages(true) {
        tracing::warn!(%error, "huge pages stay allowed: more memory is held than used");
    }
}

fn configure(arguments: &ServeArguments) -> anyhow::Result<(BrokerConfig, ServerSettings)> {
    let loaded = ottla_config::load(&Inputs {
        file: arguments.config.as_ref().map(read_file).transpose()?,
        environment: environment(),
        flags: flags(arguments)?,
    })?;
    report(&loaded);
    if let Some(address) = &arguments.metrics_listen
        && !is_host_and_port(address)
    {
        return Err(anyhow!("--metrics-listen {address}: HOST:PORT is expected"));
    }
    let mut settings = loaded.config.server_settings(&hostname())?;
    // Clients name directories by their whole paths.
    for dir in settings.log_dirs.iter_mut().chain([&mut settings.metadata_log_dir]) {
        *dir = std::path::absolute(&*dir)?;
    }
    Ok((loaded.config, settings))
}

fn is_host_and_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

fn read_file(path: &PathBuf) -> anyhow::Result<ConfigFile> {
    let context = || format!("cannot read {}", path.display());
    let len = std::fs::metadata(path).with_context(context)?.len();
    if len > FILE_BYTES_MAX as u64 {
        return Err(anyhow!("{} has {len} bytes, a configuration has at most {FILE_BYTES_MAX}", path.display()));
    }
    let content = std::fs::read(path).with_context(context)?;
    let name = path.display().to_string();
    Ok(ConfigFile { format: Format::of(&name), name: name.into(), bytes: content })
}

/// The environment's settings. `OTTLA_LOG` is the log filter, not a setting.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| name != "OTTLA_LOG")
        .collect()
}

fn flags(arguments: &ServeArguments) -> anyhow::Result<Vec<(String, String)>> {
    let mut flags = Vec::new();
    for setting in &arguments.settings {
        let (key, value) =
            setting.split_once('=').with_context(|| format!("--set {setting}: KEY=VALUE is expected"))?;
        flags.push((key.trim().to_owned(), value.to_owned()));
    }
    if let Some(dir) = &arguments.data_dir {
        flags.push(("log.dirs".to_owned(), dir.clone()));
    }
    if !arguments.listen.is_empty() {
        flags.push(("listeners".to_owned(), listeners(&arguments.listen)));
    }
    Ok(flags)
}

fn listeners(addresses: &[String]) -> String {
    let named = addresses.iter().map(|address| match address.contains("://") {
        true => address.clone(),
        false => format!("{PLAINTEXT}://{address}"),
    });
    named.collect::<Vec<_>>().join(",")
}

fn report(loaded: &Loaded) {
    for warning in &loaded.warnings {
        eprintln!("ottla: warning: {warning}");
    }
    if !loaded.accepted.is_empty() {
        let keys: Vec<_> = loaded.accepted.iter().map(|(key, _)| &**key).collect();
        eprintln!("ottla: accepted without effect: {}", keys.join(", "));
    }
}

fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn serve(config: BrokerConfig, settings: ServerSettings, metrics_listen: Option<String>) -> anyhow::Result<()> {
    let runtime = Runtime::new().context("cannot start the runtime")?;
    let stopped = runtime.block_on(async {
        let mut signals = Signals::new().context("cannot listen for signals")?;
        let broker = Broker::start(Options { config, settings, metrics_listen }).await?;
        announce(&broker)?;
        let failed = tokio::select! {
            () = signals.next() => None,
            failed = broker.failed() => Some(failed),
        };
        let result = tokio::select! {
            result = broker.stop() => result.context("the stop was not clean; the next start will recover"),
            () = signals.next() => Err(anyhow!("a second signal came before the stop was clean; the next start will recover")),
        };
        match failed {
            // What could not be closed is no news then.
            Some(failed) => Err(anyhow!("the broker cannot go on: {failed}")),
            None => result,
        }
    });
    // Whatever still runs must not hold up the end of the process.
    runtime.shutdown_background();
    stopped
}

/// The line that says that requests are answered from now on.
fn announce(broker: &Broker) -> anyhow::Result<()> {
    let listening: Vec<_> = broker.listening().iter().map(|(name, at)| format!("{name}://{at}")).collect();
    let metrics = broker.metrics_address().map(|at| format!(", metrics on http://{at}/metrics")).unwrap_or_default();
    let mut out = std::io::stdout();
    writeln!(out, "ottla ready: listening on {}{metrics}", listening.join(", "))?;
    Ok(out.flush()?)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
