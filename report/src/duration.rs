//! How long runs took, and how fast they copied.

use chrono::TimeDelta;
use maud::{Markup, html};
use schema::output::period_report::{PeriodReport, ReportedDestination, ReportedRun};

use crate::{
    page::{self, cell, folded_table},
    plot::{Scale, TimeAxis, frame, number, share},
    words::{backups, bytes, length, moment},
};

const HEIGHT: u32 = 90;
/// What a run must copy for its speed to say something.
const ENOUGH: u64 = 64 << 20;

/// Duration and throughput of the runs.
pub(crate) fn card(report: &PeriodReport, destination: &ReportedDestination) -> Markup {
    let made = |run: &&ReportedRun| run.snapshot.is_some() && run.started_at >= report.shown_from;
    let runs: Vec<&ReportedRun> = backups(destination).filter(made).collect();
    if runs.is_empty() {
        return html! {};
    }
    let axis = TimeAxis::of_days(report.shown_from, report.made_at);
    let took: Vec<u64> = runs.iter().map(|run| seconds(run)).collect();
    let speeds: Vec<u64> = runs.iter().filter_map(|run| speed(run)).collect();
    let lead = html! {
        "Half of the runs took no longer than " strong { (length(TimeDelta::seconds(as_signed(middle(&took))))) }
        @if speeds.is_empty() {
            "; none copied enough to tell how fast it is."
        } @else {
            ", and copied at " strong { (bytes(middle(&speeds))) "/s" } " where there was much to copy."
        }
    };
    let scale = Scale::of_seconds(took.iter().copied().max().unwrap_or(0));
    let marks = html! {
        @for run in &runs {
            @let y = scale.depth(seconds(run), HEIGHT);
            @let tall = (f64::from(HEIGHT) - y).max(1.0);
            @let x = (axis.place(run.started_at) - 0.4).clamp(0.0, 99.2);
            rect.bar x=(share(x)) y=(number(f64::from(HEIGHT) - tall)) width="0.8%" height=(number(tall)) {
                title { (told(run)) }
            }
        }
    };
    let rows: Vec<Vec<Markup>> = runs
        .iter()
        .rev()
        .map(|run| {
            vec![
                cell(moment(run.started_at)),
                cell(length(run.ended_at - run.started_at)),
                cell(bytes(run.new_bytes)),
                cell(speed(run).map_or_else(String::new, |speed| format!("{}/s", bytes(speed)))),
            ]
        })
        .collect();
    let body = html! {
        (frame("Duration of each run", &axis, &scale, HEIGHT, &marks))
        (folded_table("duration and throughput", &["Begun", "Took", "Copied", "Throughput"], &rows))
    };
    page::card("Duration and throughput", &lead, &body)
}

fn seconds(run: &ReportedRun) -> u64 {
    let took = (run.ended_at - run.started_at).num_seconds();
    u64::try_from(took).unwrap_or(0)
}

fn as_signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX / 1000)
}

/// Bytes a second while the snapshot was made; none where there was too little to copy.
fn speed(run: &ReportedRun) -> Option<u64> {
    let millis = run.snapshot_millis.filter(|_| run.new_bytes >= ENOUGH)?;
    run.new_bytes.saturating_mul(1000).checked_div(millis)
}

fn middle(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}

fn told(run: &ReportedRun) -> String {
    let speed = speed(run);
    let speed = speed.map_or_else(String::new, |speed| format!(" at {}/s", bytes(speed)));
    format!(
        "{}: {}, {} copied{speed}",
        moment(run.started_at),
        length(run.ended_at - run.started_at),
        bytes(run.new_bytes)
    )
}
