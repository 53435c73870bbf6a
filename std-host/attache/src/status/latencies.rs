//! Latencies in a histogram of fixed size.

use core::time::Duration;

/// Counts latencies in buckets, four for each power of two of microseconds, so that a quantile differs from the
/// true one by a fifth at most.
#[derive(Clone, Debug)]
pub(super) struct Latencies([u32; BUCKETS]);

/// Up to an hour, which no call exceeds by default.
const BUCKETS: usize = 4 * 32;

impl Default for Latencies {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

impl Latencies {
    pub(super) fn add(&mut self, took: Duration) {
        let count = &mut self.0[bucket(took)];
        *count = count.saturating_add(1);
    }

    pub(super) const fn clear(&mut self) {
        self.0 = [0; BUCKETS];
    }

    /// Returns the latency in microseconds that this share of all is not above. `None` without latencies.
    pub(super) fn quantile(&self, share: f64) -> Option<u64> {
        let all: u64 = self.0.iter().map(|count| u64::from(*count)).sum();
        let mut below = 0;
        let mut counts = self.0.iter().enumerate();
        counts.find_map(|(number, count)| {
            below += u64::from(*count);
            (below > 0 && below as f64 >= share * all as f64).then(|| bound(number))
        })
    }
}

fn bucket(took: Duration) -> usize {
    let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
    let power = microseconds.ilog2() as usize;
    // The two bits below the highest one.
    let quarter = (microseconds << 2 >> power & 3) as usize;
    (4 * power + quarter).min(BUCKETS - 1)
}

/// The upper bound of a bucket, in microseconds.
const fn bound(number: usize) -> u64 {
    let (power, quarter) = (number / 4, number % 4);
    (5 + quarter as u64) << power >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_fifth_of_the_true_ones() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5), None);
        for microseconds in 1..=100_000 {
            latencies.add(Duration::from_micros(microseconds));
        }
        for (share, truly) in [(0.01, 1000.0), (0.5, 50_000.0), (0.95, 95_000.0), (1.0, 100_000.0)] {
            let found = latencies.quantile(share).expect("there are latencies") as f64;
            assert!(found >= truly * 0.99 && found <= truly * 1.25, "{share}: {found}");
        }
    }

    #[test]
    fn every_latency_has_a_bucket() {
        let mut latencies = Latencies::default();
        for took in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(u64::MAX)] {
            latencies.add(took);
        }
        assert_eq!(latencies.quantile(0.5), Some(1));
    }
}
