//! 64 classes of speed, and the metres of one segment in each.
//!
//! Upstream: [`super::Speeds`]. The classes are 5 % wide and a percentile is the middle of its class, so it is within
//! 2.5 % of the exact one from 1.7 to 36 m/s (6 to 130 km/h).

/// Classes of speed.
pub(super) const BINS: usize = 64;

/// Lower border of class 1, m/s; class 0 is everything slower, the last class everything faster than
/// [`FASTEST_MPS`].
const SLOWEST_MPS: f64 = 1.7;
pub(super) const FASTEST_MPS: f64 = 36.0;

/// Centimetres in each class of one segment: 42,949 km fit, that is 16,000 vehicles an hour over 2.6 km. Beyond that
/// a class counts from 0 again, and taking away still gives what is left.
pub(super) type Spread = [u32; BINS];

const SHARES: [f64; 3] = [0.15, 0.50, 0.85];

/// The class that holds each share of the metres; [`NO_CLASS`] where nothing was driven.
pub(super) type Classes = [u8; SHARES.len()];

/// Nothing was driven.
pub(super) const NO_CLASS: u8 = u8::MAX;

/// Bits of a speed that are looked up: 8 of its mantissa, so a step of the table is 0.4 % at most and no step holds two
/// borders of classes.
const STEP_BITS: u32 = 44;

/// Finds the class of a speed without a logarithm.
#[derive(Debug)]
pub(super) struct Borders {
    /// Lower border of each class, m/s; that of class 0 is never asked for.
    lower_mps: [f64; BINS],
    /// The class at the begin of each step of the table.
    at_step: Vec<u8>,
    middle_mps: [f64; BINS],
}

impl Default for Borders {
    fn default() -> Self {
        let mut lower_mps = [0.0; BINS];
        for (bin, lower) in lower_mps.iter_mut().enumerate().skip(1) {
            // The first speed of the class, to the bit.
            let (mut below, mut above) = (1.0_f64.to_bits(), 64.0_f64.to_bits());
            while above - below > 1 {
                let middle = below.midpoint(above);
                if by_logarithm(f64::from_bits(middle)) < bin { below = middle } else { above = middle }
            }
            *lower = f64::from_bits(above);
        }
        let (first, last) = (lower_mps[1].to_bits() >> STEP_BITS, lower_mps[BINS - 1].to_bits() >> STEP_BITS);
        let at_step = (first..=last).map(|step| by_logarithm(f64::from_bits(step << STEP_BITS)) as u8).collect();
        Self { lower_mps, at_step, middle_mps: std::array::from_fn(middle) }
    }
}

impl Borders {
    /// The class of a speed, m/s.
    #[inline]
    pub(super) fn bin_of(&self, speed_mps: f64) -> usize {
        if speed_mps < self.lower_mps[1] {
            return 0;
        }
        if speed_mps >= self.lower_mps[BINS - 1] {
            return BINS - 1;
        }
        let step = (speed_mps.to_bits() >> STEP_BITS) - (self.lower_mps[1].to_bits() >> STEP_BITS);
        let bin = usize::from(self.at_step[step as usize]);
        bin + usize::from(speed_mps >= self.lower_mps[bin + 1])
    }

    /// Middle of a class, m/s.
    pub(super) fn middle_mps(&self, bin: u8) -> f64 {
        self.middle_mps[usize::from(bin)]
    }
}

fn by_logarithm(speed_mps: f64) -> usize {
    let inner = (BINS - 2) as f64;
    let at = (speed_mps / SLOWEST_MPS).ln() / (FASTEST_MPS / SLOWEST_MPS).ln() * inner;
    if at < 0.0 { 0 } else { (at as usize + 1).min(BINS - 1) }
}

/// Middle of a class, m/s: as far from its lower border as from its upper one, in per cent. The slowest class is
/// told by half of its upper border, the fastest by its lower one.
fn middle(bin: usize) -> f64 {
    let border = |i: f64| SLOWEST_MPS * (FASTEST_MPS / SLOWEST_MPS).powf(i / (BINS - 2) as f64);
    match bin {
        0 => SLOWEST_MPS / 2.0,
        last if last == BINS - 1 => FASTEST_MPS,
        inner => border(inner as f64 - 0.5),
    }
}

/// The class that holds each share of the metres.
pub(super) fn classes(spread: &Spread) -> Classes {
    let total: u64 = spread.iter().map(|&cm| u64::from(cm)).sum();
    if total == 0 {
        return [NO_CLASS; SHARES.len()];
    }
    // The first class up to which there are so many, counted as those up to which there are fewer: no branches.
    let wanted = SHARES.map(|share| (share * total as f64).ceil() as u64);
    let (mut found, mut so_far) = ([0; SHARES.len()], 0);
    for &cm in spread {
        so_far += u64::from(cm);
        found.iter_mut().zip(wanted).for_each(|(class, wanted)| *class += u8::from(so_far < wanted));
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_speed_is_within_two_and_a_half_percent_of_its_class() {
        let borders = Borders::default();
        for tenth in 17..360 {
            let speed = f64::from(tenth) / 10.0 + 0.01;
            let told = borders.middle_mps(borders.bin_of(speed) as u8);
            assert!((told / speed - 1.0).abs() < 0.0251 || speed > FASTEST_MPS, "{speed}");
        }
        assert_eq!([0.01, 1.69, 36.1, 90.0].map(|speed| borders.bin_of(speed)), [0, 0, 63, 63]);
    }

    #[test]
    fn the_table_knows_every_border_to_the_bit() {
        let borders = Borders::default();
        for bin in 1..BINS {
            let first = borders.lower_mps[bin];
            assert_eq!((borders.bin_of(first), by_logarithm(first)), (bin, bin));
            assert_eq!((borders.bin_of(first.next_down()), by_logarithm(first.next_down())), (bin - 1, bin - 1));
        }
    }

    proptest! {
        #[test]
        fn the_table_says_what_the_logarithm_says(distance_mm in 1_i64..1_000_000, time_ms in 1_i64..60_000) {
            let speed_mps = distance_mm as f64 / time_ms as f64;
            prop_assert_eq!(Borders::default().bin_of(speed_mps), by_logarithm(speed_mps));
        }
    }
}
