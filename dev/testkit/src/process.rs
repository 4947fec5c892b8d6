//! The `ottla` binary as a child process: started on a free port, measured from outside, and never left behind.

use std::{
    ffi::OsString,
    io::{self, BufRead, BufReader, Read},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    time::Duration,
};

use parking_lot::Mutex;

mod measure;

/// Names the binary to test where no other is given.
pub const BINARY_ENV: &str = "OTTLA_BINARY";

/// How the names of variables begin that the binary takes for settings.
const SETTING: &str = "OTTLA_";

/// The one among them that is none, and as useful in a test as elsewhere.
const LOG_FILTER: &str = "OTTLA_LOG";

/// How the ready line starts on standard output.
const READY: &str = "ottla ready: ";

/// How many bytes of standard error are kept for messages.
const ERRORS_KEPT: usize = 16 * 1024;

/// A TCP port of 127.0.0.1 that was free a moment ago.
///
/// # Errors
/// Where no port can be bound.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// `binary`, ready for arguments, without the variables of this process that it would take for settings: those of the tests
/// themselves, and whatever else happens to be set where they run.
#[must_use]
pub fn program(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(SETTING.as_bytes()) && name != LOG_FILTER {
            command.env_remove(name);
        }
    }
    command
}

/// How to start a broker.
#[derive(Clone, Debug)]
pub struct BrokerCommand {
    binary: PathBuf,
    data_dir: PathBuf,
    listen: String,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    ready_within: Duration,
}

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No path was given and [`BINARY_ENV`] is not set.
    #[error("{BINARY_ENV} does not name the binary to test")]
    NoBinary,
    /// The binary could not be run.
    #[error("cannot run {binary}: {source}")]
    Run {
        /// Which binary.
        binary: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("the broker ended ({status}) before it was ready; it said:\n{stderr}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// The end of its standard error.
        stderr: String,
    },
    /// It ran, but did not say in time that it is ready.
    #[error("the broker was not ready within {0:?}; it said:\n{1}")]
    Late(Duration, String),
    /// Its ready line names no address.
    #[error("no address in the ready line {0:?}")]
    ReadyLine(String),
}

