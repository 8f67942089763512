//! The screen: three panes, what is chosen in words, and the keys.

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::Rect,
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
    app::{App, Load, Over, Pane},
    compare::kind_word,
    data::Fault,
    draw_over, draw_panes,
};

/// Narrower than this, one pane is shown alone.
const NARROW: u16 = 60;
/// From this on all panes have all of their columns.
const WIDE: u16 = 118;
/// Columns of the time line and of versions, without and with all that they have.
const SNAPSHOTS: (u16, u16) = (20, 36);
const VERSIONS: (u16, u16) = (21, 38);
/// Columns that are left to the tree where another pane has all of its own.
const LEAST_TREE: u16 = 18;
/// Lines above the panes, and below.
const ABOVE: u16 = 2;
const BELOW: u16 = 3;

/// Draws all of it.
pub(crate) fn draw(app: &mut App, frame: &mut Frame<'_>) {
    let area = frame.area();
    if area.height <= ABOVE + BELOW || area.width < 20 {
        let text = "the terminal is too small";
        put(frame.buffer_mut(), area, 0, &Line::from(text));
        return;
    }
    match &app.over {
        Over::Viewer(_) => return draw_over::draw_viewer(app, frame, area),
        Over::Help => return draw_over::draw_help(app, frame.buffer_mut(), area),
        Over::Nothing | Over::Search(_) | Over::Restore(_) | Over::Destinations(_) => {}
    }
    draw_title(app, frame.buffer_mut(), area);
    let middle = Rect {
        y: area.y + ABOVE,
        height: area.height - ABOVE - BELOW,
        ..area
    };
    match app.over {
        Over::Search(_) => draw_over::draw_search(app, frame, area, middle),
        _ => draw_middle(app, frame.buffer_mut(), middle),
    }
    draw_details(app, frame.buffer_mut(), area);
    match app.over {
        Over::Restore(_) => draw_over::draw_restore(app, frame, middle),
        Over::Destinations(_) => draw_over::draw_destinations(app, frame.buffer_mut(), middle),
        _ => {}
    }
}

/// Puts a line into an area, cut where the area ends.
pub(crate) fn put(buffer: &mut Buffer, area: Rect, line: u16, text: &Line<'_>) {
    if line < area.height {
        buffer.set_line(area.x, area.y + line, text, area.width);
    }
}

/// The end of a text that is too long for so many columns, behind a sign for what is missing.
pub(crate) fn end_of(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let starts = text.char_indices().map(|(at, _)| at);
    let fits = |at: &usize| width(&text[*at..]) < columns;
    let start = starts.skip(1).find(fits);
    start.map_or_else(String::new, |at| format!("…{}", &text[at..]))
}

/// A fault in a line.
pub(crate) fn fault_line(fault: &Fault) -> String {
    let message = outside::one_line(&fault.message);
    let hint = fault.hint.as_ref().map(|hint| outside::one_line(hint));
    hint.map_or(message.clone(), |hint| format!("{message}; hint: {hint}"))
}

fn draw_title(app: &App, buffer: &mut Buffer, area: Rect) {
    let place = match &app.overview {
        Load::Open => "looking for snapshots ...".to_owned(),
        Load::Got(Ok(overview)) => {
            let notes = overview
                .notes
                .iter()
                .map(|note| format!("; {}", note.message));
            format!("{}{}", overview.place, notes.collect::<String>())
        }
        Load::Got(Err(fault)) => fault.message.clone(),
    };
    let mut place = outside::one_line(&place);
    if app.destinations.len() > 1 {
        place += "  (o: others)";
    }
    let title = Span::styled("backup browse  ", app.theme.strong());
    put(buffer, area, 0, &Line::from(vec![title, Span::from(place)]));
}

/// The columns of the panes: at 0 it is not shown.
fn pane_widths(all: u16, focus: Pane) -> [u16; 3] {
    if all < NARROW {
        return [Pane::Snapshots, Pane::Tree, Pane::Versions].map(|pane| match pane == focus {
            true => all,
            false => 0,
        });
    }
    let of = |pane: Pane, (less, more): (u16, u16)| match all >= WIDE || pane == focus {
        true => more,
        false => less,
    };
    let (mut left, mut right) = (of(Pane::Snapshots, SNAPSHOTS), of(Pane::Versions, VERSIONS));
    if all < left + right + 2 + LEAST_TREE {
        (left, right) = (SNAPSHOTS.0, VERSIONS.0);
    }
    // A line stands between them.
    [left, all - left - right - 2, right]
}

