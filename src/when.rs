//! Times as people say them: `2 weeks ago`, `yesterday`, `2025-01-16`, `2025-01-16 14:00`.
//!
//! Owns the grammar. A day means its end, because who asks for a day wants what was made on it.

use chrono::{
    DateTime, Datelike as _, Days, FixedOffset, Months, NaiveDate, NaiveDateTime, NaiveTime,
    Offset as _, TimeDelta, TimeZone, Weekday,
};

/// The time that a text means, seen from now in this zone; none if it means none.
pub(crate) fn parse_time<Z: TimeZone>(
    text: &str,
    now: DateTime<FixedOffset>,
    zone: &Z,
) -> Option<DateTime<FixedOffset>> {
    let text = text.trim().to_lowercase();
    if let Ok(time) = DateTime::parse_from_rfc3339(&text) {
        return Some(time);
    }
    let local = now.with_timezone(zone).naive_local();
    let time = match text.as_str() {
        "now" => return Some(now),
        "today" => end_of(local.date()),
        "yesterday" => end_of(local.date().pred_opt()?),
        _ => parse_absolute(&text)
            .or_else(|| parse_ago(&text, local))
            .or_else(|| parse_last(&text, local))?,
    };
    let time = in_zone(time, zone)?;
    // Today ends later, and nothing is younger than now.
    let is_today = matches!(text.as_str(), "today") || time.date_naive() == local.date();
    Some(if is_today { time.min(now) } else { time })
}

/// A day or a time, as ISO 8601 and snapshots' ids have them.
fn parse_absolute(text: &str) -> Option<NaiveDateTime> {
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Some(end_of(day));
    }
    let with_minutes = ["%Y-%m-%d %H:%M", "%Y-%m-%dt%H:%M"];
    for form in with_minutes {
        if let Ok(time) = NaiveDateTime::parse_from_str(text, form) {
            // That minute's end, for the same reason.
            return Some(time + TimeDelta::seconds(59));
        }
    }
    let forms = [
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dt%H:%M:%S",
        "%Y-%m-%d_%H-%M-%S",
    ];
    forms
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
}

/// `2 weeks ago`, `an hour ago`, `3d`.
fn parse_ago(text: &str, now: NaiveDateTime) -> Option<NaiveDateTime> {
    let text = text.strip_suffix("ago").unwrap_or(text).trim();
    let (number, unit) = match text.split_once(' ') {
        Some(("a" | "an" | "one", unit)) => (1, unit),
        _ => {
            let end = text.find(|character: char| !character.is_ascii_digit())?;
            (text[..end].parse().ok()?, &text[end..])
        }
    };
    time_before(now, number, unit.trim())
}

/// `last week`, `last monday`, `monday`.
fn parse_last(text: &str, now: NaiveDateTime) -> Option<NaiveDateTime> {
    let unit = text.strip_prefix("last ").unwrap_or(text).trim();
    if let Ok(weekday) = unit.parse::<Weekday>() {
        let today = now.weekday().num_days_from_monday();
        let back = (today + 7 - weekday.num_days_from_monday()) % 7;
        // The same day of the week is a week ago: today is called today.
        let back = if back == 0 { 7 } else { back };
        return Some(end_of(now.date().checked_sub_days(Days::new(back.into()))?));
    }
    text.starts_with("last ")
        .then(|| time_before(now, 1, unit))?
}

fn time_before(now: NaiveDateTime, number: u32, unit: &str) -> Option<NaiveDateTime> {
    let seconds = |each: i64| now.checked_sub_signed(TimeDelta::seconds(each * i64::from(number)));
    let months = |each: u32| now.checked_sub_months(Months::new(number.checked_mul(each)?));
    match unit {
        "s" | "sec" | "second" | "seconds" => seconds(1),
        "min" | "minute" | "minutes" => seconds(60),
        "h" | "hour" | "hours" => seconds(3600),
        // The same time of another day, although days may have 23 or 25 hours.
        "d" | "day" | "days" => now.checked_sub_days(Days::new(number.into())),
        "w" | "week" | "weeks" => now.checked_sub_days(Days::new(u64::from(number) * 7)),
        "mo" | "month" | "months" => months(1),
        "y" | "year" | "years" => months(12),
        _ => None,
    }
}

fn end_of(day: NaiveDate) -> NaiveDateTime {
    let last = NaiveTime::from_hms_opt(23, 59, 59).unwrap_or_default();
    day.and_time(last)
}

/// A local time in its zone: the later of two where clocks went back, and an hour later where they
/// went forward over it.
fn in_zone<Z: TimeZone>(time: NaiveDateTime, zone: &Z) -> Option<DateTime<FixedOffset>> {
    let found = zone.from_local_datetime(&time).latest().or_else(|| {
        zone.from_local_datetime(&(time + TimeDelta::hours(1)))
            .latest()
    })?;
    let offset = found.offset().fix();
    Some(found.with_timezone(&offset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn means(text: &str) -> String {
        let zone = FixedOffset::east_opt(3600).unwrap();
        // A Wednesday.
        let now = "2025-03-05T14:30:00+01:00".parse().unwrap();
        parse_time(text, now, &zone).map_or_else(
            || "nothing".to_owned(),
            |time| time.format("%Y-%m-%d %H:%M:%S").to_string(),
        )
    }

    #[test]
    fn times_are_understood_as_people_say_them() {
        for (text, time) in [
            ("now", "2025-03-05 14:30:00"),
            ("today", "2025-03-05 14:30:00"),
            ("Yesterday", "2025-03-04 23:59:59"),
            ("2 weeks ago", "2025-02-19 14:30:00"),
            ("2 weeks", "2025-02-19 14:30:00"),
            ("an hour ago", "2025-03-05 13:30:00"),
            ("3d", "2025-03-02 14:30:00"),
            ("90 min ago", "2025-03-05 13:00:00"),
            ("6 months ago", "2024-09-05 14:30:00"),
            ("1y ago", "2024-03-05 14:30:00"),
            ("last month", "2025-02-05 14:30:00"),
            ("last week", "2025-02-26 14:30:00"),
            ("monday", "2025-03-03 23:59:59"),
            ("last wednesday", "2025-02-26 23:59:59"),
            ("thu", "2025-02-27 23:59:59"),
            ("2025-01-16", "2025-01-16 23:59:59"),
            ("2025-03-05", "2025-03-05 14:30:00"),
            ("2025-01-16 14:00", "2025-01-16 14:00:59"),
            ("2025-01-16T14:00:07", "2025-01-16 14:00:07"),
            ("2025-01-16_02-00-00", "2025-01-16 02:00:00"),
            ("2025-01-16T02:00:00+05:00", "2025-01-16 02:00:00"),
            ("2031-01-01", "2031-01-01 23:59:59"),
        ] {
            assert_eq!(means(text), time, "{text}");
        }
    }

    #[test]
    fn what_means_no_time_is_told_apart() {
        for text in [
            "",
            "ago",
            "2",
            "weeks",
            "2 fortnights ago",
            "last",
            "last 2",
            "2025-13-01",
            "2025-02-30",
            "99999999999 years ago",
            "4294967295 years ago",
            "-1 days ago",
            "tomorrow",
        ] {
            assert_eq!(means(text), "nothing", "{text}");
        }
    }
}
