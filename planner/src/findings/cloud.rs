//! What is known of the copies in the cloud that a person should know, without asking the remote.

use chrono::{DateTime, Datelike as _, FixedOffset, TimeDelta};
use schema::{
    Finding,
    cloud::{CloudMemory, HistoryFolder},
    config::Cloud,
    health::EndedRun,
    journal::Status,
};

use super::{
    code,
    finding::{note, warning},
};

/// Days that must agree that history is old enough, this run's among them.
const AGREE: usize = 3;
/// A clock that goes on by more than this between two runs may have jumped.
const JUMP: TimeDelta = TimeDelta::days(30);

/// What was not taken away, and how the last copy ended where it is not whole. `runs` are in their
/// order.
#[must_use]
pub fn held_back_upload(memory: &CloudMemory, runs: &[EndedRun]) -> Option<Finding> {
    let last = memory.last.as_ref();
    let ended = runs.iter().rev().find_map(|run| run.cloud.as_ref());
    if let Some(withheld) = last.and_then(|last| last.withheld.as_ref()) {
        let id = last.map(|last| last.id.to_string()).unwrap_or_default();
        let what = match withheld.files {
            0 => "no history expires".to_owned(),
            1 => "1 file that is gone here is not taken away".to_owned(),
            files => format!("{files} files that are gone here are not taken away"),
        };
        return Some(
            warning(
                code::CLOUD_DELETIONS_WITHHELD,
                format!(
                    "the copy in the cloud of {id} holds something back: {what}: {}",
                    withheld.because
                ),
            )
            .hint("look at what is gone; if it is meant, run `backup apply --approve-deletions`"),
        );
    }
    let ended = ended.filter(|ended| ended.status > Status::Skipped)?;
    let word = match ended.status {
        Status::Incomplete => "is not whole",
        Status::Refused => "was refused",
        Status::Deferred => "was deferred",
        _ => "failed",
    };
    Some(
        warning(
            code::CLOUD_COPY_INCOMPLETE,
            format!("the last copy to the cloud {word}: {}", ended.message),
        )
        .hint(
            ended
                .hint
                .clone()
                .unwrap_or_else(|| "`backup apply --only cloud` tries again".to_owned()),
        ),
    )
}

/// Whether the clocks of several runs say that a history folder is old enough: this one and those of
/// the last runs on two other days.
#[must_use]
pub fn is_old(
    one: &HistoryFolder,
    config: &Cloud,
    memory: &CloudMemory,
    now: DateTime<FixedOffset>,
) -> bool {
    let born = born(one);
    born.is_some_and(|born| agree_on(born, config.keep_history_days, &memory.runs, now))
}

/// The same of what was first seen at these times, each of a run of its own.
#[must_use]
pub(crate) fn clocks_agree(
    seen: &[DateTime<FixedOffset>],
    keep_days: u32,
    runs: &[DateTime<FixedOffset>],
    now: DateTime<FixedOffset>,
) -> bool {
    middle(seen).is_some_and(|born| agree_on(born, keep_days, runs, now))
}

/// Whether as many clocks say that so many days have passed since.
fn agree_on(
    born: DateTime<FixedOffset>,
    keep_days: u32,
    runs: &[DateTime<FixedOffset>],
    now: DateTime<FixedOffset>,
) -> bool {
    let age = TimeDelta::days(keep_days.into());
    let old = |at: &DateTime<FixedOffset>| at.signed_duration_since(born) >= age;
    let mut days = vec![now.date_naive()];
    let mut agree = usize::from(old(&now));
    for run in runs.iter().rev() {
        if days.len() == AGREE {
            break;
        }
        if !days.contains(&run.date_naive()) {
            days.push(run.date_naive());
            agree += usize::from(old(run));
        }
    }
    agree == AGREE
}

/// When a folder was made, by the middle one of three clocks; none before there are as many.
fn born(one: &HistoryFolder) -> Option<DateTime<FixedOffset>> {
    if one.seen.is_empty() {
        return Some(one.since);
    }
    middle(&one.seen)
}

