//! Days put into the tables together: each is added up once, and breaking off anywhere changes nothing in the end.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::tables;
use crate::calendar::{date, dates};
use crate::report::made::Made;
use crate::report::profile::{Updated, update, update_until};
use crate::report::tests::{history, made};

const STRETCH: &str = "2026-06-01..2026-06-16";

fn june() -> Made {
    Made { hours: (6, 8), ..made("2026-06-01", "2026-06-16") }
}

#[test]
fn days_that_all_have_changed_are_each_added_up_once() {
    let (folder, fresh) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let days = dates(STRETCH).unwrap();
    let first = history(&june(), folder.path());
    assert_eq!(update(&first, &days).unwrap(), Updated { made: 16, kept: 0, summed: 16 });
    let other = Made { seed: 99, ..june() };
    other.write(folder.path()).unwrap();
    assert_eq!(update(&first, &days).unwrap(), Updated { made: 16, kept: 0, summed: 16 });
    update(&history(&other, fresh.path()), &days).unwrap();
    assert_eq!(tables(folder.path()), tables(fresh.path()));

    // One Monday of three: the other two are in the same sum.
    let monday = date("2026-06-08").unwrap();
    let third = Made { seed: 5, from: monday, to: monday, ..june() };
    third.write(folder.path()).unwrap();
    assert_eq!(update(&first, &(monday..=monday)).unwrap(), Updated { made: 1, kept: 0, summed: 3 });
    assert_eq!(update(&first, &(monday..=monday)).unwrap(), Updated { made: 0, kept: 1, summed: 0 });
}

#[test]
fn stopping_anywhere_and_going_on_gives_the_same_tables() {
    let whole = tempfile::tempdir().unwrap();
    let days = dates(STRETCH).unwrap();
    update(&history(&june(), whole.path()), &days).unwrap();
    let expected = tables(whole.path());
    for seed in [None, Some(99)] {
        // Made for the first time, and made again of other files.
        let folder = tempfile::tempdir().unwrap();
        let mut history_of = history(&june(), folder.path());
        if let Some(seed) = seed {
            history_of = history(&Made { seed, ..june() }, folder.path());
            update(&history_of, &days).unwrap();
            june().write(folder.path()).unwrap();
        }
        let (mut made, mut turns) = (0, 0);
        // Each turn goes a little farther before it is stopped.
        while made < 16 {
            let asked = AtomicUsize::new(0);
            let updated = update_until(&history_of, &days, &|| asked.fetch_add(1, Ordering::Relaxed) > turns).unwrap();
            made += updated.made;
            turns += 1;
            assert!(turns < 50, "{made} days are made");
        }
        assert!(turns > 3);
        assert_eq!(update(&history_of, &days).unwrap().kept, 16);
        assert_eq!(tables(folder.path()), expected);
    }
}
