//! How much of an answer a small request may ask for.
//!
//! Invariant: what is there is described once for nothing, so an answer about all topics of a cluster has no limit; what
//! is named again, or is not there and has defaults only, is bounded, however often a request names it.

use std::collections::HashSet;

/// Configurations for resources that are named again or are not there: some 40 MB.
const CONFIGS_MAX: usize = 100_000;

/// See the file's head.
#[derive(Debug)]
pub(super) struct Allowance<'a> {
    left: usize,
    /// Type and name of what was described for nothing.
    described: HashSet<(i8, &'a str)>,
}

impl<'a> Allowance<'a> {
    pub(super) fn new() -> Self {
        Self { left: CONFIGS_MAX, described: HashSet::new() }
    }

    /// Whether one more resource may be described that is there or `is_there` not, and what that costs.
    pub(super) fn price(&mut self, resource_type: i8, name: &'a str, is_there: bool) -> Option<Price> {
        if is_there && self.described.insert((resource_type, name)) {
            return Some(Price::Nothing);
        }
        (self.left > 0).then_some(Price::EachConfig)
    }

    /// Takes what `configs` of them cost.
    pub(super) fn pay(&mut self, price: Price, configs: usize) {
        if price == Price::EachConfig {
            self.left = self.left.saturating_sub(configs);
        }
    }
}

/// What a description costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Price {
    Nothing,
    EachConfig,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Describes a resource with this many configurations, if that is allowed.
    fn described<'a>(allowance: &mut Allowance<'a>, name: &'a str, is_there: bool, configs: usize) -> bool {
        let price = allowance.price(2, name, is_there);
        price.inspect(|price| allowance.pay(*price, configs)).is_some()
    }

    #[test]
    fn what_is_there_costs_nothing_the_first_time() {
        let mut allowance = Allowance::new();
        assert!(described(&mut allowance, "a", true, usize::MAX));
        assert!(described(&mut allowance, "b", true, usize::MAX));
        assert!(described(&mut allowance, "a", true, CONFIGS_MAX), "the second time uses the allowance up");
        assert!(!described(&mut allowance, "a", true, 1));
        assert!(described(&mut allowance, "c", true, 1));
    }

    #[test]
    fn what_is_not_there_is_bounded() {
        let mut allowance = Allowance::new();
        assert!(described(&mut allowance, "a", false, CONFIGS_MAX - 1));
        assert!(described(&mut allowance, "b", false, 1));
        assert!(!described(&mut allowance, "c", false, 1));
    }
}
