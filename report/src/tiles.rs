//! The figures that a person looks at first.

use maud::{Markup, html};
use schema::{
    RunResult,
    drill::DrillVerdict,
    output::period_report::{PeriodReport, ReportedDestination},
};

use crate::{
    room,
    words::{Tone, age, ago, bytes, count, day, moment, plural, runs_of_period},
};

/// A figure: what it is of, itself, and what else there is to say.
pub(crate) struct Tile {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) note: String,
    pub(crate) tone: Tone,
}

/// The figures of a destination.
pub(crate) fn tiles(report: &PeriodReport, destination: &ReportedDestination) -> Markup {
    html! {
        ul.tiles {
            @for tile in all(report, destination) {
                li.(tile.tone.class()) {
                    span.what { (tile.name) }
                    strong { (tile.value) }
                    span.note { (tile.note) }
                }
            }
        }
    }
}

/// The same as values, for the mail and the text as well.
pub(crate) fn all(report: &PeriodReport, destination: &ReportedDestination) -> Vec<Tile> {
    let tiles = [
        Some(last_good(report, destination)),
        Some(runs(report, destination)),
        snapshots(destination),
        content(destination),
        room(report, destination),
        Some(read_back(report, destination)),
        Some(drill(report, destination)),
    ];
    tiles.into_iter().flatten().collect()
}

fn last_good(report: &PeriodReport, destination: &ReportedDestination) -> Tile {
    let status = report.status_of(destination);
    let next = status.next_run_at;
    let next = next.map(|next| format!("next {}", ago(next, report.made_at)));
    let (value, note, tone) = match &status.last_good {
        Some(good) => {
            let mut note = vec![good.id.local().format("%-d %b %Y, %H:%M").to_string()];
            if !good.complete {
                note.push("with errors".to_owned());
            }
            note.extend(next);
            let tone = match (status.late_since, good.complete) {
                (Some(_), _) => Tone::Bad,
                (None, false) => Tone::Warn,
                (None, true) => Tone::Good,
            };
            let since = chrono::TimeDelta::seconds(good.age_seconds);
            (age(since), note.join(", "), tone)
        }
        None => ("none".to_owned(), next.unwrap_or_default(), Tone::Bad),
    };
    Tile {
        name: "Last good backup",
        value,
        note,
        tone,
    }
}

fn runs(report: &PeriodReport, destination: &ReportedDestination) -> Tile {
    let (mut good, mut all, mut failed, mut incomplete) = (0_u64, 0_u64, 0_u64, 0_u64);
    for run in runs_of_period(report, destination) {
        match run.result {
            RunResult::Success => good += 1,
            RunResult::Failed | RunResult::Refused => failed += 1,
            RunResult::Incomplete => incomplete += 1,
            // Neither is an end: the backup comes later.
            RunResult::Deferred | RunResult::Interrupted => continue,
        }
        all += 1;
    }
    let mut note = Vec::new();
    if failed > 0 {
        note.push(format!("{} failed", count(failed)));
    }
    if incomplete > 0 {
        note.push(format!("{} incomplete", count(incomplete)));
    }
    let (tone, said) = match (all, note.is_empty()) {
        (0, _) => (Tone::Warn, "no run in this time".to_owned()),
        (_, true) => (Tone::Good, "none failed".to_owned()),
        _ => (Tone::Warn, note.join(", ")),
    };
    Tile {
        name: "Good runs",
        value: format!("{} of {}", count(good), count(all)),
        note: said,
        tone,
    }
}

fn snapshots(destination: &ReportedDestination) -> Option<Tile> {
    let oldest = destination.snapshots.last()?;
    Some(Tile {
        name: "Snapshots",
        value: count(destination.snapshots.len() as u64),
        note: format!("back to {}", day(oldest.listed.started_at)),
        tone: Tone::Quiet,
    })
}

fn content(destination: &ReportedDestination) -> Option<Tile> {
    let last = destination.sizes.last()?;
    Some(Tile {
        name: "Content",
        value: bytes(last.bytes),
        note: plural(last.files, "file", "files"),
        tone: Tone::Quiet,
    })
}

fn room(report: &PeriodReport, destination: &ReportedDestination) -> Option<Tile> {
    let found = report.status_of(destination).destination.as_ref()?;
    if !found.ready {
        return Some(Tile {
            name: "Free room",
            value: "away".to_owned(),
            note: format!("the drive is {}", found.absence()),
            tone: Tone::Warn,
        });
    }
    let (tone, note) = room::outlook(report, destination);
    Some(Tile {
        name: "Free room",
        value: bytes(found.free_bytes),
        note: match note.as_str() {
            "" => format!("of {}", bytes(found.total_bytes)),
            note => format!("of {}; {note}", bytes(found.total_bytes)),
        },
        tone,
    })
}

fn read_back(report: &PeriodReport, destination: &ReportedDestination) -> Tile {
    let read = &destination.read_back;
    let last = read.disk_at.max(read.remote_at);
    let (value, note, tone) = match (&destination.share, last) {
        (Some(share), _) if share.damage_count > 0 => (
            plural(share.damage_count, "damage", "damages"),
            format!("part {} of {}", share.part, share.of),
            Tone::Bad,
        ),
        (Some(share), _) => (
            format!("{} of {}", share.parts_read, share.of),
            format!(
                "parts, none damaged; the oldest {}",
                ago(share.oldest_at, report.made_at)
            ),
            Tone::Good,
        ),
        (None, Some(at)) => (
            ago(at, report.made_at),
            "by hand, or a share".to_owned(),
            Tone::Quiet,
        ),
        (None, None) => (
            "never".to_owned(),
            "health checks do it".to_owned(),
            Tone::Warn,
        ),
    };
    Tile {
        name: "Read back",
        value,
        note,
        tone,
    }
}

fn drill(report: &PeriodReport, destination: &ReportedDestination) -> Tile {
    let (value, note, tone) = match &destination.drill {
        Some(drill) => (
            drill.verdict.word().to_owned(),
            format!(
                "{}, of {}",
                ago(drill.ended_at, report.made_at),
                moment(drill.snapshot.started_at)
            ),
            match drill.verdict {
                DrillVerdict::Passed => Tone::Good,
                DrillVerdict::Failed => Tone::Bad,
            },
        ),
        None if destination.drills => (
            "none yet".to_owned(),
            "monitoring.drill is on".to_owned(),
            Tone::Quiet,
        ),
        None => (
            "never".to_owned(),
            "backup drill makes one".to_owned(),
            Tone::Quiet,
        ),
    };
    Tile {
        name: "Trial restore",
        value,
        note,
        tone,
    }
}
