//! That each copy is read back now and then, where `policy` demands copies without errors: whether they are
//! no configuration can say.

use chrono::{DateTime, FixedOffset};
use schema::{Config, Finding, clock, config::Policy, health::ReadBack};

use super::{Checkup, age::days, warning};
use crate::{findings::code, schedule};

type Time = DateTime<FixedOffset>;

/// Judges when the copies were last read back.
pub(super) fn check_read_back(checkup: &Checkup<'_>, findings: &mut Vec<Finding>) {
    let first = checkup.measured.runs.first().map(|run| run.ended_at);
    findings.extend(warn_of_unread_copies(
        checkup.facts.config,
        &checkup.measured.read_back,
        first,
        checkup.facts.inventory.taken_at,
    ));
}

/// The copies that were not read back in time; those that never were are waited for since the first backup.
#[must_use]
pub fn warn_of_unread_copies(
    config: &Config,
    read: &ReadBack,
    first_backup: Option<Time>,
    now: Time,
) -> Vec<Finding> {
    let limit = schedule::longest_unread(config, now);
    let Some(limit) = limit.filter(|_| config.policy == Policy::ThreeTwoOneOneZero) else {
        return Vec::new();
    };
    let (local, cloud) = (config.local.enable, config.cloud.enable);
    let judge = |what: &str, read_at: Option<Time>, hint: &str| {
        let age = clock::age(read_at.or(first_backup)?, now);
        (age > limit).then(|| {
            let found = match read_at {
                Some(_) => format!("{what} was last read back {} ago", days(age)),
                None => format!(
                    "{what} was never read back, and there have been backups for {}",
                    days(age)
                ),
            };
            let most = days(limit);
            let found = format!(
                "{found}; {most} is the most (policy \"3-2-1-1-0\": twice the interval of \
                 monitoring.healthCheckInterval, or of the backups)"
            );
            warning(code::COPY_NOT_READ_BACK, found).hint(hint)
        })
    };
    let by_checks = "`backup health` reads the next share of it, where it is there";
    let found = match (local, cloud) {
        (true, true) => vec![
            judge("what is on the disk", read.disk_at, by_checks),
            judge(
                "the copy in the cloud",
                read.remote_at,
                "`backup verify --cloud` reads it",
            ),
        ],
        (true, false) => vec![judge("what is on the disk", read.disk_at, by_checks)],
        (false, true) => vec![judge(
            "what is on the remote",
            read.remote_at,
            "`backup verify` reads a share of it",
        )],
        (false, false) => Vec::new(),
    };
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(day: u32) -> Time {
        format!("2025-03-{day:02}T04:00:00+01:00").parse().unwrap()
    }

    fn told(config: serde_json::Value, read: ReadBack) -> Vec<String> {
        let config: Config = serde_json::from_value(config).unwrap();
        let found = warn_of_unread_copies(&config, &read, Some(at(2)), at(20));
        found.into_iter().map(|one| one.message).collect()
    }

    fn read(disk: Option<u32>, remote: Option<u32>) -> ReadBack {
        ReadBack {
            disk_at: disk.map(at),
            remote_at: remote.map(at),
        }
    }

    #[test]
    fn a_policy_without_errors_has_each_copy_read_back_in_time() {
        let config = |policy: &str, checks: &str| {
            json!({ "policy": policy, "local": { "enable": true }, "cloud": { "enable": true },
                "monitoring": { "healthCheckInterval": checks } })
        };
        let strict = || config("3-2-1-1-0", "weekly");
        assert_eq!(told(strict(), read(Some(18), Some(7))), [""; 0]);
        let found = told(strict(), read(Some(5), None));
        assert!(
            found[0].starts_with("what is on the disk was last read back 15 days ago; 14 days"),
            "{found:?}"
        );
        assert!(
            found[1].starts_with(
                "the copy in the cloud was never read back, and there have been backups for 18 days"
            ),
            "{found:?}"
        );
        assert_eq!(
            told(config("3-2-1-1-0", "daily"), read(Some(17), Some(19))).len(),
            1
        );
        // Nobody asked for it.
        assert_eq!(told(config("3-2-1", "weekly"), read(None, None)), [""; 0]);
    }

    #[test]
    fn a_drive_that_is_there_once_a_month_is_read_as_often() {
        let monthly = json!({ "policy": "3-2-1-1-0", "local": { "enable": true },
            "schedule": { "enable": true, "frequency": "monthly" } });
        assert_eq!(told(monthly, read(Some(1), None)), [""; 0]);
    }
}
