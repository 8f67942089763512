//! `report`: how the backups went over a period, as text, as a page, or as data.

use std::path::Path;

use anyhow::Result;
use backup::Engine;
use chrono::{DateTime, FixedOffset, Local, NaiveDate, NaiveTime};
use executor::{Error, trust::NewFile};
use schema::{FailureCode, escape::display, output::period_report::PeriodReport};

use crate::{
    called,
    cli::Report,
    exit::{self, invalid_input},
    out::Out,
    render::hint,
    settings::Settings,
    when::parse_time,
};

/// What a period is where none is said.
const UNSAID: &str = "4 weeks ago";

/// Shows how the backups went, or writes it as a page.
pub(crate) fn report_backups(arguments: &Report, settings: &Settings, out: &Out) -> Result<u8> {
    let engine = settings.open_engine_at(arguments.at.now, out)?;
    let since = begin_of_period(arguments.since.as_deref(), engine.now())?;
    // Before anything is gathered for it.
    let place = arguments.html.as_deref();
    let place = place.map(|path| page_place(path, &engine)).transpose()?;
    let report = engine.report_period(since)?;
    if settings.json {
        out.print_json(&report);
    }
    if let (Some(path), Some(place)) = (&arguments.html, place) {
        place.write(report::html_page(&report).as_bytes())?;
        if !settings.json {
            out.print_line_unless_quiet(&format!("written to {}", shown(path)));
        }
    } else if !settings.json {
        let text = report::plain_text(&report);
        let lines: Vec<_> = text.lines().map(hint::pasted).collect();
        out.print_data(&lines.join("\n"));
    }
    Ok(exit_code(&report))
}

/// What could not be looked at is missing in it.
fn exit_code(report: &PeriodReport) -> u8 {
    match report.not_told.is_empty() {
        true => exit::DONE,
        false => exit::INCOMPLETE,
    }
}

/// The place of a page: never among what is stored, where it would be no file of a snapshot.
fn page_place(path: &Path, engine: &Engine) -> Result<NewFile> {
    if engine.is_stored(path) {
        let path = shown(path);
        return Err(Error::refused(format!(
            "{path} (--html) is on the destination, among the snapshots"
        ))
        .hint("name a file elsewhere")
        .into());
    }
    let place = match called::sudo_caller() {
        Some(user) => NewFile::for_user(path, "the report", user),
        None => NewFile::at(path, "the report"),
    };
    // Nobody is to give a home to root for that.
    Ok(place.map_err(|error| match error.code {
        Some(FailureCode::Untrusted) => {
            error.with_hint("name a file where nobody else can write, as root one in /root")
        }
        _ => error,
    })?)
}

fn shown(path: &Path) -> String {
    display(path.as_os_str().as_encoded_bytes())
}

/// When a period began that a person says so. A day means its beginning, because all of it is wanted.
fn begin_of_period(
    said: Option<&str>,
    now: DateTime<FixedOffset>,
) -> Result<DateTime<FixedOffset>> {
    let text = said.unwrap_or(UNSAID).trim();
    let invalid =
        |because: &str, hint: &str| invalid_input(format!("--since {text}: {because}"), hint);
    let at = parse_time(text, now, &Local).ok_or_else(|| {
        invalid(
            "is no time",
            "say `2 weeks ago`, `last month`, or a day such as 2025-01-16",
        )
    })?;
    if at > now {
        return Err(invalid("is yet to come", "say when the period began"));
    }
    let is_day = |text: &str| NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok();
    let end_of_day = NaiveTime::from_hms_opt(23, 59, 59);
    if is_day(text) || text.eq_ignore_ascii_case("today") || Some(at.time()) == end_of_day {
        let begin = at.date_naive().and_time(NaiveTime::MIN);
        return Ok(begin
            .and_local_timezone(*at.offset())
            .single()
            .unwrap_or(at));
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begins(text: &str) -> Option<String> {
        let now = "2025-03-05T14:30:00+00:00".parse().unwrap();
        let begin = begin_of_period(Some(text), now).ok()?;
        Some(begin.naive_local().format("%m-%d %H:%M").to_string())
    }

    #[test]
    fn a_period_begins_with_the_day_that_is_said() {
        assert_eq!(begins("2025-02-10").as_deref(), Some("02-10 00:00"));
        assert_eq!(begins("yesterday").as_deref(), Some("03-04 00:00"));
        for none in ["soon", "2031-01-01", ""] {
            assert_eq!(begins(none), None, "{none}");
        }
    }
}
