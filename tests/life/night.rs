//! The nights of a year in Berlin, from the first of March.

use chrono::{DateTime, Days, FixedOffset, NaiveDate, TimeZone as _, Utc};

/// The date of a day of the year.
pub(crate) fn date(day: u32) -> NaiveDate {
    let first = NaiveDate::from_ymd_opt(2025, 3, 1).unwrap();
    first + Days::new(day.into())
}

/// An hour of a day by a clock that knows no summer time, as Berlin's clocks show it then.
pub(crate) fn at(day: u32, hour: u32) -> DateTime<FixedOffset> {
    let winter = FixedOffset::east_opt(3600).unwrap();
    let at = date(day).and_hms_opt(hour, 0, 0).unwrap();
    let at = winter.from_local_datetime(&at).unwrap();
    let summer = Utc.with_ymd_and_hms(2025, 3, 30, 1, 0, 0).unwrap()
        ..Utc.with_ymd_and_hms(2025, 10, 26, 1, 0, 0).unwrap();
    if summer.contains(&at.to_utc()) {
        at.with_timezone(&FixedOffset::east_opt(7200).unwrap())
    } else {
        at
    }
}
