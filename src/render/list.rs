//! The snapshots of a destination as a table and as JSON.
//!
//! Owns what is said of each snapshot. It must not decide which are good: marks and records say it.

use chrono::{DateTime, FixedOffset};
use planner::Standing;
use schema::{
    Config, ExpireReason, KeepReason, SnapshotId, Tier,
    inventory::{DestinationState, Leftover, SnapshotState, Unmanaged},
};
use serde::Serialize;

use super::{
    amount,
    page::{Page, path},
};
use crate::style::{Style, left, printable, right};

/// What stands on a destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ListView {
    /// Where.
    pub(crate) mount_point: String,
    /// Snapshots with a record, newest first.
    pub(crate) snapshots: Vec<Listed>,
    /// Why records cannot be read, where they cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) record_fault: Option<String>,
    /// Folders in the tiers that have no record, or a damaged one.
    pub(crate) unmanaged: Vec<Unmanaged>,
    /// Snapshots that were begun and not ended.
    pub(crate) unfinished: Vec<Leftover>,
    /// Snapshots whose removal was begun and not ended.
    pub(crate) being_removed: Vec<Leftover>,
}

/// A snapshot with a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Listed {
    /// Its id.
    pub(crate) id: SnapshotId,
    /// The tier whose folder holds it.
    pub(crate) home: Tier,
    /// All tiers in which it appears, shortest-lived first.
    pub(crate) tiers: Vec<Tier>,
    /// When its run started.
    pub(crate) started_at: DateTime<FixedOffset>,
    /// Seconds since then; negative if the clock says it is yet to come.
    pub(crate) age_seconds: i64,
    /// Regular files.
    pub(crate) files: u64,
    /// Sum of their sizes.
    pub(crate) bytes: u64,
    /// Bytes that were copied for it.
    pub(crate) new_bytes: u64,
    /// Bytes that only it holds: what its deletion frees.
    pub(crate) frees: u64,
    /// Whether that is exact; where not, more may be freed, never less.
    pub(crate) frees_is_exact: bool,
    /// Why retention keeps it now.
    pub(crate) kept: Vec<KeepReason>,
    /// Why the next rotation removes it; none if it is kept.
    pub(crate) expires: Option<ExpireReason>,
    /// False when it was sealed with listed errors.
    pub(crate) complete: bool,
    /// How many problems it was sealed with.
    pub(crate) problems: u64,
    /// Why it is suspect.
    pub(crate) suspect: Vec<String>,
    /// A person said that it is as it should be all the same.
    pub(crate) accepted: bool,
    /// Kept whatever retention says.
    pub(crate) pinned: bool,
    /// When its content was last found whole.
    pub(crate) verified_at: Option<DateTime<FixedOffset>>,
    /// How many of its entries are known to be damaged.
    pub(crate) damaged: u64,
    /// Why its manifest cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) manifest_fault: Option<String>,
    /// When its manifest was made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) manifest_rebuilt_at: Option<DateTime<FixedOffset>>,
    /// When its record was made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) record_rebuilt_at: Option<DateTime<FixedOffset>>,
}

impl ListView {
    /// What stands on this destination.
    pub(crate) fn new(
        config: &Config,
        destination: &DestinationState,
        now: DateTime<FixedOffset>,
    ) -> Self {
        let mut standing = planner::overview(config, destination, now);
        let mut snapshots: Vec<Listed> = destination
            .snapshots
            .iter()
            .filter_map(|snapshot| {
                let standing = standing.remove(&snapshot.record.id)?;
                Some(Listed::new(snapshot, standing, destination, now))
            })
            .collect();
        snapshots.sort_by_key(|one| (std::cmp::Reverse(one.started_at), one.id));
        Self {
            mount_point: destination.mount_point.to_string(),
            snapshots,
            record_fault: destination.record_fault.clone(),
            unmanaged: destination.unmanaged.clone(),
            unfinished: destination.partial.clone(),
            being_removed: destination.trash.clone(),
        }
    }
}

