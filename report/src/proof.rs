//! What proves that it can be restored: content that was read back, trial restores, copies elsewhere.

use maud::{Markup, html};
use schema::{
    drill::{CheckStatus, Drill, DrillVerdict},
    output::period_report::{PeriodReport, ReportedDestination},
};

use crate::{
    page::{self, sign, table},
    plot::{as_f64_u, share},
    words::{Tone, ago, bytes, count, length, moment, plural, rich, safe, sentence},
};

/// Checks that are told of a drill.
const MOST_CHECKS: usize = 20;

/// What was read back, and the last trial restore.
pub(crate) fn card(report: &PeriodReport, destination: &ReportedDestination) -> Markup {
    let lead = html! { "Only what was read back, or restored on trial, is known to be whole." };
    let body = html! {
        (read_back(report, destination))
        h4 { "Trial restore" }
        @match &destination.drill {
            Some(drill) => (trial(report, drill)),
            None => p {
                "None was made yet. " (rich("`sudo backup drill` makes one; monitoring.drill has one made by itself."))
            },
        }
    };
    page::card("Proof", &lead, &body)
}

fn read_back(report: &PeriodReport, destination: &ReportedDestination) -> Markup {
    let now = report.made_at;
    let verified = destination.snapshots.iter();
    let verified = verified.filter_map(|one| one.listed.verified_at);
    let whole = verified.clone().count() as u64;
    let damaged = destination.snapshots.iter();
    let damaged = damaged.filter(|one| one.listed.damaged > 0).count() as u64;
    let read = destination.read_back;
    html! {
        h4 { "Read back" }
        @match &destination.share {
            Some(part) => {
                @let (read, of) = (u64::from(part.parts_read), u64::from(part.of));
                svg.coverage width="100%" height="14" role="img"
                    aria-label={ (count(read)) " of " (count(of)) " parts were read" } {
                    rect.track width="100%" height="14" rx="4" {}
                    rect.(if part.damage_count > 0 { "bad" } else { "done" })
                        width=(share(as_f64_u(read) / as_f64_u(of.max(1)) * 100.0)) height="14" rx="4" {}
                }
                p {
                    strong { (count(read)) " of " (count(of)) } " parts of what is stored were read and compared; \
                    the longest ago " (ago(part.oldest_at, now)) ". The last check read "
                    (plural(part.files_read, "file", "files")) " of " (bytes(part.bytes_read)) ": "
                    @match &part.first_damage {
                        Some(first) => strong.bad {
                            (plural(part.damage_count, "damage", "damages")) ", first " (safe(first))
                        },
                        None => "none is damaged",
                    }
                    "."
                }
            },
            None => p {
                @match read.disk_at.max(read.remote_at) {
                    Some(at) => { "Content was last read back " (ago(at, now)) "." },
                    None => { "No content was read back yet. " (rich("`sudo backup health` reads a share of it.")) },
                }
            },
        }
        @if whole > 0 {
            p {
                (plural(whole, "snapshot was", "snapshots were")) " compared as a whole and found whole, the last "
                (verified.max().map_or_else(String::new, |at| ago(at, now))) "."
            }
        }
        @if damaged > 0 {
            p { strong.bad { (plural(damaged, "snapshot has", "snapshots have")) " damaged files" } ": "
                (rich("`sudo backup verify --repair` heals what it can.")) }
        }
    }
}

fn trial(report: &PeriodReport, drill: &Drill) -> Markup {
    let tone = match drill.verdict {
        DrillVerdict::Passed => Tone::Good,
        DrillVerdict::Failed => Tone::Bad,
    };
    let checks: Vec<Vec<Markup>> = drill
        .checks
        .iter()
        .take(MOST_CHECKS)
        .map(|check| {
            let class = match check.status {
                CheckStatus::Passed => "good",
                _ => "bad",
            };
            vec![
                html! { span.path { (safe(&check.check)) } },
                html! { strong.(class) { (check.status.word()) } },
                html! { span.text { (safe(&check.message)) } },
            ]
        })
        .collect();
    html! {
        p.with-sign {
            (sign(tone))
            span {
                strong { (sentence(drill.verdict.word())) } " " (ago(drill.ended_at, report.made_at))
                " in " (length(drill.ended_at - drill.started_at)) ": " (rich(&drill.summary))
                " (snapshot of " (moment(drill.snapshot.started_at)) ")."
                @if let Some(hint) = &drill.hint { " " (rich(&sentence(hint))) "." }
            }
        }
        @if !checks.is_empty() { (table("checks", &["Check", "Result", ""], &checks)) }
    }
}

/// The copies in the cloud.
pub(crate) fn cloud_card(report: &PeriodReport, destination: &ReportedDestination) -> Markup {
    let Some(cloud) = &destination.cloud else {
        return html! {};
    };
    let health = report.health_of(destination);
    let unreachable = health.and_then(|health| health.cloud.as_ref()?.unreachable.as_ref());
    let lead = html! { span.path { (safe(&cloud.remote)) } };
    let body = html! {
        @match &cloud.newest {
            Some(newest) => p {
                "The newest copy is the snapshot of " (newest.id.local().format("%-d %b %Y, %H:%M").to_string())
                ", brought there " strong { (ago(newest.uploaded_at, report.made_at)) } ": "
                (bytes(newest.bytes)) " in " (plural(newest.files, "file", "files")) ". "
                (plural(newest.snapshots, "snapshot", "snapshots")) " can be restored from there."
            },
            None => p { strong.bad { "No copy is there yet." } },
        }
        @if let Some(because) = unreachable {
            p { strong.bad { "It cannot be reached now" } ": " (safe(because)) }
        }
    };
    page::card("Cloud", &lead, &body)
}
