//! Which segments are exported: all, those of some classes, the worst, and never more than a cap.
//!
//! Upstream: flags, or a query of a scrape. Downstream: [`super::segments`]. A segment is a few series in somebody's
//! Prometheus, each some 3 kB of its memory, so a city says which it wants; the rest is counted, not forgotten.

use roads::{Network, RoadClass};

use crate::metric::traffic::SegmentMetrics;
use crate::metric::window::Window;

/// What is exported of the segments with a published speed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// All segments of these classes.
    pub classes: Vec<RoadClass>,
    /// And of the others so many with the lowest speed ratio.
    pub worst: usize,
    /// Never more than so many in a window; the slowest stay.
    pub segments_max: usize,
    pub windows: Vec<Window>,
}

impl Default for Policy {
    /// Main roads and the worst 500 in windows of one and five minutes, at most 10,000: 120,000 series.
    fn default() -> Self {
        Self {
            classes: vec![RoadClass::Motorway, RoadClass::Trunk, RoadClass::Primary, RoadClass::Secondary],
            worst: 500,
            segments_max: 10_000,
            windows: vec![Window::OneMinute, Window::FiveMinutes],
        }
    }
}

/// Why a choice makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error(
        "`{0}` is no class of roads; there are motorway, trunk, primary, secondary, tertiary, residential, service, all, none"
    )]
    Class(String),
    #[error("`{0}` is no window; there are 1m, 5m, 15m, 60m")]
    Window(String),
}

impl Policy {
    /// Classes as a person writes them: names with commas between them, `all`, or `none`.
    ///
    /// # Errors
    /// [`PolicyError::Class`] for another word.
    pub fn classes(text: &str) -> Result<Vec<RoadClass>, PolicyError> {
        match text {
            "all" => Ok(RoadClass::ALL.to_vec()),
            "none" => Ok(Vec::new()),
            names => {
                let class = |name: &str| RoadClass::ALL.into_iter().find(|class| class.name() == name);
                names.split(',').map(|name| class(name).ok_or_else(|| PolicyError::Class(name.to_owned()))).collect()
            }
        }
    }

    /// Windows as a person writes them: labels with commas between them.
    ///
    /// # Errors
    /// [`PolicyError::Window`] for another word.
    pub fn windows(text: &str) -> Result<Vec<Window>, PolicyError> {
        let window = |label: &str| Window::ALL.into_iter().find(|window| window.label() == label);
        text.split(',').map(|label| window(label).ok_or_else(|| PolicyError::Window(label.to_owned()))).collect()
    }

    /// The policy of one scrape that asks for less: these classes and no others, so many of the worst (of these classes,
    /// if there are any), these windows. The cap stays.
    ///
    /// # Errors
    /// [`PolicyError`] for words that are none.
    pub fn narrowed(
        &self,
        class: Option<&str>,
        top: Option<usize>,
        window: Option<&str>,
    ) -> Result<Choice, PolicyError> {
        let only = class.map(Self::classes).transpose()?;
        let windows = window.map_or_else(|| Ok(self.windows.clone()), Self::windows)?;
        let policy = match (&only, top) {
            (_, Some(top)) => Self { classes: Vec::new(), worst: top, windows, ..self.clone() },
            (Some(classes), None) => Self { classes: classes.clone(), worst: 0, windows, ..self.clone() },
            (None, None) => Self { windows, ..self.clone() },
        };
        Ok(Choice { policy, only })
    }

    /// Rows of a window that are exported, by class and then by segment.
    pub fn select(&self, segments: &SegmentMetrics, network: &Network, only: Option<&[RoadClass]>) -> Selection {
        let class = |&row: &usize| network.segment(segments.segment[row]).class;
        let slowness = |&a: &usize, &b: &usize| {
            let ratio = &segments.speed_ratio;
            ratio[a].total_cmp(&ratio[b]).then(segments.segment[a].cmp(&segments.segment[b]))
        };
        let all = 0..segments.segment.len();
        let (mut rows, mut others): (Vec<usize>, Vec<usize>) = all.partition(|row| self.classes.contains(&class(row)));
        if let Some(only) = only {
            others.retain(|row| only.contains(&class(row)));
        }
        keep_least(&mut others, self.worst, slowness);
        rows.append(&mut others);
        let by_policy = segments.segment.len() - rows.len();
        let chosen = rows.len();
        keep_least(&mut rows, self.segments_max, slowness);
        let by_cap = chosen - rows.len();
        // Neighbours in the page then share most of their labels.
        rows.sort_unstable_by_key(|row| (class(row), segments.segment[*row]));
        Selection { rows, by_policy, by_cap }
    }
}

