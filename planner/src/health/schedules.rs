//! Whether the schedules will ever elapse again: `2025-*-1/2` is a fine expression, and after 2025
//! it never does.

use schema::Finding;

use super::{Checkup, error, warning};
use crate::{
    calendar::{Calendar, schedule_expression},
    findings::code,
};

/// Judges `schedule.frequency`, `monitoring.healthCheckInterval` and `monitoring.drill.schedule`.
pub(super) fn check_schedules(checkup: &Checkup<'_>, findings: &mut Vec<Finding>) {
    let config = checkup.facts.config;
    let now = checkup.facts.inventory.taken_at.naive_local();
    let over = |calendar: Calendar| calendar.next_after(now).is_none();
    let schedule = &config.schedule;
    let frequency = schedule.frequency.as_str();
    if schedule.enable
        && schedule_expression(frequency, schedule.time_of_day.time()).is_ok_and(over)
    {
        let message = format!("`{frequency}` (schedule.frequency) never elapses again");
        findings.push(
            error(code::NEVER_ELAPSES, message).hint("set it to another expression, such as daily"),
        );
    }
    let monitoring = &config.monitoring;
    let drill = &monitoring.drill;
    let text = drill.schedule.as_str();
    if drill.enable && text.parse().is_ok_and(over) {
        let message = format!("`{text}` (monitoring.drill.schedule) never elapses again");
        findings.push(
            warning(code::NEVER_ELAPSES, message)
                .hint("set it to another expression, such as weekly"),
        );
    }
    let interval = monitoring.health_check_interval.as_str();
    if monitoring.enable && interval.parse().is_ok_and(over) {
        let message = format!("`{interval}` (monitoring.healthCheckInterval) never elapses again");
        findings.push(
            warning(code::NEVER_ELAPSES, message)
                .hint("set it to another expression, such as weekly"),
        );
    }
}
