//! Keys of a client-metrics subscription.

use crate::declaration::{Declaration, Rule, int, list};

pub(super) const KEYS: &[Declaration] = &[
    list("metrics", "").accepted("Metrics to send, by name prefix; `*` for all."),
    int("interval.ms", "300000").rule(Rule::Between(100, 3_600_000)).accepted("How often clients send them."),
    list("match", "").accepted("Which clients send, as `name=regular expression` separated by commas."),
];