/// The middle one of three clocks; none before there are as many.
fn middle(seen: &[DateTime<FixedOffset>]) -> Option<DateTime<FixedOffset>> {
    let mut seen = seen.to_vec();
    seen.sort();
    (seen.len() >= AGREE).then(|| seen[seen.len() / 2])
}

/// That history is old enough by this run's clock alone, which jumped.
pub(crate) fn held_back(
    config: &Cloud,
    memory: &CloudMemory,
    now: DateTime<FixedOffset>,
) -> Option<Finding> {
    let last = memory.runs.last()?;
    let span = now.signed_duration_since(last);
    if span <= JUMP {
        return None;
    }
    let age = TimeDelta::days(config.keep_history_days.into());
    let mut folders = memory.history.iter();
    folders
        .any(|one| {
            let by_this = born(one).is_some_and(|born| now.signed_duration_since(born) >= age);
            by_this && !is_old(one, config, memory, now)
        })
        .then(|| {
            note(
                code::CLOUD_HISTORY_HELD_BACK,
                format!(
                    "the clock went on by {} days since the last copy to the cloud (it says {}-{:02}-{:02} \
                     now): no history expires there until runs on two more days agree",
                    span.num_days(),
                    now.year(),
                    now.month(),
                    now.day()
                ),
            )
            .hint("check the clock with `timedatectl`")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<FixedOffset> {
        DateTime::parse_from_rfc3339(&format!("{text}T02:00:00Z")).unwrap()
    }

    fn folder(seen: &[&str]) -> HistoryFolder {
        HistoryFolder {
            id: "2026-01-01_02-00-00".parse().unwrap(),
            since: at("2026-01-01"),
            seen: seen.iter().map(|text| at(text)).collect(),
        }
    }

    fn memory(runs: &[&str]) -> CloudMemory {
        CloudMemory {
            runs: runs.iter().map(|text| at(text)).collect(),
            ..CloudMemory::default()
        }
    }

    fn old(one: &HistoryFolder, runs: &[&str], now: &str) -> bool {
        is_old(one, &Cloud::default(), &memory(runs), at(now))
    }

    #[test]
    fn one_clock_alone_never_says_that_history_is_old() {
        let one = folder(&["2026-01-01", "2026-01-02", "2026-01-03"]);
        assert!(!old(&one, &["2026-01-03", "2026-01-04"], "2027-01-01"));
        assert!(!old(&one, &["2026-04-01", "2026-04-02"], "2026-04-03"));
        assert!(old(&one, &["2026-04-02", "2026-04-03"], "2026-04-04"));
        // A wrong clock between two right ones agrees with neither.
        assert!(!old(&one, &["2027-01-01", "2026-01-04"], "2027-01-02"));
        // Several runs on one day are one.
        assert!(!old(&one, &["2026-04-04", "2026-04-04"], "2026-04-04"));
    }

    #[test]
    fn one_wrong_clock_does_not_date_a_folder() {
        let late = ["2026-06-01", "2026-06-02"];
        assert!(!old(
            &folder(&["1970-01-01", "2026-05-02", "2026-05-03"]),
            &late,
            "2026-06-03"
        ));
        let ahead = folder(&["2030-01-01", "2026-01-02", "2026-01-03"]);
        assert!(old(&ahead, &late, "2026-06-03"));
        assert!(!old(&folder(&["2026-01-01"]), &late, "2026-06-03"));
        // From before clocks were counted.
        assert!(old(&folder(&[]), &late, "2026-06-03"));
    }

    #[test]
    fn a_jump_is_told_only_where_it_would_let_history_go() {
        let config = Cloud::default();
        let mut memory = memory(&["2026-01-04"]);
        memory.history = vec![folder(&["2026-01-01", "2026-01-02", "2026-01-03"])];
        assert!(held_back(&config, &memory, at("2027-01-01")).is_some());
        assert!(held_back(&config, &memory, at("2026-01-05")).is_none());
        assert!(held_back(&config, &memory, at("2026-02-28")).is_none());
    }
}
