//! What a machine keeps as a table: a path, and how it is backed up.
//!
//! Owns the words. How a path stands is the planner's.

use schema::{
    columns,
    output::state::{StateReport, StateRow, StateStanding},
};

use super::{amount, page::Page};
use crate::style::{Style, printable};

/// Columns of the paths, at most.
const WIDEST: usize = 44;

/// The table; its first line says how many there are and how many are in no backup.
pub(crate) fn state_page(
    report: &StateReport,
    only_missing: bool,
    verbose: bool,
    style: &Style,
) -> String {
    let mut page = Page::default();
    page.line(0, &headline(report, only_missing, style));
    page.blank();
    let widest = report.paths.iter().map(width).max();
    let columns = widest.unwrap_or(0).min(WIDEST) + 2;
    for row in &report.paths {
        // However long a path is, what is said of it stands apart.
        let path = format!("{}  ", printable(row.path.as_str()));
        page.entry(0, &path, columns, &described(row, report, style));
        let from = row.from.join(", ");
        // Whence it is matters where something is to be done, and to who asks.
        if verbose || row.standing.is_lost() {
            page.line(2, &style.dim(printable(&from)));
        }
    }
    if report.missing > 0 {
        page.blank();
        let hint = if report.enabled {
            "hint: add what matters to local.sources, and what may be lost to state.ignore"
        } else {
            "hint: set state.enable to true, or add what matters to local.sources, and what may be \
             lost to state.ignore"
        };
        page.line(0, hint);
    }
    page.into_string()
}

fn width(row: &StateRow) -> usize {
    columns::width(&printable(row.path.as_str()))
}

fn headline(report: &StateReport, only_missing: bool, style: &Style) -> String {
    let all = if only_missing {
        "Of what this machine keeps".to_owned()
    } else {
        let count = amount::plural(report.paths.len() as u64, "path", "paths");
        format!("This machine keeps state in {count}:")
    };
    let lost = match report.missing {
        0 => style.green("all of it is in the backup, or need not be"),
        1 => style.yellow(style.bold("1 path is in no backup")),
        count => {
            style.yellow(style.bold(format!("{} paths are in no backup", amount::count(count))))
        }
    };
    format!("{all} {lost}.")
}

/// How a path is backed up, in words.
fn described(row: &StateRow, report: &StateReport, style: &Style) -> String {
    let by = row.by.as_deref().unwrap_or_default();
    let mut text = match row.standing {
        StateStanding::Source if by == row.path.as_str() => "a source".to_owned(),
        StateStanding::Source => format!("in {}", printable(by)),
        StateStanding::Dumped => dumped(row, report, style),
        StateStanding::Ignored => style.dim("left out (state.ignore)"),
        StateStanding::Excluded => {
            style.yellow(format!("in no backup: left out by {}", printable(by)))
        }
        StateStanding::Missing => style.yellow("in no backup"),
    };
    if let (Some(kind), StateStanding::Source) = (row.database, row.standing) {
        text += &format!(", as the files of {}", kind.name());
    }
    // A database that is written out is told by its dump.
    if row.there == Some(false) && row.standing != StateStanding::Dumped {
        text += ", not there yet";
    }
    if let Some(link) = &row.link {
        text += &format!(" ({})", printable(link.as_str()));
    }
    text
}

fn dumped(row: &StateRow, report: &StateReport, style: &Style) -> String {
    let kind = row.database.map_or("a database", |kind| kind.name());
    let Some(dump) = &row.dump else {
        return kind.to_owned();
    };
    let file = printable(dump.file.as_str());
    match (dump.written_at, dump.there, row.there) {
        (Some(at), ..) => {
            let age = amount::age(report.now - at);
            let size = amount::bytes(dump.bytes.unwrap_or(0));
            format!("{kind}, written to {file} {age} ({size})")
        }
        (None, _, Some(false)) => format!("{kind}, not there yet"),
        (None, Some(_), _) => style.yellow(format!("{kind}, not yet written to {file}")),
        // Who may not look cannot be told.
        (None, None, _) => format!("{kind}, written to {file}"),
    }
}
