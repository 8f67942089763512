//! The table of docs/reliability.md, from what tests have noted.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::SystemTime,
};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::show::grouped;

/// Between these lines stands the table.
const BEGIN: &str = "<!-- from here on written by ./test --long -->";
const END: &str = "<!-- until here -->";

/// What was tried: how often, of how many, and what came of it.
#[derive(Default)]
struct Row {
    times: u64,
    of: Option<u64>,
    came_of: BTreeSet<String>,
}

/// Writes the evidence that `BACKUP_EVIDENCE` names into a page.
///
/// # Panics
///
/// If there is none, or the page has no place for it.
pub(crate) fn write_table(page: &Path) {
    let evidence = std::env::var_os("BACKUP_EVIDENCE").expect("BACKUP_EVIDENCE names no file");
    let evidence = fs::read_to_string(evidence).unwrap();
    let text = fs::read_to_string(page).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the page has no table");
    let (_, after) = rest.split_once(END).expect("the table has no end");
    let day = DateTime::<Utc>::from(SystemTime::now()).date_naive();
    let table = table_of(&evidence);
    let dated = format!("\nThe run that ended on {day}:\n{table}");
    fs::write(page, format!("{before}{BEGIN}\n{dated}{END}{after}")).unwrap();
}

fn table_of(evidence: &str) -> String {
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    for line in evidence.lines() {
        let noted: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| noted[key].as_str().unwrap_or_default().to_owned();
        let row = rows.entry(text("what")).or_default();
        row.times += noted["times"].as_u64().unwrap_or_default();
        if let Some(of) = noted["of"].as_u64() {
            row.of = Some(row.of.unwrap_or_default() + of);
        }
        row.came_of.insert(text("came_of"));
    }
    let mut table =
        "\n| what is done | how often | what came of it |\n| --- | ---: | --- |\n".to_owned();
    for (what, row) in rows {
        let mut times = grouped(row.times);
        if let Some(of) = row.of {
            times.push_str(&format!(" of {}", grouped(of)));
        }
        let came_of: Vec<String> = row.came_of.into_iter().collect();
        table.push_str(&format!("| {what} | {times} | {} |\n", came_of.join("; ")));
    }
    table.push('\n');
    table
}
