//! Lines with hanging indents that fit where they are read.
//!
//! Owns where lines break: at blanks only, so that what stands without one (a path, an id, an
//! amount with its unit) stays whole. It must not know what the lines say.

use std::{borrow::Cow, sync::OnceLock};

use schema::config::{DestinationName, retention_in_words_of};

use crate::style::{guarded_except, left, printable, width};

/// Columns of a line where nothing else is said.
const USUAL: usize = 80;
/// A terminal of fewer columns is not written for.
const FEWEST: usize = 40;

/// Columns of a line of this process.
static COLUMNS: OnceLock<usize> = OnceLock::new();

/// Has lines break at this many columns; without a number they do not break at all, as whatever reads a
/// pipe wants them.
pub(crate) fn fit_lines_to(columns: Option<usize>) {
    let columns = columns.map_or(usize::MAX, |columns| columns.max(FEWEST));
    let _ = COLUMNS.set(columns);
}

/// Columns of a line.
pub(super) fn line_width() -> usize {
    COLUMNS.get().copied().unwrap_or(USUAL)
}

/// Columns before a word that is too long for its place.
const LEAST_INDENT: usize = 4;

/// Stands for a blank at which no line breaks; [`printable`] leaves none in a text.
const FIRM: char = '\u{1}';

/// A text in the making.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
    /// The named destination that is told of.
    of: Option<DestinationName>,
}

impl Page {
    /// Has what follows be about this named destination, in whose words options are told, or about `local`.
    pub(crate) fn tell_of(&mut self, of: Option<&DestinationName>) {
        self.of = of.filter(|name| !name.is_predefined()).cloned();
    }

    /// A paragraph; its further lines stand two columns further in.
    pub(crate) fn line(&mut self, indent: usize, text: &str) {
        self.hanging(&" ".repeat(indent), indent + 2, text);
    }

    /// A paragraph beside a label of this many columns.
    pub(crate) fn entry(&mut self, indent: usize, label: &str, columns: usize, text: &str) {
        let blanks = " ".repeat(indent);
        let label = format!("{blanks}{}", left(label, columns));
        self.hanging(&label, indent + columns, text);
    }

    /// An empty line, unless one stands there already.
    pub(crate) fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// A text that has its lines already.
    pub(crate) fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The text, each line ended.
    pub(crate) fn into_string(self) -> String {
        self.text.replace(FIRM, " ")
    }

