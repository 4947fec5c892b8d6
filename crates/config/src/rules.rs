//! Whether a value keeps its declaration's rule.

use crate::declaration::{Declaration, Kind, Rule};
use crate::error::Reason;
use crate::value::Value;

/// Why `value` breaks the rule of `declaration`; `None` when it keeps it.
pub(crate) fn broken(declaration: &Declaration, value: &Value) -> Option<Reason> {
    match declaration.rule {
        Rule::Any => plain(declaration.kind, value),
        Rule::AtLeast(least) => below(value.integer(), least),
        Rule::Between(least, most) => {
            below(value.integer(), least).or((value.integer() > most).then_some(Reason::AboveInteger(most)))
        }
        Rule::Within(least, most) => within(value.double(), least, most),
        Rule::OneOf(words) => (!words.contains(&value.text())).then_some(Reason::NotOneOf(words)),
        Rule::OneOfAnyCase(words) => {
            (!words.iter().any(|word| word.eq_ignore_ascii_case(value.text()))).then_some(Reason::NotOneOf(words))
        }
        Rule::EachOf(words) => {
            value.list().iter().any(|element| !words.contains(&&**element)).then_some(Reason::NotOneOf(words))
        }
        Rule::GzipLevel => (!matches!(value.integer(), -1 | 1..=9)).then_some(Reason::NotGzipLevel),
        Rule::ThrottledReplicas => (!throttled_replicas(value.list())).then_some(Reason::NotThrottledReplicas),
        Rule::NonEmpty => value.text().is_empty().then_some(Reason::Empty),
        Rule::AutoOffsetReset => (!auto_offset_reset(value.text())).then_some(Reason::NotAutoOffsetReset),
        Rule::HostCounts => (host_counts(value.text()).is_none()).then_some(Reason::NotHostCounts),
        Rule::PositiveOrUnlimited => (value.integer() == 0).then_some(Reason::ZeroLimit),
    }
}

fn below(number: i64, least: i64) -> Option<Reason> {
    (number < least).then_some(Reason::BelowInteger(least))
}

fn within(number: f64, least: f64, most: f64) -> Option<Reason> {
    if number < least {
        Some(Reason::BelowDouble(least))
    } else if number > most {
        Some(Reason::AboveDouble(most))
    } else {
        None
    }
}

fn plain(kind: Kind, value: &Value) -> Option<Reason> {
    (kind == Kind::List && value.list().iter().any(|element| element.is_empty())).then_some(Reason::EmptyElement)
}

fn throttled_replicas(elements: &[Box<str>]) -> bool {
    matches!(elements, [only] if &**only == "*") || elements.iter().all(|pair| throttled_replica(pair).is_some())
}

/// Partition and broker of `partition:broker`.
pub(crate) fn throttled_replica(pair: &str) -> Option<(i32, i32)> {
    let (partition, broker) = pair.split_once(':')?;
    Some((partition.parse().ok().filter(|p| *p >= 0)?, broker.parse().ok().filter(|b| *b >= 0)?))
}

/// Hosts and counts of `host:count,host:count`; the host may be an IPv6 address.
pub(crate) fn host_counts(text: &str) -> Option<Vec<(Box<str>, i32)>> {
    crate::value::elements(text)
        .iter()
        .map(|pair| {
            let (host, count) = pair.rsplit_once(':')?;
            let host = host.trim().trim_start_matches('[').trim_end_matches(']');
            let count = count.trim().parse().ok().filter(|count| *count >= 0)?;
            (!host.is_empty()).then(|| (host.into(), count))
        })
        .collect()
}

fn auto_offset_reset(text: &str) -> bool {
    match text.strip_prefix("by_duration:") {
        Some(duration) => iso_duration(duration),
        None => matches!(text, "earliest" | "latest"),
    }
}

// `PnDTnHnMn.nS`, without a sign: each part at most once, in this order, at least one, none dangling after the T.
fn iso_duration(text: &str) -> bool {
    let Some(body) = text.strip_prefix(['P', 'p']) else { return false };
    let (days, time) = match body.split_once(['T', 't']) {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return false,
        None => (body, ""),
    };
    let parts = [(days, "Dd", false), (time, "", true)];
    !body.is_empty()
        && parts.iter().all(|(part, unit, is_time)| if *is_time { time_parts(part) } else { whole(part, unit) })
}

fn whole(part: &str, unit: &str) -> bool {
    part.is_empty() || part.strip_suffix(|c| unit.contains(c)).is_some_and(digits)
}

fn time_parts(mut text: &str) -> bool {
    for unit in ["Hh", "Mm"] {
        if let Some((number, rest)) = text.split_once(|c| unit.contains(c)) {
            if !digits(number) {
                return false;
            }
            text = rest;
        }
    }
    text.is_empty() || text.strip_suffix(['S', 's']).is_some_and(seconds)
}

fn seconds(text: &str) -> bool {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    digits(whole) && digits(fraction) && fraction.len() <= 9
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.len() <= 18 && text.bytes().all(|b| b.is_ascii_digit())
}
