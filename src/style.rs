//! Colour, where the reader's terminal wants it, and the guard that lets no other escape code pass.
//!
//! Owns the escape codes. It must not decide whether colour is wanted, and nothing may depend on
//! colour to be understood.

use std::{fmt::Display, path::Path};

use schema::columns;
pub(crate) use schema::outside::one_line as printable;

/// How texts look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// Write escape codes.
    pub(crate) color: bool,
    /// What is drawn besides the text.
    pub(crate) drawing: Drawing,
}

/// What may be drawn besides a text, which says all that there is to know without it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Drawing {
    /// Nothing: a program may read it.
    #[default]
    Nothing,
    /// What letters can show.
    Letters,
    /// Signs and bars.
    Signs,
}

impl Style {
    /// No escape codes, and nothing drawn.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self {
        color: false,
        drawing: Drawing::Nothing,
    };

    /// Colours and drawings.
    #[cfg(test)]
    pub(crate) const RICH: Self = Self {
        color: true,
        drawing: Drawing::Signs,
    };

    /// Whether signs and bars are drawn.
    pub(crate) fn draws(&self) -> bool {
        self.drawing == Drawing::Signs
    }

    /// For what matters less than the rest.
    pub(crate) fn dim(&self, text: impl Display) -> String {
        self.paint("2", text)
    }

    /// For headings and verdicts.
    pub(crate) fn bold(&self, text: impl Display) -> String {
        self.paint("1", text)
    }

    /// For errors and for what goes.
    pub(crate) fn red(&self, text: impl Display) -> String {
        self.paint("31", text)
    }

    /// For warnings.
    pub(crate) fn yellow(&self, text: impl Display) -> String {
        self.paint("33", text)
    }

    /// For what is well.
    pub(crate) fn green(&self, text: impl Display) -> String {
        self.paint("32", text)
    }

    fn paint(&self, code: &str, text: impl Display) -> String {
        if self.color {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_string()
        }
    }
}

/// A path of this machine as people read it.
pub(crate) fn shown(path: &Path) -> String {
    schema::escape::display(path.as_os_str().as_encoded_bytes())
}

/// The columns that a text fills: escape codes fill none.
pub(crate) fn width(text: &str) -> usize {
    let mut columns = 0;
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        columns += columns::width(&rest[..at]);
        let code = &rest[at..];
        rest = &code[color_code(code).unwrap_or(1)..];
    }
    columns + columns::width(rest)
}

/// A text that this program has put together, safe for a terminal whatever went into it: its lines
/// and colours stay, and all else that is not seen as itself is written out.
///
/// What comes from outside has gone through [`printable`] before, as it might bring lines of its own.
pub(crate) fn guarded(text: &str) -> String {
    guarded_except(text, '\n')
}

/// The same, where nothing but `kept` and colours stays.
pub(crate) fn guarded_except(text: &str, kept: char) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find([kept, '\x1b']) {
        safe.push_str(&printable(&rest[..at]));
        let own = &rest[at..];
        let own = match color_code(own) {
            Some(length) => &own[..length],
            None if own.starts_with(kept) => &own[..kept.len_utf8()],
            None => {
                safe.push_str(&printable("\x1b"));
                rest = &own[1..];
                continue;
            }
        };
        safe.push_str(own);
        rest = &rest[at + own.len()..];
    }
    safe.push_str(&printable(rest));
    safe
}

/// The length of the code for a colour or a weight that a text begins with; none where it does not.
///
/// Codes that hide a text, or make it look like another, are none.
fn color_code(text: &str) -> Option<usize> {
    let numbers = text.strip_prefix("\x1b[")?;
    let end = numbers.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    let harmless = |number: &str| {
        matches!(
            number,
            "" | "0" | "1" | "2" | "3" | "4" | "31" | "32" | "33" | "34" | "35" | "36"
        )
    };
    let is_color = numbers[end..].starts_with('m') && numbers[..end].split(';').all(harmless);
    is_color.then_some("\x1b[".len() + end + "m".len())
}

/// The text followed by blanks up to this many columns.
pub(crate) fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The text preceded by blanks up to this many columns.
pub(crate) fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_written_only_where_it_is_wanted_and_fills_no_column() {
        let color = Style::RICH;
        assert_eq!(color.red("no"), "\x1b[31mno\x1b[0m");
        assert_eq!(width(&color.bold(color.red("no"))), 2);
        assert_eq!(width(&left(&color.dim("no"), 5)), 5);
        assert_eq!(Style::PLAIN.green("ok"), "ok");
        assert_eq!(right("ok", 4), "  ok");
        assert_eq!(right("日本", 6), "  日本");
    }

    #[test]
    fn only_lines_and_colours_of_this_program_pass() {
        let color = Style::RICH;
        let own = format!(
            "{}\n  {}\n",
            color.bold(color.red("no")),
            color.dim("größe")
        );
        assert_eq!(guarded(&own), own);
        for (text, safe) in [
            ("a\x1b[2Jb", "a\\033[2Jb"),
            ("a\x1b[8mb", "a\\033[8mb"),
            ("a\x1b[38;5;1mb", "a\\033[38;5;1mb"),
            ("\x1b]0;title\x07", "\\033]0;title\\007"),
            ("a\u{202e}b\tc", "a\\342\\200\\256b\\011c"),
            ("\x1b", "\\033"),
            ("\x1b[", "\\033["),
        ] {
            assert_eq!(guarded(text), safe);
        }
        assert_eq!(guarded_except("a\nb\u{1}c", '\u{1}'), "a\\012b\u{1}c");
    }
}
