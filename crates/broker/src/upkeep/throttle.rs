//! Bytes per second, shared by all who spend them.
//!
//! Pure: whoever spends says when, and is told how long to wait before going on. Invariant: over any time longer than one
//! spending no more is spent than the rate allows; what was not spent is not saved up.

use std::time::Duration;

/// See the file's head. Times count from any fixed moment.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// When everything spent so far is paid for.
    paid: Duration,
}

impl Throttle {
    /// Notes that `bytes` were spent at `now`; how long to wait.
    pub(super) fn spend(&mut self, now: Duration, bytes: u64, bytes_per_second: f64) -> Duration {
        let price = Duration::try_from_secs_f64(bytes as f64 / bytes_per_second.max(1.0)).unwrap_or(Duration::MAX);
        self.paid = self.paid.max(now).saturating_add(price);
        self.paid - now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spending_takes_as_long_as_the_rate_says() {
        let ms = Duration::from_millis;
        let mut throttle = Throttle::default();
        assert_eq!(throttle.spend(ms(1000), 500, 1000.0), ms(500));
        assert_eq!(throttle.spend(ms(1000), 500, 1000.0), ms(1000), "another thread pays for both");
        assert_eq!(throttle.spend(ms(2000), 100, 1000.0), ms(100), "what was waited for is paid");
        assert_eq!(throttle.spend(ms(90_000), 100, 1000.0), ms(100), "idle time is not saved up");
        assert_eq!(throttle.spend(ms(90_100), 100, f64::MAX), Duration::ZERO);
    }

    #[test]
    fn a_rate_of_nothing_is_one_byte_a_second() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.spend(Duration::ZERO, 3, 0.0), Duration::from_secs(3));
        assert!(throttle.spend(Duration::ZERO, u64::MAX, 0.0) > Duration::from_secs(1 << 40));
    }
}
