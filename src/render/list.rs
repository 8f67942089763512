//! The snapshots of a destination as a table.
//!
//! Owns the words and the columns. What is said of each snapshot is the planner's.

use schema::{
    Tier,
    config::DestinationName,
    inventory::{Leftover, Unmanaged},
    output::list::{ListedSnapshot, SnapshotList},
};

use super::{
    amount, hint,
    page::{Page, line_width, readable_path},
    picture::{Ages, columns_of, labelled},
};
use crate::style::{Style, left, printable, right};

/// The letter of a tier's column.
fn tier_letter(tier: Tier) -> char {
    match tier {
        Tier::Hourly => 'H',
        Tier::Daily => 'D',
        Tier::Weekly => 'W',
        Tier::Monthly => 'M',
        Tier::Yearly => 'Y',
    }
}

/// The tiers that have a column: hours and years only where a snapshot is in them.
pub(crate) fn shown_tiers(snapshots: &[ListedSnapshot]) -> Vec<Tier> {
    let usual = |tier: &Tier| !matches!(tier, Tier::Hourly | Tier::Yearly);
    Tier::ALL
        .into_iter()
        .filter(|tier| usual(tier) || snapshots.iter().any(|one| one.tiers.contains(tier)))
        .collect()
}

/// The tiers in which a snapshot appears, one column each.
pub(crate) fn tier_columns(shown: &[Tier], tiers: &[Tier]) -> String {
    let mark = |tier: &Tier| {
        if tiers.contains(tier) {
            tier_letter(*tier)
        } else {
            '-'
        }
    };
    shown.iter().map(mark).collect()
}

/// The sign before what a deletion frees, where that is not exact.
pub(crate) fn at_least_sign(snapshot: &ListedSnapshot) -> &'static str {
    if snapshot.frees_is_exact { "" } else { ">" }
}

/// Why it is kept, or goes.
pub(crate) fn retention_reason(snapshot: &ListedSnapshot) -> String {
    match &snapshot.expires {
        Some(reason) => format!("goes in the next rotation: {reason}"),
        None => {
            let reasons: Vec<String> = snapshot.kept.iter().map(ToString::to_string).collect();
            format!("kept: {}", reasons.join(", "))
        }
    }
}

/// What was gone from the sources when it was made, as the end of a sentence.
pub(crate) fn gone_then(snapshot: &ListedSnapshot) -> String {
    let gone = snapshot.gone.as_ref();
    gone.map_or_else(String::new, |gone| {
        format!("; gone when it was made: {}", printable(&gone.to_string()))
    })
}

/// How it stands, in words.
pub(crate) fn state_words(snapshot: &ListedSnapshot, style: &Style) -> String {
    let mut words = vec![if snapshot.complete {
        "complete".to_owned()
    } else {
        let problems = amount::plural(snapshot.problems.max(1), "problem", "problems");
        style.yellow(super::page::unbroken(&problems))
    }];
    if snapshot.damaged > 0 {
        let entries = amount::plural(snapshot.damaged, "entry", "entries");
        words.push(style.yellow(format!("{} damaged", super::page::unbroken(&entries))));
    }
    if snapshot.manifest_fault.is_some() {
        words.push(style.yellow("manifest damaged"));
    }
    if snapshot.is_suspect() {
        words.push(style.yellow("suspect"));
    } else if snapshot.accepted {
        words.push("accepted".to_owned());
    }
    if snapshot.pinned {
        words.push("pinned".to_owned());
    }
    if snapshot.verified_at.is_some() {
        words.push("verified".to_owned());
    }
    if snapshot.manifest_rebuilt_at.is_some() {
        words.push("manifest rebuilt".to_owned());
    }
    if snapshot.record_rebuilt_at.is_some() {
        words.push("record rebuilt".to_owned());
    }
    words.join(", ")
}

/// The snapshots, newest first, and below them what is none.
pub(crate) fn snapshot_list(
    of: Option<&DestinationName>,
    list: &SnapshotList,
    style: &Style,
) -> String {
    let mut page = Page::default();
    page.tell_of(of);
    // Where records cannot be read, nobody knows which of the folders below are snapshots.
    let is_unknown = list.record_fault.is_some() && !list.unmanaged.is_empty();
    if list.snapshots.is_empty() && !is_unknown {
        page.line(
            0,
            &format!("No snapshots in {}.", readable_path(&list.mount_point)),
        );
    } else if !list.snapshots.is_empty() {
        add_table(&mut page, &list.snapshots, style);
    }
    add_leftovers(
        &mut page,
        "Unfinished",
        &list.unfinished,
        "the next run continues or removes it",
    );
    add_leftovers(
        &mut page,
        "Being removed",
        &list.being_removed,
        "the next run ends it",
    );
    let (damaged, foreign): (Vec<&Unmanaged>, Vec<&Unmanaged>) = list
        .unmanaged
        .iter()
        .partition(|folder| folder.record_fault.is_some());
    if !damaged.is_empty() {
        page.blank();
        let title = style.yellow(hint::pasted(
            "Record damaged, never deleted, see `backup health`:",
        ));
        page.line(0, &title);
        for folder in damaged {
            let fault = folder.record_fault.as_deref().unwrap_or_default();
            let name = readable_path(&folder.name);
            page.line(2, &format!("{}/{name}: {}", folder.tier, printable(fault)));
        }
    }
    if !foreign.is_empty() {
        page.blank();
        match &list.record_fault {
            None => page.line(0, "Not made by this program, never deleted:"),
            Some(fault) => page.line(
                0,
                &format!("Can be restored from; what they are cannot be read ({fault}):"),
            ),
        }
        for folder in foreign {
            page.line(
                2,
                &format!("{}/{}", folder.tier, readable_path(&folder.name)),
            );
        }
    }
    page.into_string()
}