fn draw_middle(app: &mut App, buffer: &mut Buffer, area: Rect) {
    let widths = pane_widths(area.width, app.focus);
    let mut x = area.x;
    let mut rects = [Rect::default(); 3];
    for (at, width) in widths.into_iter().enumerate() {
        rects[at] = Rect { x, width, ..area };
        x += width;
        if width > 0 && at < 2 && widths[at + 1..].iter().any(|width| *width > 0) {
            for line in 0..area.height {
                let bar = Line::styled("│", app.theme.dim());
                let y = area.y + line;
                buffer.set_line(x, y, &bar, 1);
            }
            x += 1;
        }
    }
    let [snapshots, tree, versions] = rects;
    app.areas.snapshots = snapshots;
    app.areas.tree = tree;
    app.areas.versions = versions;
    app.areas.over = Rect::default();
    let count = app.all_snapshots().len() as u64;
    let heads = [
        (
            Pane::Snapshots,
            amount::plural(count, "snapshot", "snapshots"),
        ),
        (Pane::Tree, app.at.shown()),
        (Pane::Versions, versions_title(app)),
    ];
    for ((pane, text), rect) in heads.into_iter().zip(rects) {
        if rect.width == 0 {
            continue;
        }
        let text = end_of(&text, usize::from(rect.width));
        let head = Rect {
            y: area.y - 1,
            height: 1,
            ..rect
        };
        let style = app.theme.title(app.focus == pane);
        put(buffer, head, 0, &Line::styled(text, style));
    }
    draw_panes::draw_snapshots(app, buffer, snapshots);
    draw_panes::draw_tree(app, buffer, tree);
    draw_panes::draw_versions(app, buffer, versions);
}

fn versions_title(app: &App) -> String {
    let count = app.all_versions().iter().filter(|one| one.kind.is_some());
    match count.count() as u64 {
        0 => "versions".to_owned(),
        count => amount::plural(count, "version", "versions"),
    }
}

/// Two lines on what is chosen, and one with keys.
fn draw_details(app: &App, buffer: &mut Buffer, area: Rect) {
    let below = Rect {
        y: area.y + area.height - BELOW,
        height: BELOW,
        ..area
    };
    let lines = match app.over {
        Over::Search(_) => search_details(app),
        _ => match app.focus {
            Pane::Snapshots => snapshot_details(app),
            Pane::Tree => tree_details(app),
            Pane::Versions => version_details(app),
        },
    };
    let [first, mut second] = lines;
    let mut style = app.theme.dim();
    let waits = app.waits.map(|seconds| {
        format!("no answer for {seconds} s: it may be asleep, busy or gone; Ctrl-C leaves")
    });
    if let Some(message) = app.message.clone().or(waits) {
        second = message;
        style = app.theme.warning();
    }
    let [first, second] =
        [first, second].map(|line| shortened(&outside::one_line(&line), usize::from(area.width)));
    put(buffer, below, 0, &Line::from(first));
    put(buffer, below, 1, &Line::styled(second, style));
    put(buffer, below, 2, &Line::styled(keys(app), app.theme.dim()));
}

fn keys(app: &App) -> &'static str {
    match (&app.over, app.focus) {
        (Over::Search(_), _) => "Enter show it  Tab mark  Ctrl-R restore  Up Down choose  Esc back",
        (Over::Destinations(_), _) => "Enter look there  Up Down choose  Esc back",
        (Over::Restore(_), _) => "Enter restore  Tab where to  Esc back",
        (_, Pane::Snapshots) => {
            "Space mark  d diff  p pin  x delete  r restore  / search  Tab next  ? help  q"
        }
        (_, Pane::Tree) => {
            "Enter open  Left up  Space mark  d diff  r restore  v verify  [ ] time  / find  ?"
        }
        (_, Pane::Versions) => {
            "Enter show  Space mark  d diff  r restore  v verify  / search  Tab next  ? help"
        }
    }
}

