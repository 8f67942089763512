//! Which snapshot stays until when: a bar for each, from when it was made until it goes.

use maud::{Markup, html};
use schema::{
    KeepReason, Tier,
    output::period_report::{PeriodReport, ReportedDestination, ReportedSnapshot, Stay},
};

use crate::{
    page::{self, cell, folded_table},
    plot::{TimeAxis, share},
    words::{Time, bytes, day, moment, plural, safe},
};

/// Height of a row, and how many are drawn; the table has them all.
const ROW: u32 = 18;
const MOST: usize = 60;

/// The snapshots as bars.
pub(crate) fn card(report: &PeriodReport, destination: &ReportedDestination) -> Markup {
    let snapshots = &destination.snapshots;
    let (Some(oldest), Some(by)) = (snapshots.last(), &destination.foretold_by) else {
        return html! {};
    };
    let end = snapshots.iter().filter_map(end_of).max();
    let from = oldest.listed.started_at.min(report.made_at);
    // What goes tomorrow is to be seen as well.
    let least = report.made_at + (report.made_at - from) / 4;
    let axis = TimeAxis::new(from, end.unwrap_or(least).max(least));
    let next = snapshots.iter().filter_map(|one| match one.stays {
        Some(Stay::Until { at, .. }) => Some((at, one)),
        _ => None,
    });
    let next = next.min_by_key(|(at, _)| *at);
    let lead = html! {
        "Until when each snapshot stays, if a backup is made " (safe(by)) "."
        @if let Some((at, one)) = next {
            " The next to go is that of " (moment(one.listed.started_at)) ", on " (day(at)) "."
        }
    };
    let body = html! {
        (bars(report, snapshots, &axis))
        @if let Some(more) = snapshots.len().checked_sub(MOST).filter(|more| *more > 0) {
            p.note { (plural(more as u64, "older one stands", "older ones stand")) " in the table." }
        }
        ul.legend {
            @for tier in Tier::ALL.into_iter().filter(|tier| snapshots.iter().any(|one| one.listed.home == *tier)) {
                li { span.swatch.(tier_class(tier)) {} (tier.folder()) }
            }
            li { svg.key width="10" height="12" aria-hidden="true" { line.now x1="5" x2="5" y1="0" y2="12" {} } "now" }
        }
        (folded_table("snapshots and how long they stay",
            &["Snapshot", "Tiers", "Stays until", "Why", "Only it holds"], &rows(snapshots)))
    };
    page::card("Retention", &lead, &body)
}

/// The end of a bar that has one.
fn end_of(one: &ReportedSnapshot) -> Option<Time> {
    match one.stays? {
        Stay::Until { at, .. } => Some(at),
        Stay::Beyond { .. } | Stay::Held { .. } => None,
    }
}

fn tier_class(tier: Tier) -> &'static str {
    match tier {
        Tier::Hourly | Tier::Daily => "tier-1",
        Tier::Weekly => "tier-2",
        Tier::Monthly | Tier::Yearly => "tier-3",
    }
}

fn bars(report: &PeriodReport, snapshots: &[ReportedSnapshot], axis: &TimeAxis) -> Markup {
    let shown = &snapshots[..snapshots.len().min(MOST)];
    let rows = u32::try_from(shown.len()).unwrap_or(0);
    let tall = rows * ROW;
    let now = axis.place(report.made_at);
    html! {
        div.plot.wide {
            svg.steps width="112" height=(tall) aria-hidden="true" {
                @for (at, one) in (0..rows).zip(shown) {
                    text x="106" y=(at * ROW + 13) text-anchor="end" {
                        (one.listed.started_at.format("%-d %b %y %H:%M").to_string())
                    }
                }
            }
            svg.marks width="100%" height=(tall) role="img"
                aria-label="A bar for each snapshot, from when it was made until it goes" {
                @for (at, one) in (0..rows).zip(shown) { (bar(one, at * ROW, now, axis)) }
                line.now x1=(share(now)) x2=(share(now)) y1="0" y2=(tall) {}
            }
            (axis.labels())
        }
    }
}

fn bar(one: &ReportedSnapshot, y: u32, now: f64, axis: &TimeAxis) -> Markup {
    let class = tier_class(one.listed.home);
    let from = axis.place(one.listed.started_at);
    let to = end_of(one).map_or(100.0, |at| axis.place(at)).max(now);
    let goes_on = end_of(one).is_none();
    html! {
        g.bar-of.(class) {
            title { (moment(one.listed.started_at)) ": " (until(one)) " (" (why(one)) ")" }
            rect x=(share(from)) y=(y + 4) width=(share((now - from).max(0.4))) height=(ROW - 8) rx="2" {}
            @if to > now {
                rect.to-come x=(share(now)) y=(y + 4) width=(share(to - now)) height=(ROW - 8) rx="2" {}
            }
            @if goes_on {
                svg x="100%" y=(y + 4) width="1" height=(ROW - 8) overflow="visible" {
                    path d="M-11 1l4 4-4 4M-6 1l4 4-4 4" {}
                }
            }
        }
    }
}

/// Until when it stays, in words.
fn until(one: &ReportedSnapshot) -> String {
    match one.stays {
        Some(Stay::Until { at, .. }) => day(at),
        Some(Stay::Beyond { at }) => format!("beyond {}", day(at)),
        Some(Stay::Held { because }) => match because {
            KeepReason::NewestVerified => "another one is verified".to_owned(),
            KeepReason::Future => "the clock has reached it".to_owned(),
            _ => "a person says so".to_owned(),
        },
        None => String::new(),
    }
}

fn why(one: &ReportedSnapshot) -> String {
    match one.stays {
        Some(Stay::Until { because, .. }) => because.to_string(),
        Some(Stay::Held { because }) => because.to_string(),
        Some(Stay::Beyond { .. }) => {
            let kept = one.listed.kept.first();
            kept.map_or_else(String::new, ToString::to_string)
        }
        None => String::new(),
    }
}

fn rows(snapshots: &[ReportedSnapshot]) -> Vec<Vec<Markup>> {
    let all = snapshots.iter();
    all.map(|one| {
        let listed = &one.listed;
        let tiers: Vec<&str> = listed.tiers.iter().map(|tier| tier.folder()).collect();
        let least = if listed.frees_is_exact {
            ""
        } else {
            "at least "
        };
        vec![
            cell(moment(listed.started_at)),
            cell(tiers.join(", ")),
            cell(until(one)),
            html! { span.text { (safe(&why(one))) } },
            cell(format!("{least}{}", bytes(listed.frees))),
        ]
    })
    .collect()
}
