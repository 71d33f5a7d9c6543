//! Random numbers without a generator: a hash of (seed, who, when, what for).
//!
//! Two questions never share a number, and the order in which they are asked cannot matter, so a run gives
//! the same city on any number of threads. Upstream: nothing. Downstream: demand, vehicles, sensors.

/// What a number is for. Two purposes never see the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Dawdle = 1,
    SpeedFactor,
    Origin,
    Destination,
    Departure,
    Probe,
    NoiseEast,
    NoiseNorth,
    SignalOffset,
    Kind,
    Lane,
    Flow,
    Fleet = 64,
    ReportPhase,
    ReportJitter,
    ReceiverQuality,
    WhiteEast,
    WhiteNorth,
    CanyonDepth,
    CanyonEast,
    CanyonNorth,
    CanyonJump,
    Clock,
    Latency,
    Loss,
    Duplicate,
    Outage,
    LoopHealth,
    LoopPassage,
}

/// 64 evenly distributed bits.
///
/// Each word goes through the finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
/// number generators, OOPSLA 2014), which turns any change of one bit into a change of half of them.
pub fn bits(seed: u64, who: u64, step: u64, stream: Stream) -> u64 {
    let mut h = mix(seed ^ 0x9e37_79b9_7f4a_7c15);
    h = mix(h ^ who);
    h = mix(h ^ step);
    mix(h ^ stream as u64)
}

/// 32 evenly distributed bits, for what is asked for every vehicle in every second: one round of mixing less.
pub(crate) fn bits32(seed: u64, who: u32, step: u32, stream: Stream) -> u32 {
    let asked = u64::from(who) << 32 | u64::from(step);
    (mix(mix(seed ^ (stream as u64) << 56).wrapping_add(asked.wrapping_mul(0x9e37_79b9_7f4a_7c15))) >> 32) as u32
}

/// A whole number, 0 ≤ n < `bound`.
///
/// # Panics
/// If `bound` is 0.
pub fn below(bound: u64, seed: u64, who: u64, step: u64, stream: Stream) -> u64 {
    assert!(bound > 0, "there is no number below 0");
    ((u128::from(bits(seed, who, step, stream)) * u128::from(bound)) >> 64) as u64
}

/// A number, 0 ≤ x < 1.
pub fn unit(seed: u64, who: u64, step: u64, stream: Stream) -> f64 {
    // 53 bits are what an f64 holds exactly.
    (bits(seed, who, step, stream) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number of mean 0 and standard deviation 1: the sum of twelve even ones (Irwin–Hall), never beyond ±6.
///
/// Only sums, so that it is the same to the bit on every machine; a logarithm is not.
pub fn normal(seed: u64, who: u64, step: u64, stream: Stream) -> f64 {
    let mut h = bits(seed, who, step, stream);
    let mut sum = 0_u64;
    for _ in 0..6 {
        h = mix(h.wrapping_add(0x9e37_79b9_7f4a_7c15));
        sum += (h >> 32) + (h & 0xffff_ffff);
    }
    sum as f64 / f64::from(u32::MAX) - 6.0
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_numbers_have_mean_0_and_deviation_1() {
        let n = 100_000;
        let (mut sum, mut squares) = (0.0, 0.0);
        for who in 0..n {
            let x = normal(7, who, 3, Stream::NoiseEast);
            sum += x;
            squares += x * x;
        }
        let mean = sum / n as f64;
        let deviation = (squares / n as f64 - mean * mean).sqrt();
        assert!(mean.abs() < 0.02 && (deviation - 1.0).abs() < 0.02, "mean {mean}, deviation {deviation}");
    }

    #[test]
    fn every_word_matters_and_even_numbers_are_even() {
        let base = bits(1, 2, 3, Stream::Dawdle);
        for other in [
            bits(2, 2, 3, Stream::Dawdle),
            bits(1, 3, 3, Stream::Dawdle),
            bits(1, 2, 4, Stream::Dawdle),
            bits(1, 2, 3, Stream::Probe),
        ] {
            assert!((10..54).contains(&(base ^ other).count_ones()), "{base:x} {other:x}");
        }
        let mut counts = [0_u32; 10];
        for who in 0..100_000 {
            counts[below(10, 1, who, 0, Stream::Origin) as usize] += 1;
        }
        assert!(counts.iter().all(|c| (9_500..10_500).contains(c)), "{counts:?}");
    }
}
