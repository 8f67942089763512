//! What the household is told: what a run is worth, and which disks are late.

use std::{collections::BTreeMap, fs};

use chrono::{DateTime, FixedOffset, TimeDelta};
use serde_json::Value;
use test_support::Lab;

/// How a run ends for each destination.
pub(crate) type Ends = BTreeMap<String, String>;

/// The exit code of a run that ends so for each: nobody is told that all is well while one is not.
pub(crate) fn code_of(ends: &Ends) -> i32 {
    let has = |end: &str| ends.values().any(|one| one == end);
    match () {
        () if has("failed") => 1,
        () if has("refused") && (has("success") || has("incomplete")) => 3,
        () if has("refused") => 4,
        () if has("deferred") => 75,
        () if has("incomplete") => 3,
        () => 0,
    }
}

/// How a report says that it ended for each.
pub(crate) fn ends_of(report: &Value) -> Ends {
    let all = report["destinations"].as_object().unwrap().iter();
    all.map(|(name, one)| (name.clone(), one["result"].as_str().unwrap().to_owned()))
        .collect()
}

/// A command that keeps each report that is told.
pub(crate) fn keep_reports(lab: &Lab) -> String {
    let at = lab.text("told.jsonl");
    lab.script("tell", &format!("tr -d '\\n' >> '{at}'; echo >> '{at}'"))
}

/// All reports that were told.
pub(crate) fn reports(lab: &Lab) -> Vec<Value> {
    let text = fs::read_to_string(lab.path("told.jsonl")).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Since when a destination is without a good backup, as far as that is known.
#[derive(Default)]
pub(crate) struct Lateness {
    last_good: Option<DateTime<FixedOffset>>,
    first_deferred: Option<DateTime<FixedOffset>>,
}

impl Lateness {
    /// It was served.
    pub(crate) fn served(&mut self, now: DateTime<FixedOffset>) {
        self.last_good = Some(now);
        self.first_deferred = None;
    }

    /// It was away.
    pub(crate) fn deferred(&mut self, now: DateTime<FixedOffset>) {
        self.first_deferred.get_or_insert(now);
    }

    /// Whether that is too long ago.
    pub(crate) fn is_late(&self, now: DateTime<FixedOffset>, most: TimeDelta) -> bool {
        let since = self.last_good.or(self.first_deferred);
        since.is_some_and(|since| now - since > most)
    }
}
