//! What pictures are drawn with: an axis, a line, a text.
//!
//! Upstream: [`super`]. Downstream: SVG.

use crate::report::table::{escaped, push};

/// Width of every picture, in its own units.
pub(super) const WIDTH: f64 = 980.0;

/// A linear axis in pixels.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// Over values, with some air; `with` is on it in any case.
    pub(super) fn over(values: impl Iterator<Item = f64>, with: Option<f64>, from: f64, to: f64) -> Self {
        let (low, high) = values.chain(with).fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let air = if high > low { (high - low) * 0.06 } else { high.abs().max(1.0) * 0.1 };
        let low = if low >= 0.0 { (low - air).max(0.0) } else { low - air };
        Self { low, high: high + air, from, to }
    }

    pub(super) fn at(self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Round values on it, about `n`.
    pub(super) fn ticks(self, n: f64) -> Vec<f64> {
        let raw = (self.high - self.low) / n;
        let power = 10_f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= raw).unwrap_or(power * 10.0);
        let first = (self.low / step).ceil() as i64;
        let last = (self.high / step).floor() as i64;
        (first..=last).map(|i| i as f64 * step).collect()
    }
}

pub(super) fn digits(ticks: &[f64]) -> usize {
    let step = ticks.windows(2).map(|w| w[1] - w[0]).fold(1.0, f64::min);
    if step >= 1.0 {
        0
    } else if step >= 0.1 {
        1
    } else {
        2
    }
}

pub(super) fn open(height: f64, title: &str, description: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><title>{}</title><desc>{}</desc>",
        escaped(title),
        escaped(description)
    )
}

pub(super) fn text(out: &mut String, x: f64, y: f64, anchor: &str, class: &str, words: &str) {
    push(
        out,
        format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{}</text>",
            escaped(words)
        ),
    );
}

pub(super) fn line(out: &mut String, class: &str, x1: f64, y1: f64, x2: f64, y2: f64) {
    push(out, format_args!("<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"));
}

/// A name that fits.
pub(super) fn shortened(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most - 1).chain(['…']).collect()
}

/// A date above a column, where there is room for it.
pub(super) fn date_label(out: &mut String, x: f64, date: &str) {
    if x + 70.0 <= WIDTH {
        text(out, x, 20.0, "start", "", date);
    }
}
