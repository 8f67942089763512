//! The three panes.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
};
use schema::{
    amount,
    columns::{shortened, width},
    escape,
    output::EntryKind,
    outside,
};

use crate::{
    app::{App, Load, Pane},
    compare::kind_word,
    data::{Item, Version},
    draw::{fault_line, put},
    theme::Theme,
};

/// From so many columns on there is room for all that a pane has.
const SNAPSHOT_COLUMNS: usize = 34;
const SIZE_COLUMNS: usize = 24;
const TIME_COLUMNS: usize = 56;
const VERSION_COLUMNS: usize = 34;
/// Columns of a time and of an amount.
const TIME: usize = 16;
const AMOUNT: usize = 10;

/// The signs before a row: that it is chosen, and that it is marked.
pub(crate) fn signs(is_chosen: bool, is_marked: bool) -> String {
    let sign = |is: bool, sign| if is { sign } else { ' ' };
    [sign(is_chosen, '>'), sign(is_marked, '+')]
        .iter()
        .collect()
}

/// How a row is set off.
fn row_style(theme: Theme, is_chosen: bool, is_focused: bool) -> Style {
    match (is_chosen, is_focused) {
        (true, true) => theme.chosen(),
        (true, false) => theme.chosen_elsewhere(),
        (false, _) => Style::new(),
    }
}

/// A text and one that ends where the columns do.
fn between(left: &str, right: &str, columns: usize) -> String {
    let room = columns.saturating_sub(width(right) + 1);
    let left = shortened(left, room);
    let blanks = columns.saturating_sub(width(&left) + width(right));
    format!("{left}{}{right}", " ".repeat(blanks))
}

pub(crate) fn draw_snapshots(app: &mut App, buffer: &mut Buffer, area: Rect) {
    let all = app.all_snapshots().len();
    let window = app.snapshots.window(usize::from(area.height), all);
    let columns = usize::from(area.width);
    for (line, at) in (0..).zip(window) {
        let Some(one) = app.all_snapshots().get(at) else {
            return;
        };
        let is_chosen = at == app.snapshots.chosen;
        let is_marked = app.marked_snapshots.contains(&one.name);
        let head = format!("{}{}{}", signs(is_chosen, is_marked), one.sign(), one.time);
        let text = match columns >= SNAPSHOT_COLUMNS {
            true => between(&format!("{head} {}", one.tiers), &one.alone, columns),
            false => between(&head, "", columns),
        };
        let mut style = app.theme.standing(one.standing);
        style = style.patch(row_style(
            app.theme,
            is_chosen,
            app.focus == Pane::Snapshots,
        ));
        put(buffer, area, line, &Line::styled(text, style));
    }
}

/// What stands behind a name for what it is, as `ls -F` has it.
fn kind_sign(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Folder => "/",
        EntryKind::Symlink => "@",
        EntryKind::Fifo => "|",
        EntryKind::Socket => "=",
        EntryKind::CharacterDevice | EntryKind::BlockDevice => "%",
        EntryKind::File | EntryKind::Absent => "",
    }
}

pub(crate) fn draw_tree(app: &mut App, buffer: &mut Buffer, area: Rect) {
    let told = match &app.folder {
        Load::Open if app.snapshot().is_some() => Some("reading ...".to_owned()),
        Load::Open => None,
        Load::Got(Err(fault)) => Some(fault_line(fault)),
        Load::Got(Ok(folder)) if !folder.is_there => Some("not there at that time".to_owned()),
        Load::Got(Ok(folder)) if folder.items.is_empty() => Some("empty".to_owned()),
        Load::Got(Ok(_)) => None,
    };
    if let Some(told) = told {
        let style = app.theme.dim();
        put(buffer, area, 0, &Line::styled(told, style));
        return;
    }
    let all = app.items().len();
    let window = app.tree.window(usize::from(area.height), all);
    for (line, at) in (0..).zip(window) {
        let Some(item) = app.items().get(at) else {
            return;
        };
        let is_chosen = at == app.tree.chosen;
        let is_marked = !app.marks.is_empty() && app.marks.contains(&app.at.join(&*item.name));
        let text = tree_row(app, item, is_chosen, is_marked, usize::from(area.width));
        let style = match item.kind {
            EntryKind::Folder => app.theme.folder(),
            _ => Style::new(),
        };
        let style = style.patch(row_style(app.theme, is_chosen, app.focus == Pane::Tree));
        put(buffer, area, line, &Line::styled(text, style));
    }
}

