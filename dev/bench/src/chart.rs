//! The result as a picture: Ottla's ratio to Kafka for each case and metric, the line in the middle being equal.

use std::fmt::Write;

use crate::report::Row;

const ROW: f64 = 22.0;
const LEFT: f64 = 400.0;
const WIDTH: f64 = 1000.0;
/// The ratio at both ends of the scale, which is logarithmic.
const SCALE_MAX: f64 = 16.0;
const BETTER: &str = "#2a9d5c";
const WORSE: &str = "#c44536";

/// An SVG picture of the rows that have a ratio.
pub(crate) fn svg(rows: &[Row]) -> String {
    let rows: Vec<_> = rows.iter().filter_map(|row| Some((row, row.ratio.filter(|ratio| *ratio > 0.0)?))).collect();
    let height = ROW * (rows.len() as f64 + 2.5);
    let mut text = String::new();
    let _ = write!(
        text,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"18\" font-size=\"14\">Ottla divided by Apache Kafka (green: Ottla is better)</text>\n"
    );
    for (at, (row, ratio)) in rows.iter().enumerate() {
        bar(&mut text, ROW * (at as f64 + 2.0), row, *ratio);
    }
    let _ = writeln!(
        text,
        "<line x1=\"{0}\" y1=\"{ROW}\" x2=\"{0}\" y2=\"{height}\" stroke=\"#333\"/>\n</svg>",
        place(1.0)
    );
    text
}

/// Where a ratio stands from the left.
fn place(ratio: f64) -> f64 {
    let part = (ratio.clamp(1.0 / SCALE_MAX, SCALE_MAX).ln() / SCALE_MAX.ln() + 1.0) / 2.0;
    LEFT + part * (WIDTH - LEFT - 60.0)
}

fn bar(text: &mut String, y: f64, row: &Row, ratio: f64) {
    let more_is_better = row.metric.ends_with("_per_s");
    let colour = if (ratio >= 1.0) == more_is_better { BETTER } else { WORSE };
    let (from, to) = (place(ratio.min(1.0)), place(ratio.max(1.0)));
    let _ = writeln!(
        text,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{} {}</text><rect x=\"{from:.1}\" y=\"{y}\" width=\"{:.1}\" \
         height=\"{}\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\">{ratio:.2}</text>",
        LEFT - 8.0,
        y + 13.0,
        row.case,
        row.metric,
        to - from,
        ROW - 6.0,
        to + 4.0,
        y + 13.0,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(metric: &'static str, ratio: Option<f64>) -> Row {
        Row {
            case: "c",
            metric,
            ottla: None,
            kafka: None,
            bare: None,
            stand_in: None,
            ratio,
            ratio_to_bare: None,
            ratio_to_stand_in: None,
            goals: Vec::new(),
        }
    }

    #[test]
    fn better_is_green_whichever_way_it_points() {
        let colours = |metric, ratio| {
            let text = svg(&[row(metric, Some(ratio))]);
            (text.contains(BETTER), text.contains(WORSE))
        };
        assert_eq!(colours("mb_per_s", 2.0), (true, false));
        assert_eq!(colours("mb_per_s", 0.5), (false, true));
        assert_eq!(colours("p99_ms", 0.5), (true, false));
        assert_eq!(colours("broker_cpu_s_per_gb", 2.0), (false, true));
    }

    #[test]
    fn rows_without_a_ratio_are_left_out() {
        assert!(!svg(&[row("p99_ms", None)]).contains(" p99_ms"));
    }
}
