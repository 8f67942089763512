//! How much is backed up, and how much was new each day.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use maud::{Markup, html};
use schema::output::period_report::{PeriodReport, ReportedDestination, SizePoint};

use crate::{
    page::{self, cell, folded_table},
    plot::{Scale, TimeAxis, curve, frame, number, share},
    words::{bytes, count, moment, plural, signed_bytes},
};

const CONTENT: u32 = 120;
const NEW: u32 = 90;

/// Size over time.
pub(crate) fn card(report: &PeriodReport, destination: &ReportedDestination) -> Markup {
    let shown = destination.sizes.iter();
    let shown: Vec<&SizePoint> = shown.filter(|one| one.at >= report.shown_from).collect();
    let (Some(first), Some(last)) = (shown.first(), shown.last()) else {
        return html! {};
    };
    let axis = TimeAxis::of_days(report.shown_from, report.made_at);
    let before = destination.sizes.iter().rev();
    let before = before.into_iter().find(|one| one.at <= report.since);
    let grown = |from: &SizePoint| {
        let size = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        signed_bytes(size(last.bytes).saturating_sub(size(from.bytes)))
    };
    let of_period = shown.iter().filter(|one| one.at >= report.since);
    let new: u64 = of_period.map(|one| one.new_bytes).sum();
    let lead = html! {
        strong { (bytes(last.bytes)) } " in " (plural(last.files, "file", "files")) ", "
        strong { (grown(before.unwrap_or(first))) } " in this time; " (bytes(new)) " were copied."
    };
    let rows: Vec<Vec<Markup>> = shown
        .iter()
        .rev()
        .map(|one| {
            vec![
                cell(moment(one.at)),
                cell(bytes(one.bytes)),
                cell(count(one.files)),
                cell(bytes(one.new_bytes)),
            ]
        })
        .collect();
    let body = html! {
        (content(&shown, &axis))
        (new_by_day(&shown, &axis))
        (folded_table("size of each snapshot", &["Snapshot", "Content", "Files", "New"], &rows))
    };
    page::card("Size over time", &lead, &body)
}

fn content(shown: &[&SizePoint], axis: &TimeAxis) -> Markup {
    let sizes = shown.iter().map(|one| one.bytes);
    let (least, most) = (sizes.clone().min(), sizes.max());
    let scale = Scale::of_some_bytes(least.unwrap_or(0), most.unwrap_or(0));
    let place = |one: &SizePoint| (axis.place(one.at), scale.depth(one.bytes, CONTENT));
    let points: Vec<(f64, f64)> = shown.iter().map(|one| place(one)).collect();
    let marks = html! {
        (curve(&points, CONTENT, "line", scale.begins_with_nothing()))
        @for one in shown {
            @let (x, y) = place(one);
            circle.dot cx=(share(x)) cy=(number(y)) r="2.5" {
                title { (moment(one.at)) ": " (bytes(one.bytes)) " in " (plural(one.files, "file", "files")) }
            }
        }
    };
    html! {
        h4 { "Content" @if !scale.begins_with_nothing() { small { " (the scale does not begin with 0)" } } }
        (frame("Content of each snapshot over time", axis, &scale, CONTENT, &marks))
    }
}

fn new_by_day(shown: &[&SizePoint], axis: &TimeAxis) -> Markup {
    let mut days: BTreeMap<NaiveDate, u64> = BTreeMap::new();
    for one in shown {
        let new = days.entry(one.at.date_naive()).or_default();
        *new = new.saturating_add(one.new_bytes);
    }
    let scale = Scale::of_bytes(days.values().copied().max().unwrap_or(0));
    let marks = html! {
        @for (day, new) in &days {
            @let (x, wide) = axis.day(*day);
            // Something is to be seen of each day that has anything.
            @let tall = (f64::from(NEW) - scale.depth(*new, NEW)).max(1.0);
            rect.bar x=(share(x + wide / 10.0)) y=(number(f64::from(NEW) - tall)) width=(share(wide * 0.8))
                height=(number(tall)) {
                title { (day.format("%a %-d %b %Y").to_string()) ": " (bytes(*new)) " new" }
            }
        }
    };
    html! {
        h4 { "New each day" }
        (frame("Bytes copied each day", axis, &scale, NEW, &marks))
    }
}
