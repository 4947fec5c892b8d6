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
const OLDER_POM: &str = include_str!("../kafka/older.xml");
const OLDER_CLIENT_POM: &str = include_str!("../kafka/older-client.xml");
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
            fs::write(folder.join("log4j2.xml"), LOG4J)?;
            copy_dependencies(folder, POM, &[])
        })?;
        Ok(Jars { folder })
    }

    /// The jars of the broker before 4, with ZooKeeper.
    pub fn fetch_older() -> Result<Jars> {
        JAVAC.require()?;
        let folder = cache::entry("kafka-3", &format!("{OLDER_POM}{LOG4J}"), |folder| {
            fs::write(folder.join("log4j2.xml"), LOG4J)?;
            copy_dependencies(folder, OLDER_POM, &[])
        })?;
        Ok(Jars { folder })
    }

    /// The jar of the Java client before 4, for the front of a class path: the last one that speaks version 1 of
    /// transactions. What it needs of others is what its successor needs.
    pub fn older_client() -> Result<PathBuf> {
        let folder = cache::entry("kafka-clients-3", OLDER_CLIENT_POM, |folder| {
            copy_dependencies(folder, OLDER_CLIENT_POM, &["-DexcludeTransitive=true", "-Dmdep.stripVersion=true"])
        })?;
        Ok(folder.join("jars").join("kafka-clients.jar"))
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

/// Has Maven put the jars that `pom` names into `folder/jars`.
fn copy_dependencies(folder: &Path, pom: &str, options: &[&str]) -> Result<()> {
    MAVEN.require()?;
    fs::write(folder.join("pom.xml"), pom)?;
    let mut maven = Command::new("mvn");
    maven
        .args(["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars"])
        .args(options)
        .current_dir(folder);
    run::run(&mut maven, FETCH_DEADLINE)?.success().map(drop)
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

    /// Looks for classes in a folder or a jar too, first.
    pub fn classes(mut self, place: &Path) -> Jvm {
        self.class_path = format!("{}:{}", place.display(), self.class_path);
        self
    }

    /// The finished command; the arguments of the program are added to it.
    pub fn class(mut self, class: &str) -> Command {
        self.command.args(["-cp", &self.class_path, class]);
        self.command
    }
}
