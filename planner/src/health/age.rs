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
    if !checkup.facts.config.local.enable {
        return;
    }
    match last_good {
        Some(good) => {
            findings.extend(judge_age(checkup, good));
            findings.extend(describe_incomplete(good));
        }
        None => findings.extend(describe_missing(checkup)),
    }
}

/// That there is no good backup.
fn describe_missing(checkup: &Checkup<'_>) -> Option<Finding> {
    // Of another disk it says nothing that there is none on it; one that is away says nothing at all.
    if checkup.ready && !standing::is_ours(checkup.facts.config, checkup.facts.inventory) {
        return None;
    }
    Some(
        error(code::NO_GOOD_BACKUP, "there is no good backup yet")
            .hint("make one with `backup now`; `backup status` says what stands in the way"),
    )
}

/// That the last good backup is too old, or that nothing says how old it may be.
fn judge_age(checkup: &Checkup<'_>, good: &LastGood) -> Option<Finding> {
    let config = checkup.facts.config;
    let now = checkup.facts.inventory.taken_at;
    if let Some((age, limit)) = standing::too_old(config, good.started_at, now) {
        let hint = if checkup.ready {
            "make one with `backup now`; `backup status` says what became of the last run"
        } else {
            "attach the drive and run `backup now`"
        };
        let too_old = error(
            code::BACKUP_TOO_OLD,
            format!(
                "the last good backup, {}, is {} old, and {} is the most ({})",
                good.id,
                days(age),
                days(limit),
                source(config)
            ),
        );
        return Some(too_old.hint(hint));
    }
    if schedule::oldest_acceptable(config, now).is_some() {
        return None;
    }
    let no_limit = note(
        code::NO_AGE_LIMIT,
        "how old the last good backup may be is not known: schedule.enable is false and \
         monitoring.maxAge is null",
    );
    Some(
        no_limit.hint("set monitoring.maxAge, for example to \"7d\", if you start backups by hand"),
    )
}

/// That the last backup was sealed with errors.
fn describe_incomplete(good: &LastGood) -> Option<Finding> {
    if good.complete {
        return None;
    }
    let incomplete = warning(
        code::LAST_BACKUP_INCOMPLETE,
        format!("the last backup, {}, was sealed with errors", good.id),
    );
    Some(incomplete.hint(format!(
        "`backup list` says with how many; each path is in .backup/snapshots/{}/\
         snapshot.json on the destination",
        good.id
    )))
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
