//! Rules about `schedule.frequency` and `monitoring.healthCheckInterval`.
//!
//! The grammar is `calendar`'s. Whether an expression ever elapses again needs a clock and is not
//! asked here.

use schema::Config;

use super::rules::Finding;
use crate::calendar::{Calendar, InvalidCalendar, schedule_expression};

/// When backups run.
pub(super) fn frequency(config: &Config) -> Vec<Finding> {
    let schedule = &config.schedule;
    let time = schedule.time_of_day.time();
    let calendar = schedule_expression(schedule.frequency.as_str(), time);
    invalid("schedule.frequency", calendar)
}

/// When health checks run.
pub(super) fn health_check(config: &Config) -> Vec<Finding> {
    let interval = config.monitoring.health_check_interval.as_str();
    invalid("monitoring.healthCheckInterval", interval.parse())
}

fn invalid(path: &str, calendar: Result<Calendar, InvalidCalendar>) -> Vec<Finding> {
    let finding = |error: InvalidCalendar| {
        Finding::new(path, error.to_string())
            .expected("a calendar expression such as \"daily\" or \"Mon,Wed,Fri\"")
            .hint(format!(
                "set `{path}` to an expression that `systemd-analyze calendar` accepts"
            ))
    };
    calendar.err().map(finding).into_iter().collect()
}
