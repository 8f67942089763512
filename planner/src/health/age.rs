//! How old the last good backup is, against what the schedule asks for.

use chrono::TimeDelta;
use schema::{Config, Finding, health::LastGood};

use super::{Checkup, error, note, warning};
use crate::{
    findings::code,
    schedule,
    standing::{self, Known},
};

/// The last good backup, as far as it can be known now.
pub(super) fn last_good(checkup: &Checkup<'_>) -> Option<LastGood> {
    let facts = checkup.facts;
    let known = Known {
        destination: facts.destination,
        is_ours: standing::is_ours(facts.config, facts.inventory),
        has_others: facts.inventory.known_destinations.len() > 1,
        runs: &checkup.measured.runs,
    };
    standing::last_good(facts.config, &known, facts.inventory.taken_at)
}

/// The age of the last good backup, and its errors.
pub(super) fn check_age(
    checkup: &Checkup<'_>,
    last_good: Option<&LastGood>,
    findings: &mut Vec<Finding>,
) {
    let config = checkup.facts.config;
    if !config.local.enable {
        return;
    }
    let Some(good) = last_good else {
        // Of another disk it says nothing that there is none on it.
        if !standing::is_ours(config, checkup.facts.inventory) {
            return;
        }
        findings.push(
            error(code::NO_GOOD_BACKUP, "there is no good backup yet")
                .hint("make one with `backup now`; `backup status` says what stands in the way"),
        );
        return;
    };
    let now = checkup.facts.inventory.taken_at;
    match standing::too_old(config, good.started_at, now) {
        Some((age, limit)) => {
            let hint = if checkup.ready {
                "make one with `backup now`; `backup status` says what became of the last run"
            } else {
                "attach the drive and run `backup now`"
            };
            findings.push(
                error(
                    code::BACKUP_TOO_OLD,
                    format!(
                        "the last good backup, {}, is {} old, and {} is the most ({})",
                        good.id,
                        days(age),
                        days(limit),
                        source(config)
                    ),
                )
                .hint(hint),
            );
        }
        None if schedule::oldest_acceptable(config, now).is_some() => {}
        None => findings.push(
            note(
                code::NO_AGE_LIMIT,
                "how old the last good backup may be is not known: schedule.enable is false and \
                 monitoring.maxAge is null",
            )
            .hint("set monitoring.maxAge, for example to \"7d\", if you start backups by hand"),
        ),
    }
    if !good.complete {
        findings.push(
            warning(
                code::LAST_BACKUP_INCOMPLETE,
                format!("the last backup, {}, was sealed with errors", good.id),
            )
            .hint(format!(
                "`backup list` says with how many; each path is in .backup/snapshots/{}/\
                 snapshot.json on the destination",
                good.id
            )),
        );
    }
}

/// Where the limit comes from.
pub(super) fn source(config: &Config) -> &'static str {
    match config.monitoring.max_age {
        Some(_) => "monitoring.maxAge",
        None => "twice the interval of schedule.frequency",
    }
}

/// A length of time in days or hours, in words.
pub(super) fn days(time: TimeDelta) -> String {
    let hours = time.num_hours();
    let (number, unit) = if hours < 48 {
        (hours, "hour")
    } else {
        (hours / 24, "day")
    };
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{s}")
}
