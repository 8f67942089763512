//! Free room on a destination, and when it ends.

use chrono::TimeDelta;
use maud::{Markup, html};
use schema::{
    health::{Space, SpaceSample, Trend, TrendBasis},
    output::period_report::{PeriodReport, ReportedDestination},
};

use crate::{
    page::{self, cell, folded_table},
    plot::{Scale, TimeAxis, curve, frame, number, share},
    words::{Tone, bytes, day, moment, percent, plural},
};

const HEIGHT: u32 = 120;
/// Days that are left when a person should act, as health judges it.
const SOON: u64 = 30;

/// How grave it is, and when room ends, in a few words.
pub(crate) fn outlook(report: &PeriodReport, destination: &ReportedDestination) -> (Tone, String) {
    let health = report.health_of(destination);
    let space = health.and_then(|health| health.space.as_ref());
    let Some(space) = space else {
        return (Tone::Quiet, String::new());
    };
    if space.free_bytes < destination.reserve_bytes {
        let reserve = bytes(destination.reserve_bytes);
        return (
            Tone::Bad,
            format!("less than the {reserve} that must stay free"),
        );
    }
    match &space.trend {
        None => (Tone::Good, "too few runs for a forecast".to_owned()),
        Some(trend) => match trend.days_left {
            Some(left) if left <= SOON => (
                Tone::Bad,
                format!("full in {}", plural(left, "day", "days")),
            ),
            Some(left) => (
                Tone::Good,
                format!("full in {}", plural(left, "day", "days")),
            ),
            None if trend.oldest_make_room => {
                (Tone::Good, "the oldest snapshots make room".to_owned())
            }
            None => (Tone::Good, "no end in sight".to_owned()),
        },
    }
}

/// Free room over time, with its forecast.
pub(crate) fn card(report: &PeriodReport, destination: &ReportedDestination) -> Markup {
    let health = report.health_of(destination);
    let Some(space) = health.and_then(|health| health.space.as_ref()) else {
        return html! {};
    };
    let now = SpaceSample {
        at: report.made_at,
        free_bytes: space.free_bytes,
    };
    let samples = destination.room.iter();
    let samples = samples.filter(|one| one.at >= report.shown_from && one.at < now.at);
    let samples: Vec<SpaceSample> = samples.copied().chain([now]).collect();
    let until = report.made_at + (report.made_at - report.shown_from) / 3;
    let axis = TimeAxis::new(report.shown_from, until);
    let most = samples.iter().map(|one| one.free_bytes).max().unwrap_or(0);
    let forecast = space
        .trend
        .as_ref()
        .map(|trend| ahead(trend, space, until - report.made_at));
    let scale = Scale::of_bytes(most.max(forecast.unwrap_or(0)));
    let lead = html! {
        strong { (bytes(space.free_bytes)) } " of " (bytes(space.total_bytes)) " are free ("
        (percent(space.free_bytes, space.total_bytes)) " %). " (words(space, destination, report))
    };
    let rows: Vec<Vec<Markup>> = samples
        .iter()
        .rev()
        .map(|one| vec![cell(moment(one.at)), cell(bytes(one.free_bytes))])
        .collect();
    let body = html! {
        (chart(&samples, forecast, destination.reserve_bytes, &axis, &scale))
        (folded_table("free room that each run found", &["When", "Free"], &rows))
    };
    page::card("Free room", &lead, &body)
}

/// What will be free after this time.
fn ahead(trend: &Trend, space: &Space, time: TimeDelta) -> u64 {
    let used = i128::from(trend.used_bytes_a_day) * i128::from(time.num_hours()) / 24;
    let free = i128::from(space.free_bytes) - used;
    let free = free.clamp(0, i128::from(space.total_bytes));
    u64::try_from(free).unwrap_or(0)
}

fn chart(
    samples: &[SpaceSample],
    forecast: Option<u64>,
    reserve: u64,
    axis: &TimeAxis,
    scale: &Scale,
) -> Markup {
    let depth = |free: u64| scale.depth(free, HEIGHT);
    let points: Vec<(f64, f64)> = samples
        .iter()
        .map(|one| (axis.place(one.at), depth(one.free_bytes)))
        .collect();
    let low = depth(reserve);
    let foretold = samples.last().zip(forecast).map(|(now, free)| {
        [
            (axis.place(now.at), depth(now.free_bytes)),
            (100.0, depth(free)),
        ]
    });
    let marks = html! {
        @if reserve > 0 {
            rect.reserve x="0" y=(number(low)) width="100%" height=(number(f64::from(HEIGHT) - low)) {
                title { "must stay free: " (bytes(reserve)) }
            }
        }
        @if let Some(line) = foretold { (curve(&line, HEIGHT, "forecast", false)) }
        (curve(&points, HEIGHT, "line", true))
        @for (one, (x, y)) in samples.iter().zip(&points) {
            circle.dot cx=(share(*x)) cy=(number(*y)) r="2.5" {
                title { (moment(one.at)) ": " (bytes(one.free_bytes)) " free" }
            }
        }
        @if let Some(now) = samples.last() {
            line.now x1=(share(axis.place(now.at))) x2=(share(axis.place(now.at))) y1="0" y2=(HEIGHT) {}
        }
    };
    html! {
        (frame("Free room over time, and how it goes on", axis, scale, HEIGHT, &marks))
        ul.legend {
            li { svg.key width="22" height="10" aria-hidden="true" { line.line x1="0" x2="22" y1="5" y2="5" {} } "found by runs" }
            @if forecast.is_some() {
                li { svg.key width="22" height="10" aria-hidden="true" { line.forecast x1="0" x2="22" y1="5" y2="5" {} } "forecast" }
            }
            @if reserve > 0 {
                li { svg.key width="22" height="10" aria-hidden="true" { rect.reserve width="22" height="10" {} } "must stay free" }
            }
        }
    }
}

/// Where it leads, in a sentence.
fn words(space: &Space, destination: &ReportedDestination, report: &PeriodReport) -> String {
    let Some(trend) = &space.trend else {
        return "Too little is known for a forecast: it takes five days and five runs.".to_owned();
    };
    let basis = match trend.basis {
        TrendBasis::FreeSpace { runs } => format!("what {} found", plural(runs, "run", "runs")),
        TrendBasis::Snapshots { snapshots } => {
            format!("what {} stored", plural(snapshots, "snapshot", "snapshots"))
        }
    };
    let basis = format!("by {basis} since {}", day(trend.since));
    let a_day = bytes(trend.used_bytes_a_day.unsigned_abs());
    let reserve = match destination.reserve_bytes {
        0 => "nothing is left".to_owned(),
        reserve => format!("only the {} are left that must stay free", bytes(reserve)),
    };
    match trend.days_left {
        Some(left) => {
            let days = i64::try_from(left).ok().and_then(TimeDelta::try_days);
            let end = days.and_then(|days| report.made_at.checked_add_signed(days));
            let end = end.map_or_else(String::new, |end| format!(", about {}", day(end)));
            let left = plural(left, "day", "days");
            format!("It loses {a_day} a day ({basis}): in {left}{end}, {reserve}.")
        }
        None if trend.oldest_make_room => {
            format!(
                "It loses {a_day} a day ({basis}); the oldest snapshots make room for new ones."
            )
        }
        None if trend.used_bytes_a_day < 0 => {
            format!("It gains {a_day} a day ({basis}).")
        }
        None => format!("It loses {a_day} a day ({basis}): no end is in sight."),
    }
}
