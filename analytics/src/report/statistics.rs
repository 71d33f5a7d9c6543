//! A change between two groups of days: how large, and between which bounds.
//!
//! Upstream: one figure a day. Downstream: [`super::compare`], [`super::ranking`].
//!
//! Days are what varies, so days are what is drawn again: rows of one day resemble each other, and a bootstrap over rows
//! would be far too sure. Weekdays are matched: the change is taken within each weekday and weighted by
//! n₁n₂/(n₁+n₂), which is least squares with a mean for every weekday, so that five Fridays against four are no change.
//!
//! With twenty days a percentile bootstrap covers too little. The interval here is the wider of two: the studentised
//! bootstrap (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 5.2.1) that draws residuals
//! about the weekdays' means, each group its own, enlarged by √(n/(n−weekdays)); and Student's t with Welch's degrees of
//! freedom. Both are widened by √((1+ρ)/(1−ρ)), ρ being the correlation of a day's residual with that of the day before
//! (Bayley and Hammersley 1946), since bad days come in runs; only where ρ is above 0, and ρ is corrected for the bias
//! of short series. `docs/history.md` has the share of intervals that hold the truth.
//!
//! One week against one week has each weekday once, and so no spread within weekdays: [`paired`] judges that.

mod paired;

use serde::Serialize;

/// Share of intervals that should hold the truth.
pub const CONFIDENCE: f64 = 0.95;

/// Times that days are drawn again.
pub const RESAMPLES: usize = 2_000;

/// Fewest days in each group for an interval.
pub const DAYS_MIN: usize = 4;

/// Fewest degrees of freedom for an interval.
const FREEDOM_MIN: f64 = 3.0;

/// A larger correlation of neighbouring days is not believed.
const CORRELATION_MAX: f64 = 0.7;

/// One day's figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DayValue {
    /// Days since a fixed one: neighbours differ by 1.
    pub day: i64,
    /// 1 to 7.
    pub weekday: u8,
    pub value: f64,
}

/// What is asked of two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// After minus before.
    Difference,
    /// After over before, minus 1.
    Relative,
}

/// A change with its bounds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// Whether the interval lies on one side of 0.
    pub fn is_clear(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    /// In another unit.
    pub fn times(self, factor: f64) -> Self {
        Self { value: self.value * factor, low: self.low * factor, high: self.high * factor }
    }

    /// Rounded for an answer, outwards enough to keep its side of 0.
    pub fn rounded(self, digits: i32) -> Self {
        let of = |x: f64| super::rounded(x, digits);
        Self { value: of(self.value), low: of(self.low), high: of(self.high) }
    }
}

/// One group, taken apart by weekday.
struct Group {
    /// Days and mean of each weekday.
    n: [f64; 8],
    mean: [f64; 8],
    /// Residual of every day, enlarged to their own spread, in order of days.
    residuals: Vec<f64>,
    weekdays: Vec<u8>,
    days: Vec<i64>,
    /// Variance of a day about its weekday's mean, and its degrees of freedom.
    variance: f64,
    freedom: f64,
}

/// Means over the weekdays that both groups have, and their variances.
#[derive(Clone, Copy)]
struct Estimate {
    before: f64,
    after: f64,
    var_before: f64,
    var_after: f64,
    freedom_before: f64,
    freedom_after: f64,
}

/// The mean of each group over the weekdays that both have, weighted alike; `None` where there is none.
pub fn matched_means(before: &[DayValue], after: &[DayValue]) -> Option<(f64, f64)> {
    let (before, after) = matched(before, after);
    let (b, a) = (Group::new(&before), Group::new(&after));
    estimate(&b, &a).map(|e| (e.before, e.after))
}

/// Days of weekdays that both groups have, in order.
pub fn matched(before: &[DayValue], after: &[DayValue]) -> (Vec<DayValue>, Vec<DayValue>) {
    let has = |days: &[DayValue], weekday: u8| days.iter().any(|d| d.weekday == weekday);
    let keep = |days: &[DayValue], other: &[DayValue]| {
        let mut kept: Vec<DayValue> = days.iter().copied().filter(|d| has(other, d.weekday)).collect();
        kept.sort_by_key(|d| d.day);
        kept
    };
    (keep(before, after), keep(after, before))
}

