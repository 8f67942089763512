//! What differs between two versions of a path: text side by side, of all else sizes, times and the like.

use std::time::{Duration, Instant};

use schema::{StoredPath, amount, output::EntryKind, outside};
use similar::{Algorithm, DiffTag, capture_diff_slices_deadline};

use crate::data::{Cancel, Read, Source, Version};

/// Longest file whose content is compared, in bytes.
const LONGEST: u64 = 4 << 20;
/// Longest time that is spent on finding the fewest differences; after it there are more of them.
const LONGEST_SEARCH: Duration = Duration::from_secs(2);
/// Lines that are the same and stand around what differs.
const AROUND: usize = 3;
/// Columns of a tabulator.
const TAB: usize = 4;

/// Two sides, line by line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// What the sides are called.
    pub(crate) titles: [String; 2],
    pub(crate) rows: Vec<Row>,
}

/// A line of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Row {
    /// What is said of each side; whether it differs.
    Fact(&'static str, [String; 2], bool),
    /// A line that both have.
    Same(String),
    /// What one side has in the place of what the other has.
    Other([Option<String>; 2]),
    /// Lines that are left out, being the same.
    Gap(usize),
    /// A line over both sides.
    Said(String),
}

impl Comparison {
    /// Lines that somebody else has made.
    pub(crate) fn of_lines(before: &str, after: &str, lines: Vec<String>) -> Self {
        Self {
            titles: [before.to_owned(), after.to_owned()],
            rows: lines.into_iter().map(Row::Said).collect(),
        }
    }

    /// Where the next stretch of what differs begins after a row, or before it.
    pub(crate) fn next_change(&self, from: usize, forward: bool) -> Option<usize> {
        let differs = |at: usize| matches!(self.rows.get(at), Some(Row::Other(_)));
        let begins = |at: &usize| differs(*at) && (*at == 0 || !differs(*at - 1));
        match forward {
            true => (from + 1..self.rows.len()).find(begins),
            false => (0..from.min(self.rows.len())).rev().find(begins),
        }
    }
}

/// Compares two versions of a path.
pub(crate) fn compare(
    source: &dyn Source,
    path: &StoredPath,
    older: &Version,
    newer: &Version,
    cancel: &Cancel,
) -> Read<Comparison> {
    let mut rows = facts(source, older, newer);
    let is_file = |one: &Version| one.kind == Some(EntryKind::File);
    if is_file(older) && is_file(newer) {
        let read = |one: &Version| source.content(&one.last, path, LONGEST, cancel);
        rows.push(Row::Said(String::new()));
        match (read(older), read(newer)) {
            (Ok(Some(old)), Ok(Some(new))) => rows.extend(compare_content(&old, &new)),
            (Ok(_), Ok(_)) => rows.push(Row::Said(format!(
                "content is not shown: longer than {}",
                amount::bytes(LONGEST)
            ))),
            (Err(fault), _) | (_, Err(fault)) => {
                let said = format!("content is not shown: {}", fault.message);
                let hint = fault.hint.map(|hint| format!("hint: {hint}"));
                let lines = std::iter::once(said).chain(hint);
                rows.extend(lines.map(|line| Row::Said(outside::one_line(&line))));
            }
        }
    }
    Ok(Comparison {
        titles: [older.last.clone(), newer.last.clone()],
        rows,
    })
}

/// What is known of both without reading them.
fn facts(source: &dyn Source, older: &Version, newer: &Version) -> Vec<Row> {
    let both = [older, newer];
    let fact = |label, of: &dyn Fn(&Version) -> String| {
        let sides = both.map(of);
        let differs = sides[0] != sides[1];
        Row::Fact(label, sides, differs)
    };
    let mut rows = vec![fact("kind", &|one| kind_word(one.kind))];
    if both.iter().any(|one| one.kind == Some(EntryKind::File)) {
        rows.push(fact("size", &|one| match one.kind {
            Some(EntryKind::File) => format!("{} bytes", amount::count(one.size)),
            _ => String::new(),
        }));
    }
    rows.push(fact("time", &|one| {
        one.mtime.map_or_else(String::new, |time| source.time(time))
    }));
    let about = |one: &Version, label: &str| {
        let mut all = one.about.iter();
        let found = all.find(|(own, _)| *own == label);
        found.map_or_else(String::new, |(_, text)| text.clone())
    };
    let mut labels: Vec<&'static str> = Vec::new();
    for (label, _) in both.iter().flat_map(|one| &one.about) {
        if !labels.contains(label) {
            labels.push(label);
        }
    }
    rows.extend(
        labels
            .iter()
            .map(|label| fact(label, &|one| about(one, label))),
    );
    rows
}

