//! Progress of long work on a terminal; silent where there is none.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar over bytes read.
pub(crate) fn bytes(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:32} {bytes}/{total_bytes} {msg} {eta}");
    ProgressBar::new(total).with_style(style.expect("the template is fixed"))
}

/// A line that only says what is going on.
pub(crate) fn line() -> ProgressBar {
    ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{msg}").expect("the template is fixed"))
}

/// A bar over parts of a whole, in whatever unit.
pub(crate) fn share(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:32} {percent:>3} % {msg} {eta}");
    ProgressBar::new(total).with_style(style.expect("the template is fixed"))
}
