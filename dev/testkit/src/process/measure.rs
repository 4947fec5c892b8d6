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

    fn status_kib(&self, name: &str) -> io::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let number = |line: &str| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok();
        // A zombie has no memory lines.
        status.lines().find_map(number).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}
