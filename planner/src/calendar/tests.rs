//! What calendar expressions mean, by example.
//!
//! Owns the cases a reader wants to see. The broad comparison with systemd itself is in
//! `tests/calendar_systemd.rs`; nothing here may need another program.

use chrono::{NaiveDateTime, NaiveTime};

use super::{Calendar, schedule_expression};

fn calendar(text: &str) -> Calendar {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

fn at(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

fn refusal(text: &str) -> String {
    text.parse::<Calendar>().unwrap_err().to_string()
}

/// The next elapses after a moment, to the second.
fn elapses(text: &str, after: &str, count: usize) -> Vec<String> {
    let calendar = calendar(text);
    let mut moment = at(after);
    let mut found = Vec::new();
    while found.len() < count
        && let Some(next) = calendar.next_after(moment)
    {
        found.push(next.format("%a %Y-%m-%d %H:%M:%S").to_string());
        moment = next;
    }
    found
}

/// The table of systemd.time(7), with the spellings that its manual leaves out.
#[test]
fn the_manual_s_examples_have_their_normalized_forms() {
    for (text, normalized) in [
        (
            "Sat,Thu,Mon..Wed,Sat..Sun",
            "Mon..Thu,Sat,Sun *-*-* 00:00:00",
        ),
        ("Mon,Sun 12-*-* 2,1:23", "Mon,Sun 2012-*-* 01,02:23:00"),
        ("Wed *-1", "Wed *-*-01 00:00:00"),
        ("Wed..Wed,Wed *-1", "Wed *-*-01 00:00:00"),
        ("Wed, 17:48", "Wed *-*-* 17:48:00"),
        (
            "Wed..Sat,Tue 12-10-15 1:2:3",
            "Tue..Sat 2012-10-15 01:02:03",
        ),
        ("*-*-7 0:0:0", "*-*-07 00:00:00"),
        ("10-15", "*-10-15 00:00:00"),
        ("monday *-12-* 17:00", "Mon *-12-* 17:00:00"),
        ("Mon,Fri *-*-3,1,2 *:30:45", "Mon,Fri *-*-01,02,03 *:30:45"),
        ("12,14,13,12:20,10,30", "*-*-* 12,13,14:10,20,30:00"),
        ("12..14:10,20,30", "*-*-* 12..14:10,20,30:00"),
        ("mon,fri *-1/2-1,3 *:30:45", "Mon,Fri *-01/2-01,03 *:30:45"),
        (
            "05:40:23.4200004/3.1700005",
            "*-*-* 05:40:23.420000/3.170001",
        ),
        ("2003-02..04-05", "2003-02..04-05 00:00:00"),
        ("2003-03-05 05:40 utc", "2003-03-05 05:40:00 UTC"),
        ("minutely", "*-*-* *:*:00"),
        ("hourly", "*-*-* *:00:00"),
        ("daily UTC", "*-*-* 00:00:00 UTC"),
        ("Monthly", "*-*-01 00:00:00"),
        (
            "weekly Pacific/Auckland",
            "Mon *-*-* 00:00:00 Pacific/Auckland",
        ),
        ("annually", "*-01-01 00:00:00"),
        ("quarterly", "*-01,04,07,10-01 00:00:00"),
        ("bi-annually", "*-01,07-01 00:00:00"),
        ("*:2/3", "*-*-* *:02/3:00"),
        ("Mon-Fri", "Mon..Fri *-*-* 00:00:00"),
        ("Mon..Sun", "*-*-* 00:00:00"),
        ("*-02~03", "*-02~03 00:00:00"),
        ("*~*", "*-*-* 00:00:00"),
        ("1..4/2:0", "*-*-* 01..03/2:00:00"),
        ("0:0:0..59", "*-*-* 00:00:00..59"),
        ("0:0:0/1,5", "*-*-* 00:00:*"),
        ("@1735789600", "2025-01-02 03:46:40 UTC"),
    ] {
        assert_eq!(calendar(text).normalized(), normalized, "{text}");
    }
}

#[test]
fn days_from_the_end_follow_the_length_of_each_month() {
    assert_eq!(
        elapses("*-*~1", "2024-01-31T00:00:00", 2),
        ["Thu 2024-02-29 00:00:00", "Sun 2024-03-31 00:00:00"]
    );
    assert_eq!(
        elapses("Mon *-05~07/1", "2025-01-01T00:00:00", 2),
        ["Mon 2025-05-26 00:00:00", "Mon 2026-05-25 00:00:00"]
    );
    assert_eq!(
        elapses("*-*~1..7/3", "2025-01-01T00:00:00", 3),
        [
            "Sat 2025-01-25 00:00:00",
            "Tue 2025-01-28 00:00:00",
            "Fri 2025-01-31 00:00:00"
        ]
    );
}

#[test]
fn dates_that_are_rare_are_found_and_those_that_are_over_are_not() {
    assert_eq!(
        elapses("Mon *-2-29", "2025-01-01T00:00:00", 2),
        ["Mon 2044-02-29 00:00:00", "Mon 2072-02-29 00:00:00"]
    );
    assert!(elapses("*-2-30", "2025-01-01T00:00:00", 1).is_empty());
    assert!(elapses("2024-*-*", "2025-01-01T00:00:00", 1).is_empty());
    assert!(elapses("daily", "2199-12-31T00:00:00", 1).is_empty());
    assert_eq!(
        elapses("2025-1-1", "1800-06-01T12:00:00", 3),
        ["Wed 2025-01-01 00:00:00"]
    );
}

/// systemd 252 skips the first elapse here, a defect that its maintainers acknowledge.
#[test]
fn a_step_past_the_end_of_a_year_finds_the_first_day_of_the_next() {
    assert_eq!(
        elapses("*-*-1/11 23:00", "2025-12-23T23:00:00", 2),
        ["Thu 2026-01-01 23:00:00", "Mon 2026-01-12 23:00:00"]
    );
    assert_eq!(
        elapses("0/5:00", "2025-01-31T23:00:00", 1),
        ["Sat 2025-02-01 00:00:00"]
    );
}

#[test]
fn an_elapse_is_strictly_after_and_strictly_before() {
    let noon = at("2025-03-30T12:00:00");
    let daily = calendar("12:00");
    assert_eq!(daily.next_after(noon), Some(at("2025-03-31T12:00:00")));
    assert_eq!(daily.previous_before(noon), Some(at("2025-03-29T12:00:00")));
    let nanosecond = chrono::TimeDelta::nanoseconds(1);
    assert_eq!(daily.next_after(noon - nanosecond), Some(noon));
    assert_eq!(daily.previous_before(noon + nanosecond), Some(noon));
    let tenths = calendar("*:*:0/0.1");
    assert_eq!(tenths.next_after(noon), Some(at("2025-03-30T12:00:00.100")));
    assert_eq!(
        tenths.previous_before(noon),
        Some(at("2025-03-30T11:59:59.900"))
    );
}

#[test]
fn the_extremes_of_time_are_answered() {
    let daily = calendar("daily");
    assert_eq!(daily.next_after(NaiveDateTime::MAX), None);
    assert_eq!(daily.previous_before(NaiveDateTime::MIN), None);
    assert_eq!(
        daily.next_after(NaiveDateTime::MIN),
        Some(at("1970-01-01T00:00:00"))
    );
    assert_eq!(
        daily.previous_before(NaiveDateTime::MAX),
        Some(at("2199-12-31T00:00:00"))
    );
    assert_eq!(daily.previous_before(at("1970-01-01T00:00:00")), None);
    assert_eq!(calendar("*-2-30").previous_before(NaiveDateTime::MAX), None);
}

#[test]
fn the_longest_gap_sees_nights_weekends_and_ends_of_months() {
    let hint = |text: &str| calendar(text).interval_hint(at("2025-01-01T00:00:00"));
    let hour = 3600;
    assert_eq!(hint("daily"), Some(24 * hour));
    assert_eq!(hint("weekly"), Some(168 * hour));
    assert_eq!(hint("Mon,Wed,Fri"), Some(72 * hour));
    assert_eq!(hint("monthly"), Some(31 * 24 * hour));
    assert_eq!(hint("hourly"), Some(hour));
    assert_eq!(hint("minutely"), Some(60));
    assert_eq!(hint("2,14:30"), Some(12 * hour));
    assert_eq!(
        hint("Mon..Fri 9..17:0/15"),
        Some((24 + 24 + 15) * hour + 15 * 60)
    );
    assert_eq!(hint("*-*-1..7"), Some(25 * 24 * hour));
    assert_eq!(hint("*:*:*"), Some(1));
    assert_eq!(hint("2025-6-1 10,12:00"), Some(2 * hour));
    assert_eq!(hint("2025-6-1"), None);
    assert_eq!(hint("2024-*-*"), None);
}

#[test]
fn a_zone_is_kept_by_name_and_moments_stay_on_its_wall_clock() {
    assert_eq!(calendar("daily").zone(), None);
    assert_eq!(calendar("daily UTC").zone(), Some("UTC"));
    assert_eq!(calendar("Mon Europe/Paris").zone(), Some("Europe/Paris"));
    assert_eq!(
        elapses("02:30 Europe/Paris", "2025-03-30T00:00:00", 1),
        ["Sun 2025-03-30 02:30:00"]
    );
}

#[test]
fn a_schedule_without_a_time_takes_the_time_of_day() {
    let two = NaiveTime::from_hms_opt(2, 5, 0).unwrap();
    for (frequency, normalized) in [
        ("daily", "*-*-* 02:05:00"),
        ("weekly", "Mon *-*-* 02:05:00"),
        ("monthly", "*-*-01 02:05:00"),
        ("yearly Europe/Paris", "*-01-01 02:05:00 Europe/Paris"),
        ("Mon,Wed,Fri", "Mon,Wed,Fri *-*-* 02:05:00"),
        ("2025-*-1/2", "2025-*-01/2 02:05:00"),
        ("Mon 00:00", "Mon *-*-* 00:00:00"),
        ("*-*-1 17:30", "*-*-01 17:30:00"),
        ("hourly", "*-*-* *:00:00"),
        ("minutely", "*-*-* *:*:00"),
        ("@0", "1970-01-01 00:00:00 UTC"),
    ] {
        let schedule = schedule_expression(frequency, two).unwrap();
        assert_eq!(schedule.to_string(), normalized, "{frequency}");
    }
    assert!(schedule_expression("dayly", two).is_err());
    assert!(schedule_expression("", two).is_err());
}

#[test]
fn a_refusal_names_the_part_and_what_was_expected() {
    assert_eq!(
        refusal("Mon 25:00"),
        "`25` in the calendar expression `Mon 25:00` is not an hour, expected 0 to 23"
    );
    assert_eq!(
        refusal("*-*~29"),
        "`29` in the calendar expression `*-*~29` is not a day from the end of the month, \
         expected 1 to 28"
    );
    for (text, words) in [
        ("", "is empty"),
        (
            "dayly",
            "`dayly` in the calendar expression `dayly` is not a weekday",
        ),
        ("Mon,Tues", "`Tues`"),
        (
            "Fri..Mon",
            "`Fri..Mon` in the calendar expression `Fri..Mon` runs backwards",
        ),
        (
            "daily Europ/Paris",
            "`Europ/Paris` in the calendar expression `daily Europ/Paris` is not a time zone",
        ),
        (
            "12",
            "`12` in the calendar expression `12` is not a date or a time",
        ),
        (
            "12:",
            "an empty part in the calendar expression `12:` is not a minute",
        ),
        ("1:2:3:4", "is not a time, expected `hour:minute`"),
        (
            "*~14,27",
            "`14,27` in the calendar expression `*~14,27` goes further back",
        ),
        ("5..3:00", "expected the lower value first"),
        ("0/0:00", "has no proper step"),
        (
            "*:*/10",
            "`*/10` in the calendar expression `*:*/10` mixes `*` with more, expected `*` alone or numbers, as in `0/10`",
        ),
        ("23/2:00", "steps too far: the second one is not an hour"),
        ("0:0:3..3", "is shorter than a second"),
        ("1969-1-1", "is not a year, expected 1970 to 2199"),
        ("2200-1-1", "is not a year, expected 1970 to 2199"),
        ("@7258118400", "no later than the year 2199"),
        ("*-*-\u{e9}", "is not a day of the month"),
    ] {
        let said = refusal(text);
        assert!(said.contains(words), "{text}: {said}");
    }
}

#[test]
fn a_list_holds_as_many_values_as_systemd_allows() {
    let list = |count| format!("{}:00", vec!["1"; count].join(","));
    assert_eq!(calendar(&list(241)).to_string(), "*-*-* 01:00:00");
    assert!(refusal(&list(242)).contains("at most 241"));
}
