//! Colour, where the reader's terminal wants it.
//!
//! Owns the escape codes. It must not decide whether colour is wanted, and nothing may depend on
//! colour to be understood.

use std::fmt::Display;

pub(crate) use schema::outside::one_line as printable;

/// Whether texts are coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Style {
    /// Write escape codes.
    pub(crate) color: bool,
}

impl Style {
    /// No escape codes.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { color: false };

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

/// The columns that a text fills: escape codes fill none.
pub(crate) fn width(text: &str) -> usize {
    let mut columns = 0;
    let mut in_code = false;
    for character in text.chars() {
        match character {
            '\x1b' => in_code = true,
            'm' if in_code => in_code = false,
            _ if in_code => {}
            _ => columns += 1,
        }
    }
    columns
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
        let color = Style { color: true };
        assert_eq!(color.red("no"), "\x1b[31mno\x1b[0m");
        assert_eq!(width(&color.bold(color.red("no"))), 2);
        assert_eq!(width(&left(&color.dim("no"), 5)), 5);
        assert_eq!(Style::PLAIN.green("ok"), "ok");
        assert_eq!(right("ok", 4), "  ok");
    }
}
