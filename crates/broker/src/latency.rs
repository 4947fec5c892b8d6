//! How long requests take, by phase: Kafka's phases, as far as they exist here.
//!
//! | phase | from | to |
//! |---|---|---|
//! | request queue | the frame is complete | its handler begins |
//! | local | | the handler has done what it can at once |
//! | remote | | what was waited for (data, a flush, a commit of the metadata) is there |
//! | response queue | the answer is encoded | every answer before it on the connection is out |
//! | send | | the kernel has taken the last byte |
//! | total | the frame is complete | the kernel has taken the last byte of the answer |
//!
//! Invariant: a request costs a handful of atomic additions and clock readings; nothing is locked.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use ottla_wire::ApiKey;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet},
    metrics::MetricType,
    registry::Unit,
};

/// Bound of the first bucket; each further one is twice as wide.
const FIRST_BOUND_NS: u64 = 50_000;
/// With the last bound at 26 s.
const BOUNDS: usize = 20;

/// A stretch of a request's time; see the file's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    RequestQueue,
    Local,
    Remote,
    ResponseQueue,
    Send,
    Total,
}

impl Phase {
    const ALL: [Self; 6] =
        [Self::RequestQueue, Self::Local, Self::Remote, Self::ResponseQueue, Self::Send, Self::Total];

    fn name(self) -> &'static str {
        match self {
            Self::RequestQueue => "request_queue_time",
            Self::Local => "request_local_time",
            Self::Remote => "request_remote_time",
            Self::ResponseQueue => "response_queue_time",
            Self::Send => "response_send_time",
            Self::Total => "request_total_time",
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::RequestQueue => "From the last byte of a request to its handler",
            Self::Local => "Work on a request",
            Self::Remote => "Waiting for data, for a flush, or for the metadata to be committed",
            Self::ResponseQueue => "Waiting until earlier answers of the connection are out",
            Self::Send => "Handing an answer to the kernel",
            Self::Total => "From the last byte of a request to the last byte of its answer",
        }
    }
}

/// Counts durations in buckets.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS + 1],
    sum_ns: AtomicU64,
}

impl Histogram {
    fn observe(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(ns)].fetch_add(1, Relaxed);
        self.sum_ns.fetch_add(ns, Relaxed);
    }

    /// Upper bounds in seconds with the counts between them.
    fn buckets(&self) -> [(f64, u64); BOUNDS + 1] {
        std::array::from_fn(|at| {
            let bound = if at == BOUNDS { f64::INFINITY } else { (FIRST_BOUND_NS << at) as f64 / 1e9 };
            (bound, self.buckets[at].load(Relaxed))
        })
    }
}

/// The first bucket whose bound is not below `ns`.
fn bucket_of(ns: u64) -> usize {
    let above = ns.saturating_sub(1) / FIRST_BOUND_NS;
    (u64::BITS - above.leading_zeros()).min(BOUNDS as u32) as usize
}

/// The times of one API's requests.
#[derive(Debug)]
pub(crate) struct ApiLatency {
    label: ApiLabel,
    phases: [Histogram; Phase::ALL.len()],
}

impl ApiLatency {
    pub(crate) fn observe(&self, phase: Phase, time: Duration) {
        self.phases[phase as usize].observe(time);
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ApiLabel {
    request: &'static str,
}

/// An answer on its way: what is known of its request's times.
#[derive(Clone)]
pub(crate) struct Timing {
    pub(crate) latency: Arc<ApiLatency>,
    pub(crate) arrived: Instant,
    pub(crate) encoded: Instant,
}

impl Timing {
    /// The answer went out: its turn came at `turn`, its last byte left at `out`.
    pub(crate) fn sent(&self, turn: Instant, out: Instant) {
        let begun = turn.max(self.encoded);
        self.latency.observe(Phase::ResponseQueue, begun.saturating_duration_since(self.encoded));
        self.latency.observe(Phase::Send, out.saturating_duration_since(begun));
        self.latency.observe(Phase::Total, out.saturating_duration_since(self.arrived));
    }
}

impl fmt::Debug for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timing").field("request", &self.latency.label.request).finish_non_exhaustive()
    }
}

/// The times of all APIs that are served, by key.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Arc<[Option<Arc<ApiLatency>>]>);

impl Latencies {
    pub(crate) fn new(apis: &[ApiKey]) -> Self {
        let mut by_key = Vec::new();
        for api in apis {
            let Ok(key) = usize::try_from(*api as i16) else { continue };
            if by_key.len() <= key {
                by_key.resize_with(key + 1, || None);
            }
            let label = ApiLabel { request: api.name() };
            by_key[key] = Some(Arc::new(ApiLatency { label, phases: Default::default() }));
        }
        Self(by_key.into())
    }

    pub(crate) fn of(&self, api: ApiKey) -> Option<&Arc<ApiLatency>> {
        self.0.get(usize::try_from(api as i16).ok()?)?.as_ref()
    }
}

impl Collector for Latencies {
    /// Only what has been counted: hundreds of histograms of requests that nobody makes would only be in the way.
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for phase in Phase::ALL {
            let mut family =
                encoder.encode_descriptor(phase.name(), phase.help(), Some(&Unit::Seconds), MetricType::Histogram)?;
            for api in self.0.iter().flatten() {
                let times = &api.phases[phase as usize];
                let buckets = times.buckets();
                let count = buckets.iter().map(|(_, count)| count).sum();
                if count > 0 {
                    let sum = times.sum_ns.load(Relaxed) as f64 / 1e9;
                    family.encode_family(&api.label)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::{encoding::text::encode, registry::Registry};

    use super::*;

    #[test]
    fn a_time_falls_below_the_first_bound_that_is_not_below_it() {
        for (ns, bucket) in [
            (0, 0),
            (1, 0),
            (50_000, 0),
            (50_001, 1),
            (100_000, 1),
            (100_001, 2),
            (200_000, 2),
            (50_000 << 19, 19),
            ((50_000 << 19) + 1, 20),
            (u64::MAX, 20),
        ] {
            assert_eq!(bucket_of(ns), bucket, "{ns}");
        }
    }

    #[test]
    fn the_phases_of_an_answer_follow_each_other() {
        let latencies = Latencies::new(&[ApiKey::Produce, ApiKey::Fetch]);
        let at = |ms| Duration::from_millis(ms);
        let arrived = Instant::now();
        let timing = |encoded| Timing {
            latency: Arc::clone(latencies.of(ApiKey::Produce).unwrap()),
            arrived,
            encoded: arrived + at(encoded),
        };
        timing(10).sent(arrived + at(15), arrived + at(18)); // it waited 5 ms for its turn
        timing(10).sent(arrived + at(1), arrived + at(30)); // the way was free before it was there
        let mut registry = Registry::default();
        registry.register_collector(Box::new(latencies));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "response_queue_time_seconds_sum{request=\"Produce\"} 0.005",
            "response_send_time_seconds_sum{request=\"Produce\"} 0.023",
            "request_total_time_seconds_sum{request=\"Produce\"} 0.048",
            "request_total_time_seconds_count{request=\"Produce\"} 2",
            "request_total_time_seconds_bucket{le=\"+Inf\",request=\"Produce\"} 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(!text.contains("Fetch"));
    }
}