/// A policy for one scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub policy: Policy,
    /// The worst are looked for among these classes; `None` for all.
    pub only: Option<Vec<RoadClass>>,
}

/// What was chosen, and how much was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    pub rows: Vec<usize>,
    pub by_policy: usize,
    pub by_cap: usize,
}

/// Keeps the `n` least, in any order.
fn keep_least(rows: &mut Vec<usize>, n: usize, order: impl Fn(&usize, &usize) -> std::cmp::Ordering) {
    if n < rows.len() {
        if n > 0 {
            rows.select_nth_unstable_by(n - 1, order);
        }
        rows.truncate(n);
    }
}

#[cfg(test)]
mod tests {
    use roads::SegmentIndex;

    use super::*;

    /// The first segment of each class of the demo city, and one row for each; ratios fall with the row.
    fn city() -> (Network, SegmentMetrics) {
        let network = roads::generate::metropolis(&roads::generate::MetropolisPlan::default()).network;
        let n = network.segments().len();
        let segment: Vec<_> = (0..n as u32).map(SegmentIndex).collect();
        let speed_ratio = (0..n).map(|row| 1.0 - row as f64 / n as f64).collect();
        (network, SegmentMetrics { segment, speed_ratio, ..SegmentMetrics::default() })
    }

    #[test]
    fn classes_then_the_worst_of_the_others_then_the_cap() {
        let (network, segments) = city();
        let n = segments.segment.len();
        let of = |class: RoadClass| network.segments().iter().filter(|s| s.class == class).count();
        let policy = |classes: &[RoadClass], worst, segments_max| {
            let policy = Policy { classes: classes.to_vec(), worst, segments_max, ..Policy::default() };
            policy.select(&segments, &network, None)
        };
        let primary = of(RoadClass::Primary);
        assert!(primary > 10 && n > 2 * primary);
        let one = policy(&[RoadClass::Primary], 7, usize::MAX);
        assert_eq!((one.rows.len(), one.by_policy, one.by_cap), (primary + 7, n - primary - 7, 0));
        let all = policy(&RoadClass::ALL, 500, usize::MAX);
        assert_eq!((all.rows.len(), all.by_policy), (n, 0));
        let worst = policy(&[], 3, usize::MAX);
        assert_eq!(worst.rows.iter().copied().min(), Some(n - 3), "the last rows are the slowest");
        let capped = policy(&RoadClass::ALL, 0, 5);
        assert_eq!((capped.rows.len(), capped.by_policy, capped.by_cap), (5, 0, n - 5));
        assert!(capped.rows.iter().all(|row| *row >= n - 5), "the cap keeps the slowest");
        let none = policy(&[], 0, 5);
        assert_eq!((none.rows.len(), none.by_policy), (0, n));
    }

    #[test]
    fn a_scrape_may_ask_for_less() {
        let (network, segments) = city();
        let chosen = |class, top, window| {
            let choice = Policy::default().narrowed(class, top, window)?;
            Ok::<_, PolicyError>(choice.policy.select(&segments, &network, choice.only.as_deref()))
        };
        let class_of = |row: usize| network.segment(segments.segment[row]).class;
        let top = chosen(Some("residential"), Some(4), None).unwrap();
        assert!(top.rows.len() == 4 && top.rows.iter().all(|row| class_of(*row) == RoadClass::Residential));
        let only = chosen(Some("primary,secondary"), None, Some("5m")).unwrap();
        assert!(only.rows.iter().all(|row| [RoadClass::Primary, RoadClass::Secondary].contains(&class_of(*row))));
        assert_eq!(chosen(Some("alley"), None, None), Err(PolicyError::Class("alley".into())));
        assert_eq!(chosen(None, None, Some("2m")), Err(PolicyError::Window("2m".into())));
    }
}