/// The change with its interval; without `resamples` by Student's t alone. `None` where there are too few days.
pub fn change(before: &[DayValue], after: &[DayValue], what: Change, resamples: usize) -> Option<Interval> {
    let (before, after) = matched(before, after);
    let (b, a) = (Group::new(&before), Group::new(&after));
    if b.days.len() < DAYS_MIN || a.days.len() < DAYS_MIN {
        return None;
    }
    if b.freedom < FREEDOM_MIN || a.freedom < FREEDOM_MIN {
        return paired::change(&b, &a, what);
    }
    let found = estimate(&b, &a)?;
    let (value, error, freedom) = judged(found, what)?;
    if error <= 0.0 {
        return Some(Interval { value, low: value, high: value });
    }
    let rho = correlation(&b, &a);
    let error_wide = error * ((1.0 + rho) / (1.0 - rho)).sqrt();
    let t = student(freedom);
    let (mut below, mut above) = (t, t);
    if resamples > 0 {
        let (low, high) = studentised(&b, &a, value, what, resamples)?;
        // The bootstrap's quantiles change sides: a long tail above means that the value may be too high.
        below = below.max(high);
        above = above.max(-low);
    }
    Some(Interval { value, low: value - below * error_wide, high: value + above * error_wide })
}

impl Group {
    fn new(days: &[DayValue]) -> Self {
        let (mut n, mut sum) = ([0.0; 8], [0.0; 8]);
        for day in days {
            n[usize::from(day.weekday)] += 1.0;
            sum[usize::from(day.weekday)] += day.value;
        }
        let mean: [f64; 8] = std::array::from_fn(|w| if n[w] > 0.0 { sum[w] / n[w] } else { 0.0 });
        let plain: Vec<f64> = days.iter().map(|d| d.value - mean[usize::from(d.weekday)]).collect();
        let freedom = days.len() as f64 - n.iter().filter(|n| **n > 0.0).count() as f64;
        let enlarged = if freedom > 0.0 { (days.len() as f64 / freedom).sqrt() } else { 0.0 };
        let variance = if freedom > 0.0 { plain.iter().map(|r| r * r).sum::<f64>() / freedom } else { 0.0 };
        Self {
            n,
            mean,
            residuals: plain.iter().map(|r| r * enlarged).collect(),
            weekdays: days.iter().map(|d| d.weekday).collect(),
            days: days.iter().map(|d| d.day).collect(),
            variance,
            freedom,
        }
    }

    /// The same days with residuals that are drawn again.
    fn drawn(&self, draw: &mut Draw) -> (f64, [f64; 8]) {
        let (mut sum, mut squares) = ([0.0; 8], [0.0; 8]);
        for &weekday in &self.weekdays {
            let value = self.residuals[draw.below(self.residuals.len())];
            sum[usize::from(weekday)] += value;
            squares[usize::from(weekday)] += value * value;
        }
        let mut left = 0.0;
        for w in 0..8 {
            if self.n[w] > 0.0 {
                left += squares[w] - sum[w] * sum[w] / self.n[w];
            }
        }
        let mean = std::array::from_fn(|w| if self.n[w] > 0.0 { self.mean[w] + sum[w] / self.n[w] } else { 0.0 });
        (left.max(0.0) / self.freedom, mean)
    }
}

fn weights(b: &Group, a: &Group) -> Option<[f64; 8]> {
    let plain: [f64; 8] =
        std::array::from_fn(|w| if b.n[w] > 0.0 && a.n[w] > 0.0 { b.n[w] * a.n[w] / (b.n[w] + a.n[w]) } else { 0.0 });
    let total: f64 = plain.iter().sum();
    (total > 0.0).then(|| plain.map(|w| w / total))
}

fn estimate(b: &Group, a: &Group) -> Option<Estimate> {
    let weights = weights(b, a)?;
    Some(with_means(b, a, &weights, (b.variance, b.mean), (a.variance, a.mean)))
}