fn snapshot_details(app: &App) -> [String; 2] {
    let marked = app.marked_snapshots.len();
    let Some(one) = app.snapshot() else {
        let note = app.overview.good().and_then(|one| one.notes.first());
        let fault = app.overview.fault().or(note);
        let hint = fault.and_then(|fault| fault.hint.clone());
        let hint = hint.map_or_else(String::new, |hint| format!("hint: {hint}"));
        return [
            fault.map_or_else(String::new, |it| it.message.clone()),
            hint,
        ];
    };
    let parts = [&one.name, &one.state, &one.holds];
    let parts: Vec<&str> = parts.iter().map(|part| part.as_str()).collect();
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    let mut first = parts.collect::<Vec<_>>().join("  ");
    if marked > 0 {
        first = format!("{first}  ({marked} marked)");
    }
    [first, one.why.clone()]
}

fn tree_details(app: &App) -> [String; 2] {
    let mut second = match (&app.folder, &app.versions) {
        (Load::Got(Err(fault)), _) => fault_line(fault),
        (Load::Got(Ok(folder)), _) if folder.fault.is_some() => {
            folder.fault.clone().unwrap_or_default()
        }
        (_, Load::Got(Ok(_))) => {
            let shown = app.version_in(app.snapshots.chosen);
            let shown = shown.and_then(|at| app.all_versions().get(at));
            shown.map_or_else(String::new, |one| about(&one.about))
        }
        _ => String::new(),
    };
    if !app.marks.is_empty() {
        let marked = app.marks.len() as u64;
        second = format!("{} marked  {second}", amount::count(marked));
    }
    let Some(item) = app.item() else {
        return [app.at.shown(), second];
    };
    let size = match item.kind {
        EntryKind::File => amount::bytes(item.size),
        kind => kind.word().to_owned(),
    };
    let time = item
        .mtime
        .map_or_else(String::new, |time| app.source.time(time));
    let first = format!("{}  {size}  {time}", escape::display(&item.name));
    [first, second]
}

fn version_details(app: &App) -> [String; 2] {
    let Some(one) = app.all_versions().get(app.version_rows.chosen) else {
        return [String::new(), String::new()];
    };
    let (first, last) = (app.time_of(&one.first), app.time_of(&one.last));
    let span = match one.first == one.last {
        true => format!("in the snapshot of {last} alone"),
        false => {
            let count = amount::plural(one.snapshots, "snapshot", "snapshots");
            format!("in {count} from {first} to {last}")
        }
    };
    let size = match one.kind {
        Some(EntryKind::File) => format!("{} bytes", amount::count(one.size)),
        kind => kind_word(kind),
    };
    let time = one.mtime.map(|time| format!("  {}", app.source.time(time)));
    let first = format!("{size}{}  {span}", time.unwrap_or_default());
    [first, about(&one.about)]
}

/// What is said of a version besides.
fn about(all: &[(&'static str, String)]) -> String {
    let parts = all.iter().map(|(label, text)| format!("{label} {text}"));
    parts.collect::<Vec<_>>().join("  ")
}

fn search_details(app: &App) -> [String; 2] {
    let Over::Search(search) = &app.over else {
        return [String::new(), String::new()];
    };
    let chosen = search.chosen().map(|one| {
        let path = one.path.shown();
        let versions = amount::plural(one.versions as u64, "version", "versions");
        let last = app.time_of(&one.newest);
        match one.is_current {
            true => format!("{path}  {versions}"),
            false => format!("{path}  {versions}, last in the snapshot of {last}"),
        }
    });
    let mut second = search.standing();
    if !app.found_marks.is_empty() {
        let marked = amount::count(app.found_marks.len() as u64);
        second = format!("{marked} marked  {second}");
    }
    [chosen.unwrap_or_default(), second]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_path_the_end_is_seen() {
        assert_eq!(end_of("/home/ann", 9), "/home/ann");
        assert_eq!(end_of("/home/ann", 5), "…/ann");
        assert_eq!(end_of("/日本語", 5), "…本語");
        assert_eq!(end_of("/日本語", 4), "…語");
        assert_eq!(end_of("abc", 0), "");
    }

    #[test]
    fn panes_fill_the_screen_whatever_has_the_keys() {
        for all in [60, 80, 100, 117, 118, 200] {
            for focus in [Pane::Snapshots, Pane::Tree, Pane::Versions] {
                let widths = pane_widths(all, focus);
                assert_eq!(widths.iter().sum::<u16>() + 2, all);
                assert!(widths.iter().all(|width| *width >= 10), "{all} {widths:?}");
            }
        }
        assert_eq!(pane_widths(40, Pane::Tree), [0, 40, 0]);
    }
}
