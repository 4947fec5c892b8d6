//! Bytes per second, shared by all who spend them.
//!
//! Pure: whoever spends says so, and is told how long to wait before going on. What is owed is kept in bytes, so that a rate
//! that changes counts for what was spent before too. Invariant: over any time longer than one spending no more is spent than
//! the rate allows; what was not spent is not saved up.

use std::time::Duration;

/// See the file's head. Times count from any fixed moment.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// Bytes that were spent and are not paid for.
    owed: f64,
    /// Until when was paid.
    paid: Duration,
}

impl Throttle {
    /// Notes that `bytes` were spent.
    pub(super) fn spend(&mut self, bytes: u64) {
        self.owed += bytes as f64;
    }

    /// Pays for the time until `now`; how long the rest takes at this rate.
    pub(super) fn pay(&mut self, now: Duration, bytes_per_second: f64) -> Duration {
        let rate = bytes_per_second.max(1.0);
        let time = now.saturating_sub(self.paid);
        self.paid = self.paid.max(now);
        self.owed = (self.owed - rate * time.as_secs_f64()).max(0.0);
        Duration::try_from_secs_f64(self.owed / rate).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn spend(throttle: &mut Throttle, now: Duration, bytes: u64, rate: f64) -> Duration {
        throttle.pay(now, rate);
        throttle.spend(bytes);
        throttle.pay(now, rate)
    }

    #[test]
    fn spending_takes_as_long_as_the_rate_says() {
        let mut throttle = Throttle::default();
        assert_eq!(spend(&mut throttle, ms(1000), 500, 1000.0), ms(500));
        assert_eq!(spend(&mut throttle, ms(1000), 500, 1000.0), ms(1000), "another thread pays for both");
        assert_eq!(spend(&mut throttle, ms(2000), 100, 1000.0), ms(100), "what was waited for is paid");
        assert_eq!(spend(&mut throttle, ms(90_000), 100, 1000.0), ms(100), "idle time is not saved up");
        assert_eq!(spend(&mut throttle, ms(90_100), 100, f64::MAX), Duration::ZERO);
    }

    #[test]
    fn another_rate_counts_for_what_is_owed() {
        let mut throttle = Throttle::default();
        assert_eq!(spend(&mut throttle, ms(0), 1_000_000, 1.0), Duration::from_secs(1_000_000));
        assert_eq!(throttle.pay(ms(0), 1_000_000.0), ms(1000));
        assert_eq!(throttle.pay(ms(500), 1000.0), ms(999_500), "it was low all the time until now");
        assert_eq!(throttle.pay(ms(500), f64::MAX), Duration::ZERO);
    }

    #[test]
    fn a_rate_of_nothing_is_one_byte_a_second() {
        let mut throttle = Throttle::default();
        assert_eq!(spend(&mut throttle, Duration::ZERO, 3, 0.0), Duration::from_secs(3));
        assert!(spend(&mut throttle, Duration::ZERO, u64::MAX, 0.0) > Duration::from_secs(1 << 40));
    }
}
