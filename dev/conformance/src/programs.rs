//! Client programs in other languages: run once, their cases counted one by one.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, anyhow};
use ottla_peer::java::Jars;
use ottla_peer::{python, run};

use crate::{Broker, Suite};

const DEADLINE: Duration = Duration::from_secs(300);

/// The folder of this crate, as whoever runs the test says: the program may have been built in another checkout that shares
/// the target directory.
pub fn folder() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

/// Packages that Python programs need: the name of their environment and the file in `python/` that lists them.
#[derive(Debug, Clone, Copy)]
pub struct Packages(&'static str, &'static str);

/// confluent-kafka.
pub const CONFLUENT: Packages = Packages("confluent", "requirements-confluent.txt");
/// kafka-python.
pub const PURE: Packages = Packages("pure", "requirements-kafka-python.txt");

/// Runs `python/PROGRAM`.
pub fn run_python(suite: &mut Suite, broker: &Broker, program: &str, packages: Packages) -> Result<()> {
    let sources = folder().join("python");
    let requirements = std::fs::read_to_string(sources.join(packages.1))?;
    let mut command = Command::new(python::environment(packages.0, &requirements)?);
    // Nothing is written into the checkout.
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(sources.join(program));
    report(suite, broker, vec![command])
}

/// Which of Kafka's Java clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JavaClient {
    /// That of the Kafka that is the peer.
    Current,
    /// The one before 4. The sources are compiled against the current one all the same: what they use of it at run time
    /// must be in both.
    Older,
}

/// Compiles the Java sources `java/*.java` and runs the class `main`.
pub fn run_java(suite: &mut Suite, broker: &Broker, main: &str) -> Result<()> {
    run_java_with(suite, broker, main, &[JavaClient::Current])
}

/// [`run_java`], once with each of `clients`, all at once: they wait more than they work.
pub fn run_java_with(suite: &mut Suite, broker: &Broker, main: &str, clients: &[JavaClient]) -> Result<()> {
    let jars = Jars::fetch()?;
    let classes = tempfile::tempdir()?;
    let mut sources: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder().join("java"))? {
        sources.push(entry?.path());
    }
    jars.compile(&sources, classes.path())?;
    let mut commands = Vec::new();
    for client in clients {
        let mut jvm = jars.jvm().options(&["-Xmx1G"]);
        if *client == JavaClient::Older {
            jvm = jvm.classes(&Jars::older_client()?);
        }
        commands.push(jvm.classes(classes.path()).class(main));
    }
    report(suite, broker, commands)
}

/// Runs all to their ends at once, and counts what they report.
fn report(suite: &mut Suite, broker: &Broker, commands: Vec<Command>) -> Result<()> {
    let (bootstrap, filters) = (broker.bootstrap(), suite.filters().to_vec());
    let outputs: Vec<_> = std::thread::scope(|scope| {
        let run = |mut command: Command| {
            command.arg(&bootstrap).args(&filters);
            scope.spawn(move || run::run(&mut command, DEADLINE))
        };
        let running: Vec<_> = commands.into_iter().map(run).collect();
        running.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("panicked"))).collect()
    });
    for output in outputs {
        let output = output??;
        suite.reported(&output.text(), &output.all_text());
    }
    Ok(())
}