/// What a kind is called; none is not there.
pub(crate) fn kind_word(kind: Option<EntryKind>) -> String {
    match kind {
        None | Some(EntryKind::Absent) => "not there".to_owned(),
        Some(kind) => kind.word().to_owned(),
    }
}

fn compare_content(old: &[u8], new: &[u8]) -> Vec<Row> {
    if old == new {
        return vec![Row::Said(
            "the content is the same, byte for byte".to_owned(),
        )];
    }
    if old.contains(&0) || new.contains(&0) {
        let same = old.iter().zip(new).take_while(|(one, other)| one == other);
        let at = amount::count(same.count() as u64);
        return vec![Row::Said(format!(
            "no text: the first {at} bytes are the same"
        ))];
    }
    let (old, new) = (lines_of(old), lines_of(new));
    let until = Instant::now().checked_add(LONGEST_SEARCH);
    let found = capture_diff_slices_deadline(Algorithm::Myers, &old, &new, until);
    let mut rows = Vec::new();
    let all = found.len();
    for (at, one) in found.iter().enumerate() {
        let (tag, of_old, of_new) = one.as_tag_tuple();
        if tag == DiffTag::Equal {
            add_same(&mut rows, &old[of_old], at == 0, at + 1 == all);
            continue;
        }
        let lines = of_old.len().max(of_new.len());
        let side = |lines: &[&[u8]], at: usize| lines.get(at).map(|line| shown(line));
        let (old, new) = (&old[of_old], &new[of_new]);
        rows.extend((0..lines).map(|at| Row::Other([side(old, at), side(new, at)])));
    }
    rows
}

/// Adds lines that are the same, of which only those beside what differs are shown.
fn add_same(rows: &mut Vec<Row>, lines: &[&[u8]], is_first: bool, is_last: bool) {
    let before = if is_first { 0 } else { AROUND };
    let after = if is_last { 0 } else { AROUND };
    let same = |line: &&[u8]| Row::Same(shown(line));
    // A gap takes a line itself.
    if lines.len() <= before + after + 1 {
        rows.extend(lines.iter().map(same));
        return;
    }
    let rest = lines.len() - after;
    rows.extend(lines[..before].iter().map(same));
    rows.push(Row::Gap(rest - before));
    rows.extend(lines[rest..].iter().map(same));
}

fn lines_of(text: &[u8]) -> Vec<&[u8]> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.split(|byte| *byte == b'\n').collect()
}

/// A line as a terminal can show it.
fn shown(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    let mut plain = String::with_capacity(text.len());
    for (at, part) in text.split('\t').enumerate() {
        if at > 0 {
            let filled = schema::columns::width(&plain);
            plain.push_str(&" ".repeat(TAB - filled % TAB));
        }
        plain.push_str(part);
    }
    outside::one_line(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(old: &str, new: &str) -> Vec<String> {
        let rows = compare_content(old.as_bytes(), new.as_bytes());
        let rows = rows.into_iter().map(|row| match row {
            Row::Same(line) => format!("  {line}"),
            Row::Other([old, new]) => format!(
                "{} | {}",
                old.unwrap_or_else(|| "-".to_owned()),
                new.unwrap_or_else(|| "-".to_owned())
            ),
            Row::Gap(lines) => format!("... {lines}"),
            Row::Said(line) => line,
            Row::Fact(label, ..) => label.to_owned(),
        });
        rows.collect()
    }

    #[test]
    fn lines_stand_beside_those_that_took_their_place() {
        assert_eq!(
            told("a\nb\nc\n", "a\nx\ny\nc\n"),
            ["  a", "b | x", "- | y", "  c"]
        );
        assert_eq!(
            told("a\n", "a\n"),
            ["the content is the same, byte for byte"]
        );
        assert_eq!(
            told("a\0b", "a\0c"),
            ["no text: the first 2 bytes are the same"]
        );
        assert_eq!(told("\tx\x1b[1m\r\n", "ab\tx\n"), [r"    x\033[1m | ab  x"]);
    }

    #[test]
    fn what_is_the_same_is_left_out_but_around_what_differs() {
        let numbers: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        let old = numbers.join("\n");
        let new = old.replace("20", "zwanzig");
        assert_eq!(
            told(&old, &new),
            [
                "... 17",
                "  17",
                "  18",
                "  19",
                "20 | zwanzig",
                "  21",
                "  22",
                "  23",
                "... 16"
            ]
        );
        let rows = compare_content(old.as_bytes(), new.as_bytes());
        let comparison = Comparison {
            titles: [const { String::new() }; 2],
            rows,
        };
        assert_eq!(comparison.next_change(0, true), Some(4));
        assert_eq!(comparison.next_change(4, true), None);
        assert_eq!(comparison.next_change(8, false), Some(4));
    }
}
