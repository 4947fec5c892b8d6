//! What `/proc` says about a broker.

use std::{fs, io};

use super::BrokerProcess;

impl BrokerProcess {
    /// Memory it occupies now, bytes.
    ///
    /// # Errors
    /// `NotFound` where it does not run any more.
    pub fn rss_bytes(&self) -> io::Result<u64> {
        self.status_kib("VmRSS:").map(|kib| kib * 1024)
    }

    /// The most memory it ever occupied, bytes.
    ///
    /// # Errors
    /// `NotFound` where it does not run any more.
    pub fn peak_rss_bytes(&self) -> io::Result<u64> {
        self.status_kib("VmHWM:").map(|kib| kib * 1024)
    }

    /// Threads it has now.
    ///
    /// # Errors
    /// `NotFound` where it does not run any more.
    pub fn threads(&self) -> io::Result<u64> {
        self.status_kib("Threads:")
    }

    /// Descriptors it holds open now.
    ///
    /// # Errors
    /// `NotFound` where it does not run any more.
    pub fn open_files(&self) -> io::Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }

    /// Processor time it used so far, user and system, seconds.
    ///
    /// # Errors
    /// `NotFound` where it does not run any more.
    pub fn cpu_seconds(&self) -> io::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
        let ticks = cpu_ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
        Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
    }

    fn status_kib(&self, name: &str) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let number = |line: &str| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok();
        // A zombie has no memory lines.
        status.lines().find_map(number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// User and system time of a `/proc/PID/stat` line; the command's name before them may hold blanks and parentheses.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    #[test]
    fn ticks_are_found_behind_any_command_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 40 2 0 0 20 0";
        assert_eq!(super::cpu_ticks(stat), Some(42));
        assert_eq!(super::cpu_ticks("garbage"), None);
    }
}