fn with_means(b: &Group, a: &Group, weights: &[f64; 8], before: (f64, [f64; 8]), after: (f64, [f64; 8])) -> Estimate {
    let mean = |mean: &[f64; 8]| weights.iter().zip(mean).map(|(w, m)| w * m).sum::<f64>();
    let share = |n: &[f64; 8]| weights.iter().zip(n).filter(|(_, n)| **n > 0.0).map(|(w, n)| w * w / n).sum::<f64>();
    Estimate {
        before: mean(&before.1),
        after: mean(&after.1),
        var_before: before.0 * share(&b.n),
        var_after: after.0 * share(&a.n),
        freedom_before: b.freedom,
        freedom_after: a.freedom,
    }
}

/// Value, standard error and degrees of freedom (Welch and Satterthwaite; of a ratio by the delta method).
fn judged(of: Estimate, what: Change) -> Option<(f64, f64, f64)> {
    let (value, b, a) = match what {
        Change::Difference => (of.after - of.before, of.var_before, of.var_after),
        Change::Relative => {
            if of.before <= 0.0 {
                return None;
            }
            let ratio = of.after / of.before;
            let square = of.before * of.before;
            (ratio - 1.0, ratio * ratio * of.var_before / square, of.var_after / square)
        }
    };
    let variance = a + b;
    let freedom = if variance > 0.0 {
        variance * variance / (b * b / of.freedom_before + a * a / of.freedom_after)
    } else {
        of.freedom_before + of.freedom_after
    };
    Some((value, variance.sqrt(), freedom))
}

/// Quantiles of (drawn − found) / error drawn, at both ends.
fn studentised(b: &Group, a: &Group, value: f64, what: Change, resamples: usize) -> Option<(f64, f64)> {
    let weights = weights(b, a)?;
    let mut draw = Draw(0x5eed);
    let mut scores = Vec::with_capacity(resamples);
    for _ in 0..resamples {
        let (before, after) = (b.drawn(&mut draw), a.drawn(&mut draw));
        if let Some((drawn, error, _)) = judged(with_means(b, a, &weights, before, after), what)
            && error > 0.0
        {
            scores.push((drawn - value) / error);
        }
    }
    scores.sort_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    Some((super::quantile(&scores, tail)?, super::quantile(&scores, 1.0 - tail)?))
}

/// Correlation of a day's residual with the one of the day before (within three days: a weekend is no gap), from 0 to
/// [`CORRELATION_MAX`]. The estimate of a short series is too low by about (1 + 3ρ) / n (Kendall 1954): half of the days
/// are given back.
fn correlation(b: &Group, a: &Group) -> f64 {
    let (mut products, mut squares, mut pairs) = (0.0, 0.0, 0.0);
    for group in [b, a] {
        squares += group.residuals.iter().map(|r| r * r).sum::<f64>();
        for i in 1..group.days.len() {
            if group.days[i] - group.days[i - 1] <= 3 {
                products += group.residuals[i] * group.residuals[i - 1];
                pairs += 1.0;
            }
        }
    }
    let n = (b.days.len() + a.days.len()) as f64;
    if squares <= 0.0 || pairs <= 0.0 {
        return 0.0;
    }
    (products / squares * n / pairs + 1.0 / n).clamp(0.0, CORRELATION_MAX)
}

/// The quantile of Student's t at both ends of [`CONFIDENCE`]: Cornish and Fisher's expansion (Abramowitz and Stegun
/// 26.7.5), within 0.5 % from 3 degrees of freedom on.
fn student(freedom: f64) -> f64 {
    const Z: f64 = 1.959_963_984_540_054;
    let z2 = Z * Z;
    let g1 = Z * (z2 + 1.0) / 4.0;
    let g2 = Z * ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0;
    let g3 = Z * (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0;
    let g4 = Z * ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) / 92_160.0;
    let n = freedom.max(1.0);
    Z + g1 / n + g2 / (n * n) + g3 / n.powi(3) + g4 / n.powi(4)
}

/// Numbers that look random: SplitMix64 (Steele, Lea and Flood 2014). The seed is fixed, so a report asked twice says the same.
pub struct Draw(pub u64);

impl Draw {
    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `n`, which is above 0.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// From 0 to 1.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let u = 1.0 - self.share();
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * self.share()).cos()
    }
}
