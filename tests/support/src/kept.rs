//! What retention must not let go, in the tests' own words.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike as _, Days, NaiveDate};

/// Of each of the last days, weeks and months that have a snapshot, one; and the last ones whatever their
/// day. `good` are those that count and miss nothing, oldest first, each with the day it stands for. Of each
/// set that is given one must be there.
#[must_use]
pub fn must_be_kept<'a>(
    good: &[(&'a str, NaiveDate)],
    (daily, weekly, monthly): (usize, usize, usize),
    last: usize,
) -> Vec<BTreeSet<&'a str>> {
    let week = |day: NaiveDate| day - Days::new(day.weekday().num_days_from_sunday().into());
    let month = |day: NaiveDate| day.with_day(1).unwrap();
    let buckets = |of: &dyn Fn(NaiveDate) -> NaiveDate, count: usize| {
        let mut filled: BTreeMap<NaiveDate, BTreeSet<&str>> = BTreeMap::new();
        for (id, day) in good {
            filled.entry(of(*day)).or_default().insert(id);
        }
        filled.into_values().rev().take(count).collect::<Vec<_>>()
    };
    let mut all = buckets(&|day| day, daily);
    all.extend(buckets(&week, weekly));
    all.extend(buckets(&month, monthly));
    let last = good.iter().rev().take(last);
    all.extend(last.map(|(id, _)| BTreeSet::from([*id])));
    all
}