fn add_table(page: &mut Page, snapshots: &[ListedSnapshot], style: &Style) {
    // Of a remote nobody knows what a deletion frees.
    let is_known = snapshots
        .iter()
        .any(|one| one.frees > 0 || one.frees_is_exact);
    let shown = if is_known { 6 } else { 5 };
    let heads = ["SNAPSHOT", "TIERS", "AGE", "FILES", "SIZE", "ALONE"];
    let tiers = shown_tiers(snapshots);
    let rows: Vec<[String; 6]> = snapshots
        .iter()
        .map(|one| {
            [
                one.id.to_string(),
                tier_columns(&tiers, &one.tiers),
                amount::short_age(chrono::TimeDelta::seconds(one.age_seconds)),
                amount::count(one.files),
                amount::bytes(one.bytes),
                format!("{}{}", at_least_sign(one), amount::bytes(one.frees)),
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
        for (at, (cell, width)) in cells.into_iter().zip(widths).take(shown).enumerate() {
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
    let columns = widths.iter().take(shown).sum::<usize>() + 2 * shown;
    page.entry(0, &style.dim(line(heads)), columns, &style.dim("STATE"));
    for (row, one) in rows.iter().zip(snapshots) {
        let label = line(row.each_ref().map(String::as_str));
        page.entry(0, &label, columns, &state_words(one, style));
        let why = format!("{}{}", retention_reason(one), gone_then(one));
        page.line(2, &style.dim(why));
    }
    page.blank();
    if style.draws() {
        draw_ages(page, snapshots, &tiers, is_known, style);
    }
    page.line(0, &style.dim(legend(snapshots, &tiers, is_known)));
}

/// Columns of the words before the picture.
const PICTURE_LABEL: usize = 9;

/// Where the snapshots of each tier stand in time, and what each frees.
fn draw_ages(
    page: &mut Page,
    snapshots: &[ListedSnapshot],
    tiers: &[Tier],
    frees_is_known: bool,
    style: &Style,
) {
    let oldest = snapshots.iter().map(|one| one.age_seconds).max();
    let oldest = oldest.unwrap_or(0) / 86_400 + 1;
    let columns = line_width().min(80).saturating_sub(PICTURE_LABEL);
    let ages = Ages::to(oldest, columns);
    for tier in tiers {
        let of_tier = snapshots.iter().filter(|one| one.tiers.contains(tier));
        let line = ages.line(of_tier.map(|one| one.age_seconds), '●');
        page.raw(&labelled(tier.folder(), PICTURE_LABEL, &line, style));
    }
    if frees_is_known {
        let frees = snapshots.iter().map(|one| (one.age_seconds, one.frees));
        let line = columns_of(&ages.amounts(frees));
        page.raw(&labelled("alone", PICTURE_LABEL, &line, style));
    }
    let ruler = style.dim(ages.ruler());
    page.raw(&labelled("", PICTURE_LABEL, &ruler, style));
    page.blank();
}

/// What the table has, and what its letters mean.
fn legend(snapshots: &[ListedSnapshot], tiers: &[Tier], frees_is_known: bool) -> String {
    let bytes: u64 = snapshots.iter().map(|one| one.new_bytes).sum();
    let letters: Vec<String> = tiers
        .iter()
        .map(|tier| format!("{} {tier}", tier_letter(*tier)))
        .collect();
    let count = amount::plural(snapshots.len() as u64, "snapshot", "snapshots");
    let letters = letters.join(", ");
    if !frees_is_known {
        return format!("{count}. {letters}.");
    }
    let exact = snapshots.iter().all(|one| one.frees_is_exact);
    format!(
        "{count}, {} copied for them. {letters}. ALONE: {} its deletion frees{}.",
        amount::bytes(bytes),
        if exact { "what" } else { "what at least" },
        if exact { "" } else { " (>), never less" },
    )
}

fn add_leftovers(page: &mut Page, title: &str, leftovers: &[Leftover], fate: &str) {
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
