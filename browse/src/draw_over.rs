//! What is over the panes: help, the search, comparisons, the question before a restore, the destinations.

use ratatui::{
    Frame,
    buffer::Buffer,
    layout::Rect,
    style::Style,
    text::{Line, Span},
    widgets::{Block, Clear, Widget as _},
};
use schema::{
    amount,
    columns::{shortened, width},
    outside,
};

use crate::{
    app::{App, Over},
    compare::Row,
    draw::{end_of, fault_line, put},
    draw_panes::signs,
    theme::Theme,
};

const HELP: &str = "\
What is where
  left      the snapshots, the newest first: ! look at it, * pinned, ? no record;
            the letters of its tiers, and the bytes that it holds alone
  middle    a folder as it was in the chosen snapshot
  right     the versions of what is chosen there over all snapshots; = is shown
Go about
  Tab       next pane              Up Down PgUp PgDn Home End   also j k g G
  Enter     into a folder; of a version: show the folder as it was then
  Left      out of a folder        [ ]    an older, a newer snapshot
  /         search the names in all snapshots: Tab marks, Ctrl-R restores
  o         another destination
Compare
  Space     mark a version or a snapshot, to compare another with
  d         what changed: since the version before, or in a snapshot or folder
Do
  Space     mark files and folders, or snapshots; u unmarks all
  r         restore what is marked or chosen; asks where to
  v         read a file and compare it with what was recorded of it
  p  a      pin or unpin, accept the chosen snapshot
  x         delete the marked or the chosen snapshot: shows the plan, and asks
  q         leave
";

pub(crate) fn draw_help(app: &App, buffer: &mut Buffer, area: Rect) {
    for (at, line) in (0..).zip(HELP.lines()) {
        let style = match line.starts_with(' ') {
            true => Style::new(),
            false => app.theme.strong(),
        };
        put(buffer, area, at, &Line::styled(line, style));
    }
    let last = area.height - 1;
    put(
        buffer,
        area,
        last,
        &Line::styled("any key: back", app.theme.dim()),
    );
}

pub(crate) fn draw_search(app: &mut App, frame: &mut Frame<'_>, area: Rect, middle: Rect) {
    let theme = app.theme;
    let Over::Search(search) = &mut app.over else {
        return;
    };
    let line = Rect {
        y: area.y + 1,
        height: 1,
        ..area
    };
    let label = "search: ";
    let [typed, before] = search.input.shown();
    let typed = end_of(&typed, usize::from(area.width) - label.len() - 1);
    let head = vec![Span::styled(label, theme.strong()), Span::from(typed)];
    let buffer = frame.buffer_mut();
    put(buffer, line, 0, &Line::from(head));
    let all = search.found.len();
    let window = search.rows.window(usize::from(middle.height), all);
    for (line, at) in (0..).zip(window) {
        let Some(found) = search.found.get(at) else {
            break;
        };
        let is_chosen = at == search.rows.chosen;
        let count = match (found.is_current, found.versions as u64) {
            (true, count) => amount::plural(count, "version", "versions"),
            (false, _) => "gone".to_owned(),
        };
        let columns = usize::from(middle.width);
        let path = end_of(&found.path.shown(), columns.saturating_sub(14));
        let signs = signs(is_chosen, app.found_marks.contains_key(&found.path));
        let blanks = columns.saturating_sub(signs.len() + width(&path) + count.len());
        let text = format!("{signs}{path}{}{count}", " ".repeat(blanks));
        let mut style = if found.is_current {
            Style::new()
        } else {
            theme.removed()
        };
        if is_chosen {
            style = style.patch(theme.chosen());
        }
        put(buffer, middle, line, &Line::styled(text, style));
    }
    let x = u16::try_from(width(&before) + label.len()).unwrap_or(u16::MAX);
    frame.set_cursor_position((x.min(area.width - 1), line.y));
    app.areas.over = middle;
}

