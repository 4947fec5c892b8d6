//! Apache Kafka's jars from Maven, its command-line tools, and Java sources of our own beside them.
//!
//! The tools work against any broker, so they are clients to test with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::programs::{JAVAC, MAVEN};
use crate::{cache, run};

/// The version that `pom.xml` names.
pub const KAFKA_VERSION: &str = "4.3.1";

const POM: &str = include_str!("../kafka/pom.xml");
const LOG4J: &str = include_str!("../kafka/log4j2.xml");
/// About 90 jars over a slow line.
const FETCH_DEADLINE: Duration = Duration::from_secs(900);

/// Kafka's jars in the cache.
#[derive(Debug, Clone)]
pub struct Jars {
    folder: PathBuf,
}

impl Jars {
    /// The jars, fetched with Maven the first time.
    pub fn fetch() -> Result<Jars> {
        JAVAC.require()?;
        let recipe = format!("{POM}{LOG4J}");
        let folder = cache::entry(&format!("kafka-{KAFKA_VERSION}"), &recipe, |folder| {
            MAVEN.require()?;
            fs::write(folder.join("pom.xml"), POM)?;
            fs::write(folder.join("log4j2.xml"), LOG4J)?;
            let mut maven = Command::new("mvn");
            maven.args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"]).current_dir(folder);
            run::run(&mut maven, FETCH_DEADLINE)?.success().map(drop)
        })?;
        Ok(Jars { folder })
    }

    /// The class path of all jars, as `java -cp` takes it.
    pub fn class_path(&self) -> String {
        format!("{}/jars/*", self.folder.display())
    }

    /// `java` with the class path, ready for JVM options; finish it with [`Jvm::class`].
    pub fn jvm(&self) -> Jvm {
        let mut command = Command::new("java");
        command.arg(format!("-Dlog4j2.configurationFile={}/log4j2.xml", self.folder.display()));
        Jvm { command, class_path: self.class_path() }
    }

    /// A command-line tool of Kafka by its class, with a small heap and quick start.
    pub fn tool(&self, class: &str) -> Command {
        self.jvm().options(&["-Xmx512M", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]).class(class)
    }

    /// Compiles Java sources against the jars into `classes`, which is made.
    pub fn compile(&self, sources: &[PathBuf], classes: &Path) -> Result<()> {
        fs::create_dir_all(classes)?;
        let mut javac = Command::new("javac");
        javac.args(["-nowarn", "-cp", &self.class_path(), "-d"]).arg(classes).args(sources);
        run::run(&mut javac, Duration::from_secs(180))?.success().context("javac").map(drop)
    }
}

/// A `java` command that is being put together.
#[derive(Debug)]
pub struct Jvm {
    command: Command,
    class_path: String,
}

impl Jvm {
    /// More options of the virtual machine.
    pub fn options(mut self, options: &[&str]) -> Jvm {
        self.command.args(options);
        self
    }

    /// Looks for classes in `folder` too, first.
    pub fn classes(mut self, folder: &Path) -> Jvm {
        self.class_path = format!("{}:{}", folder.display(), self.class_path);
        self
    }

    /// The finished command; the arguments of the program are added to it.
    pub fn class(mut self, class: &str) -> Command {
        self.command.args(["-cp", &self.class_path, class]);
        self.command
    }
}
