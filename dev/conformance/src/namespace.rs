//! A mount namespace of a suite's own, in which it may mount what it likes: what is mounted there ends with it, and nobody else
//! sees it.

use std::{
    os::unix::process::ExitStatusExt,
    process::{Command, ExitCode},
};

/// Set in the process that has the namespace.
const INSIDE: &str = "OTTLA_OWN_MOUNT_NAMESPACE";

/// Runs this program again in a mount namespace of its own and gives what it ended with; none in that one, and where the
/// system permits none.
pub fn enter() -> Option<ExitCode> {
    if is_own() || !is_permitted() {
        return None;
    }
    let this = std::env::current_exe().ok()?;
    let mut command = unshare();
    let status = command.arg(this).args(std::env::args_os().skip(1)).env(INSIDE, "1").status().ok()?;
    let code = status.code().unwrap_or(128 + status.signal().unwrap_or(0));
    Some(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Whether this process has a namespace of its own, and so may mount.
#[must_use]
pub fn is_own() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]);
    command
}

fn is_permitted() -> bool {
    let tried = unshare().args(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"]).output();
    tried.is_ok_and(|output| output.status.success())
}
