//! The histogram that openraft counts its batches in, without tables.
//!
//! The published crate of this name fills tables for sixteen resolutions, 23 MB, when its first histogram is made. As openraft
//! is built here it only ever records into one, so `[patch.crates-io]` puts this in its place: a counter for each power
//! of two, and the few calls that openraft compiles against.

use std::{fmt, marker::PhantomData};

/// One bucket for zero, one for each length in bits.
const BUCKETS: usize = u64::BITS as usize + 1;

/// Counts of values by their length in bits. The parameter is there for callers that name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: [u64; BUCKETS],
    of: PhantomData<T>,
}

impl<T> Histogram<T> {
    /// Without values.
    #[must_use]
    pub fn new() -> Self {
        Self { counts: [0; BUCKETS], of: PhantomData }
    }

    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts one value `n` times.
    pub fn record_n(&mut self, value: u64, n: u64) {
        let bits = u64::BITS - value.leading_zeros();
        self.counts[bits as usize] += n;
    }

    /// Number of values counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Percentiles, each the greatest value of its power of two: at most twice the true one.
    #[must_use]
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total(),
            p0_1: self.per_mille(1),
            p1: self.per_mille(10),
            p5: self.per_mille(50),
            p10: self.per_mille(100),
            p50: self.per_mille(500),
            p90: self.per_mille(900),
            p99: self.per_mille(990),
            p99_9: self.per_mille(999),
        }
    }

    fn per_mille(&self, share: u128) -> u64 {
        let wanted = (u128::from(self.total()) * share).div_ceil(1000);
        let mut seen = 0;
        for (bits, count) in self.counts.iter().enumerate() {
            seen += u128::from(*count);
            if *count > 0 && seen >= wanted {
                return 1u64.checked_shl(bits as u32).map_or(u64::MAX, |end| end - 1);
            }
        }
        0
    }
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// How many values were counted, and below what shares of them lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each names its share in percent
pub struct PercentileStats {
    pub samples: u64,
    pub p0_1: u64,
    pub p1: u64,
    pub p5: u64,
    pub p10: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples, p50 {}, p99 {}", self.samples, self.p50, self.p99)
    }
}

/// Named histograms, displayed a line each.
#[derive(Debug, Clone, Default)]
pub struct AsciiChart {
    rows: Vec<(String, PercentileStats)>,
}

impl AsciiChart {
    /// Without rows.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With one row more.
    #[must_use]
    #[allow(clippy::should_implement_trait, clippy::needless_pass_by_value)] // the call that openraft compiles against
    pub fn add<T>(mut self, name: &str, histogram: Histogram<T>) -> Self {
        self.rows.push((name.to_owned(), histogram.percentile_stats()));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.iter().try_for_each(|(name, stats)| writeln!(f, "{name}: {stats}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    #[test]
    fn counts_the_smallest_and_the_greatest_values() {
        let mut histogram = Histogram::<()>::new();
        for value in [0, 1, 2, 3, u64::MAX] {
            histogram.record(value);
        }
        assert_eq!(histogram.total(), 5);
        assert_eq!(histogram.counts[0], 1, "zero");
        assert_eq!(histogram.counts[2], 2, "two and three");
        assert_eq!(histogram.counts[64], 1, "the greatest");
    }

    #[test]
    fn percentiles_are_at_most_twice_the_value() {
        let mut histogram = Histogram::<()>::new();
        assert_eq!(histogram.percentile_stats().p99, 0, "of nothing");
        histogram.record_n(5, 99);
        histogram.record(u64::MAX);
        let stats = histogram.percentile_stats();
        assert_eq!((stats.samples, stats.p0_1, stats.p99, stats.p99_9), (100, 7, 7, u64::MAX));
    }
}
