//! The test programs of the workspace, built once by cargo and run one by one.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use wait_timeout::ChildExt;

use super::tally::Tally;
use super::{BINARY_ENV, CONFORMANCE, steps};

/// A test program that runs longer hangs; the slowest suite needs about a minute.
const DEADLINE: Duration = Duration::from_secs(900);

/// All of them.
pub(crate) struct Executables {
    /// In the order of their packages' names.
    pub(crate) tests: Vec<Executable>,
}

/// One of them.
pub(crate) struct Executable {
    /// The package it belongs to.
    pub(crate) package: String,
    /// Name of the library, program or file under `tests/`.
    pub(crate) target: String,
    kind: String,
    file: PathBuf,
    folder: PathBuf,
}

/// Builds every test of one package, or of the workspace.
pub(crate) fn build(package: Option<&str>) -> Result<Executables> {
    let scope = package.map_or(vec!["--workspace"], |package| vec!["-p", package]);
    let mut command = Command::new("cargo");
    command.arg("test").args(scope).args(["--no-run", "--message-format", "json-render-diagnostics"]);
    let output = command.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the tests do not build");
    let messages = output.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let mut tests: Vec<_> = messages.filter_map(|message: Value| Executable::of_message(&message)).collect();
    tests.sort_by(|a, b| (&a.package, &a.kind, &a.target).cmp(&(&b.package, &b.kind, &b.target)));
    Ok(Executables { tests })
}

impl Executable {
    fn of_message(message: &Value) -> Option<Executable> {
        if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
            return None;
        }
        let folder = PathBuf::from(message["manifest_path"].as_str()?).parent()?.to_owned();
        Some(Executable {
            package: package_name(message["package_id"].as_str()?).to_owned(),
            target: message["target"]["name"].as_str()?.to_owned(),
            kind: message["target"]["kind"][0].as_str()?.to_owned(),
            file: message["executable"].as_str()?.into(),
            folder,
        })
    }

    /// True for a program that starts brokers and lets clients of others at them.
    pub(crate) fn is_suite(&self) -> bool {
        self.package == CONFORMANCE && self.kind == "test"
    }

    fn name(&self) -> String {
        match self.kind.as_str() {
            "test" => format!("{} tests/{}", self.package, self.target),
            kind => format!("{} {kind}", self.package),
        }
    }

    /// Runs it as cargo would, with `binary` to test. A suite's output is shown as it comes, others' when they fail.
    pub(crate) fn run(&self, binary: &Path, filters: &[String]) -> Result<Tally> {
        let name = self.name();
        if self.is_suite() {
            steps::announce(&name);
        }
        let begin = Instant::now();
        let mut command = Command::new(&self.file);
        command.args(filters).current_dir(&self.folder).env(BINARY_ENV, binary).env("CARGO_MANIFEST_DIR", &self.folder);
        let (output, ended_well) = watch(&mut command, self.is_suite())?;
        let mut tally = Tally::of_output(&name, &output, ended_well);
        if self.is_suite() && tally.passed + tally.failed == 0 && filters.is_empty() {
            tally.fail(&name, &anyhow::anyhow!("no test was run"));
        }
        if tally.failed > 0 && !self.is_suite() {
            println!("{output}");
        }
        println!("{name}: {} passed, {} failed, {:.1} s", tally.passed, tally.failed, begin.elapsed().as_secs_f64());
        Ok(tally)
    }
}

/// `path+file:///folder/name#0.1.0` or `path+file:///folder#name@0.1.0`.
fn package_name(id: &str) -> &str {
    let (path, fragment) = id.rsplit_once('#').unwrap_or((id, ""));
    match fragment.split_once('@') {
        Some((name, _)) => name,
        None => path.rsplit('/').next().unwrap_or(path),
    }
}

/// Runs a command to its end or [`DEADLINE`]; what it wrote to both outputs, and whether it ended with 0.
fn watch(command: &mut Command, show: bool) -> Result<(String, bool)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(if show { Stdio::inherit() } else { Stdio::piped() });
    let mut child = command.spawn().context("cannot start a test program")?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let stdout = scope.spawn(move || read(stdout, show));
        let stderr = scope.spawn(move || read(stderr, false));
        let status = child.wait_timeout(DEADLINE)?;
        if status.is_none() {
            kill_with_children(&mut child)?;
        }
        let mut text = stdout.join().unwrap_or_default();
        text.push_str(&stderr.join().unwrap_or_default());
        if status.is_none() {
            println!("did not end within {DEADLINE:?}");
        }
        Ok((text, status.is_some_and(|status| status.success())))
    })
}

fn read(pipe: Option<impl Read>, show: bool) -> String {
    let mut text = String::new();
    let Some(pipe) = pipe else { return text };
    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        if show {
            println!("{line}");
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// A test program that is killed cannot stop the broker it started: both are ended, by their ids.
fn kill_with_children(child: &mut Child) -> Result<()> {
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id())).unwrap_or_default();
    child.kill()?;
    child.wait()?;
    for pid in children.split_whitespace().filter_map(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?)) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_ids_of_both_forms_are_read() {
        assert_eq!(package_name("path+file:///a/crates/ottla#0.1.0"), "ottla");
        assert_eq!(package_name("path+file:///a/crates/types#ottla-types@0.1.0"), "ottla-types");
    }

    #[test]
    fn output_and_end_are_watched() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            watch(&mut command, false).unwrap()
        };
        assert_eq!(shell("echo a; echo b >&2"), ("a\nb\n".to_owned(), true));
        assert!(!shell("exit 1").1);
    }
}