impl Listed {
    fn new(
        snapshot: &SnapshotState,
        standing: Standing,
        destination: &DestinationState,
        now: DateTime<FixedOffset>,
    ) -> Self {
        let SnapshotState {
            home,
            record,
            marks,
            ..
        } = snapshot;
        let linked = |tier: Tier| {
            destination
                .links
                .iter()
                .any(|link| link.tier == tier && link.id == record.id)
        };
        Self {
            id: record.id,
            home: *home,
            tiers: Tier::ALL
                .into_iter()
                .filter(|tier| tier == home || linked(*tier))
                .collect(),
            started_at: record.started_at,
            age_seconds: (now - record.started_at).num_seconds(),
            files: record.totals.files,
            bytes: record.totals.bytes,
            new_bytes: record.totals.bytes_copied,
            frees: standing.frees,
            frees_is_exact: standing.exact,
            kept: standing.kept,
            expires: standing.expires,
            complete: record.complete,
            problems: record.totals.errors.max(record.problems.len() as u64),
            suspect: record.suspect.clone(),
            accepted: marks.accepted,
            pinned: marks.pinned,
            verified_at: marks.verified_at,
            damaged: snapshot.damaged,
            manifest_fault: snapshot.manifest_fault.clone(),
            manifest_rebuilt_at: record.manifest_rebuilt_at,
            record_rebuilt_at: record.record_rebuilt_at,
        }
    }

    /// Whether it is suspect and nobody has accepted it.
    pub(crate) fn is_suspect(&self) -> bool {
        !self.suspect.is_empty() && !self.accepted
    }

    fn at_least(&self) -> &'static str {
        if self.frees_is_exact { "" } else { ">" }
    }

    /// Why it is kept, or goes.
    fn why(&self) -> String {
        match &self.expires {
            Some(reason) => format!("goes in the next rotation: {reason}"),
            None => {
                let reasons: Vec<String> = self.kept.iter().map(ToString::to_string).collect();
                format!("kept: {}", reasons.join(", "))
            }
        }
    }

    fn state(&self, style: &Style) -> String {
        let mut words = vec![if self.complete {
            "complete".to_owned()
        } else {
            let problems = amount::plural(self.problems.max(1), "problem", "problems");
            style.yellow(super::page::firm(&problems))
        }];
        if self.damaged > 0 {
            let entries = amount::plural(self.damaged, "entry", "entries");
            words.push(style.yellow(format!("{} damaged", super::page::firm(&entries))));
        }
        if self.manifest_fault.is_some() {
            words.push(style.yellow("manifest damaged"));
        }
        if self.is_suspect() {
            words.push(style.yellow("suspect"));
        } else if self.accepted {
            words.push("accepted".to_owned());
        }
        if self.pinned {
            words.push("pinned".to_owned());
        }
        if self.verified_at.is_some() {
            words.push("verified".to_owned());
        }
        if self.manifest_rebuilt_at.is_some() {
            words.push("manifest rebuilt".to_owned());
        }
        if self.record_rebuilt_at.is_some() {
            words.push("record rebuilt".to_owned());
        }
        words.join(", ")
    }
}

/// The letter of a tier's column.
fn letter(tier: Tier) -> char {
    match tier {
        Tier::Hourly => 'H',
        Tier::Daily => 'D',
        Tier::Weekly => 'W',
        Tier::Monthly => 'M',
        Tier::Yearly => 'Y',
    }
}

/// The tiers that have a column: hours and years only where a snapshot is in them.
fn shown_tiers(snapshots: &[Listed]) -> Vec<Tier> {
    let usual = |tier: &Tier| !matches!(tier, Tier::Hourly | Tier::Yearly);
    Tier::ALL
        .into_iter()
        .filter(|tier| usual(tier) || snapshots.iter().any(|one| one.tiers.contains(tier)))
        .collect()
}

/// The tiers in which a snapshot appears, one column each.
fn letters(shown: &[Tier], tiers: &[Tier]) -> String {
    let mark = |tier: &Tier| {
        if tiers.contains(tier) {
            letter(*tier)
        } else {
            '-'
        }
    };
    shown.iter().map(mark).collect()
}

