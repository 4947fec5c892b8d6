//! What the tests need on the machine: found, installed where that is allowed, or named, before anything takes long.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use ottla_peer::programs::{CC, GIT, JAVA, JAVAC, KCAT, MAKE, MAVEN, PYTHON, Program};

/// The dictionary that is streamed through a broker.
const DICTIONARY: (&str, &str) = ("/usr/share/dict/words", "wamerican");

/// Something that must be there.
struct Need {
    /// What it is called.
    what: &'static str,
    /// The Debian package that brings it.
    package: &'static str,
    is_there: bool,
}

impl Need {
    fn program(program: Program) -> Need {
        Need { what: program.name, package: program.package, is_there: program.find().is_some() }
    }
}

/// Looks for what everything needs, and where `suites` are to be run for what they need. Installs what is missing when this
/// is root on a machine with `apt-get`, else names it.
pub(crate) fn what_is_missing(suites: bool) -> Result<()> {
    let missing = missing(suites);
    if missing.is_empty() {
        return Ok(());
    }
    let is_root = rustix::process::geteuid().is_root();
    if is_root && (Program { name: "apt-get", package: "apt" }).find().is_some() {
        println!("installing what the tests need: {}", command(&missing));
        apt_get(&packages(&missing));
    }
    match &self::missing(suites)[..] {
        [] => Ok(()),
        missing => bail!("{}", words(missing)),
    }
}

fn missing(suites: bool) -> Vec<Need> {
    let mut needs: Vec<_> = [CC, MAKE, GIT].map(Need::program).into();
    if suites {
        needs.extend([JAVA, JAVAC, MAVEN, PYTHON, KCAT].map(Need::program));
        needs.push(Need {
            what: "python3's modules venv and ensurepip",
            package: PYTHON.package,
            is_there: PYTHON.find().is_none() || makes_environments(),
        });
        let is_there = Path::new(DICTIONARY.0).exists();
        needs.push(Need { what: DICTIONARY.0, package: DICTIONARY.1, is_there });
    }
    needs.retain(|need| !need.is_there);
    needs
}

/// Debian ships Python without what makes virtual environments.
fn makes_environments() -> bool {
    let mut python = Command::new(PYTHON.name);
    python.args(["-c", "import ensurepip, venv"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    python.status().is_ok_and(|status| status.success())
}

fn packages(missing: &[Need]) -> Vec<&'static str> {
    let mut packages: Vec<_> = missing.iter().map(|need| need.package).collect();
    packages.dedup();
    packages
}

fn command(missing: &[Need]) -> String {
    format!("apt-get install -y {}", packages(missing).join(" "))
}

fn words(missing: &[Need]) -> String {
    let what: Vec<_> = missing.iter().map(|need| need.what).collect();
    format!("the tests need {}, not found; to install: {}", what.join(", "), command(missing))
}

/// Tries with the lists of packages as they are, then with new ones.
fn apt_get(packages: &[&str]) {
    let run = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments).stdin(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let install = [&["install", "-y", "--no-install-recommends"], packages].concat();
    let _ = run(&install) || (run(&["update"]) && run(&install));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_command_that_installs_it() {
        let need = |what, package| Need { what, package, is_there: false };
        let missing =
            [need("java", "default-jdk-headless"), need("javac", "default-jdk-headless"), need("kcat", "kcat")];
        assert_eq!(
            words(&missing),
            "the tests need java, javac, kcat, not found; to install: apt-get install -y default-jdk-headless kcat"
        );
    }
}
