//! How several destinations stand as a whole, by how each stands.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use schema::{
    amount,
    config::DestinationName,
    output::status::{BackupStatus, StatusVerdict},
};

/// The status of the whole: what is of the machine and of `local` as the base has it, with the verdict and the
/// summary of those that stand worst, and how each stands. `base_name` is the base's, where `local` or `cloud`
/// is used.
#[must_use]
pub fn join_status(
    mut base: BackupStatus,
    base_name: Option<DestinationName>,
    mut all: BTreeMap<DestinationName, BackupStatus>,
) -> BackupStatus {
    let is_told =
        |finding: &schema::Finding| all.values().all(|one| one.findings.contains(finding));
    let (of_all, own): (Vec<_>, Vec<_>) = base.findings.iter().cloned().partition(is_told);
    if let Some(name) = base_name {
        let own = BackupStatus {
            findings: own,
            ..base.clone()
        };
        all.insert(name, own);
        base.next_run_at = None;
    }
    for one in all.values_mut() {
        // These are of the machine and its runs, and said once.
        one.unfinished = None;
        one.running = false;
        one.findings.retain(|finding| !of_all.contains(finding));
    }
    let (verdict, summary, remedy) = summarize_all(&all);
    BackupStatus {
        verdict,
        summary,
        remedy,
        next_run_at: all.values().filter_map(|one| one.next_run_at).min(),
        no_timer: all.values().any(|one| one.no_timer),
        findings: of_all,
        destinations: all,
        ..base
    }
}

/// The worst verdict, with what is said of those that have it first, and of all that say the same.
fn summarize_all(
    all: &BTreeMap<DestinationName, BackupStatus>,
) -> (StatusVerdict, String, Option<String>) {
    let worst = all.values().map(|one| one.verdict).max();
    let Some(worst) = worst.filter(|verdict| *verdict > StatusVerdict::Ok) else {
        return (StatusVerdict::Ok, summarize_well(all), None);
    };
    let stand_so = || all.iter().filter(|(_, one)| one.verdict == worst);
    let Some((_, first)) = stand_so().next() else {
        return (worst, String::new(), None);
    };
    let same = stand_so().filter(|(_, one)| one.summary == first.summary);
    let names: Vec<&str> = same.map(|(name, _)| name.as_str()).collect();
    let summary = match names.len() == all.len() {
        true => first.summary.clone(),
        false => format!("{}: {}", names.join(", "), first.summary),
    };
    (worst, summary, first.remedy.clone())
}

/// How old the last backups are where all is well.
fn summarize_well(all: &BTreeMap<DestinationName, BackupStatus>) -> String {
    let ages = all.values().filter_map(|one| one.last_good.as_ref());
    let ages: Vec<i64> = ages.map(|good| good.age_seconds).collect();
    let age = |seconds: i64| amount::age(TimeDelta::seconds(seconds));
    match (ages.iter().min(), ages.iter().max()) {
        (Some(newest), Some(oldest)) if age(*newest) == age(*oldest) => {
            format!("last backup {} on each", age(*oldest))
        }
        (Some(_), Some(oldest)) => format!("last backup at most {} on each", age(*oldest)),
        _ => "nothing is backed up".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use schema::Finding;
    use serde_json::json;

    use super::*;

    fn status(verdict: &str, summary: &str, age: i64) -> BackupStatus {
        serde_json::from_value(json!({
            "format_version": 1, "verdict": verdict, "summary": summary, "host": "atlas",
            "now": "2025-01-16T04:00:00Z", "destination": null,
            "last_good": {"id": "2025-01-16_02-00-00", "age_seconds": age, "complete": true},
            "next_run_at": null, "late_since": null, "by_tier": {}, "snapshots": 1, "suspect": [],
            "unfinished": null, "last_run": null, "running": false, "findings": [],
        }))
        .unwrap()
    }

    fn joined(base: Option<BackupStatus>, others: &[(&str, BackupStatus)]) -> BackupStatus {
        let name = base.as_ref().map(|_| DestinationName::new("local"));
        let others = others.iter().cloned();
        let others = others.map(|(name, one)| (DestinationName::new(name), one));
        let base = base.unwrap_or_else(|| status("no-backup", "no backup yet", 0));
        join_status(base, name, others.collect())
    }

    #[test]
    fn those_that_stand_worst_are_named_first() {
        let well = || status("ok", "last backup 2 hours ago", 7200);
        let late = || status("warning", "a backup is overdue", 720_000);
        let whole = joined(Some(well()), &[("nas", late()), ("usb", late())]);
        assert_eq!(whole.verdict, StatusVerdict::Warning);
        assert_eq!(whole.summary, "nas, usb: a backup is overdue");
        assert_eq!(whole.destinations.len(), 3);
        let whole = joined(Some(late()), &[("usb", well())]);
        assert_eq!(whole.summary, "local: a backup is overdue");
        let whole = joined(None, &[("nas", late()), ("usb", late())]);
        assert_eq!(whole.summary, "a backup is overdue");
        assert_eq!(whole.destinations.len(), 2);
    }

    #[test]
    fn where_all_is_well_the_oldest_backup_is_told() {
        let of_age = |age| status("ok", "last backup", age);
        let whole = joined(Some(of_age(7200)), &[("usb", of_age(7201))]);
        assert_eq!(whole.summary, "last backup 2 hours ago on each");
        let whole = joined(Some(of_age(7200)), &[("usb", of_age(260_000))]);
        assert_eq!(whole.summary, "last backup at most 3 days ago on each");
        assert_eq!(whole.verdict, StatusVerdict::Ok);
    }

    #[test]
    fn what_is_found_of_all_is_told_once() {
        let with = |codes: &[&str]| {
            let found = codes.iter();
            let found = found.map(|code| Finding::new(schema::Severity::Note, code, *code));
            BackupStatus {
                findings: found.collect(),
                ..status("ok", "well", 1)
            }
        };
        let whole = joined(
            Some(with(&["all", "own"])),
            &[("usb", with(&["all", "usb"]))],
        );
        let codes = |status: &BackupStatus| {
            let codes = status.findings.iter().map(|one| one.code.clone());
            codes.collect::<Vec<_>>()
        };
        assert_eq!(codes(&whole), ["all"]);
        assert_eq!(
            codes(&whole.destinations[&DestinationName::new("local")]),
            ["own"]
        );
        assert_eq!(
            codes(&whole.destinations[&DestinationName::new("usb")]),
            ["usb"]
        );
    }
}
