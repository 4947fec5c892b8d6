//! Medians, ratios, goals; JSON, SVG and a table.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::brokers::Side;
use crate::chart;
use crate::parameters::{self, Parameters};
use crate::rounds::Measurement;

/// What is reported.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    parameters: &'a Parameters,
    client_settings: BTreeMap<&'static str, String>,
    machine: BTreeMap<&'static str, String>,
    /// One row per case and metric.
    pub(crate) rows: Vec<Row>,
    measurements: &'a [Measurement],
}

/// A case's metric: medians over the rounds.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Row {
    /// Name of the case.
    pub(crate) case: &'static str,
    /// Name of the metric, its unit included.
    pub(crate) metric: &'static str,
    /// Median of Ottla.
    pub(crate) ottla: Option<f64>,
    /// Median of Apache Kafka.
    pub(crate) kafka: Option<f64>,
    /// Median of the bare loop that is the limit of this case.
    pub(crate) bare: Option<f64>,
    /// Median of the broker that only copies.
    pub(crate) stand_in: Option<f64>,
    /// Ottla divided by Kafka.
    pub(crate) ratio: Option<f64>,
    /// Ottla divided by the bare loop.
    pub(crate) ratio_to_bare: Option<f64>,
    /// Ottla divided by the broker that only copies.
    pub(crate) ratio_to_stand_in: Option<f64>,
    /// Bounds on the first two ratios and on Ottla's own value.
    pub(crate) goals: Vec<Goal>,
}

/// A bound.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Goal {
    /// In words.
    pub(crate) what: String,
    /// Absent when what it needs was not measured.
    pub(crate) met: Option<bool>,
}

impl Report<'_> {
    /// Sums up measurements.
    pub(crate) fn of<'a>(measurements: &'a [Measurement], parameters: &'a Parameters) -> Report<'a> {
        let mut names: Vec<(&'static str, &'static str)> = Vec::new();
        for measurement in measurements {
            for metric in measurement.metrics.keys() {
                if !names.contains(&(measurement.case, metric)) {
                    names.push((measurement.case, metric));
                }
            }
        }
        let rows = names.into_iter().map(|(case, metric)| row(measurements, case, metric)).collect();
        Report { parameters, client_settings: client_settings(), machine: machine(), rows, measurements }
    }

    /// Writes `result.json` and `result.svg` into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        fs::write(folder.join("result.json"), serde_json::to_string_pretty(self)?)?;
        fs::write(folder.join("result.svg"), chart::svg(&self.rows))?;
        println!("written to {}", folder.display());
        Ok(())
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"));
        println!(
            "{:<33}{:<22}{:>12}{:>12}{:>9}{:>12}{:>9}{:>12}{:>9}",
            "case", "metric", "ottla", "kafka", "ratio", "bare", "ratio", "stand-in", "ratio"
        );
        for row in &self.rows {
            print!("{:<33}{:<22}{:>12}{:>12}", row.case, row.metric, number(row.ottla), number(row.kafka));
            print!("{:>9}{:>12}{:>9}", number(row.ratio), number(row.bare), number(row.ratio_to_bare));
            print!("{:>12}{:>9}", number(row.stand_in), number(row.ratio_to_stand_in));
            for goal in &row.goals {
                let word = goal.met.map_or("?", |met| if met { "met" } else { "MISSED" });
                print!("  {}: {word}", goal.what);
            }
            println!();
        }
    }
}

/// The middle of the values; of an even number, the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        length if length % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

fn median_of(measurements: &[Measurement], side: Side, case: &str, metric: &str) -> Option<f64> {
    let of_case = measurements.iter().filter(|it| it.side == side && it.case == case);
    median(of_case.filter_map(|it| it.metrics.get(metric).copied()).collect())
}

fn row(measurements: &[Measurement], case: &'static str, metric: &'static str) -> Row {
    let (ottla, kafka) =
        (median_of(measurements, Side::Ottla, case, metric), median_of(measurements, Side::Kafka, case, metric));
    let limit = limit_of(case).filter(|_| matches!(metric, "broker_cpu_s_per_gb" | "mb_per_s"));
    let bare = limit.and_then(|limit| median_of(measurements, Side::Bare, limit, metric));
    let stand_in = median_of(measurements, Side::StandIn, case, metric);
    let divide = |by: Option<f64>| ottla.zip(by).filter(|(_, by)| *by > 0.0).map(|(ottla, by)| ottla / by);
    let (ratio, ratio_to_bare, ratio_to_stand_in) = (divide(kafka), divide(bare), divide(stand_in));
    let goals = goals(case, metric, ottla, ratio, ratio_to_bare);
    Row { case, metric, ottla, kafka, bare, stand_in, ratio, ratio_to_bare, ratio_to_stand_in, goals }
}