pub(crate) fn draw_viewer(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let theme = app.theme;
    let (before, after);
    let Over::Viewer(viewer) = &app.over else {
        return;
    };
    let titles = match &viewer.comparison {
        Some(Ok(comparison)) => {
            let [old, new] = &comparison.titles;
            (before, after) = (app.time_of(old).to_owned(), app.time_of(new).to_owned());
            Some([before, after])
        }
        _ => None,
    };
    let Over::Viewer(viewer) = &mut app.over else {
        return;
    };
    let buffer = frame.buffer_mut();
    let columns = usize::from(area.width);
    let title = end_of(&viewer.path.shown(), columns);
    put(buffer, area, 0, &Line::styled(title, theme.strong()));
    let last = area.height - 1;
    let keys = "Up Down PgUp PgDn  n p next and previous change  Left Right  Esc back";
    put(buffer, area, last, &Line::styled(keys, theme.dim()));
    let comparison = match &viewer.comparison {
        Some(Ok(comparison)) => comparison,
        told => {
            let told = match told {
                Some(Err(fault)) => fault_line(fault),
                _ => "comparing ...".to_owned(),
            };
            put(buffer, area, 2, &Line::from(told));
            return;
        }
    };
    let half = (columns - 3) / 2;
    if let Some([before, after]) = titles {
        let is_sides = comparison
            .rows
            .iter()
            .any(|row| !matches!(row, Row::Said(_)));
        let text = match is_sides {
            true => format!("{}   {after}", filled(&before, half)),
            false => format!("from {before} to {after}"),
        };
        put(buffer, area, 1, &Line::styled(text, theme.title(false)));
    }
    let body = Rect {
        y: area.y + 2,
        height: last - 2,
        ..area
    };
    let window = viewer
        .rows
        .page_at(usize::from(body.height), comparison.rows.len());
    for (line, row) in (0..).zip(&comparison.rows[window]) {
        let cut = |text: &str| shifted(text, viewer.shift);
        let sides = |old: &str, sign: &str, new: &str| {
            let (old, new) = (filled(&cut(old), half), shortened(&cut(new), half));
            (old, format!(" {sign} "), new)
        };
        let spans = match row {
            Row::Said(text) => vec![Span::from(shortened(&cut(text), columns))],
            Row::Gap(lines) => {
                let same = amount::plural(*lines as u64, "line", "lines");
                vec![Span::styled(format!("... {same} the same"), theme.dim())]
            }
            Row::Same(text) => {
                let (old, sign, new) = sides(text, " ", text);
                vec![Span::from(old), Span::from(sign), Span::from(new)]
            }
            Row::Other([old, new]) => {
                let sign = match (old, new) {
                    (Some(_), Some(_)) => "|",
                    (Some(_), None) => "<",
                    _ => ">",
                };
                let (old, sign, new) = sides(
                    old.as_deref().unwrap_or_default(),
                    sign,
                    new.as_deref().unwrap_or_default(),
                );
                vec![
                    Span::styled(old, theme.removed()),
                    Span::from(sign),
                    Span::styled(new, theme.added()),
                ]
            }
            Row::Fact(label, [old, new], differs) => {
                let sign = if *differs { "|" } else { " " };
                let old = format!("{label:7} {old}");
                let (old, sign, new) = sides(&old, sign, new);
                let style = if *differs {
                    theme.strong()
                } else {
                    theme.dim()
                };
                vec![
                    Span::styled(old, style),
                    Span::from(sign),
                    Span::styled(new, style),
                ]
            }
        };
        put(buffer, body, line, &Line::from(spans));
    }
}

/// The text in exactly so many columns.
fn filled(text: &str, columns: usize) -> String {
    let text = shortened(text, columns);
    let blanks = columns.saturating_sub(width(&text));
    text + &" ".repeat(blanks)
}

/// What is seen of a text from a column on.
fn shifted(text: &str, columns: usize) -> String {
    text[schema::columns::start_within(text, columns).len()..].to_owned()
}