impl BrokerCommand {
    /// `BINARY serve --data-dir DATA_DIR --listen 127.0.0.1:0`, ready within 30 s.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>, data_dir: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            data_dir: data_dir.into(),
            listen: "127.0.0.1:0".to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            ready_within: Duration::from_secs(30),
        }
    }

    /// As [`new`](Self::new), with the binary that [`BINARY_ENV`] names.
    ///
    /// # Errors
    /// [`StartError::NoBinary`].
    pub fn from_env(data_dir: impl Into<PathBuf>) -> Result<Self, StartError> {
        let binary = std::env::var_os(BINARY_ENV).ok_or(StartError::NoBinary)?;
        Ok(Self::new(binary, data_dir))
    }

    /// Another address to listen on, for a restart on the same port for instance.
    #[must_use]
    pub fn listen(mut self, address: impl Into<String>) -> Self {
        self.listen = address.into();
        self
    }

    /// One more argument after those of [`new`](Self::new).
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn environment(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// How long to wait for the ready line.
    #[must_use]
    pub fn ready_within(mut self, limit: Duration) -> Self {
        self.ready_within = limit;
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// See [`StartError`]; no process is left behind.
    pub fn start(&self) -> Result<BrokerProcess, StartError> {
        let run = |source| StartError::Run { binary: self.binary.clone(), source };
        let mut child = self.command().spawn().map_err(run)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut broker = BrokerProcess {
            child,
            data_dir: self.data_dir.clone(),
            addresses: Vec::new(),
            metrics: None,
            stderr: Arc::default(),
        };
        if let Some(stderr) = stderr {
            keep_tail(stderr, broker.stderr.clone());
        }
        let ready = stdout.map(ready_line);
        let line = broker.wait_ready(ready.as_ref(), self.ready_within)?;
        (broker.addresses, broker.metrics) = parse_ready_line(&line).ok_or(StartError::ReadyLine(line))?;
        Ok(broker)
    }

    fn command(&self) -> Command {
        let mut command = program(&self.binary);
        command.arg("serve").arg("--data-dir").arg(&self.data_dir).arg("--listen").arg(&self.listen);
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// A running broker; killed when dropped.
#[derive(Debug)]
pub struct BrokerProcess {
    child: Child,
    data_dir: PathBuf,
    addresses: Vec<SocketAddr>,
    metrics: Option<String>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

impl BrokerProcess {
    /// `BINARY serve --data-dir DATA_DIR --listen 127.0.0.1:0 ARGUMENTS…`; ready when this returns.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(binary: &Path, data_dir: &Path, arguments: &[&str]) -> Result<Self, StartError> {
        arguments.iter().fold(BrokerCommand::new(binary, data_dir), |command, arg| command.argument(*arg)).start()
    }

    /// Where the first listener listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    /// Where all listeners listen, in the order of the ready line.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Address of the metrics page, if there is one: `http://127.0.0.1:PORT/metrics`.
    #[must_use]
    pub fn metrics_url(&self) -> Option<&str> {
        self.metrics.as_deref()
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of what it wrote to standard error.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock()).into_owned()
    }

    /// Whether it runs.
    ///
    /// # Errors
    /// As the system says.
    pub fn is_running(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Kills it as `kill -9` does, and waits until it is gone. No error where it was gone.
    ///
    /// # Errors
    /// As the system says.
    pub fn kill9(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// Asks it to stop (SIGTERM), and waits until it did.
    ///
    /// # Errors
    /// As the system says.
    pub fn terminate(&mut self) -> io::Result<ExitStatus> {
        self.ask_to_stop()?;
        self.wait()
    }

    /// Asks it to stop (SIGTERM), and does not wait for it.
    ///
    /// # Errors
    /// As the system says.
    pub fn ask_to_stop(&mut self) -> io::Result<()> {
        self.signal(rustix::process::Signal::TERM)
    }

    /// Asks it to stop as a terminal does (SIGINT), and does not wait for it.
    ///
    /// # Errors
    /// As the system says.
    pub fn interrupt(&mut self) -> io::Result<()> {
        self.signal(rustix::process::Signal::INT)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// As the system says.
    pub fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait()
    }

    /// Stops it in its tracks (SIGSTOP) until [`resume`](Self::resume).
    ///
    /// # Errors
    /// As the system says.
    pub fn pause(&mut self) -> io::Result<()> {
        self.signal(rustix::process::Signal::STOP)
    }

    /// Lets it go on after [`pause`](Self::pause).
    ///
    /// # Errors
    /// As the system says.
    pub fn resume(&mut self) -> io::Result<()> {
        self.signal(rustix::process::Signal::CONT)
    }

    /// A child that was waited for has no pid to be signalled at any more.
    fn signal(&mut self, signal: rustix::process::Signal) -> io::Result<()> {
        if self.child.try_wait()?.is_none() {
            rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)?;
        }
        Ok(())
    }

    fn wait_ready(&mut self, ready: Option<&mpsc::Receiver<String>>, limit: Duration) -> Result<String, StartError> {
        match ready.map(|line| line.recv_timeout(limit)) {
            Some(Ok(line)) => Ok(line),
            Some(Err(mpsc::RecvTimeoutError::Timeout)) => Err(StartError::Late(limit, self.stderr())),
            // Its standard output ended: it is on its way out, or closed the pipe and is of no use.
            None | Some(Err(mpsc::RecvTimeoutError::Disconnected)) => match self.child.try_wait() {
                Ok(Some(status)) => Err(StartError::Ended { status, stderr: self.stderr() }),
                _ => {
                    let status = self.kill_or_reap();
                    Err(StartError::Ended { status, stderr: self.stderr() })
                }
            },
        }
    }

    fn kill_or_reap(&mut self) -> ExitStatus {
        self.kill9().unwrap_or_default()
    }
}

impl Drop for BrokerProcess {
    fn drop(&mut self) {
        let _ = self.kill9();
    }
}

/// Reads standard output to its end, in a thread that ends with the process; gives the ready line.
fn ready_line(stdout: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (ready, line) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if line.starts_with(READY) {
                let _ = ready.send(line);
            }
        }
    });
    line
}

/// Reads to the end, in a thread that ends with the process, and keeps the last bytes.
fn keep_tail(mut from: impl Read + Send + 'static, tail: Arc<Mutex<Vec<u8>>>) {
    std::thread::spawn(move || {
        let mut buf = [0; 4096];
        while let Ok(read @ 1..) = from.read(&mut buf) {
            let mut tail = tail.lock();
            tail.extend_from_slice(&buf[..read]);
            let over = tail.len().saturating_sub(ERRORS_KEPT);
            tail.drain(..over);
        }
    });
}

/// Addresses and metrics page of
/// `ottla ready: listening on PLAINTEXT://127.0.0.1:9092, …, metrics on http://127.0.0.1:9644/metrics`.
fn parse_ready_line(line: &str) -> Option<(Vec<SocketAddr>, Option<String>)> {
    let mut addresses = Vec::new();
    let mut metrics = None;
    for word in line.split([' ', ',', ';']).filter(|word| word.contains("://")) {
        if word.starts_with("http") {
            metrics = Some(word.to_owned());
        } else {
            addresses.push(word.split_once("://")?.1.parse().ok()?);
        }
    }
    (!addresses.is_empty()).then_some((addresses, metrics))
}

#[cfg(test)]
mod tests;