/// The bare loop that bounds a case; confined or not, it is the same work.
fn limit_of(case: &'static str) -> Option<&'static str> {
    if case.starts_with("synced-") {
        return Some("bare-synced");
    }
    if case.starts_with("bare-") || case.starts_with("range-") {
        return Some(case);
    }
    if case.starts_with("produce-1k") {
        return Some("bare-receive");
    }
    if case.starts_with("consume-") && case.ends_with("-librdkafka") {
        return Some("bare-sendfile-polled");
    }
    case.starts_with("consume-").then_some("bare-sendfile")
}

/// What is to be reached.
fn goals(case: &str, metric: &str, ottla: Option<f64>, ratio: Option<f64>, to_bare: Option<f64>) -> Vec<Goal> {
    let at_most = |name: &str, value: Option<f64>, bound: f64| Goal {
        what: format!("{name} at most {bound}"),
        met: value.map(|value| value <= bound),
    };
    let at_least = |name: &str, value: Option<f64>, bound: f64| Goal {
        what: format!("{name} at least {bound}"),
        met: value.map(|value| value >= bound),
    };
    let (produce, consume) = (case.starts_with("produce-"), case.starts_with("consume-"));
    match metric {
        "broker_cpu_s_per_gb" if case.starts_with("produce-1k") => {
            vec![at_most("of Kafka", ratio, 0.4), at_most("of bare", to_bare, 1.5)]
        }
        "broker_cpu_s_per_gb" if produce => vec![at_most("of Kafka", ratio, 0.4)],
        "broker_cpu_s_per_gb" if consume => vec![at_most("of Kafka", ratio, 0.8), at_most("of bare", to_bare, 1.3)],
        "mb_per_s" if case == "consume-1k-bare" => {
            vec![at_least("of bare", to_bare, 0.8), at_least("of Kafka", ratio, 1.0)]
        }
        "mb_per_s" if produce || consume || case.starts_with("compact-") => vec![at_least("of Kafka", ratio, 1.0)],
        "mb_per_s" if case.starts_with("confined-") => vec![at_least("of Kafka", ratio, 1.5)],
        "mb_per_s" if case == "synced-1" => vec![at_least("of Kafka", ratio, 1.5)],
        "share_of_ten" if case == "partitions-50000" => vec![at_least("of ten", ottla, 0.8)],
        "rss_mb" if case == "partitions-50000" => vec![at_most("MB", ottla, 1_000.0)],
        "start_s" if case == "partitions-50000" => vec![at_most("s", ottla, 5.0)],
        "start_after_kill_s" if case == "partitions-50000" => vec![at_most("s", ottla, 10.0)],
        "idle_cpu_percent" if case == "partitions-50000" => vec![at_most("%", ottla, 1.0)],
        "p99_ms" if case.starts_with("latency-") => vec![at_most("of Kafka", ratio, 0.5)],
        "idle_rss_mb" => vec![at_most("MB", ottla, 30.0)],
        "start_ms" => vec![at_most("ms", ottla, 100.0)],
        "stop_ms" => vec![at_most("ms", ottla, 200.0)],
        _ => Vec::new(),
    }
}

fn client_settings() -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("partitions", parameters::PARTITIONS.to_string()),
        ("batch_bytes", parameters::BATCH_BYTES.to_string()),
        ("linger_ms", parameters::LINGER_MS.to_string()),
        ("fetch_bytes", parameters::FETCH_BYTES.to_string()),
        ("bare_chunk_bytes", parameters::CHUNK_BYTES.to_string()),
        ("appended_batch_bytes", parameters::APPENDED_BATCH_BYTES.to_string()),
        ("many_batch_bytes", parameters::MANY_BATCH_BYTES.to_string()),
        ("many_connections", parameters::MANY_CONNECTIONS.to_string()),
        ("many_in_flight", parameters::MANY_IN_FLIGHT.to_string()),
        ("many_open_files", parameters::OPEN_FILES_MAX.to_string()),
        ("codec", "none".to_owned()),
        ("java_client", ottla_peer::java::KAFKA_VERSION.to_owned()),
        ("java_options", parameters::CLIENT_JVM.join(" ")),
        ("librdkafka", rdkafka::util::get_rdkafka_version().1),
        ("broker_properties", format!("{:?}", parameters::BROKER_PROPERTIES)),
        ("broker_properties_where_compacting", format!("{:?}", parameters::COMPACTING_PROPERTIES)),
        ("records_per_key", parameters::RECORDS_PER_KEY.to_string()),
    ])
}

fn machine() -> BTreeMap<&'static str, String> {
    let first_line = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned()
    };
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    BTreeMap::from([
        ("processors", processors.to_string()),
        ("model", first_line("/proc/cpuinfo", "model name")),
        ("memory", first_line("/proc/meminfo", "MemTotal")),
        ("kernel", first_line("/proc/sys/kernel/osrelease", "")),
        // Some pace what is sent, over loopback too, at several times the cost.
        ("tcp_congestion_control", first_line("/proc/sys/net/ipv4/tcp_congestion_control", "")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(round: usize, side: Side, case: &'static str, metric: &'static str, value: f64) -> Measurement {
        Measurement { round, side, case, metrics: BTreeMap::from([(metric, value)]) }
    }

    #[test]
    fn the_middle_counts() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(2.5));
    }

    #[test]
    fn ratios_are_of_medians_and_goals_are_judged() {
        let case = "produce-1k-acks1-java";
        let mut measurements = vec![measured(0, Side::Bare, "bare-receive", "broker_cpu_s_per_gb", 1.0)];
        for (round, (ottla, kafka)) in [(1.0, 4.0), (1.2, 4.0), (9.0, 40.0)].into_iter().enumerate() {
            measurements.push(measured(round, Side::Ottla, case, "broker_cpu_s_per_gb", ottla));
            measurements.push(measured(round, Side::Kafka, case, "broker_cpu_s_per_gb", kafka));
        }
        let row = row(&measurements, case, "broker_cpu_s_per_gb");
        assert_eq!((row.ottla, row.kafka, row.bare), (Some(1.2), Some(4.0), Some(1.0)));
        assert_eq!((row.ratio, row.ratio_to_bare), (Some(0.3), Some(1.2)));
        assert!(row.goals.iter().all(|goal| goal.met == Some(true)));
        let missed = super::row(&measurements[1..3], case, "broker_cpu_s_per_gb");
        assert_eq!(missed.goals.iter().map(|goal| goal.met).collect::<Vec<_>>(), [Some(true), None]);
    }
}