/// The snapshots, newest first, and below them what is none.
pub(crate) fn list(view: &ListView, style: &Style) -> String {
    let mut page = Page::default();
    if view.snapshots.is_empty() {
        page.line(0, &format!("No snapshots in {}.", path(&view.mount_point)));
    } else {
        table(&mut page, &view.snapshots, style);
    }
    leftovers(
        &mut page,
        "Unfinished",
        &view.unfinished,
        "the next run continues or removes it",
    );
    leftovers(
        &mut page,
        "Being removed",
        &view.being_removed,
        "the next run ends it",
    );
    let (damaged, foreign): (Vec<&Unmanaged>, Vec<&Unmanaged>) = view
        .unmanaged
        .iter()
        .partition(|folder| folder.record_fault.is_some());
    if !damaged.is_empty() {
        page.blank();
        let title = style.yellow("Record damaged, never deleted, see `backup health`:");
        page.line(0, &title);
        for folder in damaged {
            let fault = folder.record_fault.as_deref().unwrap_or_default();
            let name = path(&folder.name);
            page.line(2, &format!("{}/{name}: {}", folder.tier, printable(fault)));
        }
    }
    if !foreign.is_empty() {
        page.blank();
        match &view.record_fault {
            None => page.line(0, "Not made by this program, never deleted:"),
            Some(fault) => page.line(0, &format!("Folders without records ({fault}):")),
        }
        for folder in foreign {
            page.line(2, &format!("{}/{}", folder.tier, path(&folder.name)));
        }
    }
    page.into_string()
}

fn table(page: &mut Page, snapshots: &[Listed], style: &Style) {
    let heads = ["SNAPSHOT", "TIERS", "AGE", "FILES", "SIZE", "ALONE"];
    let tiers = shown_tiers(snapshots);
    let rows: Vec<[String; 6]> = snapshots
        .iter()
        .map(|one| {
            [
                one.id.to_string(),
                letters(&tiers, &one.tiers),
                amount::short_age(chrono::TimeDelta::seconds(one.age_seconds)),
                amount::count(one.files),
                amount::bytes(one.bytes),
                format!("{}{}", one.at_least(), amount::bytes(one.frees)),
            ]
        })
        .collect();
    let mut widths = heads.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    let line = |cells: [&str; 6]| {
        let mut text = String::new();
        for (at, (cell, width)) in cells.into_iter().zip(widths).enumerate() {
            // The first two are names, the rest amounts.
            text += &if at < 2 {
                left(cell, width)
            } else {
                right(cell, width)
            };
            text += "  ";
        }
        text
    };
    let columns = widths.iter().sum::<usize>() + 2 * widths.len();
    page.entry(0, &style.dim(line(heads)), columns, &style.dim("STATE"));
    for (row, one) in rows.iter().zip(snapshots) {
        let label = line(row.each_ref().map(String::as_str));
        page.entry(0, &label, columns, &one.state(style));
        page.line(2, &style.dim(one.why()));
    }
    page.blank();
    let bytes: u64 = snapshots.iter().map(|one| one.new_bytes).sum();
    let exact = snapshots.iter().all(|one| one.frees_is_exact);
    let letters: Vec<String> = tiers
        .iter()
        .map(|tier| format!("{} {tier}", letter(*tier)))
        .collect();
    let legend = format!(
        "{}, {} copied for them. {}. ALONE: {} its deletion frees{}.",
        amount::plural(snapshots.len() as u64, "snapshot", "snapshots"),
        amount::bytes(bytes),
        letters.join(", "),
        if exact { "what" } else { "what at least" },
        if exact { "" } else { " (>), never less" },
    );
    page.line(0, &style.dim(legend));
}

fn leftovers(page: &mut Page, title: &str, leftovers: &[Leftover], fate: &str) {
    if leftovers.is_empty() {
        return;
    }
    page.blank();
    page.line(0, &format!("{title} ({fate}):"));
    for one in leftovers {
        let text = format!(
            "{}: {}, {}",
            one.id,
            amount::plural(one.entries, "entry", "entries"),
            amount::bytes(one.bytes)
        );
        page.line(2, &text);
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
pub(crate) mod tests;
