//! Which folders hold, grow and change most.

use maud::{Markup, html};
use schema::output::period_report::{FolderArea, FolderReport, PeriodReport, ReportedDestination};

use crate::{
    page::{self, cell, folded_table, table},
    plot::{as_f64_u, number},
    squares::{Rectangle, lay_out},
    words::{bytes, count, percent, plural, safe, signed_bytes},
};

/// Rows of the tables of what grew and changed.
const MOST_ROWS: usize = 12;

/// The folders as areas, and what grew and changed as tables.
pub(crate) fn card(_report: &PeriodReport, destination: &ReportedDestination) -> Markup {
    let Some(folders) = destination.folders.as_ref().filter(|one| one.all.bytes > 0) else {
        return html! {};
    };
    let lead = match folders.before {
        Some(before) => html! {
            "What changed since the snapshot of " (before.local().format("%-d %b %Y, %H:%M").to_string())
            " (" (plural(folders.compared, "snapshot", "snapshots")) " compared). A folder is told without those \
             in it that are told by themselves."
        },
        None => html! {
            "There is one snapshot in this time, so nothing can be said of what grows. A folder is told without \
             those in it that are told by themselves."
        },
    };
    let body = html! {
        (areas(folders))
        @if folders.before.is_some() {
            div.pair {
                (ranked("Grew or shrank most", "Growth", &folders.growing, folders, &|one| signed_bytes(one.grown_bytes)))
                (ranked("Changed most", "Written", &folders.changing, folders, &|one| {
                    format!("{} in {}", bytes(one.changed_bytes), plural(one.changed_files, "file", "files"))
                }))
            }
        }
        (folded_table("the largest folders", &["Folder", "Size", "Share", "Files", "Growth"], &rows(folders)))
    };
    page::card("Folders", &lead, &body)
}

/// How much a folder grew, as a class.
fn growth(area: &FolderArea, is_known: bool) -> &'static str {
    let before = i128::from(area.bytes) - i128::from(area.grown_bytes);
    let grown = i128::from(area.grown_bytes);
    match () {
        () if !is_known || grown.abs() * 100 < before.max(1) => "same",
        () if grown < 0 => "shrank",
        () if grown * 10 < before => "grew",
        () => "grew-much",
    }
}

fn areas(folders: &FolderReport) -> Markup {
    let shown: Vec<&FolderArea> = folders.largest.iter().filter(|one| one.bytes > 0).collect();
    let sizes: Vec<f64> = shown.iter().map(|one| as_f64_u(one.bytes)).collect();
    // In the proportions of a wide page, of which percents are taken.
    let within = Rectangle {
        x: 0.0,
        y: 0.0,
        width: 240.0,
        height: 100.0,
    };
    let is_known = folders.before.is_some();
    let laid = lay_out(&sizes, within);
    html! {
        div.areas role="img" aria-label="The largest folders as areas; the table below has the same" {
            @for (area, place) in shown.iter().zip(laid) {
                div.area.(growth(area, is_known)) title=(told(area, folders)) style=(style(&place)) {
                    @let (around, last) = parts(area);
                    strong { (last) }
                    small { (bytes(area.bytes)) }
                    @if !around.is_empty() { small { (around) } }
                }
            }
        }
        @if is_known {
            ul.legend {
                @for (class, word) in [
                    ("shrank", "shrank"),
                    ("same", "about the same"),
                    ("grew", "grew"),
                    ("grew-much", "grew by a tenth or more"),
                ] {
                    li { span.swatch.(class) {} (word) }
                }
            }
        }
    }
}

fn style(place: &Rectangle) -> String {
    format!(
        "left:{}%;top:{}%;width:{}%;height:{}%",
        number(place.x / 2.4),
        number(place.y),
        number(place.width / 2.4),
        number(place.height)
    )
}

fn name(area: &FolderArea) -> String {
    match area.path.as_str() {
        "" => "all else".to_owned(),
        path => safe(path),
    }
}

/// The folders around it, and its own name.
fn parts(area: &FolderArea) -> (String, String) {
    let path = name(area);
    match path.rsplit_once('/') {
        Some((around, last)) if !around.is_empty() => (format!("in {around}"), last.to_owned()),
        _ => (String::new(), path),
    }
}

fn told(area: &FolderArea, folders: &FolderReport) -> String {
    let grown = folders.before.map_or_else(String::new, |_| {
        format!(", {}", signed_bytes(area.grown_bytes))
    });
    format!(
        "{}: {} in {}{grown}",
        name(area),
        bytes(area.bytes),
        plural(area.files, "file", "files")
    )
}

fn ranked(
    title: &str,
    head: &str,
    areas: &[FolderArea],
    folders: &FolderReport,
    amount: &dyn Fn(&FolderArea) -> String,
) -> Markup {
    let rows: Vec<Vec<Markup>> = areas
        .iter()
        .take(MOST_ROWS)
        .map(|one| {
            let path = html! { span.path { (name(one)) } };
            vec![path, cell(amount(one))]
        })
        .collect();
    html! {
        div {
            h4 { (title) }
            @if rows.is_empty() {
                p { "Nothing, in " (plural(folders.compared, "snapshot", "snapshots")) "." }
            } @else {
                (table(title, &["Folder", head], &rows))
            }
        }
    }
}

fn rows(folders: &FolderReport) -> Vec<Vec<Markup>> {
    let all = folders.largest.iter();
    all.map(|one| {
        vec![
            html! { span.path { (name(one)) } },
            cell(bytes(one.bytes)),
            cell(format!("{} %", percent(one.bytes, folders.all.bytes))),
            cell(count(one.files)),
            match folders.before {
                Some(_) => cell(signed_bytes(one.grown_bytes)),
                None => cell(""),
            },
        ]
    })
    .collect()
}