pub(crate) fn draw_restore(app: &mut App, frame: &mut Frame<'_>, middle: Rect) {
    let theme = app.theme;
    let Over::Restore(dialog) = &app.over else {
        return;
    };
    let mut snapshots = dialog.from.keys();
    let (which, whence) = match (snapshots.next(), snapshots.count()) {
        (Some(only), 0) => (format!("the snapshot of {}", app.time_of(only)), ""),
        (_, others) => (
            amount::plural(others as u64 + 1, "snapshot", "snapshots"),
            ", each from the newest snapshot that has it",
        ),
    };
    let columns = usize::from(middle.width.min(76)) - 2;
    let mut paths = dialog.from.values().flatten();
    let first = paths.next().map_or_else(String::new, |path| path.shown());
    let more = match paths.count() as u64 {
        0 => String::new(),
        count => format!("and {}{whence}", amount::plural(count, "other", "others")),
    };
    let choice = |is: bool| if is { "(*)" } else { "( )" };
    let label = format!(" {} into this folder: ", choice(!dialog.in_place));
    let room = columns.saturating_sub(label.len() + 1);
    let [typed, before] = dialog.folder.shown().map(|text| end_of(&text, room));
    let lines = [
        format!(" {}", end_of(&first, columns - 2)),
        format!(" {more}"),
        format!("{label}{typed}"),
        format!(
            " {} where it was, after a question; what differs",
            choice(dialog.in_place)
        ),
        "     is kept aside as NAME.before-TIME".to_owned(),
        String::new(),
        " Owners and times come back as far as you may set them.".to_owned(),
    ];
    let in_place = dialog.in_place;
    let title = format!(" restore from {which} ");
    let buffer = frame.buffer_mut();
    let inner = draw_box(buffer, middle, columns, lines.len(), title, theme);
    for (at, line) in (0..).zip(&lines) {
        put(buffer, inner, at, &Line::from(line.as_str()));
    }
    if !in_place {
        let x = u16::try_from(label.len() + width(&before)).unwrap_or_default();
        frame.set_cursor_position((inner.x + x.min(inner.width - 1), inner.y + 2));
    }
    app.areas.over = inner;
}

pub(crate) fn draw_destinations(app: &mut App, buffer: &mut Buffer, middle: Rect) {
    let theme = app.theme;
    let shown = app.shown_destination().cloned();
    let Over::Destinations(rows) = &mut app.over else {
        return;
    };
    let all = &app.destinations;
    let columns = usize::from(middle.width.min(76)) - 2;
    let title = " destinations ".to_owned();
    let inner = draw_box(buffer, middle, columns, all.len(), title, theme);
    let names = all.iter().map(|one| width(&one.name)).max();
    let window = rows.window(usize::from(inner.height), all.len());
    for (line, at) in (0..).zip(window) {
        let one = &all[at];
        let sign = match shown.as_ref() == Some(&one.name) {
            true => '=',
            false => ' ',
        };
        let is_chosen = at == rows.chosen;
        let name = filled(&one.name, names.unwrap_or_default());
        let text = format!("{}{sign}{name}  ", signs(is_chosen, false));
        let place = outside::one_line(&one.place);
        let place = end_of(&place, columns.saturating_sub(width(&text)));
        let style = match is_chosen {
            true => theme.chosen(),
            false => Style::new(),
        };
        put(buffer, inner, line, &Line::styled(text + &place, style));
    }
    app.areas.over = inner;
}

/// Draws an empty box of so many columns and lines, as far as there is room; gives its inside.
fn draw_box(
    buffer: &mut Buffer,
    middle: Rect,
    columns: usize,
    lines: usize,
    title: String,
    theme: Theme,
) -> Rect {
    let height = (lines as u16 + 2).min(middle.height);
    let area = Rect {
        x: middle.x + (middle.width - (columns as u16 + 2)) / 2,
        y: middle.y + (middle.height - height) / 2,
        width: columns as u16 + 2,
        height,
    };
    Clear.render(area, buffer);
    let block = Block::bordered().title(Span::styled(title, theme.strong()));
    let inner = block.inner(area);
    block.render(area, buffer);
    inner
}