    fn hanging(&mut self, first: &str, hang: usize, text: &str) {
        let most = line_width();
        let own = self.of.as_ref();
        let own = own.map(|name| retention_in_words_of(name, text));
        let text = own.as_deref().unwrap_or(text);
        let mut line = guarded_except(first, FIRM);
        let text = guarded_except(text, FIRM);
        let mut empty = true;
        for word in words(&text) {
            if !empty && width(&line) + 1 + width(word) > most {
                self.end(&line);
                line = " ".repeat(hang);
                empty = true;
            }
            if empty && width(&line) + width(word) > most && width(&line) > LEAST_INDENT {
                // It does not fit beside its label: it stands below, further to the left.
                self.end(&line);
                let fits = LEAST_INDENT + width(word) <= most;
                line = " ".repeat(if fits { LEAST_INDENT } else { 0 });
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        self.end(&line);
    }

    fn end(&mut self, line: &str) {
        let line = line.trim_end();
        if !line.is_empty() {
            self.text.push_str(line);
            self.text.push('\n');
        }
    }
}

/// The pieces of a text between which a line may break: at blanks, but not within a command or a
/// quoted name that people may copy.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(' ');
        if rest.is_empty() {
            return None;
        }
        let end = copied_end(rest).unwrap_or(0);
        let end = rest[end..]
            .find(' ')
            .map_or(rest.len(), |blank| end + blank);
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}

/// Where the `command` ends that a text begins with.
pub(super) fn code_end(text: &str) -> Option<usize> {
    copied_end(text).filter(|_| text.starts_with('`'))
}

/// Where the `command` or the 'name' ends that a text begins with.
fn copied_end(text: &str) -> Option<usize> {
    let quoted = text.strip_prefix('$').unwrap_or(text);
    let sign = quoted
        .chars()
        .next()
        .filter(|sign| matches!(sign, '`' | '\''))?;
    let start = text.len() - quoted.len() + 1;
    let is_end = |at: usize| {
        let after = text[at + 1..].chars().next();
        after.is_none_or(|after| after == ' ' || (after.is_ascii_punctuation() && after != '\\'))
    };
    let mut signs = text[start..].match_indices(sign).map(|(at, _)| start + at);
    signs.find(|at| is_end(*at))
}

/// A text in which no line breaks.
pub(crate) fn unbroken(text: &str) -> String {
    text.replace(' ', &FIRM.to_string())
}

/// A path as people read it, in which no line breaks.
///
/// `text` is a path as records write it: what is not printable, and perhaps blanks, as `\ooo`.
pub(crate) fn readable_path(text: &str) -> String {
    let readable = schema::escape::unescape(text).map_or(Cow::Borrowed(text), |bytes| {
        Cow::Owned(schema::escape::display(&bytes))
    });
    unbroken(&printable(&readable))
}

/// A path as the configuration has it, in which no line breaks.
pub(crate) fn configured_path(path: &schema::config::AbsolutePath) -> String {
    unbroken(&printable(path.as_str()))
}

/// The first few of a list, and how many more there are.
pub(crate) fn first_few(items: &[String], few: usize) -> String {
    let shown: Vec<&str> = items.iter().take(few).map(String::as_str).collect();
    match items.len().saturating_sub(few) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
pub(crate) fn assert_fits(text: &str) {
    for line in text.lines() {
        assert!(
            width(line) <= USUAL,
            "{} columns: {line}\n{text}",
            width(line)
        );
        assert_eq!(line.trim_end(), line, "blanks at the end");
    }
    assert!(text.ends_with('\n'));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Style;

    #[test]
    fn lines_break_at_blanks_and_hang() {
        let mut page = Page::default();
        let words = ["word"; 30].join(" ");
        page.entry(2, "keep", 8, &words);
        page.blank();
        page.blank();
        let long = format!("/{}", "folder/".repeat(14));
        page.line(0, &format!("copy {long} there"));
        page.line(4, &readable_path("/home/ann/my\\040photos"));
        let text = page.into_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("  keep    word word"));
        assert!(width(lines[0]) <= USUAL);
        assert!(lines[1].starts_with("          word"));
        assert_eq!(lines[3], "");
        assert_eq!(lines[4], "copy");
        assert_eq!(lines[5], format!("  {long}"));
        assert_eq!(lines[6], "  there");
        assert_eq!(lines[7], "    /home/ann/my photos");
    }

    #[test]
    fn what_people_copy_stays_on_one_line() {
        let mut page = Page::default();
        let path = schema::shell::word("/mnt/it's a disk/x y");
        let text = format!(
            "{} run `chmod u+rwX {path}`, then go on",
            "word ".repeat(12)
        );
        page.line(0, &text);
        let text = page.into_string();
        let command = format!("`chmod u+rwX {path}`, then go on");
        assert!(text.lines().any(|line| line.trim() == command), "{text}");
    }

    #[test]
    fn a_page_has_only_its_own_lines_and_wide_letters_count_twice() {
        let mut page = Page::default();
        page.line(0, "a\nerror: forged\u{202e} \x1b[2J");
        page.line(0, &"日本語 ".repeat(20));
        let text = page.into_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "a\\012error: forged\\342\\200\\256 \\033[2J");
        assert_eq!(lines[1], ["日本語"; 11].join(" "));
        assert_fits(&text);
    }

    #[test]
    fn colour_does_not_change_where_lines_break() {
        let words = ["four"; 40].join(" ");
        let lines = |style: Style| {
            let mut page = Page::default();
            page.entry(
                0,
                &style.red("label"),
                8,
                &format!("{} {words}", style.bold("x")),
            );
            page.into_string().lines().map(width).collect::<Vec<_>>()
        };
        assert_eq!(lines(Style::PLAIN), lines(Style::RICH));
    }
}
