//! What the conformance suites need on the machine: found, installed where that is allowed, or named.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use ottla_peer::programs::{JAVAC, KCAT, MAVEN, PYTHON, Program};

/// The dictionary that is streamed through a broker.
const DICTIONARY: (&str, &str) = ("/usr/share/dict/words", "wamerican");

/// Looks for all of it; installs what is missing when this is root on a machine with `apt-get`, else names it.
pub(crate) fn for_suites() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let command = format!("apt-get install -y {}", missing.join(" "));
    if rustix::process::geteuid().is_root() && (Program { name: "apt-get", package: "apt" }).find().is_some() {
        println!("installing what the suites need: {command}");
        if apt_get(&missing) {
            return Ok(());
        }
    }
    bail!("the suites need more programs; to install them: {command}")
}

fn missing() -> Vec<&'static str> {
    let programs = [JAVAC, MAVEN, PYTHON, KCAT].into_iter().filter(|program| program.find().is_none());
    let mut packages: Vec<_> = programs.map(|program| program.package).collect();
    if !Path::new(DICTIONARY.0).exists() {
        packages.push(DICTIONARY.1);
    }
    packages
}

/// Tries with the lists of packages as they are, then with new ones.
fn apt_get(packages: &[&str]) -> bool {
    let run = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").args(arguments).stdin(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let install = [&["install", "-y", "--no-install-recommends"], packages].concat();
    run(&install) || (run(&["update"]) && run(&install))
}