fn tree_row(app: &App, item: &Item, is_chosen: bool, is_marked: bool, columns: usize) -> String {
    let name = format!(
        "{}{}{}",
        signs(is_chosen, is_marked),
        escape::display(&item.name),
        kind_sign(item.kind)
    );
    let size = match item.kind {
        EntryKind::File if columns >= SIZE_COLUMNS => amount::bytes(item.size),
        _ => return between(&name, "", columns),
    };
    let time = match item.mtime {
        Some(time) if columns >= TIME_COLUMNS => format!("  {:TIME$}", app.source.time(time)),
        _ => String::new(),
    };
    between(&name, &format!("{size:>AMOUNT$}{time}"), columns)
}

pub(crate) fn draw_versions(app: &mut App, buffer: &mut Buffer, area: Rect) {
    let told = match &app.versions {
        Load::Open if app.versions_of.is_some() => "reading ...".to_owned(),
        Load::Got(Err(fault)) => fault_line(fault),
        Load::Got(Ok(versions)) => {
            let fault = versions.fault.as_deref().map(outside::one_line);
            fault.unwrap_or_default()
        }
        Load::Open => String::new(),
    };
    let all = app.all_versions().len();
    if all == 0 {
        put(buffer, area, 0, &Line::styled(told, app.theme.dim()));
        return;
    }
    // Each has two lines; what could not be read has the last one.
    let lines = area.height.saturating_sub(u16::from(!told.is_empty()));
    let window = app.version_rows.window(usize::from(lines / 2), all);
    let current = app.version_in(app.snapshots.chosen);
    for (line, at) in (0..).zip(window) {
        let Some(one) = app.all_versions().get(at) else {
            return;
        };
        let is_chosen = at == app.version_rows.chosen;
        let is_marked = app.marked_version.as_ref() == Some(&one.last);
        let older = app.all_versions().get(at + 1);
        let shown = if current == Some(at) { '=' } else { ' ' };
        let columns = usize::from(area.width);
        let head = format!(
            "{}{shown}{}",
            signs(is_chosen, is_marked),
            app.time_of(&one.last)
        );
        let count = match columns >= VERSION_COLUMNS {
            true => format!(
                " in {}",
                amount::plural(one.snapshots, "snapshot", "snapshots")
            ),
            false => String::new(),
        };
        let head = between(&format!("{head}{count}"), "", columns);
        let style = row_style(app.theme, is_chosen, app.focus == Pane::Versions);
        put(buffer, area, 2 * line, &Line::styled(head, style));
        let change = Span::styled(
            what_changed(one, older),
            change_style(app.theme, one, older),
        );
        let what = match (one.kind, one.mtime) {
            (Some(EntryKind::File), Some(time)) if columns >= VERSION_COLUMNS => {
                format!(
                    "   {:9} {} ",
                    amount::bytes(one.size),
                    app.source.time(time)
                )
            }
            (Some(EntryKind::File), _) => format!("   {} ", amount::bytes(one.size)),
            (None, _) => "   ".to_owned(),
            (kind, _) => format!("   {} ", kind_word(kind)),
        };
        put(
            buffer,
            area,
            2 * line + 1,
            &Line::from(vec![Span::from(what), change]),
        );
    }
    if !told.is_empty() {
        put(
            buffer,
            area,
            lines,
            &Line::styled(told, app.theme.warning()),
        );
    }
}

/// How a version differs from the one before it.
fn what_changed(one: &Version, older: Option<&Version>) -> String {
    let Some(older) = older else {
        return "first".to_owned();
    };
    match (one.kind, older.kind) {
        (None, _) => "not there".to_owned(),
        (Some(_), None) => "back".to_owned(),
        (Some(now), Some(before)) if now != before => format!("was a {}", before.word()),
        (Some(EntryKind::File), _) if one.size == older.size => "same size".to_owned(),
        (Some(EntryKind::File), _) => {
            let sign = if one.size > older.size { '+' } else { '-' };
            format!("{sign}{}", amount::bytes(one.size.abs_diff(older.size)))
        }
        _ => "changed".to_owned(),
    }
}

fn change_style(theme: Theme, one: &Version, older: Option<&Version>) -> Style {
    match (one.kind, older) {
        (None, _) => theme.removed(),
        (Some(_), Some(older)) if older.kind.is_some() => theme.warning(),
        _ => theme.added(),
    }
}
