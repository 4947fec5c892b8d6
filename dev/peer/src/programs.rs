//! Programs that must be installed, and the command that installs them.

use std::path::PathBuf;

use anyhow::{Result, bail};

/// One program that is looked for in `PATH`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// The file that `PATH` must hold.
    pub name: &'static str,
    /// The Debian package that brings it.
    pub package: &'static str,
}

/// The Java virtual machine.
pub const JAVA: Program = Program { name: "java", package: "default-jdk-headless" };
/// The Java compiler.
pub const JAVAC: Program = Program { name: "javac", package: "default-jdk-headless" };
/// Fetches jars.
pub const MAVEN: Program = Program { name: "mvn", package: "maven" };
/// Runs the Python clients.
pub const PYTHON: Program = Program { name: "python3", package: "python3-venv" };
/// The librdkafka command-line client.
pub const KCAT: Program = Program { name: "kcat", package: "kcat" };
/// Builds the librdkafka that the Rust client brings along.
pub const MAKE: Program = Program { name: "make", package: "build-essential" };
/// Compiles what is in C, and links.
pub const CC: Program = Program { name: "cc", package: "build-essential" };
/// Says which files belong to the repository.
pub const GIT: Program = Program { name: "git", package: "git" };

impl Program {
    /// Where the program is, if it is.
    pub fn find(&self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join(self.name)).find(|file| file.is_file())
    }

    /// The command that installs it.
    pub fn install_command(&self) -> String {
        format!("apt-get install -y {}", self.package)
    }

    /// An error that names the program and how to install it, when it is not there.
    pub fn require(&self) -> Result<PathBuf> {
        match self.find() {
            Some(file) => Ok(file),
            None => bail!("{} is not installed; to install it: {}", self.name, self.install_command()),
        }
    }
}
